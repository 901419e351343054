package compare

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gameday/report"
	"gameday/report/stats"
)

// shopPlan is a plan with so many streams.
func shopPlan(streams ...string) *report.Plan {
	p := &report.Plan{Scenario: "shop"}
	for _, s := range streams {
		p.Traffic = append(p.Traffic, report.TrafficPlan{Name: s, Engine: "k6", Script: s + ".js", Rate: 10, Multiple: 3})
	}
	return p
}

// plain makes a run that says of one metric what it is given; a nil value is unknown, a negative one never came about.
func plain(name string, m Metric, value *float64) *Run {
	r := &Run{Name: name, ID: name, Started: epoch, End: report.EndComplete, Plan: shopPlan("shoppers"),
		Samples: map[Metric]Sample{}}
	r.Samples[Metric{Yardstick: report.Completed, Share: true}] = Sample{State: report.FigureSeen}
	s := Sample{Why: "nobody looked"}
	switch {
	case value == nil:
	case *value < 0:
		s = Sample{State: report.FigureNever}
	default:
		s = Sample{State: report.FigureSeen, Reading: stats.Exactly(*value)}
	}
	r.Samples[m] = s
	return r
}

// someMetric draws a metric of each sort.
func someMetric() *rapid.Generator[Metric] {
	return rapid.SampledFrom([]Metric{
		{Yardstick: "p95", Stretch: "load"}, {Yardstick: "error_ratio", Stretch: "load"}, {Yardstick: "reached_ratio",
			Stretch: "load"},
		{Yardstick: report.MaxRate}, {Yardstick: report.TimeToDetect, Of: "ShopDown"}, {Yardstick: report.ScoreOfTheRun},
	})
}

// someRuns draws a set of runs, whose values are few and often the same. Now and then one is unknown, or never came
// about.
func someRuns(t *rapid.T, side string, m Metric, level float64) []*Run {
	var out []*Run
	n := rapid.SampledFrom([]int{2, 4, 6, 7, 8, 9}).Draw(t, side+"s")
	for i, v := range rapid.SliceOfN(rapid.IntRange(-1, 12), n, n).Draw(t, side) {
		value := level * (1 + float64(v)/40)
		name := fmt.Sprintf("%s-%d", side, i)
		switch {
		case v == -1 && m.Of != "":
			value = -1
			out = append(out, plain(name, m, &value))
		case v == 0:
			out = append(out, plain(name, m, nil))
		default:
			out = append(out, plain(name, m, &value))
		}
	}
	return out
}

func compared(t rapid.TB, base, head []*Run) *Comparison {
	c, err := Compare(base, head, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func drawn(t *rapid.T) (base, head []*Run) {
	m := someMetric().Draw(t, "metric")
	level := rapid.SampledFrom([]float64{1, 1.1, 2, 0.5}).Draw(t, "level")
	return someRuns(t, "base", m, 1), someRuns(t, "head", m, level)
}

// mirrored has both sides swapped, and returns the verdicts of the rows as they were before.
func mirrored(t rapid.TB, base, head []*Run) (seen []Verdict) {
	mirror := map[Verdict]Verdict{Unknown: Unknown, Same: Same, Better: Worse, Worse: Better}
	a, b := compared(t, base, head), compared(t, head, base)
	for i := range a.Rows {
		seen = append(seen, a.Rows[i].Verdict)
		if a.Rows[i].Verdict != mirror[b.Rows[i].Verdict] {
			t.Fatalf("%s is %s, and swapped %s", a.Rows[i].ID, a.Rows[i].Verdict, b.Rows[i].Verdict)
		}
	}
	if a.Verdict == Better && b.Verdict != Worse {
		t.Fatalf("better, and swapped %s", b.Verdict)
	}
	return seen
}

// Swapping the sides mirrors the verdict of every row, and what is better overall is worse the other way round.
func TestSwappingMirrors(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base, head := drawn(t)
		mirrored(t, base, head)
	})
}

// The four verdicts are all mirrored: what is drawn may be without one of them.
func TestEachVerdictIsMirrored(t *testing.T) {
	p95 := Metric{Yardstick: "p95", Stretch: "load"}
	sides := func(name string, values ...float64) (out []*Run) {
		for i, v := range values {
			value := &v
			if v == 0 {
				value = nil // unknown
			}
			out = append(out, plain(fmt.Sprint(name, i), p95, value))
		}
		return out
	}
	one, two := []float64{1, 1, 1, 1, 1, 1, 1, 1}, []float64{2, 2, 2, 2, 2, 2, 2, 2}
	for want, s := range map[Verdict][2][]float64{
		Worse: {one, two}, Better: {two, one}, Same: {one, one}, Unknown: {one, {1, 1, 1, 1, 1, 0, 0, 0}},
	} {
		if got := mirrored(t, sides("base", s[0]...), sides("head", s[1]...)); !slices.Contains(got, want) {
			t.Errorf("%v and %v are %v, want %s", s[0], s[1], got, want)
		}
	}
}

// The order of the runs does not matter, not even for a byte.
func TestOrderOfRunsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base, head := drawn(t)
		want := everything(t, compared(t, base, head))
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		for _, side := range [][]*Run{base, head} {
			r.Shuffle(len(side), func(i, k int) { side[i], side[k] = side[k], side[i] })
		}
		if got := everything(t, compared(t, base, head)); got != want {
			t.Fatalf("in another order:\n%s\nwant\n%s", got, want)
		}
	})
}

func everything(t *rapid.T, c *Comparison) string {
	var b bytes.Buffer
	for _, err := range []error{JSON(&b, c), Text(&b, c, TextOptions{All: true}), Markdown(&b, c), JUnit(&b, c)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// A set compared with itself is neither worse nor better, in no row.
func TestIdenticalSetsAreNeverWorse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base, _ := drawn(t)
		c := compared(t, base, base)
		for _, r := range c.Rows {
			if r.Verdict == Worse || r.Verdict == Better {
				t.Fatalf("%s is %s than itself", r.ID, r.Verdict)
			}
		}
		if c.Verdict == Worse || c.Verdict == Better {
			t.Fatalf("%s than itself", c.Verdict)
		}
	})
}

// Runs that tell nothing make nothing better, nor worse.
func TestUnknownsAreNeverBetter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base, head := drawn(t)
		before := compared(t, base, head)
		m := someMetric().Draw(t, "other metric")
		for i := range rapid.IntRange(1, 4).Draw(t, "unknowns") {
			blind := plain(fmt.Sprintf("blind-%d", i), m, nil)
			blind.Started = epoch.Add(-time.Hour)
			if rapid.Bool().Draw(t, "in head") {
				head = append(slices.Clone(head), blind)
			} else {
				base = append(slices.Clone(base), blind)
			}
		}
		after := compared(t, base, head)
		was := map[string]Verdict{}
		for _, r := range before.Rows {
			was[r.ID] = r.Verdict
		}
		for _, r := range after.Rows {
			if r.Verdict != Unknown && r.Verdict != was[r.ID] {
				t.Fatalf("%s was %s, and is %s with more that is unknown", r.ID, was[r.ID], r.Verdict)
			}
		}
		if after.Verdict == Better && before.Verdict != Better {
			t.Fatalf("%s became better by what is unknown", before.Verdict)
		}
	})
}
