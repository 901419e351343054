package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gameday/clock"
	"gameday/internal/browser"
	"gameday/internal/browser/browsertest"
)

// unfold opens everything that is folded away.
const unfold = `document.querySelectorAll("details").forEach(d => d.open = true)`

// pages writes every page that the report makes, and returns where they are.
func pages(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	add := func(name string, page []byte) {
		path := filepath.Join(t.TempDir(), name+".html")
		if err := os.WriteFile(path, page, 0o644); err != nil {
			t.Fatal(err)
		}
		out[name] = path
	}
	for name, build := range map[string]func(testing.TB) *builder{"passed": passedRun, "failed": failedRun, "torn": tornRun,
		"hostile": hostileRun, "calm": func(t testing.TB) *builder { return newBuilder(t, &Plan{Scenario: "nothing"}).end(1, EndComplete) }} {
		var page bytes.Buffer
		if err := HTML(&page, Score(reread(t, build(t)))); err != nil {
			t.Fatal(err)
		}
		add(name, page.Bytes())
	}
	c, err := CurveOf(searchRecord(t))
	if err != nil {
		t.Fatal(err)
	}
	var page bytes.Buffer
	if err := CurveHTML(&page, c); err != nil {
		t.Fatal(err)
	}
	add("capacity", page.Bytes())
	return out
}

// TestPagesAreAccessible lets axe look at every page, on a desk and on a phone, in the light and in the dark, with
// everything unfolded.
func TestPagesAreAccessible(t *testing.T) {
	axe, b := browsertest.Axe(t), browsertest.Start(t)
	const look = `(async () => {
		const r = await axe.run(document, {resultTypes: ["violations"],
			runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]});
		return {passes: r.passes.length, violations: r.violations.flatMap(v => v.nodes.map(n =>
			v.id + " (" + v.help + "): " + n.html.slice(0, 200) + " " + n.failureSummary))};
	})()`
	for name, path := range pages(t) {
		for _, screen := range []browser.Screen{{Width: 1280, Height: 900}, {Width: 390, Height: 844},
			{Width: 1280, Height: 900, Dark: true}, {Width: 390, Height: 844, Dark: true}} {
			var found struct {
				Passes     int
				Violations []string
			}
			err := b.Show(screen)
			if _, e := b.Open(path); err == nil {
				err = e
			}
			for script, into := range map[string]any{unfold: nil, axe + ";undefined": nil} {
				if err == nil {
					err = b.Eval(script, into)
				}
			}
			if err == nil {
				err = b.Eval(look, &found)
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if found.Passes < 10 {
				t.Errorf("%s: only %d rules of axe had anything to look at", name, found.Passes)
			}
			for _, v := range found.Violations {
				t.Errorf("%s, %d wide, dark %t: %s", name, screen.Width, screen.Dark, v)
			}
		}
	}
}

// TestPagesFit checks that no page is wider than its screen, from a small phone to a desk, and that none fetches
// anything.
func TestPagesFit(t *testing.T) {
	b := browsertest.Start(t)
	for name, path := range pages(t) {
		screens := []browser.Screen{{Width: 698, Height: 900, Print: true}} // A4 within its margins
		for _, width := range []int{320, 360, 390, 560, 600, 860, 861, 961, 1280, 1920} {
			screens = append(screens, browser.Screen{Width: width, Height: 800})
		}
		for _, screen := range screens {
			if err := b.Show(screen); err != nil {
				t.Fatal(err)
			}
			fetched, err := b.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			if len(fetched) > 0 {
				t.Errorf("%s fetches %q", name, fetched)
			}
			var wide struct {
				Page  int
				Cause []string
			}
			err = b.Eval(`(() => {
				`+unfold+`;
				const over = [...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1 &&
					!e.closest("svg svg") && !e.closest("figure.curve"));
				return {page: document.documentElement.scrollWidth, cause: over.slice(0, 3).map(e => e.outerHTML.slice(0, 160))};
			})()`, &wide)
			if err != nil {
				t.Fatal(err)
			}
			if wide.Page > screen.Width || len(wide.Cause) > 0 {
				t.Errorf("%s is %d wide on %+v: %q", name, wide.Page, screen, wide.Cause)
			}
		}
	}
}

// TestPageByKeyboard goes through the page with the keyboard alone: what is reached shows that it is, and what is folded
// away opens.
func TestPageByKeyboard(t *testing.T) {
	b := browsertest.Start(t)
	if err := b.Show(browser.Screen{Width: 1280, Height: 900}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Open(pages(t)["failed"]); err != nil {
		t.Fatal(err)
	}
	var want, reached int
	if err := b.Eval(`document.querySelectorAll("a[href], summary, [tabindex]").length`, &want); err != nil {
		t.Fatal(err)
	}
	opened := 0
	for range want {
		if err := b.Press("Tab"); err != nil {
			t.Fatal(err)
		}
		var at struct {
			Tag, Outline string
			Body         bool
		}
		err := b.Eval(`(() => { const e = document.activeElement; return {tag: e.tagName, body: e === document.body,
			outline: getComputedStyle(e).outlineStyle + getComputedStyle(e).outlineWidth}; })()`, &at)
		if err != nil {
			t.Fatal(err)
		}
		if at.Body {
			break
		}
		reached++
		if at.Outline != "solid3px" {
			t.Errorf("a %s that has the focus is outlined by %q", at.Tag, at.Outline)
		}
		if at.Tag != "SUMMARY" || opened > 2 {
			continue
		}
		opened++
		if err := b.Press("Enter"); err != nil {
			t.Fatal(err)
		}
		var unfolded bool
		if err := b.Eval(`document.activeElement.parentElement.open`, &unfolded); err != nil || !unfolded {
			t.Errorf("Enter does not unfold: %v", err)
		}
	}
	if reached < want || opened == 0 {
		t.Errorf("the keyboard reached %d of %d, and opened %d", reached, want, opened)
	}
}

// TestPageOnPaper checks that everything that is folded away is unfolded on paper, that it is black on white even for
// who reads in the dark, and that nothing moves for who asked for less motion.
func TestPageOnPaper(t *testing.T) {
	b := browsertest.Start(t)
	path := pages(t)["failed"]
	look := func(s browser.Screen) (seen struct {
		Folded            int
		Ink, Paper, Moves string
	}) {
		t.Helper()
		err := b.Show(s)
		if _, e := b.Open(path); err == nil {
			err = e
		}
		if err == nil {
			err = b.Eval(`(() => { const s = getComputedStyle(document.body); return {ink: s.color, paper: s.backgroundColor,
				moves: getComputedStyle(document.documentElement).scrollBehavior,
				folded: [...document.querySelectorAll("details > :not(summary)")].filter(e => !e.checkVisibility()).length}; })()`,
				&seen)
		}
		if err != nil {
			t.Fatal(err)
		}
		return seen
	}
	if seen := look(browser.Screen{Width: 720, Height: 1000, Print: true, Dark: true}); seen.Folded > 0 ||
		seen.Ink != "rgb(0, 0, 0)" || seen.Paper != "rgb(255, 255, 255)" {
		t.Errorf("on paper: %+v", seen)
	}
	if seen := look(browser.Screen{Width: 720, Height: 1000, Still: true}); seen.Moves != "auto" || seen.Folded == 0 {
		t.Errorf("with less motion: %+v", seen)
	}
	paper, err := b.Paper()
	if err != nil || !bytes.HasPrefix(paper, []byte("%PDF")) || bytes.Count(paper, []byte("/Type /Page\n")) < 5 {
		t.Errorf("printed: %d bytes, %v", len(paper), err)
	}
}

// TestContrast computes the contrast of every colour of writing on every ground that it stands on, and of what bars and
// marks are drawn in, in both schemes: axe does not look into pictures.
func TestContrast(t *testing.T) {
	blocks := regexp.MustCompile(`(?s):root \{(.*?)\}`).FindAllStringSubmatch(pageStyle, -1)
	if len(blocks) != 3 {
		t.Fatalf("%d palettes", len(blocks))
	}
	colour := regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6})`)
	for i, scheme := range []string{"light", "dark", "paper"} {
		of := map[string]string{}
		for _, block := range append([][]string{blocks[0]}, blocks[i]) { // those that are not set again stay
			for _, m := range colour.FindAllStringSubmatch(block[1], -1) {
				of[m[1]] = m[2]
			}
		}
		hold := func(ink, ground string, least float64) {
			if c := contrast(t, of[ink], of[ground]); c < least {
				t.Errorf("%s: %s on %s has a contrast of %.2f, less than %g", scheme, ink, ground, c, least)
			}
		}
		for _, ground := range []string{"paper", "sheet", "band"} {
			for _, ink := range []string{"ink", "soft", "good", "bad", "unsure", "main"} {
				hold(ink, ground, 4.5)
			}
		}
		for _, tone := range []string{"good", "bad", "unsure", "abort"} {
			hold(tone, tone+"-soft", 4.5)
			hold("ink", tone+"-soft", 4.5)
		}
		for _, ground := range []string{"paper", "stood"} {
			for _, mark := range []string{"good", "bad", "unsure", "ink", "soft", "fault", "main"} {
				hold(mark, ground, 3)
			}
		}
		hold("second", "paper", 3)
		hold("edge", "paper", 3)
		hold("ink", "stood", 4.5)
	}
}

// contrast is WCAG's: the relative luminances of two colours, compared.
func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	light := func(hex string) float64 {
		var c [3]int
		if _, err := fmt.Sscanf(hex, "%02x%02x%02x", &c[0], &c[1], &c[2]); err != nil {
			t.Fatalf("%q is no colour: %v", hex, err)
		}
		sum := 0.0
		for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
			v := float64(c[i]) / 255
			if v <= 0.04045 {
				v /= 12.92
			} else {
				v = math.Pow((v+0.055)/1.055, 2.4)
			}
			sum += weight * v
		}
		return sum + 0.05
	}
	x, y := light(a), light(b)
	return max(x, y) / min(x, y)
}

// TestBarsAreTheItems holds every bar to the item that it shows: where it ends, where its limit is, and that only what is
// judged is solid.
func TestBarsAreTheItems(t *testing.T) {
	for name, build := range runs {
		c := Score(reread(t, build(t)))
		shown := map[string]bool{}
		for _, g := range c.clockGroups() {
			for _, a := range g.Axes {
				for _, b := range a.Bars {
					shown[b.ID] = true
					if (b.Form == formSolid) != (b.Latency != nil && b.Outcome != clock.Unknown && !b.Clock.Zero.IsZero()) {
						t.Errorf("%s: %s is %s, measured %q, drawn %s", name, b.ID, b.Outcome, b.Measured, b.Form)
					}
					if b.Form == formSolid && b.Limited && (b.Doubt.To <= b.LimitAt+0.001) != (b.Outcome == clock.Met) && b.Class != ClassFalseAlarm {
						t.Errorf("%s: %s is %s, and its bar ends at %s with the limit at %s", name, b.ID, b.Outcome, b.Doubt.To, b.LimitAt)
					}
					if !strings.Contains(b.Words(), b.Outcome.String()) && outcomeWord(b.Item) != "late" {
						t.Errorf("%s: the words of %s hide its outcome: %s", name, b.ID, b.Words())
					}
				}
			}
		}
		var page bytes.Buffer
		if err := HTML(&page, c); err != nil {
			t.Fatal(err)
		}
		unknown := 0
		for _, part := range strings.Split(page.String(), `<svg class="bar unknown" width="100%"`)[1:] {
			drawn, _, _ := strings.Cut(part, "</td>")
			if unknown++; strings.Contains(drawn, `class="body"`) {
				t.Errorf("%s: a bar is unknown and solid: %s", name, drawn)
			}
		}
		if (name == "failed" || name == "torn") && unknown == 0 {
			t.Errorf("%s: no bar is unknown, so the test tests nothing", name)
		}
		for _, it := range c.Items() {
			if (it.Clock != nil) != shown[it.ID] {
				t.Errorf("%s: %s has a clock: %t, and a bar: %t", name, it.ID, it.Clock != nil, shown[it.ID])
			}
			if it.Latency != nil && it.Clock == nil {
				t.Errorf("%s: %s was timed by no clock", name, it.ID)
			}
		}
	}
}

// TestClockAddsUp checks what the scorecard's JSON says of clocks: zero, latency and what was seen belong together.
func TestClockAddsUp(t *testing.T) {
	c := Score(reread(t, passedRun(t)))
	want := map[string]struct {
		name ClockName
		end  float64 // when it happened, in seconds of the run
	}{
		"alarm.PaymentsDown.fired": {ClockDetect, 109.2}, "alarm.PaymentsDown.paged": {ClockPage, 111},
		"alarm.PaymentsDown.cleared": {ClockClear, 150}, "response.on-call.acknowledge": {ClockAcknowledge, 131},
		"response.on-call.mark.bridge opened": {ClockMark, 160}, "response.on-call.resolve": {ClockResolve, 260},
		"recovery.crash.restarted": {ClockRestart, 63.3},
	}
	for _, it := range c.Items() {
		w, ok := want[it.ID]
		if !ok {
			continue
		}
		delete(want, it.ID)
		if it.Clock == nil || it.Clock.Name != w.name || it.Clock.Zero.IsZero() || it.Latency == nil {
			t.Errorf("%s: %+v, %v", it.ID, it.Clock, it.Latency)
			continue
		}
		lo, hi := it.Clock.Zero.Hi.Add(it.Latency.Lo), it.Clock.Zero.Lo.Add(it.Latency.Hi)
		if at(w.end).Before(lo) || at(w.end).After(hi) {
			t.Errorf("%s happened between %s and %s, by its clock, and not at %s", it.ID, lo, hi, at(w.end))
		}
	}
	if len(want) > 0 {
		t.Errorf("no items: %v", want)
	}
	text, err := json.Marshal(c)
	if err != nil || !bytes.Contains(text, []byte(`"clock":{"name":"detect","fault":"cut","of":"PaymentsDown","from":"the onset of cut","zero":{"lo":`)) {
		t.Errorf("the JSON does not tell of clocks: %v", err)
	}
}
