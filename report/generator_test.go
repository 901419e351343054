package report

import (
	"strings"
	"testing"
	"time"

	"gameday/clock"
	"gameday/loadgen"
)

// TestSaturationNamesTheGenerator checks that one generator at its limit is found among others that are not, although all
// together would look at ease.
func TestSaturationNamesTheGenerator(t *testing.T) {
	window := func(web2 loadgen.Load) loadgen.Window {
		w := loadgen.Window{}
		for name, l := range map[string]loadgen.Load{"here": {CPU: 10 * time.Millisecond, VUs: 1, MaxVUs: 50}, "web2": web2} {
			w.Merge(loadgen.Window{Generator: l, Generators: []loadgen.NamedLoad{{Name: name, Load: l}}})
		}
		return w
	}
	for _, c := range []struct {
		want string
		load loadgen.Load
	}{
		{"", loadgen.Load{CPU: 800 * time.Millisecond, RunQueue: 500 * time.Millisecond, MaxVUs: 50}},
		{"web2: 1.0 cores", loadgen.Load{CPU: time.Second, RunQueue: 500 * time.Millisecond, MaxVUs: 50}},
		{"web2: its garbage", loadgen.Load{GCPause: 80 * time.Millisecond, MaxVUs: 50}},
		{"web2: starts were ", loadgen.Load{Lateness: time.Second, VUs: 3, MaxVUs: 50}},
		// On a machine of its own no thread has to wait for a core, however busy all are.
		{"web2: 0.49 of the 0.5 cores", loadgen.Load{CPU: 490 * time.Millisecond, Cores: 0.5, MaxVUs: 50}},
		{"web2: 1.96 of the 2 cores", loadgen.Load{CPU: 1960 * time.Millisecond, RunQueue: time.Millisecond, Cores: 2, MaxVUs: 50}},
		{"", loadgen.Load{CPU: 1800 * time.Millisecond, RunQueue: time.Millisecond, Cores: 2, MaxVUs: 50}},
	} {
		w := window(c.load)
		got := Saturation([]loadgen.Window{w, w, w})
		if !strings.HasPrefix(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("%+v: %q, want %q", c.load, got, c.want)
		}
	}
}

// TestSaturatedAtThePeak checks that a short time at its own limit, which is lost in the average, makes unknown what it alone has spoilt,
// and nothing else.
func TestSaturatedAtThePeak(t *testing.T) {
	plan := smallPlan(func(p *Plan) {
		p.Expects = []ExpectPlan{{ID: "capacity", Name: "holds", Part: PartCapacity, That: less("p95", 0.5), Over: sec(2)}}
	})
	for _, c := range []struct {
		name       string
		slow, busy func(s int) bool
		want       clock.Outcome
	}{
		{"slow while the generator is busy", func(s int) bool { return s >= 50 && s < 57 }, func(s int) bool { return s >= 49 && s < 58 }, clock.Unknown},
		{"slow at other times", func(s int) bool { return s >= 50 && s < 57 }, func(s int) bool { return s >= 60 && s < 68 }, clock.Missed},
		{"slow all the time", func(int) bool { return true }, func(s int) bool { return s >= 49 && s < 58 }, clock.Missed},
		{"busy for a moment", func(s int) bool { return s >= 50 && s < 57 }, func(s int) bool { return s == 51 }, clock.Missed},
	} {
		r := smallRun(t, plan, func(s int) tick {
			k := steady(100)(s)
			if c.slow(s) {
				k.fast, k.slow = time.Second, time.Second
			}
			if c.busy(s) {
				k.load.CPU, k.load.RunQueue = sec(0.95), sec(0.4)
			}
			return k
		})
		it := item(t, Score(r.record()), "capacity")
		if said := strings.Contains(it.Why, "without the 9s in which the generator of users"); it.Outcome != c.want || said != (c.want == clock.Unknown) {
			t.Errorf("%s: %v because %q, want %v", c.name, it.Outcome, it.Why, c.want)
		}
	}
}

// TestLimitOfOneMachine checks that the load is said to be held up on the machine whose virtual users all wait, although all
// machines together have some free.
func TestLimitOfOneMachine(t *testing.T) {
	plan := smallPlan(func(p *Plan) {
		p.Expects = []ExpectPlan{{ID: "capacity", Name: "holds", Part: PartCapacity, That: less("p95", 0.5), Over: sec(2)}}
	})
	r := smallRun(t, plan, func(s int) tick {
		k := steady(100)(s)
		k.started = 90
		k.apart = []loadgen.NamedLoad{{Name: "here", Load: loadgen.Load{VUs: 2, MaxVUs: 25}}, {Name: "web2", Load: loadgen.Load{VUs: 25, MaxVUs: 25}}}
		return k
	})
	it := item(t, Score(r.record()), "capacity")
	if want := "the way to it from web2, was the limit: all 25 virtual users"; it.Outcome != clock.Unknown || !strings.Contains(it.Why, want) {
		t.Errorf("%v because %q, want %q", it.Outcome, it.Why, want)
	}
}

// TestBackOfAStrainedGenerator: when the service is back, by how long answers took, is known only of seconds in which the generator was
// not at its own limit; that it answers errors is known in all of them.
func TestBackOfAStrainedGenerator(t *testing.T) {
	within := func(from, to int) func(int) bool { return func(s int) bool { return s >= from && s < to } }
	never := within(0, 0)
	for name, c := range map[string]struct {
		slow, failing, late func(int) bool
		recovered, mended   clock.Outcome
		why                 string // of what is unknown
	}{
		"slow for long":                   {within(22, 58), never, never, clock.Missed, clock.Missed, ""},
		"slow while the generator is":     {within(22, 58), never, within(40, 58), clock.Unknown, clock.Unknown, "the generator of users was at its own limit (starts were up to"},
		"slow once more as the generator": {func(s int) bool { return within(22, 30)(s) || within(60, 66)(s) }, never, within(60, 66), clock.Met, clock.Unknown, "at its own limit"},
		"slow once more by itself":        {func(s int) bool { return within(22, 30)(s) || within(60, 66)(s) }, never, within(80, 86), clock.Met, clock.Missed, ""},
		"errors, whoever is late":         {never, within(22, 58), within(40, 58), clock.Missed, clock.Missed, ""},
		"late, and it holds all the same": {within(22, 30), never, within(36, 70), clock.Met, clock.Met, ""},
	} {
		t.Run(name, func(t *testing.T) {
			plan := smallPlan(func(p *Plan) {
				p.Faults[0].SteadyWithin = sec(10)
				a := downAlarm
				p.Alarms = []AlarmPlan{a}
				p.Expects = []ExpectPlan{{ID: "steady_state.quick", Name: "quick", Part: PartSteady, That: less("p95", 0.5), Over: sec(2), Weight: 1},
					{ID: "steady_state.ok", Name: "ok", Part: PartSteady, That: less("error_ratio", 0.5), Over: sec(2), Weight: 1}}
				p.Responses = []ResponsePlan{{Name: "on-call", Source: "desk.ops", To: "Down", Mitigate: &DeadlinePlan{Within: sec(25), Weight: 1}}}
			})
			r := smallRun(t, plan, func(s int) tick {
				k := steady(10)(s)
				if c.slow(s) {
					k.fast, k.slow = time.Second, time.Second
				}
				if c.failing(s) {
					k.errors = 10
				}
				if c.late(s) {
					k.load.Lateness, k.load.VUs = 700*time.Millisecond, 2
				}
				return k
			})
			r.alarms("prometheus.main", 100, smallWhole, alarm{name: "Down", pending: 22, firing: 28})
			r.responses(100, smallWhole)
			card := Score(r.record())
			for id, want := range map[string]clock.Outcome{"recovery.cut.steady_state": c.recovered, "response.on-call.mitigate": c.mended} {
				it := item(t, card, id)
				if it.Outcome != want || want == clock.Unknown && !strings.Contains(it.Why, c.why) {
					t.Errorf("%s: %v (%s) because %q, want %v", id, it.Outcome, it.Measured, it.Why, want)
				}
			}
		})
	}
}
