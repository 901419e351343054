package report

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"gameday/clock"
	"gameday/loadgen"
	"gameday/loadgen/sli"
)

// Here is how a record was read and added up before that was made quick: line by line by encoding/json, everything kept
// as it is, every sum made anew. The tests hold what is quick to it.

// readPlainly reads a folder the plain way.
func readPlainly(t testing.TB, dir string) *Record {
	t.Helper()
	plan, err := readPlan(filepath.Join(dir, PlanFile))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, EventsFile))
	if err != nil {
		t.Fatal(err)
	}
	rec := &Record{Dir: dir, Plan: plan}
	for line := range bytes.Lines(text) {
		var e Event
		if err := json.Unmarshal(line, &e); err != nil {
			rec.Torn = true
			break
		}
		if e.Kind == WindowClosed {
			w, err := decode[loadgen.Window](e)
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range []**loadgen.Histogram{&w.Queue, &w.OK.Response, &w.OK.Service, &w.Failed.Response,
				&w.Failed.Service} {
				counted := &loadgen.Histogram{} // as when it was recorded, and not as it was read
				counted.Merge(*h)
				*h = counted
			}
			rec.Windows = append(rec.Windows, w)
		}
		rec.Events = append(rec.Events, e)
	}
	return rec
}

// plainSum answers for windows that lie wholly inside one of some spans.
type plainSum struct {
	windows []loadgen.Window
	rec     *Record
	spans   []clock.Span
}

func addUp(rec *Record, spans ...clock.Span) plainSum {
	s := plainSum{rec: rec, spans: spans}
	for _, span := range spans {
		for _, w := range rec.Windows {
			if !w.Start.Before(span.Start) && !w.Start.Add(second).After(span.End) {
				s.windows = append(s.windows, w)
			}
		}
	}
	return s
}

func (s plainSum) Read(stream, name string) (float64, bool) {
	if ownName(name) {
		return s.own(name)
	}
	if len(s.windows) == 0 {
		return 0, false
	}
	var due, started, dropped, requests, failed, checks, bad uint64
	seconds := map[int64]bool{}
	var response loadgen.Histogram
	for _, w := range s.windows {
		if stream != "" && w.Stream != stream {
			continue
		}
		seconds[w.Start.Round(second).Unix()] = true
		due, started, dropped = due+w.Due, started+w.Started, dropped+w.Dropped
		requests, failed = requests+w.OK.Count+w.Failed.Count, failed+w.Failed.Count
		checks, bad = checks+w.ChecksPassed+w.ChecksFailed, bad+w.ChecksFailed
		response.Merge(w.OK.Response)
		response.Merge(w.Failed.Response)
	}
	of := func(part, whole uint64) (float64, bool) {
		if whole == 0 {
			return 0, false
		}
		return float64(part) / float64(whole), true
	}
	switch name {
	case "rate":
		return of(started, uint64(len(seconds)))
	case "error_ratio":
		return of(failed, requests)
	case "dropped_ratio":
		return of(dropped, due)
	case "reached_ratio":
		return of(started, due)
	case "check_ratio":
		return of(bad, checks)
	case "max":
		return response.Max().Seconds(), response.Count() > 0
	}
	q := map[string]float64{"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}[name]
	return response.Quantile(q).Seconds(), response.Count() > 0
}

func (s plainSum) own(name string) (float64, bool) {
	var sum float64
	var known, asked int
	for _, r := range all[Reading](s.rec, ReadingTaken) {
		if r.V.SLI != name || !slices.ContainsFunc(s.spans, func(s clock.Span) bool { return inSpan(r.At, s) }) {
			continue
		}
		asked++
		if r.V.Known {
			known++
			sum += r.V.Value
		}
	}
	if known == 0 || float64(known) < covered*float64(asked) {
		return 0, false
	}
	return sum / float64(known), true
}

// plainCoverage is the share of spans that a stream's windows cover.
func plainCoverage(rec *Record, stream string, spans []clock.Span) float64 {
	var have []clock.Span
	for _, w := range rec.Windows {
		if w.Stream == stream {
			have = append(have, clock.Span{Start: w.Start, End: w.Start.Add(second)})
		}
	}
	var need, got time.Duration
	for _, s := range spans {
		need += s.Length()
		got += time.Duration(clock.Share(have, s) * float64(s.Length()))
	}
	if need == 0 {
		return 0
	}
	return float64(got) / float64(need)
}

// plainPoint is the point of the picture for the windows that begin in [from, to).
func plainPoint(rec *Record, from, to time.Time) point {
	var s plainSum
	seconds := map[int64]bool{}
	p := point{errors: math.NaN(), p50: math.NaN(), p95: math.NaN()}
	for _, w := range rec.Windows {
		if !w.Start.Before(from) && w.Start.Before(to) {
			s.windows = append(s.windows, w)
			seconds[w.Start.Unix()] = true
			p.due += float64(w.Due)
			p.started += float64(w.Started)
		}
	}
	if p.empty = len(seconds) == 0; !p.empty {
		p.due, p.started = p.due/float64(len(seconds)), p.started/float64(len(seconds))
		p.errors, p.p50, p.p95 = known(s, "error_ratio"), known(s, "p50"), known(s, "p95")
	}
	return p
}

// randomRun writes the record of a small run with two faults. Seconds are missing, and windows come out of order.
func randomRun(tb testing.TB, t *rapid.T) string {
	sec := func(s int) time.Duration { return time.Duration(s) * second }
	plan := checkoutPlan()
	plan.Phases = []PhasePlan{{Baseline, 0, sec(6)}, {Ramp, sec(6), sec(2)}, {Load, sec(8), sec(36)},
		{Recovery, sec(44), sec(8)}}
	plan.Faults = plan.Faults[:2]
	plan.Faults[0].At, plan.Faults[1].At, plan.Faults[1].Duration = sec(12), sec(22), sec(8)
	plan.Responses = nil
	streams := []string{"shoppers", "search", "unplanned"}[:rapid.IntRange(1, 3).Draw(t, "streams")]
	busier := &sli.Expr{Op: ">", Args: []*sli.Expr{{SLI: "rate", Stream: streams[len(streams)-1]},
		{SLI: "rate", Stream: streams[0]}}}
	plan.Expects = append(plan.Expects,
		ExpectPlan{ID: "steady_state.queue", Part: PartSteady, That: less("queue_depth", 3), Over: sec(4)},
		ExpectPlan{ID: "steady_state.all", Part: PartSteady, That: both(less("max", 0.9), less("dropped_ratio", 0.2)),
			Over: sec(2)},
		ExpectPlan{ID: "capacity.one", Part: PartCapacity, That: busier, Over: sec(1)})
	b := newBuilder(tb, plan).phases(52)
	b.kill("crash", "process_kill", "payments", 12, 14.5)
	b.fault("cut", "network_partition", "payments ↮ ledger", 22, 30)
	missing := rapid.IntRange(0, 8).Draw(t, "missing")
	for i, stream := range streams {
		offset := rapid.Float64Range(0, 0.99).Draw(t, "offset")
		for s := range 52 {
			if rapid.IntRange(0, 99).Draw(t, "there") < missing {
				continue
			}
			b.randomWindow(t, stream, float64(s)+offset, s >= 12 && s < 15 || s >= 22 && s < 30, 1.2+0.01*float64(i))
		}
	}
	for s := range 52 {
		r := Reading{SLI: "queue_depth", Known: rapid.IntRange(0, 30).Draw(t, "known") > 0}
		if r.Known {
			r.Value = rapid.Float64Range(0, 4).Draw(t, "depth")
		}
		b.add(float64(s)+0.5, ReadingTaken, r)
	}
	if rapid.IntRange(0, 3).Draw(t, "ended") > 0 {
		b.alarms("prometheus.main", 52, []clock.Span{during(0, 52)},
			alarm{name: "PaymentsDown", pending: 23, firing: 25, ends: 33}).end(52, EndComplete)
	}
	b.torn = rapid.Bool().Draw(t, "torn")
	dir := tb.TempDir()
	b.write(dir)
	return dir
}

// randomWindow adds a window that arrives up to a second late.
func (b *builder) randomWindow(t *rapid.T, stream string, begin float64, ill bool, late float64) {
	w := loadgen.Window{Stream: stream, Start: at(begin), Multiple: 3}
	requests := rapid.IntRange(0, 6).Draw(t, "requests")
	for range requests {
		took := time.Duration(rapid.IntRange(1, 700).Draw(t, "took")) * time.Millisecond
		w.Begin(took / 50)
		if ill && rapid.IntRange(0, 2).Draw(t, "fails") == 0 {
			w.Failed.Record(2*took, took)
		} else {
			w.OK.Record(took, took)
		}
	}
	w.Dropped = uint64(rapid.IntRange(0, 20).Draw(t, "dropped") / 19)
	w.Due, w.Completed, w.Requests = w.Started+w.Dropped, w.Started, w.Started
	w.ChecksPassed, w.ChecksFailed = w.OK.Count, w.Failed.Count
	cpu := time.Duration(rapid.IntRange(100, 1100).Draw(t, "cpu")) * time.Millisecond
	w.Generator = loadgen.Load{CPU: cpu, VUs: requests, MaxVUs: 6, Memory: 90 << 20}
	b.add(begin+late+rapid.Float64Range(0, 0.9).Draw(t, "late"), WindowClosed, w)
}

// TestQuickIsPlain checks that what is read and added up the quick way is what is read and added up the plain way, to
// the last bit of every indicator and the last byte of every report.
func TestQuickIsPlain(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir := randomRun(t, rt)
		rec, err := Read(dir)
		if err != nil {
			rt.Fatal(err)
		}
		plain := readPlainly(t, dir)
		events := slices.DeleteFunc(slices.Clone(plain.Events), func(e Event) bool { return e.Kind == WindowClosed })
		if d := cmp.Diff(events, rec.Events); d != "" {
			rt.Fatalf("the events differ (-plain +quick):\n%s", d)
		}
		if rec.Torn != plain.Torn || len(rec.Windows) != len(plain.Windows) {
			rt.Fatalf("torn %t, %d windows; want %t, %d", rec.Torn, len(rec.Windows), plain.Torn, len(plain.Windows))
		}
		card := Score(rec)
		if d := cmp.Diff(everything(t, Score(plain)), everything(t, card)); d != "" {
			rt.Fatalf("the reports differ (-plain +quick):\n%s", d)
		}
		if !slices.IsSortedFunc(rec.Windows, inOrder) {
			rt.Fatal("the windows are out of order")
		}
		load := card.load
		for range 3 {
			var over []clock.Span // which may overlap, and be long enough to be remembered
			for range rapid.IntRange(1, 3).Draw(rt, "spans") {
				from := rapid.Float64Range(0, 50).Draw(rt, "from")
				over = append(over, during(from, from+rapid.Float64Range(0.5, 50).Draw(rt, "length")))
			}
			holdSums(rt, load, plain, over)
		}
		run := clock.Span{Start: began, End: at(rapid.Float64Range(1, 1300).Draw(rt, "end"))}
		points, step := load.series(run)
		for i, p := range points {
			want := plainPoint(plain, began.Add(time.Duration(i)*step), began.Add(time.Duration(i+1)*step))
			want.at = time.Duration(i) * step
			if d := cmp.Diff(want, p, cmp.AllowUnexported(point{}), cmpopts.EquateNaNs()); d != "" {
				rt.Fatalf("point %d of %d (-plain +quick):\n%s", i, len(points), d)
			}
		}
	})
}

// holdSums compares what is answered for some spans with the plain answers.
func holdSums(t *rapid.T, load *traffic, plain *Record, over []clock.Span) {
	quick, sum := load.over(over...), addUp(plain, over...)
	if quick.n != len(sum.windows) {
		t.Fatalf("%d windows in %v, want %d", quick.n, over, len(sum.windows))
	}
	for _, stream := range append([]string{""}, load.streams...) {
		for _, name := range append(sli.Names(), sli.Name{Name: "queue_depth"}) {
			want, known := sum.Read(stream, name.Name)
			if v, ok := quick.Read(stream, name.Name); v != want || ok != known {
				t.Fatalf("%s of %q over %v is %g, %t; want %g, %t", name.Name, stream, over, v, ok, want, known)
			}
		}
		if got := load.coverage(stream, over); stream != "" && got != plainCoverage(plain, stream, over) {
			t.Fatalf("coverage of %q is %g, want %g", stream, got, plainCoverage(plain, stream, over))
		}
	}
}
