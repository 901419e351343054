package report

import (
	"math"
	"strings"
	"testing"
	"time"

	"gameday/loadgen"
)

// TestLevels reads the service levels of every stretch of three runs, and why they cannot be told where they cannot.
func TestLevels(t *testing.T) {
	for _, c := range []struct {
		name         string
		run          *builder
		levels, read string  // the stretch, and "stream name"
		want         float64 // NaN when unknown
		why          string  // part of the reason then
	}{
		{"passed", passedRun(t), "baseline", " rate", 40, ""},
		{"passed", passedRun(t), "load", " rate", 120, ""},
		{"passed", passedRun(t), "load", "shoppers rate", 120, ""},
		{"passed", passedRun(t), "load", " error_ratio", 0, ""}, // the faults are not in it
		{"passed", passedRun(t), "cut", " error_ratio", 0.195, ""},
		{"passed", passedRun(t), "recovery", " p95", 0.132, ""},
		{"passed", passedRun(t), "load", "nobody rate", math.NaN(), "traffic was recorded for only 0 %"},
		{"passed", passedRun(t), "load", " check_ratio", math.NaN(), "nothing to measure it by"},
		{"failed", failedRun(t), "load", " reached_ratio", math.NaN(), "the generator of shoppers was at its own limit"},
		{"failed", failedRun(t), "load", " p95", math.NaN(), "the generator of shoppers was at its own limit"},
		{"failed", failedRun(t), "load", " error_ratio", 0, ""},
		{"torn", tornRun(t), "baseline", " rate", 40, ""},
		{"torn", tornRun(t), "load", " rate", math.NaN(), "was cut short at"},
		{"torn", tornRun(t), "recovery", " rate", math.NaN(), "was not reached"},
		{"torn", tornRun(t), "reboot", " rate", math.NaN(), "reboot was never injected"},
	} {
		var found *Levels
		var names []string
		for _, l := range Score(reread(t, c.run)).Levels() {
			names = append(names, l.Name)
			if l.Name == c.levels {
				found = l
			}
		}
		if got := strings.Join(names, " "); got != "baseline load recovery crash cut reboot" {
			t.Fatalf("%s: stretches %s", c.name, got)
		}
		stream, name, _ := strings.Cut(c.read, " ")
		got, _, why := found.Read(stream, name)
		switch {
		case math.IsNaN(c.want):
			if !strings.Contains(why, c.why) || why == "" {
				t.Errorf("%s: %s of %s is %g, %q; want unknown, %q", c.name, c.read, c.levels, got, why, c.why)
			}
		case why != "" || math.Abs(got-c.want) > 0.02*c.want:
			t.Errorf("%s: %s of %s is %g, %q; want %g", c.name, c.read, c.levels, got, why, c.want)
		}
	}
}

// Blocks lie in the stretch's parts, do not reach into a fault, and hold all of its seconds but what is left over.
func TestBlocks(t *testing.T) {
	for _, l := range Score(reread(t, passedRun(t))).Levels() {
		for _, length := range []time.Duration{time.Second, 7 * time.Second} {
			want := 0
			for _, s := range l.Spans {
				want += int(s.Length() / length)
			}
			got := 0
			for _, part := range l.Blocks(length) {
				got += len(part)
				for _, b := range part {
					rate, ok := b.Read("shoppers", "rate")
					if !ok || l.Name == "load" && rate != 120 {
						t.Errorf("%s in blocks of %s: a rate of %g", l.Name, length, rate)
					}
					if e, _ := b.Read("", "error_ratio"); l.Name == "load" && e != 0 {
						t.Errorf("%s in blocks of %s: a fault's errors are in a block", l.Name, length)
					}
				}
			}
			if got != want || got == 0 && length == time.Second {
				t.Errorf("%s has %d blocks of %s, want %d", l.Name, got, length, want)
			}
		}
	}
}

// TestFigures reads what three runs tell once.
func TestFigures(t *testing.T) {
	never := tornRun(t) // gameday was killed: nothing is known
	silent := checkout(t, checkoutPlan(), 700*time.Millisecond, nil).alarms("prometheus.main", 280, whole).
		alarms("alertmanager.main", 280, whole).responses(280, whole).end(280, EndComplete)
	aborted := tornRun(t).end(130, EndAborted)
	unsteady := func(errors float64, until int) *builder {
		return newBuilder(t, checkoutPlan()).phases(30).traffic("shoppers", 0, until, func(s int) tick {
			k := steady(40)(s)
			k.errors = errors
			return k
		}).end(30, EndUnsteady)
	}
	hungry := newBuilder(t, checkoutPlan()).phases(30).traffic("shoppers", 0, 30, func(s int) tick {
		k := steady(40)(s)
		k.slow, k.load.CPU, k.load.RunQueue = time.Second, 980*time.Millisecond, 300*time.Millisecond
		return k
	}).end(30, EndUnsteady)
	searched := func(found CapacityAnswer) *builder {
		plan := checkoutPlan()
		plan.Search = &SearchPlan{Start: 40, Max: 400}
		return newBuilder(t, plan).add(100, CapacityFound, found).end(100, EndComplete)
	}
	found := CapacityAnswer{Found: loadgen.Found{Rate: 140, Confirmed: true}}
	atLeast := CapacityAnswer{Found: loadgen.Found{Rate: 140, Confirmed: true, AtLeast: true}}
	for _, c := range []struct {
		name      string
		run       *builder
		yardstick string
		of        string
		state     FigureState
		value     float64
		why       string
	}{
		{"passed", passedRun(t), Completed, "", FigureSeen, 0, ""},
		{"passed", passedRun(t), TimeToDetect, "PaymentsDown", FigureSeen, 9.2, ""},
		{"passed", passedRun(t), TimeToAck, "on-call", FigureSeen, 19.5, ""},
		{"passed", passedRun(t), TimeToRecover, "cut", FigureSeen, 4.5, ""},
		{"passed", passedRun(t), ScoreOfTheRun, "", FigureSeen, 100, ""},
		{"silent", silent, TimeToDetect, "PaymentsDown", FigureNever, 0, ""},
		{"silent", silent, TimeToAck, "on-call", FigureNever, 0, ""},
		{"torn", never, Completed, "", FigureUnknown, 0, "gameday was killed"},
		{"torn", never, TimeToRecover, "reboot", FigureUnknown, 0, "never injected"},
		{"searched", searched(found), MaxRate, "", FigureSeen, 140, ""},
		{"searched", searched(atLeast), MaxRate, "", FigureSeen, math.Inf(1), ""},
		{"searched", searched(CapacityAnswer{}), MaxRate, "", FigureUnknown, 0, "no rate was confirmed"},
		{"unsteady", unsteady(0.5, 30), Completed, "", FigureNever, 0, ""},
		{"unsteady without traffic", unsteady(0, 0), Completed, "", FigureUnknown, 0, "could not be told"},
		{"unsteady by the generator", hungry, Completed, "", FigureUnknown, 0, "at its own limit"},
		{"aborted", aborted, Completed, "", FigureNever, 0, ""},
	} {
		found := false
		for _, f := range Score(reread(t, c.run)).Figures() {
			if f.Yardstick != c.yardstick || f.Of != c.of {
				continue
			}
			found = true
			mid := (f.Low + f.High) / 2
			if f.State != c.state || c.value > 0 && mid != c.value && !(math.Abs(mid-c.value) <= 1) || !strings.Contains(f.Why,
				c.why) {
				t.Errorf("%s: %s of %q is %+v, want %+v", c.name, c.yardstick, c.of, f, c)
			}
		}
		if !found {
			t.Errorf("%s: there is no %s of %q", c.name, c.yardstick, c.of)
		}
	}
}

// TestControlLevels tells of the control phase too: it is what the load phase is compared with.
func TestControlLevels(t *testing.T) {
	plan := smallPlan(func(p *Plan) {
		p.Phases = []PhasePlan{{Baseline, 0, sec(10)}, {Control, sec(10), sec(5)}, {Load, sec(15), sec(55)}, {Recovery, sec(70), sec(30)}}
	})
	levels := Score(smallRun(t, plan, nil).record()).Levels()
	if len(levels) < 2 || levels[1].Name != "control" {
		t.Fatalf("%+v", levels)
	}
	if rate, _, why := levels[1].Read("", "rate"); rate != 10 || why != "" || levels[1].Length() != sec(5) {
		t.Errorf("control: %g per second over %s, %q", rate, levels[1].Length(), why)
	}
}
