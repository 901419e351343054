package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gameday/responders"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// runs are the synthetic runs that every renderer is held to.
var runs = map[string]func(testing.TB) *builder{"passed": passedRun, "failed": failedRun, "torn": tornRun, "held": heldRun, "skipped": skippedRun}

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
				// The style has a file of its own.
				shown := bytes.Replace(got.Bytes(), []byte(Style()), []byte("…"), 1)
				compare(t, filepath.Join("testdata", name+"."+ext), shown)
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

// evil is what a scenario's author, a system or a responder may have written.
const evil = "<script>alert(1)</script>\x1b[2J\"'&</title></style></svg>-->{{.}}`code`\u202e"

// hostileRun is a run of which everything that others write is written to do harm, and long: names, places, notes, labels,
// what was seen, who did it, and why not.
func hostileRun(t testing.TB) *builder {
	b := failedRun(t)
	p := b.plan
	p.Scenario, p.Summary, p.Owner, p.File = evil, evil, evil, evil
	p.Faults[0].Undoing, p.Targets[0].Name = evil, evil
	p.Expects[0].Name, p.Expects[0].Source = evil, evil
	p.Faults = append(p.Faults, FaultPlan{Name: evil, Kind: evil, Targets: []string{evil}, RestartsWithin: 20 * second},
		FaultPlan{Name: "refused", Kind: evil, Targets: []string{evil}})
	p.Alarms = append(p.Alarms, AlarmPlan{Name: evil, Source: "prometheus.main", Match: map[string]string{"alertname": evil},
		Cause: evil, FiresWithin: 30 * second, ClearsWithin: 60 * second, PagesVia: "desk.ops", PagesWithin: 40 * second,
		Labels: map[string]string{evil: evil}, Annotations: []string{evil}})
	p.Responses = append(p.Responses, ResponsePlan{Name: evil, Source: "desk.ops", To: evil,
		Acknowledge: &AckPlan{DeadlinePlan: DeadlinePlan{Within: 60 * second}},
		Marks:       []MarkPlan{{evil, DeadlinePlan{Within: 60 * second}}}})
	p.Aborts = append(p.Aborts, AbortPlan{Name: evil, Source: evil, When: less("p95", 1)})
	p.Traffic[0].Script = evil
	for i := range b.events {
		if b.events[i].Kind == ResponseRecord {
			var a ResponseAccount
			if err := json.Unmarshal(b.events[i].Data, &a); err != nil {
				t.Fatal(err)
			}
			for sec, kind := range map[float64]responders.Kind{74: responders.Opened, 75: responders.Notified,
				80: responders.Acknowledged, 84: responders.Marked, 85: responders.Noted, 86: "joined"} {
				e := did(sec, kind, responders.Human, evil, 1)
				e.Page, e.Text, e.Grade, e.Labels = evil, evil, evil, map[string]string{"alertname": evil}
				a.Events = append(a.Events, e)
			}
			a.Coverage.Why, a.Error = []string{evil}, evil
			b.events[i].Data, _ = json.Marshal(a)
		}
	}
	b.add(90, Marked, Mark{Name: evil, By: evil})
	b.add(91, StopAsked, Stop{By: "user " + evil, Why: evil})
	b.add(92, Noted, Note{Text: evil})
	b.add(93, GeneratorSaid, GeneratorNote{Stream: evil, Level: "error", Message: evil})
	b.add(94, InjectFailed, Injection{ID: evil, Fault: "refused", Kind: evil, Place: evil, Error: evil})
	b.kill(evil, evil, evil, 70, 71)
	b.alarms("prometheus.main", 280, whole, alarm{name: evil, pending: 71, firing: 72, held: []string{evil}, ends: 90,
		labels: map[string]string{"severity": "page", evil: evil}})
	b.alarms(evil, 280, whole, alarm{name: strings.Repeat("Unbreakable", 30), firing: 20,
		labels: map[string]string{"severity": "page"}})
	return b
}

// TestHostileText checks that what a scenario's author or a responder wrote cannot become markup or move the cursor.
func TestHostileText(t *testing.T) {
	c := Score(reread(t, hostileRun(t)))
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
	for _, live := range []string{"<script", "</svg>-->", "</title></style>", "\"'&<"} {
		if strings.Contains(strings.ToLower(page.String()), live) {
			t.Errorf("%q of the scenario is live in the page", live)
		}
	}
	// One title for the page, one style, and every picture closed as often as it is opened.
	for _, tag := range []string{"title", "style", "svg", "table", "details", "section", "text"} {
		open := regexp.MustCompile(`<`+tag+`[ >]`).FindAllString(page.String(), -1)
		if closed := strings.Count(page.String(), "</"+tag+">"); closed != len(open) || closed == 0 {
			t.Errorf("%d <%s> and %d </%s>", len(open), tag, closed, tag)
		}
	}
	if !strings.Contains(page.String(), "&lt;script&gt;alert(1)") {
		t.Error("the escaped name is not in the page, so the test tests nothing")
	}
	if n := strings.Count(drawCharts(c)[0], "&lt;script&gt;"); n < 4 {
		t.Errorf("the escaped name is in the picture %d times, so the test tests little", n)
	}
	for name, out := range map[string]string{"text": text.String(), "junit": junit.String(),
		"page's picture": strings.Join(drawCharts(c), ""), "page": page.String()} {
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
