package compare

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"gameday/internal/runrig"
	"gameday/report"
	"gameday/report/stats"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// pairsOfSets are what every renderer is held to.
var pairsOfSets = map[string]func(*testing.T) *Comparison{
	// A tenth of the capacity lost, over eight runs a side.
	"worse": func(t *testing.T) *Comparison {
		w := runrig.New(1)
		w.Crash, w.Outliers = true, 0
		base, head := two(w, 8, 1/0.9, 0, false)
		return mustCompare(t, base, head)
	},
	// One run a side: blocks of seconds, and what only several runs could tell.
	"single": func(t *testing.T) *Comparison {
		w := runrig.New(2)
		w.Crash, w.Outliers, w.Load = true, 0, 120
		base, head := two(w, 1, 1, 0, true)
		return mustCompare(t, base, head)
	},
	// The alarm does not fire any more, and two runs of head did not come to their end.
	"silent": func(t *testing.T) *Comparison {
		w := runrig.New(3)
		w.Crash, w.Outliers = true, 0
		base, head := two(w, 6, 1, 0, false)
		for i, r := range head {
			r.Samples[Metric{Yardstick: report.TimeToDetect, Of: "ShopDown"}] = Sample{State: report.FigureNever}
			if i < 2 {
				r.End = report.EndAborted
				r.Samples[Metric{Yardstick: report.Completed, Share: true}] = Sample{State: report.FigureNever}
			}
		}
		return mustCompare(t, base, head)
	},
	// Another multiple, another machine, one stream more, runs of yesterday, and a name that would like to be markup.
	"other": func(t *testing.T) *Comparison {
		w := runrig.New(4)
		base, head := two(w, 4, 1, 0, false)
		for _, r := range head {
			r.Host, r.Started = "elsewhere|<b>", r.Started.Add(24*time.Hour)
			r.Plan.Traffic[0].Multiple = 4
			r.Plan.Traffic = append(r.Plan.Traffic, report.TrafficPlan{Name: "search", Engine: "k6", Script: "search.js",
				Rate: 1, Multiple: 3})
			r.Samples[Metric{Yardstick: "p95", Stretch: "load", Traffic: "search"}] = Sample{State: report.FigureSeen,
				Reading: stats.Exactly(1)}
			r.Plan.Regression = &report.RegressionPlan{Tolerances: map[string]report.Tolerance{"p95": {Relative: 0.5,
				Counts: true}}}
		}
		return mustCompare(t, base, head)
	},
}

func mustCompare(t *testing.T, base, head []*Run) *Comparison {
	t.Helper()
	c, err := Compare(base, head, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestGolden(t *testing.T) {
	formats := map[string]func(io.Writer, *Comparison) error{
		"txt":     func(w io.Writer, c *Comparison) error { return Text(w, c, TextOptions{}) },
		"all.txt": func(w io.Writer, c *Comparison) error { return Text(w, c, TextOptions{All: true}) },
		"json":    func(w io.Writer, c *Comparison) error { return JSON(w, c) },
		"md":      Markdown, "xml": JUnit,
	}
	for name, build := range pairsOfSets {
		c := build(t)
		for ext, render := range formats {
			t.Run(name+"."+ext, func(t *testing.T) {
				var got bytes.Buffer
				if err := render(&got, c); err != nil {
					t.Fatal(err)
				}
				golden(t, filepath.Join("testdata", name+"."+ext), got.Bytes())
			})
		}
	}
}

func golden(t *testing.T, path string, got []byte) {
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

// TestTextWidth holds the text to its width, and free of colours unless they are asked for.
func TestTextWidth(t *testing.T) {
	for name, build := range pairsOfSets {
		c := build(t)
		var text, colored bytes.Buffer
		for w, o := range map[*bytes.Buffer]TextOptions{&text: {All: true}, &colored: {Color: true, All: true}} {
			if err := Text(w, c, o); err != nil {
				t.Fatal(err)
			}
		}
		for line := range strings.Lines(text.String()) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 100 {
				t.Errorf("%s: %d columns: %q", name, n, line)
			}
		}
		if strings.Contains(text.String(), "\x1b") || !strings.Contains(colored.String(), "\x1b[") {
			t.Errorf("%s: colours where none were asked for, or none where they were", name)
		}
	}
}

// TestVerdicts holds the pairs of sets to what they were made for.
func TestVerdicts(t *testing.T) {
	for name, want := range map[string]struct {
		overall Verdict
		rows    map[string]Verdict
	}{
		"worse": {Worse, map[string]Verdict{"load.p95": Worse, "capacity": Worse, "load.error_ratio": Same,
			"completed": Same}},
		"single": {Unknown, map[string]Verdict{"load.error_ratio": Same, "ttd.ShopDown": Unknown, "score": Unknown,
			"capacity": Unknown}},
		"silent": {Worse, map[string]Verdict{"ttd.ShopDown.share": Worse, "ttd.ShopDown": Unknown, "completed": Unknown}},
		"other":  {Unknown, map[string]Verdict{"load.p95": Unknown, "load.search.p95": Unknown, "completed": Same}},
	} {
		c := pairsOfSets[name](t)
		if c.Verdict != want.overall || c.Exit != want.overall.ExitCode() {
			t.Errorf("%s: %s (%d), want %s: %v", name, c.Verdict, c.Exit, want.overall, c.Why)
		}
		got := map[string]Verdict{}
		for _, r := range c.Rows {
			got[r.ID] = r.Verdict
		}
		for id, v := range want.rows {
			if has, there := got[id]; !there || has != v {
				t.Errorf("%s: %s is %s (there %t), want %s", name, id, has, there, v)
			}
		}
	}
}

// TestNotComparable checks what cannot be compared at all, and what of it is said.
func TestNotComparable(t *testing.T) {
	m := Metric{Yardstick: "p95", Stretch: "load"}
	one := 1.0
	base, head := []*Run{plain("a", m, &one)}, []*Run{plain("b", m, &one)}
	head[0].Plan = shopPlan("robots")
	if _, err := Compare(base, head, Options{}); !errors.Is(err, ErrNothingInCommon) {
		t.Errorf("other traffic: %v", err)
	}
	if _, err := Compare(nil, head, Options{}); err == nil {
		t.Error("no runs on a side were compared")
	}
}

// One run under two names is one run.
func TestTheSameRunTwiceCountsOnce(t *testing.T) {
	m := Metric{Yardstick: report.MaxRate}
	var base, head []*Run
	for i := range 4 {
		v, w := 100.0, 50.0
		base = append(base, plain("base-0", m, &v))
		head = append(head, plain("head", m, &w))
		base[i].ID = "the same"
		head[i].ID = "head-" + string(rune('a'+i))
	}
	c := mustCompare(t, base, head)
	if len(c.Base) != 1 || len(c.Head) != 4 || c.Verdict != Unknown || !strings.Contains(strings.Join(c.Warnings, "\n"),
		"twice") {
		t.Errorf("%d and %d runs, %s, %v", len(c.Base), len(c.Head), c.Verdict, c.Warnings)
	}
}

// A tolerance that is given outranks the scenario's.
func TestGivenTolerances(t *testing.T) {
	w := runrig.New(1)
	w.Outliers = 0
	base, head := two(w, 8, 1/0.9, 0, false)
	lax := map[string]report.Tolerance{"p95": {Relative: 9, Counts: true}, report.MaxRate: {Relative: 0.5, Counts: true}}
	if c := mustCompare(t, base, head); c.Verdict != Worse {
		t.Fatalf("%s, so the tolerances show nothing", c.Verdict)
	}
	c, err := Compare(base, head, Options{Tolerances: lax})
	if err != nil || c.Verdict != Same {
		t.Errorf("%s, %v: %v", c.Verdict, err, c.Why)
	}
}
