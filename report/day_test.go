package report_test

import (
	"bytes"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"gameday/internal/simrun"
	"gameday/report"
)

// simulated writes the record of a run that never ran and returns its folder.
func simulated(t *testing.T, length time.Duration, factor float64) string {
	t.Helper()
	dir := t.TempDir()
	if err := (simrun.Run{Seed: 1, Length: length, Streams: simrun.Streams(factor)}).Write(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func read(t *testing.T, dir string) *report.Record {
	t.Helper()
	rec, err := report.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// printed returns every rendering of a scorecard.
func printed(t *testing.T, c *report.Scorecard) map[string]string {
	t.Helper()
	out := map[string]string{}
	for name, render := range map[string]func(io.Writer, *report.Scorecard) error{
		"json": report.JSON, "junit": report.JUnit, "html": report.HTML,
		"text": func(w io.Writer, c *report.Scorecard) error { return report.Text(w, c, report.TextOptions{}) }} {
		var b bytes.Buffer
		if err := render(&b, c); err != nil {
			t.Fatal(err)
		}
		out[name] = b.String()
	}
	return out
}

// TestSimulatedRun checks that what is simulated is a run like others: complete, judged, with nothing unknown.
func TestSimulatedRun(t *testing.T) {
	card := report.Score(read(t, simulated(t, 40*time.Minute, 0.1)))
	if card.Verdict != report.Passed || card.Coverage < 0.999 || card.Safety.Injected != 12 || card.Safety.Gone != 12 {
		t.Fatalf("%v of %g, %+v: %v", card.Verdict, card.Coverage, card.Safety, card.Why)
	}
	for _, it := range card.Items() {
		if it.Outcome.String() != "met" {
			t.Errorf("%s is %s: %s", it.ID, it.Outcome, it.Why)
		}
	}
	if len(card.Engines) != 3 || card.Engines[0].Started == 0 || card.Engines[0].QueueP99 == 0 {
		t.Errorf("the generators: %+v", card.Engines)
	}
}

// TestCostOfAWindow bounds what reading and judging a second of traffic more leaves in memory and to the collector, so
// that a long run is read in little of either. It compares two runs, and so does not depend on the machine.
func TestCostOfAWindow(t *testing.T) {
	dir := simulated(t, 20*time.Minute, 1)
	cost(t, dir) // what is made once and kept is made here
	short, long := cost(t, dir), cost(t, simulated(t, 60*time.Minute, 1))
	windows := float64(long.windows - short.windows)
	for _, c := range []struct {
		what        string
		more, limit float64
	}{
		// A third of an allocation is for the reading of the scenario's own indicator that comes with three windows.
		{"allocations to read", more(long.readAllocs, short.readAllocs), 0.5},
		{"allocations to judge and print", more(long.judgeAllocs, short.judgeAllocs), 1},
		{"bytes allocated to read", more(long.readBytes, short.readBytes), 900},
		{"bytes allocated to judge and print", more(long.judgeBytes, short.judgeBytes), 250},
		{"bytes kept", float64(long.kept - short.kept), 600},
	} {
		t.Logf("%s, a window: %.2f", c.what, c.more/windows)
		if c.more/windows > c.limit {
			t.Errorf("%s: %.2f a window, at most %g are expected", c.what, c.more/windows, c.limit)
		}
	}
}

// more returns by how much the longer run cost more, which is less than nothing when only chance tells them apart.
func more(long, short uint64) float64 { return float64(int64(long) - int64(short)) }

type costs struct {
	windows                 int
	readAllocs, readBytes   uint64
	judgeAllocs, judgeBytes uint64
	kept                    int64
}

func cost(t *testing.T, dir string) costs {
	t.Helper()
	var before, readBack, collected, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	rec := read(t, dir)
	runtime.ReadMemStats(&readBack)
	runtime.GC()
	runtime.ReadMemStats(&collected)
	printed(t, report.Score(rec))
	runtime.ReadMemStats(&after)
	return costs{
		windows:    len(rec.Windows),
		readAllocs: readBack.Mallocs - before.Mallocs, readBytes: readBack.TotalAlloc - before.TotalAlloc,
		judgeAllocs: after.Mallocs - collected.Mallocs, judgeBytes: after.TotalAlloc - collected.TotalAlloc,
		kept: int64(collected.HeapAlloc) - int64(before.HeapAlloc),
	}
}

// TestPagesDoNotGrow checks that the report of a long run is hardly longer than that of a short one, and says what a
// point of its picture stands for.
func TestPagesDoNotGrow(t *testing.T) {
	short := printed(t, report.Score(read(t, simulated(t, 20*time.Minute, 0.1))))
	long := printed(t, report.Score(read(t, simulated(t, 4*time.Hour, 0.1))))
	for name := range short {
		if s, l := len(short[name]), len(long[name]); float64(l) > 1.1*float64(s) {
			t.Errorf("%s: %d bytes of 20 minutes, %d of four hours", name, s, l)
		}
	}
	if page := long["html"]; !strings.Contains(page, "arrivals per second, 25s a point") {
		t.Error("the picture does not say that a point is more than a second")
	}
}
