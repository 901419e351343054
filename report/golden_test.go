package report

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// runs are the synthetic runs that every renderer is held to.
var runs = map[string]func(testing.TB) *builder{"passed": passedRun, "failed": failedRun, "torn": tornRun}

// reread writes a run to a folder and reads it back.
func reread(t testing.TB, b *builder) *Record {
	t.Helper()
	dir := t.TempDir()
	b.write(dir)
	rec, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func TestGolden(t *testing.T) {
	formats := map[string]func(io.Writer, *Scorecard) error{
		"txt":  func(w io.Writer, c *Scorecard) error { return Text(w, c, TextOptions{Record: "runs/one", Page: true}) },
		"json": JSON, "xml": JUnit, "html": HTML,
		"explain.txt": func(w io.Writer, c *Scorecard) error {
			for _, it := range c.Items() {
				if err := Explain(w, c, it.ID, TextOptions{}); err != nil {
					return err
				}
				if _, err := io.WriteString(w, "\n"); err != nil {
					return err
				}
			}
			return nil
		},
	}
	for name, build := range runs {
		c := Score(reread(t, build(t)))
		for ext, render := range formats {
			t.Run(name+"."+ext, func(t *testing.T) {
				var got bytes.Buffer
				if err := render(&got, c); err != nil {
					t.Fatal(err)
				}
				compare(t, filepath.Join("testdata", name+"."+ext), got.Bytes())
			})
		}
	}
}

func compare(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", path, diff)
	}
}

// TestTextWidth holds the report for the terminal to its width and free of colours unless they are asked for.
func TestTextWidth(t *testing.T) {
	for name, build := range runs {
		c := Score(reread(t, build(t)))
		var plainText, colored bytes.Buffer
		for w, o := range map[*bytes.Buffer]TextOptions{&plainText: {}, &colored: {Color: true}} {
			if err := Text(w, c, o); err != nil {
				t.Fatal(err)
			}
		}
		for line := range strings.Lines(plainText.String()) {
			if n := visible(strings.TrimRight(line, "\n")); n > textWidth {
				t.Errorf("%s: %d columns: %q", name, n, line)
			}
		}
		if strings.Contains(plainText.String(), "\x1b") || !strings.Contains(colored.String(), "\x1b[") {
			t.Errorf("%s: colours where none were asked for, or none where they were", name)
		}
	}
}

// TestHostileText checks that what a scenario's author or a responder wrote cannot become markup or move the cursor.
func TestHostileText(t *testing.T) {
	const evil = "<script>alert(1)</script>\x1b[2J\"'&"
	b := failedRun(t)
	p := b.plan
	p.Scenario, p.Summary, p.Owner, p.File = evil, evil, evil, evil
	p.Faults[0].Undoing, p.Targets[0].Name = evil, evil
	p.Expects[0].Name, p.Expects[0].Source = evil, evil
	b.add(90, Marked, Mark{Name: evil, By: evil})
	b.kill(evil, evil, evil, 70, 71)
	b.alarms(evil, 280, whole, alarm{name: evil, firing: 20, labels: map[string]string{"severity": "page"}})
	c := Score(reread(t, b))
	var page, text, junit bytes.Buffer
	if err := HTML(&page, c); err != nil {
		t.Fatal(err)
	}
	if err := Text(&text, c, TextOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := JUnit(&junit, c); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(strings.ToLower(page.String()), "<script") || strings.Contains(page.String(), "onload=") {
		t.Error("markup of the scenario is live in the page")
	}
	if !strings.Contains(page.String(), "&lt;script&gt;alert(1)") {
		t.Error("the escaped name is not in the page, so the test tests nothing")
	}
	for name, out := range map[string]string{"text": text.String(), "junit": junit.String(),
		"page's picture": drawChart(c)} {
		if strings.Contains(out, "\x1b") {
			t.Errorf("%s: an escape sequence of the scenario went through", name)
		}
	}
}

// TestPageIsSelfContained checks that the page fetches nothing and runs nothing.
func TestPageIsSelfContained(t *testing.T) {
	var page bytes.Buffer
	if err := HTML(&page, Score(reread(t, passedRun(t)))); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<script", "<link", "src=", "@import", "url("} {
		if strings.Contains(page.String(), bad) {
			t.Errorf("the page contains %q", bad)
		}
	}
	for _, part := range strings.Split(page.String(), `="http`)[1:] {
		if !strings.HasPrefix(part, "://www.w3.org/") {
			t.Errorf("the page names an address: %.60s", part)
		}
	}
}

// TestNoNames checks that no person's name leaves the report, in any format, unless the plan asks for names.
func TestNoNames(t *testing.T) {
	b := failedRun(t)
	b.add(119, Noted, Note{Text: "Ann, then (bob) and carol's laptop; annual bobsled"})
	rec := reread(t, b)
	c := Score(rec)
	out := everything(t, c)
	for _, name := range []string{"ann ", "Ann,", "bob ", "(bob)", "carol", `"ann"`, `"bob"`} {
		if strings.Contains(out, name) {
			i := strings.Index(out, name)
			t.Errorf("the report names %q: …%s…", name, out[max(0, i-60):i+40])
		}
	}
	if !strings.Contains(out, "responder A, then (responder B) and responder C") || !strings.Contains(out,
		"annual bobsled") {
		t.Error("pseudonyms are not in the order of appearance, or ate a word")
	}
	rec.Plan.Named = true
	if out := everything(t, Score(rec)); !strings.Contains(out, "acknowledged by bob") {
		t.Error("names = true, and bob is not named")
	}
}

func everything(t *testing.T, c *Scorecard) string {
	t.Helper()
	var out bytes.Buffer
	for _, render := range []func(io.Writer, *Scorecard) error{JSON, JUnit, HTML,
		func(w io.Writer, c *Scorecard) error { return Text(w, c, TextOptions{}) }} {
		if err := render(&out, c); err != nil {
			t.Fatal(err)
		}
	}
	for _, it := range c.Items() {
		if err := Explain(&out, c, it.ID, TextOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

func TestFind(t *testing.T) {
	c := Score(reread(t, passedRun(t)))
	for query, want := range map[string]string{
		"noise":                "noise",
		"alarm.PaymentsDown.f": "", // fired and flaps
		"alarm.paymentsdown.c": "alarm.PaymentsDown.cleared",
		"acknowledged":         "response.on-call.acknowledge",
		"bridge":               "response.on-call.mark.bridge opened",
		"rspescal":             "response.on-call.escalate",
		"zebra":                "", "": "",
	} {
		it, err := c.Find(query)
		switch {
		case want == "" && err == nil:
			t.Errorf("%q found %s, want an error", query, it.ID)
		case want == "" && !strings.Contains(err.Error(), "alarm.PaymentsDown.fired"):
			t.Errorf("%q: the error lists no ids: %v", query, err)
		case want != "" && err != nil:
			t.Errorf("%q: %v", query, err)
		case want != "" && it.ID != want:
			t.Errorf("%q found %s, want %s", query, it.ID, want)
		}
	}
}
