package compare

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bytes"

	"pgregory.net/rapid"

	"gameday/internal/runrig"
	"gameday/report"
	"gameday/report/stats"
)

// pairOf makes a pair that says of one metric what it is given: nil is unknown, a negative value never came about.
func pairOf(i int, m Metric, base, head *float64) Pair {
	p := Pair{plain(fmt.Sprintf("%02d-base", i), m, base), plain(fmt.Sprintf("%02d-head", i), m, head)}
	p.Base.Started, p.Head.Started = epoch.Add(time.Duration(2*i)*time.Minute), epoch.Add(time.Duration(2*i+1)*time.Minute)
	return p
}

// pairsOf makes so many pairs of the same values.
func pairsOf(n int, m Metric, base, head float64) []Pair {
	var out []Pair
	for i := range n {
		// No two differences are the same, as in real life.
		b, h := base*(1+0.001*float64(i)), head*(1+0.0001*float64(i*i))
		if base < 0 {
			b = base
		}
		if head < 0 {
			h = head
		}
		out = append(out, pairOf(i, m, &b, &h))
	}
	return out
}

func TestSequential(t *testing.T) {
	p95, errs := Metric{Yardstick: "p95", Stretch: "load"}, Metric{Yardstick: "error_ratio", Stretch: "load"}
	ttd, done := Metric{Yardstick: report.TimeToDetect, Of: "ShopDown"}, Metric{Yardstick: report.Completed, Share: true}
	for _, c := range []struct {
		name   string
		most   int
		pairs  []Pair
		want   Verdict
		after  int // pairs
		decide bool
		why    string
	}{
		{"clearly worse", 16, pairsOf(16, p95, 1, 2), Worse, 8, true, "p95 (load): worse by"},
		{"clearly better", 16, pairsOf(16, p95, 2, 1), Better, 8, true, "p95 (load): better by"},
		{"the same", 16, pairsOf(16, p95, 1, 1.01), Same, 8, true, "none is worse"},
		{"slightly worse, and that is tolerated", 16, pairsOf(16, p95, 1, 1.05), Same, 8, true, "none is worse"},
		{"too soon", 16, pairsOf(5, p95, 1, 2), Unknown, 5, false, "5 pairs are too few yet"},
		{"few pairs, and clear", 6, pairsOf(6, p95, 1, 2), Worse, 6, true, "p95"},
		{"used up", 8, alternately(8, p95), Unknown, 8, true, "p95 (load)"},
		{"failures", 16, pairsOf(16, errs, 0.001, 0.02), Worse, 8, true, "errors (load): worse by +1.9"},
		{"the alarm is silent", 16, pairsOf(16, ttd, 10, -1), Worse, 8, true, "ShopDown to detect: worse"},
		{"the alarm was silent", 16, pairsOf(16, ttd, -1, 10), Better, 8, true, "ShopDown to detect: better"},
		{"the alarm is silent on both sides", 16, pairsOf(16, ttd, -1, -1), Same, 8, true, "none is worse"},
		{"head never comes to its end", 16, pairsOf(16, done, 0, -1), Worse, 8, true,
			"came to its end: worse, in 0 of 8 runs of head after 8 of 8"},
		{"a third is not known", 9, sparsely(9, p95), Unknown, 9, true, "unknown in 3 of 9 pairs: nobody looked"},
		{"nothing is known", 9, blind(9, p95), Unknown, 3, true, "3 pairs told nothing that counts"},
	} {
		got, err := Sequential{Most: c.most}.Judge(c.pairs)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got.Verdict != c.want || got.Pairs != c.after || got.Decided != c.decide ||
			!strings.Contains(strings.Join(got.Why, "\n"), c.why) {
			t.Errorf("%s: %s after %d pairs, decided %t: %q; want %s after %d, %t, %q", c.name, got.Verdict, got.Pairs,
				got.Decided, got.Why,
				c.want, c.after, c.decide, c.why)
		}
	}
}

// Of what more is better, a share that may be lost is one of what there was: 20 % of 100/s are gone at 80/s.
func TestToleratedLoss(t *testing.T) {
	capacity := Metric{Yardstick: report.MaxRate}
	o := Options{Tolerances: map[string]report.Tolerance{report.MaxRate: {Relative: 0.2, Counts: true}}}
	for left, want := range map[float64]Verdict{0.82: Same, 0.78: Worse} {
		pairs := pairsOf(8, capacity, 1, left)
		c, err := Sequential{Most: 8, Options: o}.Judge(pairs)
		if err != nil || c.Verdict != want {
			t.Errorf("pairs, of which %g is left: %v, %v; want %s", left, c, err, want)
		}
		var base, head []*Run
		for _, p := range pairs {
			base, head = append(base, p.Base), append(head, p.Head)
		}
		if c, err = Compare(base, head, o); err != nil || c.Verdict != want {
			t.Errorf("sets, of which %g is left: %v, %v; want %s", left, c, err, want)
		}
	}
}

// Where the generator was the limit, nobody knows how much more it would have been: head may be worse all the same.
func TestSequenceOfWhatIsOpenAbove(t *testing.T) {
	pairs := pairsOf(16, Metric{Yardstick: report.MaxRate}, 100, 100)
	for _, p := range pairs {
		for _, r := range []*Run{p.Base, p.Head} {
			r.Samples[Metric{Yardstick: report.MaxRate}] = Sample{State: report.FigureSeen,
				Reading: stats.Reading{Lo: 100, Hi: math.Inf(1)}}
		}
	}
	c, err := Sequential{Most: 16}.Judge(pairs)
	if err != nil || c.Verdict != Unknown {
		t.Errorf("%v, %v", c, err)
	}
}

// sparsely makes pairs of which only some tell anything.
func sparsely(n int, m Metric) []Pair {
	one := 1.0
	var out []Pair
	for i := range n {
		head := &one
		if i%3 == 1 {
			head = nil
		}
		out = append(out, pairOf(i, m, &one, head))
	}
	return out
}

func alternately(n int, m Metric) []Pair {
	one, two := 1.0, 2.0
	var out []Pair
	for i := range n {
		if i%2 == 0 {
			out = append(out, pairOf(i, m, &one, &two))
		} else {
			out = append(out, pairOf(i, m, &two, &one))
		}
	}
	return out
}

func blind(n int, m Metric) []Pair {
	one := 1.0
	var out []Pair
	for i := range n {
		out = append(out, pairOf(i, m, &one, nil))
	}
	return out
}

// What counts can be told from the plan as it can from a run.
func TestCounting(t *testing.T) {
	w := runrig.New(1)
	for _, crash := range []bool{false, true} {
		for _, g := range []*report.RegressionPlan{nil, {Phases: []report.Phase{report.Load, report.Recovery},
			EachTraffic: true,
			Tolerances:  map[string]report.Tolerance{"score": {Counts: true}, "ttd": {}}}} {
			w.Crash = crash
			rec := w.Run("one", epoch, 1)
			rec.Plan.Regression = g
			run := Measure("one", rec, false)
			c, err := Compare([]*Run{run}, []*Run{run}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			want := 0
			for _, r := range c.Rows {
				if r.Counts {
					want++
				}
			}
			if got := Counting(rec.Plan, Options{}); got != want || got == 0 {
				t.Errorf("with a crash %t and %+v: %d count by the plan, %d by the run", crash, g, got, want)
			}
		}
	}
}

func TestMinPairs(t *testing.T) {
	for rows, want := range map[int]int{1: 6, 3: 6, 4: 7, 6: 7, 7: 8, 12: 8, 13: 9} {
		if got := MinPairs(rows); got != want {
			t.Errorf("with %d rows at least %d pairs, want %d", rows, got, want)
		}
	}
}

// A row that is worse at its own level, and not at the one it shares with the others, is no verdict yet.
func TestSequenceConfirms(t *testing.T) {
	p95 := Metric{Yardstick: "p95", Stretch: "load"}
	others := []Metric{{Yardstick: "error_ratio", Stretch: "load"}, {Yardstick: "reached_ratio", Stretch: "load"},
		{Yardstick: report.MaxRate},
		{Yardstick: report.TimeToDetect, Of: "A"}, {Yardstick: report.TimeToDetect,
			Of: "B"}, {Yardstick: report.TimeToRecover, Of: "C"}}
	pairs := pairsOf(8, p95, 1, 2)
	pairs[2] = pairOf(2, p95, new(1.5), new(1.499)) // one small step the other way
	alone, err := Sequential{Most: 8}.Judge(pairs)
	if err != nil || alone.Verdict != Worse {
		t.Fatalf("alone: %v, %v", alone, err)
	}
	for _, p := range pairs {
		for _, m := range others {
			for _, r := range []*Run{p.Base, p.Head} {
				r.Samples[m] = Sample{State: report.FigureSeen, Reading: stats.Exactly(1)}
			}
		}
	}
	among, err := Sequential{Most: 8}.Judge(pairs)
	if err != nil {
		t.Fatal(err)
	}
	if why := strings.Join(among.Why, "\n"); among.Verdict != Unknown || !strings.Contains(why,
		"being one of several that count, it may be chance") {
		t.Errorf("among others: %s, %s", among.Verdict, why)
	}
}

func TestSequentialRefuses(t *testing.T) {
	m := Metric{Yardstick: "p95", Stretch: "load"}
	if _, err := (Sequential{Most: 16}).Judge(nil); err == nil {
		t.Error("no pairs were judged")
	}
	if _, err := (Sequential{Most: 5}).Judge(pairsOf(1, m, 1, 1)); !errors.Is(err, ErrTooFewPairs) {
		t.Errorf("five pairs: %v", err)
	}
	pairs := pairsOf(1, m, 1, 1)
	pairs[0].Head.Plan = shopPlan("robots\x1b[2J")
	if _, err := (Sequential{Most: 16}).Judge(pairs); !errors.Is(err, ErrNothingInCommon) ||
		strings.Contains(err.Error(), "\x1b") {
		t.Errorf("other traffic: %q", err)
	}
}

// A sequence that is decided stays so: more pairs do not change a byte. And swapping the sides mirrors it.
func TestSequenceIsAFunctionOfItsPairs(t *testing.T) {
	mirror := map[Verdict]Verdict{Unknown: Unknown, Same: Same, Better: Worse, Worse: Better}
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.SampledFrom([]Metric{{Yardstick: "p95", Stretch: "load"}, {Yardstick: report.MaxRate},
			{Yardstick: "error_ratio", Stretch: "load"}, {Yardstick: report.TimeToDetect, Of: "ShopDown"}}).Draw(t, "metric")
		level := rapid.SampledFrom([]float64{0.3, 1, 1.1, 3}).Draw(t, "level")
		var pairs, swapped []Pair
		for i := range 10 {
			b, h := rapid.Float64Range(0.9, 1.1).Draw(t, "base"), level*rapid.Float64Range(0.9, 1.1).Draw(t, "head")
			p := pairOf(i, m, &b, &h)
			pairs, swapped = append(pairs, p), append(swapped, Pair{p.Head, p.Base})
		}
		s := Sequential{Most: 10}
		var decided string
		for n := 1; n <= len(pairs); n++ {
			c, err := s.Judge(pairs[:n])
			if err != nil {
				t.Fatal(err)
			}
			other, err := s.Judge(swapped[:n])
			if err != nil {
				t.Fatal(err)
			}
			if decided == "" && !c.Decided && !other.Decided {
				for i := range c.Rows {
					if c.Rows[i].Verdict != mirror[other.Rows[i].Verdict] {
						t.Fatalf("%s is %s, and swapped %s", c.Rows[i].ID, c.Rows[i].Verdict, other.Rows[i].Verdict)
					}
				}
			}
			if c.Verdict == Better && other.Verdict != Worse {
				t.Fatalf("better, and swapped %s", other.Verdict)
			}
			got := everything(t, c)
			if decided != "" && got != decided {
				t.Fatalf("it was decided, and %d pairs say otherwise:\n%s\nwant\n%s", n, got, decided)
			}
			if c.Decided {
				decided = got
			}
		}
		if decided == "" {
			t.Fatal("all pairs are used up, and nothing is decided")
		}
	})
}

func TestSequenceGolden(t *testing.T) {
	w := runrig.New(1)
	w.Crash, w.Outliers = true, 0
	var pairs []Pair
	for i := range DefaultPairs {
		pairs = append(pairs, onePair(w, i, 1/0.9, 0))
	}
	c, err := Sequential{Most: DefaultPairs}.Judge(pairs)
	if err != nil {
		t.Fatal(err)
	}
	var text, md bytes.Buffer
	if err := errors.Join(Text(&text, c, TextOptions{}), Markdown(&md, c)); err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join("testdata", "sequence.txt"), text.Bytes())
	golden(t, filepath.Join("testdata", "sequence.md"), md.Bytes())
	if got := c.Progress(); !strings.HasPrefix(got, "after 10 of at most 16 pairs: worse; ShopDown to detect") {
		t.Errorf("progress: %s", got)
	}
}

// Runs that tell nothing are seldom the good ones: the few that are left do not speak for them, in blocks of seconds
// either.
func TestBlocksOfWhatIsLeft(t *testing.T) {
	w := runrig.New(5)
	w.Between, w.Outliers, w.Load = 0, 0, 120
	base, head := two(w, 3, 1, 0, true)
	p95 := Metric{Yardstick: "p95", Stretch: "load"}
	row := func() Row {
		c, err := Compare(base, head, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range c.Rows {
			if r.Metric == p95 {
				return r
			}
		}
		t.Fatal("no p95")
		return Row{}
	}
	if r := row(); !strings.HasPrefix(string(r.Method), string(ByBlocks)) {
		t.Fatalf("of all: %s, %s", r.Method, r.Why)
	}
	for _, r := range head[:2] {
		r.Samples[p95] = Sample{Why: "the generator of shoppers was at its own limit"}
	}
	if r := row(); r.Verdict != Unknown || r.NotWorse || !strings.Contains(r.Why, "unknown in 2 of 3 runs of head") {
		t.Errorf("of one in three: %s, not worse %t, %q", r.Verdict, r.NotWorse, r.Why)
	}
}

// What was sent at another rate tells nothing of the build: head is no better for having had less to do.
func TestAnotherLoad(t *testing.T) {
	p95 := Metric{Yardstick: "p95", Stretch: "load"}
	for _, c := range []struct {
		name     string
		multiple float64
		metric   Metric
		o        Options
		want     Verdict
	}{
		{"the same", 3, p95, Options{}, Better},
		{"as good as the same", 3.1, p95, Options{}, Better},
		{"less", 2, p95, Options{}, Unknown},
		{"less, and that is tolerated", 2, p95, Options{Tolerances: map[string]report.Tolerance{"rate": {Relative: 0.6}}},
			Better},
		{"less, but not in the baseline phase", 2, Metric{Yardstick: "p95", Stretch: "baseline"}, Options{}, Better},
	} {
		pairs := pairsOf(8, c.metric, 2, 1)
		var base, head []*Run
		for _, p := range pairs {
			p.Head.Plan = shopPlan("shoppers")
			p.Head.Plan.Traffic[0].Multiple = c.multiple
			p.Head.Plan.Regression = &report.RegressionPlan{Phases: []report.Phase{report.Load, report.Baseline}}
			base, head = append(base, p.Base), append(head, p.Head)
		}
		set, err := Compare(base, head, c.o)
		sequence, errSequence := Sequential{Most: 8, Options: c.o}.Judge(pairs)
		if err != nil || errSequence != nil {
			t.Errorf("%s: %v, %v", c.name, err, errSequence)
			continue
		}
		if set.Verdict != c.want || sequence.Verdict != c.want {
			t.Errorf("%s: %s by sets and %s by pairs, want %s: %q", c.name, set.Verdict, sequence.Verdict, c.want, set.Why)
		}
		if why := strings.Join(set.Why, "\n"); c.want == Unknown && !strings.Contains(why, "0.6667 times as much in head") {
			t.Errorf("%s: %s", c.name, why)
		}
	}
}

// What a run left standing may stand in those after it.
func TestResidueIsSaid(t *testing.T) {
	m := Metric{Yardstick: "p95", Stretch: "load"}
	one := 1.0
	base, head := plain("base-1", m, &one), plain("head-1", m, &one)
	base.Residue = true
	c := mustCompare(t, []*Run{base}, []*Run{head})
	if !slices.ContainsFunc(c.Warnings, func(w string) bool {
		return strings.HasPrefix(w, "base-1 of base left a fault standing")
	}) {
		t.Errorf("%q", c.Warnings)
	}
}
