package report

import (
	"math"
	"strings"
	"testing"
	"time"

	"gameday/alarms"
	"gameday/clock"
)

// controlledPlan has a control phase from 10 s to 40 s, and its fault from 50 s to 70 s in a load phase to 100 s.
func controlledPlan() *Plan {
	return smallPlan(func(p *Plan) {
		p.Phases = []PhasePlan{{Baseline, 0, sec(10)}, {Control, sec(10), sec(30)}, {Load, sec(40), sec(60)}, {Recovery, sec(100), sec(20)}}
		p.Faults[0].At = sec(50)
		a := downAlarm
		a.Required, a.ClearsWithin = true, sec(20)
		p.Alarms = []AlarmPlan{a}
	})
}

func controlledRun(t testing.TB, past *AlarmPast, covered []clock.Span, episodes ...alarm) *Scorecard {
	b := newBuilder(t, controlledPlan()).phases(120)
	b.traffic("users", 0, 120, steady(10))
	b.fault("cut", "network_partition", "db", 50, 70)
	b.alarms("prometheus.main", 120, covered, episodes...)
	if past != nil {
		b.add(120.5, AlarmBefore, past)
	}
	return Score(b.end(121, EndComplete).record())
}

// pastOf has so many episodes, one an hour, in hours before the run of which the first half was not watched.
func pastOf(hours float64, episodes int, runs ...PastRun) *AlarmPast {
	span := during(-hours*3600, 0)
	p := &AlarmPast{Source: "prometheus.main", Span: span, Runs: runs,
		Coverage: alarms.Coverage{Spans: []clock.Span{during(-hours*1800, 0)}}}
	for i := range episodes {
		p.Episodes = append(p.Episodes, alarms.Episode{Source: "prometheus.main", Key: "Down", Labels: map[string]string{"alertname": "Down"},
			Firing: about(-1800 - 3600*float64(i))})
	}
	return p
}

func TestAttribution(t *testing.T) {
	whole := []clock.Span{during(0, 120)}
	blind := []clock.Span{during(0, 15), during(25, 120)}
	hit := alarm{name: "Down", pending: 52, firing: 60, ends: 75}
	early := alarm{name: "Down", pending: 14, firing: 18, ends: 26}
	for _, c := range []struct {
		name     string
		past     *AlarmPast
		covered  []clock.Span
		episodes []alarm
		outcome  clock.Outcome
		strength Strength
		why      string
	}{
		{"quiet without the fault", nil, whole, []alarm{hit}, clock.Met, Shown, ""},
		{"it fires in the control phase", nil, whole, []alarm{early, hit}, clock.Unknown, NoShow, "control phase too"},
		{"it fires in the baseline phase", nil, whole, []alarm{{name: "Down", firing: 3, ends: 8}, hit}, clock.Unknown, NoShow, "baseline phase too"},
		{"the control phase was not watched", nil, blind, []alarm{hit}, clock.Unknown, NoShow, "not known"},
		{"it fires in the control phase, and not after the fault", nil, whole, []alarm{early}, clock.Missed, "", "did not fire"},
		{"another instance fires in the control phase", nil, whole,
			[]alarm{{name: "Down", firing: 18, ends: 26, labels: map[string]string{"pod": "a"}}, hit}, clock.Met, Weak, "another of its instances"},
		{"it stays when the fault is gone", nil, whole, []alarm{{name: "Down", pending: 52, firing: 60, ends: 110}}, clock.Met, Weak, "did not clear"},
		{"seldom by itself", pastOf(48, 1), whole, []alarm{hit}, clock.Met, Shown, ""},
		{"often by itself", pastOf(24, 12), whole, []alarm{hit}, clock.Met, Shown, ""},
		{"all the time by itself", pastOf(0.02, 0), whole, []alarm{hit}, clock.Met, Weak, "by itself"},
		{"the past was not watched", &AlarmPast{Source: "prometheus.main", Span: during(-3600, 0)}, whole, []alarm{hit}, clock.Met, Shown, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			it := item(t, controlledRun(t, c.past, c.covered, c.episodes...), "alarm.Down.fired")
			if it.Outcome != c.outcome {
				t.Errorf("%v because %q, want %v", it.Outcome, it.Why, c.outcome)
			}
			if c.strength == "" {
				if it.Attribution != nil || !strings.Contains(it.Why, c.why) {
					t.Errorf("%q, attributed %+v", it.Why, it.Attribution)
				}
				return
			}
			if it.Attribution.Strength != c.strength || !strings.Contains(strings.Join(it.Attribution.Reasons, "; "), c.why) {
				t.Errorf("attributed %+v, want %s because %q", it.Attribution, c.strength, c.why)
			}
			if c.outcome == clock.Unknown && it.Hint == "" {
				t.Error("no hint")
			}
		})
	}
}

func TestBaseRate(t *testing.T) {
	whole := []clock.Span{during(0, 120)}
	hit := alarm{name: "Down", pending: 52, firing: 60, ends: 75}
	rate := func(p *AlarmPast) *BaseRate {
		return item(t, controlledRun(t, p, whole, hit), "alarm.Down.fired").Attribution.BaseRate
	}
	// 24 hours, of which 12 were watched, less a game day of an hour with the episode of 1.5 hours before; of 14 episodes 12
	// fall into what was watched.
	run := PastRun{Run: "before", Span: during(-2*3600, -3600)}
	b := rate(pastOf(24, 14, run))
	if !b.Known || b.Hours != 11 || b.Episodes != 11 || b.Within != sec(20) {
		t.Fatalf("base rate %+v", b)
	}
	if want := 1 - math.Exp(-11.5/11*20/3600); math.Abs(b.Chance-want) > 1e-12 {
		t.Errorf("chance %v, want %v", b.Chance, want)
	}
	for _, unknown := range []*AlarmPast{
		{Source: "prometheus.main", Span: during(-3600, 0), Error: "it keeps no history"},
		{Source: "prometheus.main", Span: during(-3600, 0)},
		pastOf(24, 0, PastRun{Run: "all", Span: during(-24*3600, 0)}),
	} {
		if b := rate(unknown); b.Known || b.Why == "" || b.Chance != 0 || !strings.Contains(b.words(), "unknown") {
			t.Errorf("base rate %+v: %s", b, b.words())
		}
	}
	if b := rate(nil); b != nil {
		t.Errorf("nobody was asked, and there is %+v", b)
	}
	if d := time.Duration(0); rate(pastOf(24, 0)).Within == d {
		t.Error("no limit")
	}
}
