package trends

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"gameday/internal/browser"
	"gameday/internal/browser/browsertest"
	"gameday/report/history"
)

// TestPageIsAccessible lets axe look at the page, on a desk and on a phone, in the light and in the dark, and checks that
// nothing is fetched and that it is no wider than the screen.
func TestPageIsAccessible(t *testing.T) {
	axe, b := browsertest.Axe(t), browsertest.Start(t)
	runs, skipped, err := history.List(month(t), history.Options{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "trends.html")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(HTML(f, Of(runs, skipped, now)), f.Close()); err != nil {
		t.Fatal(err)
	}
	for _, screen := range []browser.Screen{{Width: 1280, Height: 900}, {Width: 390, Height: 844},
		{Width: 1280, Height: 900, Dark: true}, {Width: 390, Height: 844, Dark: true}} {
		var found struct {
			Passes, Wide int
			Violations   []string
		}
		err := b.Show(screen)
		fetched, e := b.Open(path)
		if err == nil {
			err = e
		}
		if err == nil {
			err = b.Eval(string(axe)+";undefined", nil)
		}
		if err == nil {
			err = b.Eval(`(async () => {
				const r = await axe.run(document, {resultTypes: ["violations"],
					runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]});
				return {passes: r.passes.length, wide: document.documentElement.scrollWidth,
					violations: r.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.html.slice(0, 200)))};
			})()`, &found)
		}
		if err != nil {
			t.Fatal(err)
		}
		if found.Passes < 10 || found.Wide > screen.Width || len(fetched) > 0 {
			t.Errorf("%+v: %d rules had anything to look at, %d wide, fetched %v", screen, found.Passes, found.Wide, fetched)
		}
		for _, v := range found.Violations {
			t.Errorf("%+v: %s", screen, v)
		}
	}
}
