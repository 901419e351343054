package report

import (
	"testing"
	"time"

	"gameday/clock"
	"gameday/loadgen"
)

// outsideOf is a run of a minute with one objective, fewer than 1 % errors over so many seconds, and traffic of several
// streams that begin their seconds apart. bad says of which seconds every request of which stream fails; gone has none.
func outsideOf(t *testing.T, over int, streams []time.Duration, bad, gone func(stream, sec int) bool) Outside {
	t.Helper()
	plan := &Plan{Scenario: "s", Score: ScorePlan{Pass: 80}, Phases: []PhasePlan{{Load, 0, time.Minute}},
		Expects: []ExpectPlan{{ID: "steady_state.a", Name: "a", Part: PartSteady, That: less("error_ratio", 0.01),
			Over: time.Duration(over) * time.Second}}}
	b := newBuilder(t, plan).phases(60)
	for i, offset := range streams {
		name := string(rune('a' + i))
		plan.Traffic = append(plan.Traffic, TrafficPlan{Name: name, Rate: 1, Multiple: 1})
		for s := range 60 {
			w := loadgen.Window{Stream: name, Start: at(float64(s)).Add(offset), Requests: 10, Completed: 10}
			if gone != nil && gone(i, s) {
				continue
			}
			if bad(i, s) {
				w.Failed.Count = 10
			} else {
				w.OK.Count = 10
			}
			b.windows = append(b.windows, w)
		}
	}
	b.end(60, EndComplete)
	return Score(b.record()).Outside()
}

func TestOutside(t *testing.T) {
	between := func(from, to int) func(int, int) bool {
		return func(_, s int) bool { return s >= from && s < to }
	}
	never := func(int, int) bool { return false }
	one := []time.Duration{0}
	three := []time.Duration{310 * time.Millisecond, 335 * time.Millisecond, 860 * time.Millisecond}
	for _, c := range []struct {
		name            string
		over            int
		streams         []time.Duration
		bad, gone       func(int, int) bool
		outside, unseen float64 // seconds
		begin           float64 // of the first stretch
	}{
		{"all is well", 5, one, never, nil, 0, 0, 0},
		{"three seconds", 1, one, between(20, 23), nil, 3, 0, 20},
		{"and the window's length", 5, one, between(20, 23), nil, 7, 0, 20},
		{"one of three streams, which are judged together", 1, three,
			func(i, s int) bool { return i == 0 && s >= 20 && s < 23 }, nil, 3, 0.31, 20.31},
		{"the last of three", 1, three, func(i, s int) bool { return i == 2 && s >= 20 && s < 23 }, nil, 3, 0.31, 20.31},
		{"nothing recorded", 1, one, never, between(30, 40), 0, 10, 0},
		{"broken, then nothing recorded", 1, one, between(28, 30), between(30, 40), 2, 10, 28},
		{"to the end", 1, one, between(50, 60), nil, 10, 0, 50},
	} {
		o := outsideOf(t, c.over, c.streams, c.bad, c.gone)
		near := func(d time.Duration, want float64) bool {
			return (d - time.Duration(want*1e9)).Abs() < 20*time.Millisecond
		}
		if !near(o.Total, c.outside) || !near(o.Unknown, c.unseen) || o.Of != time.Minute {
			t.Errorf("%s: outside for %s, unknown for %s of %s, want %gs and %gs", c.name, o.Total, o.Unknown, o.Of, c.outside, c.unseen)
		}
		if (c.outside > 0) != (len(o.Spans) == 1) || c.outside > 0 && !near(o.Spans[0].Start.Sub(began), c.begin) {
			t.Errorf("%s: stretches %v", c.name, o.Spans)
		}
		if total(o.Spans)+total(o.Blind) > o.Of || o.Total != total(o.Spans) {
			t.Errorf("%s: more than there is: %+v", c.name, o)
		}
	}
}

// TestOutsideSpoilt: what was slow while the generator was at its own limit is nobody's fault yet; what failed, failed.
func TestOutsideSpoilt(t *testing.T) {
	for objective, want := range map[string]time.Duration{"p95": 10 * time.Second, "error_ratio": 20 * time.Second} {
		plan := checkoutPlan()
		plan.Faults, plan.Alarms, plan.Responses, plan.Noise = nil, nil, nil, nil
		plan.Expects = []ExpectPlan{{ID: "steady_state.a", Name: "a", Part: PartSteady, That: less(objective, 0.1), Over: second}}
		b := newBuilder(t, plan).phases(280).traffic("shoppers", 0, 280, func(s int) tick {
			k := steady(40)(s)
			k.slow = k.fast
			if s >= 100 && s < 110 || s >= 200 && s < 210 {
				k.fast, k.slow, k.errors = 500*time.Millisecond, 500*time.Millisecond, 0.5
			}
			if s >= 200 && s < 210 {
				k.load.Lateness = time.Second
			}
			return k
		}).end(280, EndComplete)
		o := Score(b.record()).Outside()
		if o.Total != want || o.Unknown != 20*time.Second-want {
			t.Errorf("%s: outside for %s, unknown for %s", objective, o.Total, o.Unknown)
		}
	}
}

// TestOutsideOfNothing: without an objective, or without a phase, nothing is told.
func TestOutsideOfNothing(t *testing.T) {
	b := failedRun(t)
	b.plan.Expects = nil
	if o := Score(b.record()).Outside(); len(o.Objectives) != 0 || o.Of != 0 || o.Total != 0 {
		t.Errorf("without objectives: %+v", o)
	}
	early := newBuilder(t, checkoutPlan()).end(1, EndPreflight)
	if o := Score(early.record()).Outside(); o.Of != 0 || o.Total != 0 || len(o.Objectives) == 0 {
		t.Errorf("without a phase: %+v", o)
	}
}

// TestExercises tells alarms that fired from those that did not and those that nobody saw.
func TestExercises(t *testing.T) {
	plan := checkoutPlan()
	base := plan.Alarms[0]
	add := func(name, source string) {
		a := base
		a.Name, a.Source, a.Match = name, source, map[string]string{"alertname": name}
		plan.Alarms = append(plan.Alarms, a)
	}
	add("Silent", "prometheus.main")
	add("Before", "prometheus.main")
	add("Unseen", "icinga2.main")
	add("NoRule", "prometheus.main")
	quiet := base
	quiet.Name, quiet.Quiet = "Quiet", true
	plan.Alarms = append(plan.Alarms, quiet)
	b := checkout(t, plan, 700*time.Millisecond, nil).
		alarms("prometheus.main", 280, whole, alarm{name: "PaymentsDown", pending: 103, firing: 109.2, ends: 150},
			alarm{name: "Before", pending: 10, firing: 20}).
		add(1, PreflightFound, Found{What: "alarms prometheus.main", Summary: "no rule", Absent: "NoRule"}).
		end(280, EndComplete)
	want := map[string]clock.Outcome{"PaymentsDown": clock.Met, "Silent": clock.Missed, "Before": clock.Unknown,
		"Unseen": clock.Unknown, "NoRule": clock.Missed}
	got := Score(b.record()).Exercises()
	for _, x := range got {
		if x.Fired != want[x.Alarm] || (x.Took != nil) != (x.Fired == clock.Met) {
			t.Errorf("%+v, want %s", x, want[x.Alarm])
		}
		if x.Alarm == "PaymentsDown" && (x.Took.Lo < 8500*time.Millisecond || x.Took.Hi > 10*time.Second) {
			t.Errorf("it took %s", x.Took)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d alarms, want %d", len(got), len(want))
	}
	plan.Faults = nil
	if x := Score(b.record()).Exercises(); x != nil {
		t.Errorf("without a fault: %+v", x)
	}
}
