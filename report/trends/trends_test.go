package trends

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gameday/clock"
	"gameday/internal/runrig"
	"gameday/report"
	"gameday/report/history"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var (
	began = time.Date(2026, 11, 1, 14, 2, 0, 0, time.UTC)
	now   = began.Add(20*24*time.Hour + 5*time.Hour)
)

// month is a folder of records: drills, quiet runs of another scenario, and what is no record.
func month(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, day int, scenario string, make func(*runrig.World, time.Time) *report.Record) {
		w := runrig.New(uint64(day) + 1)
		w.Baseline, w.Load, w.Recovery, w.Outliers = 3, 45, 3, 0
		rec := make(w, began.AddDate(0, 0, day))
		rec.Plan.Scenario = scenario
		if err := runrig.Write(filepath.Join(dir, name), rec); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 9 {
		write(fmt.Sprintf("drill-%d", i), 2*i, "shop", func(w *runrig.World, at time.Time) *report.Record {
			return w.Drill(fmt.Sprint(i), at)
		})
	}
	for i := range 3 {
		write(fmt.Sprintf("quiet-%d", i), 3*i, "search <b>", func(w *runrig.World, at time.Time) *report.Record {
			return w.Run(fmt.Sprint(i), at, 1)
		})
	}
	write("search", 4, "search <b>", func(w *runrig.World, at time.Time) *report.Record {
		rec := w.Run("s", at, 1)
		rec.Plan.Search = &report.SearchPlan{Start: 40, Max: 400}
		return rec
	})
	for path, content := range map[string]string{"broken/" + report.PlanFile: `{"scenario":"shop"}`,
		"broken/" + report.EventsFile: "}{\n", "photos/cat.txt": "miau"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, path), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestGolden(t *testing.T) {
	runs, skipped, err := history.List(month(t), history.Options{})
	if err != nil {
		t.Fatal(err)
	}
	trends := Of(runs, skipped, now)
	var text, page, doc bytes.Buffer
	if err := Text(&text, trends); err != nil {
		t.Fatal(err)
	}
	if err := HTML(&page, trends); err != nil {
		t.Fatal(err)
	}
	e := json.NewEncoder(&doc)
	e.SetIndent("", "  ")
	if err := e.Encode(trends); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(runs)
	if d := cmp.Diff(trends, Of(runs, skipped, now)); d != "" {
		t.Errorf("in another order they are others: %s", d)
	}
	// The style is the report's, which has a picture of its own.
	shown := []byte(strings.Replace(page.String(), report.Style(), "…", 1))
	for name, got := range map[string][]byte{"trends.txt": text.Bytes(), "trends.html": shown, "trends.json": doc.Bytes()} {
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("%v (go test -update writes it)", err)
		}
		if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); d != "" {
			t.Errorf("%s differs (-want +got):\n%s", path, d)
		}
	}
	for _, bad := range []string{"<script", "<link", "src=", "url(", "search <b>"} {
		if strings.Contains(page.String(), bad) {
			t.Errorf("the page contains %q", bad)
		}
	}
	for line := range strings.Lines(text.String()) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > 100 {
			t.Errorf("%d columns: %q", n, line)
		}
	}
}

// run is an entry of a run n days after the first, in which Down took so many seconds: negative ones say that it never
// fired, and NaN that nobody knows.
func run(n int, seconds float64) history.Entry {
	a := history.Alarm{Name: "Down", Source: "prometheus.main", Fault: "cut"}
	switch {
	case seconds < 0:
		a.Fired = clock.Missed
	case !math.IsNaN(seconds):
		mid := time.Duration(seconds * float64(time.Second))
		a.Fired, a.Took = clock.Met, &clock.Latency{Lo: mid - time.Second, Hi: mid + time.Second}
	}
	return history.Entry{Folder: fmt.Sprint(n), Scenario: "s", Started: began.AddDate(0, 0, n), Alarms: []history.Alarm{a}}
}

func detection(t *testing.T, seconds ...float64) Series {
	t.Helper()
	var runs []history.Entry
	for i, s := range seconds {
		runs = append(runs, run(i, s))
	}
	for _, s := range Of(runs, nil, now).Series {
		if s.Kind == DetectAlarm {
			return s
		}
	}
	t.Fatal("no series")
	return Series{}
}

var unknown = math.NaN()

// TestFigures are worked out by hand.
func TestFigures(t *testing.T) {
	for _, c := range []struct {
		seconds                []float64
		of, median, least, max string
	}{
		{[]float64{10}, "1", "10.0 s ± 1.0", "10.0 s ± 1.0", "10.0 s ± 1.0"},
		{[]float64{10, 20, 60}, "3", "20.0 s ± 1.0", "10.0 s ± 1.0", "60.0 s ± 1.0"},
		{[]float64{10, 20}, "2", "15.0 s ± 1.0", "10.0 s ± 1.0", "20.0 s ± 1.0"},
		{[]float64{10, 20, -1}, "3, 1 never", "20.0 s ± 1.0", "10.0 s ± 1.0", "never"},
		{[]float64{10, -1}, "2, 1 never", "≥ 9.0 s", "10.0 s ± 1.0", "never"},
		{[]float64{10, -1, -1}, "3, 2 never", "never", "10.0 s ± 1.0", "never"},
		{[]float64{-1, -1}, "2, 2 never", "never", "never", "never"},
		{[]float64{10, unknown, 30, 20}, "3 of 4", "20.0 s ± 1.0", "10.0 s ± 1.0", "30.0 s ± 1.0"},
		{[]float64{unknown, unknown}, "0 of 2", "–", "–", "–"},
	} {
		s := detection(t, c.seconds...)
		if s.ofWords() != c.of || s.Median.words() != c.median || s.Min.words() != c.least || s.Max.words() != c.max {
			t.Errorf("%v: %s; %s; %s; %s, want %+v", c.seconds, s.ofWords(), s.Median.words(), s.Min.words(), s.Max.words(), c)
		}
	}
}

// TestDirections: nothing is said of few runs, and of more only what chance does not do.
func TestDirections(t *testing.T) {
	for _, c := range []struct {
		seconds []float64
		want    WayWord
	}{
		{[]float64{1, 2, 3, 50, 60, 70, 80}, TooFew},
		{[]float64{1, 2, 3, 4, 50, 60, 70, unknown}, TooFew},
		{[]float64{10, 11, 12, 13, 50, 60, 70, 80}, Slower}, // the series of the alarm and that of its fault are one test
		{[]float64{10, 11, 12, 13, 14, 50, 60, 70, 80, 90}, Slower},
		{[]float64{90, 80, 70, 60, 50, 14, 13, 12, 11, 10}, Faster},
		{[]float64{10, 11, 12, 13, 14, -1, -1, -1, -1, -1}, Slower},
		{[]float64{10, 50, 12, 70, 14, 11, 60, 13, 80, 9}, NoChange},
		{[]float64{10, 10.1, 10.2, 10.3, 10.4, 10.5, 10.6, 10.7, 10.8, 10.9}, NoChange}, // less apart than the clocks can tell
	} {
		if s := detection(t, c.seconds...); s.Way.Word != c.want || (s.Way.P == nil) != (c.want == TooFew) {
			t.Errorf("%v: %s, want %s", c.seconds, s.wayWords(), c.want)
		}
	}
}

// TestDirectionsOfNoise holds the share of directions that are told of pure chance to what is promised.
func TestDirectionsOfNoise(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	told := 0
	const worlds = 2000
	for range worlds {
		var s []float64
		for range 12 {
			s = append(s, 10+100*random.Float64())
		}
		if w := detection(t, s...).Way.Word; w == Slower || w == Faster {
			told++
		}
	}
	if share := float64(told) / worlds; share > level {
		t.Errorf("a direction in %.1f %% of worlds without one", 100*share)
	}
}

// TestFirst: a fault is detected by the first of its alarms; one that nobody could see may have been earlier.
func TestFirst(t *testing.T) {
	took := func(lo, hi int) *clock.Latency {
		return &clock.Latency{Lo: time.Duration(lo) * time.Second, Hi: time.Duration(hi) * time.Second}
	}
	for _, c := range []struct {
		all  []seen
		want string
	}{
		{[]seen{{clock.Met, took(9, 11)}, {clock.Met, took(4, 20)}}, "7.5 s ± 3.5"},
		{[]seen{{clock.Missed, nil}, {clock.Met, took(9, 11)}}, "10.0 s ± 1.0"},
		{[]seen{{clock.Missed, nil}, {clock.Missed, nil}}, "never"},
		{[]seen{{clock.Unknown, nil}, {clock.Met, took(9, 11)}}, "5.5 s ± 5.5"},
		{[]seen{{clock.Met, took(9, 11)}, {clock.Met, nil}}, "5.5 s ± 5.5"},
		{[]seen{{clock.Unknown, nil}, {clock.Missed, nil}}, "–"},
		{[]seen{{clock.Missed, nil}, {clock.Unknown, nil}}, "–"},
		{[]seen{{clock.Met, nil}}, "–"},
	} {
		if got := first(c.all).value().words(); got != c.want {
			t.Errorf("%+v: %s, want %s", c.all, got, c.want)
		}
	}
}

// TestDays counts from the clock that is given.
func TestDays(t *testing.T) {
	passed := run(0, 10)
	passed.Verdict = report.Passed
	failed := run(5, 10)
	failed.Verdict = report.Failed
	for at, want := range map[time.Time]string{began: "today", began.Add(24*time.Hour - 1): "today",
		began.Add(24 * time.Hour): "1 day ago", began.Add(20*24*time.Hour + 1): "20 days ago", began.Add(-1): "in the future"} {
		s := Of([]history.Entry{failed, passed}, nil, at).Scenarios[0]
		if s.sinceWords() != want || s.Runs != 2 || s.Passed != 1 || s.Last.Verdict != report.Failed {
			t.Errorf("at %s: %s, want %s; %+v", at, s.sinceWords(), want, s)
		}
	}
	if s := Of([]history.Entry{failed}, nil, now).Scenarios[0]; s.sinceWords() != "never passed" {
		t.Errorf("it never passed, and says %s", s.sinceWords())
	}
}

// TestMedianLies: whatever the times truly were within their intervals, their median lies within the one that is told.
func TestMedianLies(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(1, 9).Draw(r, "n")
		s := Series{}
		var truth []float64
		for range n {
			lo := rapid.Float64Range(0, 100).Draw(r, "lo")
			hi := lo + rapid.Float64Range(0, 50).Draw(r, "width")
			truth = append(truth, lo+(hi-lo)*rapid.Float64Range(0, 1).Draw(r, "where"))
			s.Points = append(s.Points, Point{Value: &Value{&lo, &hi}})
		}
		s.sum()
		slices.Sort(truth)
		median := (truth[(n-1)/2] + truth[n/2]) / 2
		for name, c := range map[string]struct {
			v *Value
			x float64
		}{"median": {s.Median, median}, "min": {s.Min, truth[0]}, "max": {s.Max, truth[n-1]}} {
			if c.x < *c.v.Low-1e-9 || c.x > *c.v.High+1e-9 {
				r.Fatalf("%s %g is not in %s", name, c.x, c.v.words())
			}
		}
	})
}
