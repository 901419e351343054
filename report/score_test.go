package report

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/loadgen/sli"
	"gameday/responders"
)

func sec(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

// smallPlan has one reversible fault at 20 s for 20 s, in a load phase from 10 s to 70 s.
func smallPlan(change func(*Plan)) *Plan {
	p := &Plan{Scenario: "small", File: "small.hcl",
		Phases:  []PhasePlan{{Baseline, 0, sec(10)}, {Load, sec(10), sec(60)}, {Recovery, sec(70), sec(30)}},
		Traffic: []TrafficPlan{{Name: "users", Engine: "k6", Rate: 10, Multiple: 1}},
		Faults: []FaultPlan{{Name: "cut", Kind: "network_partition", Targets: []string{"db"}, At: sec(10), Duration: sec(20),
			Reversible: true}},
		Score: ScorePlan{Pass: 80},
	}
	if change != nil {
		change(p)
	}
	return p
}

var downAlarm = AlarmPlan{Name: "Down", Source: "prometheus.main", Match: map[string]string{"alertname": "Down"},
	Cause:       "cut",
	FiresWithin: sec(20), Weight: 1}

// smallRun has quiet traffic and the fault from 20 s to 40 s.
func smallRun(t testing.TB, plan *Plan, shape func(int) tick) *builder {
	b := newBuilder(t, plan).phases(100)
	if shape == nil {
		shape = steady(10)
	}
	b.traffic("users", 0, 100, shape)
	return b.fault("cut", "network_partition", "db", 20, 40).end(100, EndComplete)
}

var smallWhole = []clock.Span{during(0, 100)}

func item(t *testing.T, c *Scorecard, id string) *Item {
	t.Helper()
	for _, it := range c.Items() {
		if it.ID == id {
			return it
		}
	}
	t.Fatalf("no item %q in %v", id, ids(c))
	return nil
}

func ids(c *Scorecard) []string {
	var out []string
	for _, it := range c.Items() {
		out = append(out, it.ID)
	}
	return out
}

func check(t *testing.T, it *Item, outcome clock.Outcome, value float64, why string) {
	t.Helper()
	if it.Outcome != outcome || math.Abs(it.Value-value) > 1e-9 || !strings.Contains(it.Why, why) {
		t.Errorf("%s is %v, worth %v, because %q; want %v, %v, because %q", it.ID, it.Outcome, it.Value, it.Why, outcome,
			value, why)
	}
}

func TestAlarmClasses(t *testing.T) {
	gapped := []clock.Span{during(0, 25), during(38, 100)}
	for _, c := range []struct {
		name     string
		episodes []alarm
		covered  []clock.Span
		class    Class
		outcome  clock.Outcome
		value    float64
		why      string
	}{
		{"hit", []alarm{{name: "Down", pending: 22, firing: 30, ends: 45}}, smallWhole, ClassHit, clock.Met, 1, ""},
		{"hit although the source has gaps: what was seen is proof", []alarm{{name: "Down", pending: 22, firing: 30}}, gapped,
			ClassHit, clock.Met, 1, ""},
		{"pending straddles the onset", []alarm{{name: "Down", pending: 19.8, firing: 30}}, smallWhole, ClassHit, clock.Met,
			1, ""},
		{"no pending phase known", []alarm{{name: "Down", firing: 30}}, smallWhole, ClassHit, clock.Met, 1, ""},
		{"too close to tell", []alarm{{name: "Down", pending: 22, firing: 40}}, smallWhole, ClassHit, clock.Unknown, 0,
			"too close"},
		// Δ.hi = 45.5 − 19.96 = 25.54 s, and 1 − 5.54/20 = 0.723
		{"late", []alarm{{name: "Down", pending: 22, firing: 45}}, smallWhole, ClassLate, clock.Missed, 0.723,
			"limit is 20s"},
		{"so late that nothing is left", []alarm{{name: "Down", pending: 22, firing: 60.5}}, smallWhole, ClassLate,
			clock.Missed, 0, ""},
		{"late, but unseen in between", []alarm{{name: "Down", pending: 22, firing: 45}}, gapped, ClassUnobserved,
			clock.Unknown, 0,
			"may have gone unseen"},
		{"missed", nil, smallWhole, ClassMissed, clock.Missed, 0, "did not fire"},
		{"pending only", []alarm{{name: "Down", pending: 22, ends: 30}}, smallWhole, ClassMissed, clock.Missed, 0,
			"did not fire"},
		{"over before the onset", []alarm{{name: "Down", pending: 2, firing: 4, ends: 9}}, smallWhole, ClassMissed,
			clock.Missed, 0, ""},
		{"unobserved", nil, gapped, ClassUnobserved, clock.Unknown, 0, "watched for only"},
		{"the run ended first", nil, []clock.Span{during(0, 30)}, ClassUnobserved, clock.Unknown, 0, "watched for only"},
		{"preexisting", []alarm{{name: "Down", pending: 5, firing: 8}}, smallWhole, ClassPreexisting, clock.Unknown, 0,
			"firing before cut"},
		{"preexisting, and again", []alarm{{name: "Down", pending: 5, firing: 8, ends: 21}, {name: "Down", pending: 23,
			firing: 25}},
			smallWhole, ClassPreexisting, clock.Unknown, 0, "firing before cut"},
		{"primed: firing after the onset is not enough", []alarm{{name: "Down", pending: 18, firing: 21}}, smallWhole,
			ClassPrimed,
			clock.Unknown, 0, "pending before cut"},
		{"another instance was there before", []alarm{{name: "Down", pending: 5, firing: 8,
			labels: map[string]string{"pod": "a"}},
			{name: "Down", pending: 22, firing: 30, labels: map[string]string{"pod": "b"}}}, smallWhole, ClassHit, clock.Met, 1,
			""},
		{"another alarm", []alarm{{name: "Other", pending: 22, firing: 30}}, smallWhole, ClassMissed, clock.Missed, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := smallRun(t, smallPlan(func(p *Plan) { p.Alarms = []AlarmPlan{downAlarm} }), nil)
			b.alarms("prometheus.main", 100, c.covered, c.episodes...)
			it := item(t, Score(b.record()), "alarm.Down.fired")
			check(t, it, c.outcome, c.value, c.why)
			if it.Class != c.class {
				t.Errorf("class %q, want %q", it.Class, c.class)
			}
			if c.outcome != clock.Met && it.Hint == "" && c.name != "too close to tell" && !strings.Contains(c.name, "unseen") {
				t.Error("no hint")
			}
		})
	}
}

func TestAlarmBeyondTheEnd(t *testing.T) {
	b := newBuilder(t, smallPlan(func(p *Plan) { p.Alarms = []AlarmPlan{downAlarm} })).phases(30)
	b.fault("cut", "network_partition", "db", 20, 29).alarms("prometheus.main", 30, []clock.Span{during(0, 30)}).end(30,
		EndStopped)
	it := item(t, Score(b.record()), "alarm.Down.fired")
	check(t, it, clock.Unknown, 0, "the run ended before the deadline")
}

func TestAlarmOfAFaultThatNeverWas(t *testing.T) {
	b := newBuilder(t, smallPlan(func(p *Plan) { p.Alarms = []AlarmPlan{downAlarm} })).phases(100)
	b.add(20, InjectFailed, Injection{ID: "x", Fault: "cut", Place: "db", Error: "no such host", Hint: "Start db first."})
	b.alarms("prometheus.main", 100, smallWhole, alarm{name: "Down", pending: 22, firing: 30}).end(100, EndError)
	c := Score(b.record())
	check(t, item(t, c, "alarm.Down.fired"), clock.Unknown, 0, "cut was never injected: no such host")
	if c.Verdict != Inconclusive || len(c.Next) == 0 || c.Next[0].Text != "Start db first." {
		t.Errorf("verdict %v, next %v", c.Verdict, c.Next)
	}
}

func TestAlarmsFromSightings(t *testing.T) {
	plan := smallPlan(func(p *Plan) { p.Alarms = []AlarmPlan{downAlarm} })
	see := func(b *builder, s float64, state alarms.State) *builder {
		return b.add(s, AlarmSeen, sighting(s, "Down", state))
	}
	t.Run("hit", func(t *testing.T) {
		b := smallRun(t, plan, nil)
		see(see(see(b, 1, alarms.StateReachable), 22, alarms.StatePending), 30, alarms.StateFiring)
		check(t, item(t, Score(b.record()), "alarm.Down.fired"), clock.Met, 1, "")
	})
	t.Run("missed, for the watcher was well", func(t *testing.T) {
		b := smallRun(t, plan, nil)
		see(b, 1, alarms.StateReachable)
		check(t, item(t, Score(b.record()), "alarm.Down.fired"), clock.Missed, 0, "")
	})
	t.Run("unknown, for the source was away", func(t *testing.T) {
		b := smallRun(t, plan, nil)
		see(see(see(b, 1, alarms.StateReachable), 22, alarms.StateUnreachable), 50, alarms.StateReachable)
		check(t, item(t, Score(b.record()), "alarm.Down.fired"), clock.Unknown, 0, "watched for only")
	})
	t.Run("unknown, for nothing shows that anybody watched", func(t *testing.T) {
		check(t, item(t, Score(smallRun(t, plan, nil).record()), "alarm.Down.fired"), clock.Unknown, 0,
			"nothing from prometheus.main")
	})
}

func TestPagedClearedFlaps(t *testing.T) {
	one := 1
	plan := smallPlan(func(p *Plan) {
		a := downAlarm
		a.PagesVia, a.PagesWithin, a.ClearsWithin, a.MaxFlaps = "alertmanager.main", sec(30), sec(20), &one
		p.Alarms = []AlarmPlan{a}
	})
	hit := alarm{name: "Down", pending: 22, firing: 30, ends: 45}
	for _, c := range []struct {
		name          string
		prom, router  []alarm
		routerCovered []clock.Span
		id            string
		outcome       clock.Outcome
		value         float64
		why           string
	}{
		{"paged", []alarm{hit}, []alarm{{name: "Down", firing: 30, paged: 32}}, smallWhole, "paged", clock.Met, 1, ""},
		{"never paged", []alarm{hit}, []alarm{{name: "Down", firing: 30}}, smallWhole, "paged", clock.Missed, 0,
			"no page about it left"},
		{"silenced", []alarm{hit}, []alarm{{name: "Down", firing: 30, held: []string{"silence 7"}}}, smallWhole, "paged",
			clock.Missed, 0,
			"held back by silence 7"},
		{"the router was away", []alarm{hit}, nil, []clock.Span{during(0, 25)}, "paged", clock.Unknown, 0,
			"watched for only"},
		{"a page before the onset", []alarm{hit}, []alarm{{name: "Down", firing: 5, paged: 6}}, smallWhole, "paged",
			clock.Missed, 0, ""},
		{"primed alarms prove no page", []alarm{{name: "Down", pending: 18, firing: 21}}, []alarm{{name: "Down", firing: 21,
			paged: 22}},
			smallWhole, "paged", clock.Unknown, 0, "pending before cut"},
		{"never fired, never paged", nil, nil, smallWhole, "paged", clock.Missed, 0, "did not fire in time"},
		{"cleared", []alarm{hit}, nil, smallWhole, "cleared", clock.Met, 1, ""},
		{"cleared while the fault stood", []alarm{{name: "Down", pending: 22, firing: 30, ends: 35}}, nil, smallWhole,
			"cleared", clock.Met,
			1, ""},
		// Δ.hi = 70.5 − 40 = 30.5 s, and 1 − 10.5/20 = 0.475
		{"cleared late", []alarm{{name: "Down", pending: 22, firing: 30, ends: 70}}, nil, smallWhole, "cleared", clock.Missed,
			0.475, ""},
		{"stuck", []alarm{{name: "Down", pending: 22, firing: 30}}, nil, smallWhole, "cleared", clock.Missed, 0,
			"still fires"},
		{"nothing to clear", nil, nil, smallWhole, "cleared", clock.Unknown, 0, "nothing could clear"},
		{"one flap is allowed", []alarm{hit, {name: "Down", pending: 46, firing: 48, ends: 50}}, nil, smallWhole, "flaps",
			clock.Met, 1, ""},
		{"two are not", []alarm{hit, {name: "Down", firing: 48, ends: 50}, {name: "Down", firing: 52, ends: 54}}, nil,
			smallWhole, "flaps",
			clock.Missed, 0, "fired 3 times"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := smallRun(t, plan, nil).alarms("prometheus.main", 100, smallWhole, c.prom...)
			b.alarms("alertmanager.main", 100, c.routerCovered, c.router...)
			check(t, item(t, Score(b.record()), "alarm.Down."+c.id), c.outcome, c.value, c.why)
		})
	}
}

// TestClearedUpToTheEnd has the time in which an alarm may come back end beside the last look at its source, which is a second or
// less before the run's end: that nobody looked in that second counts for no more than it does when the time ends later.
func TestClearedUpToTheEnd(t *testing.T) {
	for _, c := range []struct {
		name    string
		clears  float64 // after the fault's end at 40 s
		looked  float64 // until when
		outcome clock.Outcome
		why     string
	}{
		{"long before the end", 50, 99.4, clock.Met, ""},
		{"before the last look", 59.2, 99.4, clock.Met, ""},
		{"after the last look", 59.7, 99.4, clock.Met, ""},
		{"after the end", 70, 99.4, clock.Met, ""},
		{"after the last look, and that was long before the end", 59.7, 97, clock.Unknown, "come back unseen"},
		{"after the end, and the last look was long before it", 70, 97, clock.Unknown, "come back unseen"},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan := smallPlan(func(p *Plan) {
				a := downAlarm
				a.ClearsWithin = sec(c.clears)
				p.Alarms = []AlarmPlan{a}
			})
			b := smallRun(t, plan, nil).alarms("prometheus.main", 100, []clock.Span{during(0, c.looked)},
				alarm{name: "Down", pending: 22, firing: 30, ends: 45})
			it := item(t, Score(b.record()), "alarm.Down.cleared")
			if it.Outcome != c.outcome || !strings.Contains(it.Why, c.why) {
				t.Errorf("%v, %q, want %v", it.Outcome, it.Why, c.outcome)
			}
		})
	}
}

func TestPagedViaResponders(t *testing.T) {
	plan := smallPlan(func(p *Plan) {
		a := downAlarm
		a.Match, a.PagesVia, a.PagesWithin = map[string]string{"alertname": "PaymentsDown"}, "desk.ops", sec(30)
		p.Alarms = []AlarmPlan{a}
	})
	failed, sent := did(25, responders.Notified, responders.Human, "ann", 1), did(33, responders.Notified,
		responders.Human, "ann", 1)
	failed.Delivered, sent.Delivered = "no", "unknown"
	b := smallRun(t, plan, nil).alarms("prometheus.main", 100, smallWhole).responses(100, smallWhole, failed, sent)
	it := item(t, Score(b.record()), "alarm.Down.paged")
	check(t, it, clock.Unknown, 0, "whether it reached anybody is not known")
	b = smallRun(t, plan, nil).alarms("prometheus.main", 100, smallWhole).responses(100, smallWhole, failed, sent,
		did(40, responders.Acknowledged, responders.Human, "ann", 1)) // who answers was reached
	it = item(t, Score(b.record()), "alarm.Down.paged")
	check(t, it, clock.Met, 1, "")
	if it.Latency.Lo < sec(12) || it.Latency.Lo > sec(13) || it.Latency.Hi < sec(20) || it.Latency.Hi > sec(21) {
		t.Errorf("the page counts from %v, want from that of 33 s to the answer at 40 s: one that was not delivered is none", it.Latency)
	}
}

func TestNoise(t *testing.T) {
	for _, c := range []struct {
		name    string
		null    bool
		atMost  int
		prom    []alarm
		router  []alarm
		covered []clock.Span
		outcome clock.Outcome
		value   float64
		points  bool
	}{
		{"quiet", false, 0, nil, nil, smallWhole, clock.Met, 1, true},
		{"expected and allowed", false, 0, []alarm{{name: "Down", firing: 30}, {name: "Watchdog", firing: 30}}, nil,
			smallWhole, clock.Met, 1, true},
		{"one of two", false, 0, []alarm{{name: "Slow", firing: 30}}, nil, smallWhole, clock.Missed, 0.5, true},
		{"one that is free", false, 1, []alarm{{name: "Slow", firing: 30}}, nil, smallWhole, clock.Met, 1, true},
		{"two cost all", false, 0, []alarm{{name: "Slow", firing: 30}, {name: "Slower", firing: 31}}, nil, smallWhole,
			clock.Missed, 0, true},
		{"two sources, one alarm", false, 0, []alarm{{name: "Slow", firing: 30, ends: 40}}, []alarm{{name: "Slow", firing: 30,
			ends: 40}},
			smallWhole, clock.Missed, 0.5, true},
		{"inhibited", false, 0, []alarm{{name: "Slow", firing: 30, ends: 40}},
			[]alarm{{name: "Slow", firing: 30, ends: 40, held: []string{"inhibited by Down"}}}, smallWhole, clock.Met, 1, true},
		{"background", false, 0, []alarm{{name: "Slow", firing: 5}}, nil, smallWhole, clock.Met, 1, true},
		{"collateral", false, 0, []alarm{{name: "Slow", firing: 30, labels: map[string]string{"tier": "edge"}}}, nil,
			smallWhole, clock.Met, 1, true},
		{"not watched", false, 0, []alarm{{name: "Slow", firing: 30, labels: map[string]string{"severity": "info"}}}, nil,
			smallWhole, clock.Met, 1, true},
		{"pending only", false, 0, []alarm{{name: "Slow", pending: 30}}, nil, smallWhole, clock.Met, 1, true},
		{"unseen", false, 0, nil, nil, []clock.Span{during(0, 50)}, clock.Unknown, 0, true},
		{"seen all the same", false, 0, []alarm{{name: "Slow", firing: 30}}, nil, []clock.Span{during(0, 50)}, clock.Missed,
			0.5, true},
		{"null and quiet earns nothing", true, 0, nil, nil, smallWhole, clock.Met, 1, false},
		{"null and noisy costs", true, 0, []alarm{{name: "Slow", firing: 30}}, nil, smallWhole, clock.Missed, 0, true},
		{"null: what is expected of no fault is noise", true, 0, []alarm{{name: "Down", firing: 30}}, nil, smallWhole,
			clock.Missed, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan := smallPlan(func(p *Plan) {
				p.Alarms = []AlarmPlan{downAlarm}
				p.Noise = &NoisePlan{Watch: map[string]string{"severity": "page"}, Allow: []string{"Watchdog"}, AtMost: c.atMost,
					Collateral: []map[string]string{{"tier": "edge"}}}
				if c.null {
					p.Faults = nil
				}
			})
			b := newBuilder(t, plan).phases(100).traffic("users", 0, 100, steady(10))
			if !c.null {
				b.fault("cut", "network_partition", "db", 20, 40)
			}
			b.alarms("prometheus.main", 100, c.covered, c.prom...)
			if c.router != nil {
				b.alarms("alertmanager.main", 100, c.covered, c.router...)
			}
			it := item(t, Score(b.end(100, EndComplete).record()), "noise")
			check(t, it, c.outcome, c.value, "")
			if (it.Points > 0) != c.points {
				t.Errorf("%v points", it.Points)
			}
		})
	}
}

// TestNullRun checks that a run without a fault earns nothing for detection, whatever its alarms do.
func TestNullRun(t *testing.T) {
	for name, list := range map[string][]alarm{"quiet": nil, "noisy": {{name: "PaymentsDown", firing: 50, ends: 60}}} {
		plan := checkoutPlan()
		plan.Faults = nil
		plan.Expects = slices.DeleteFunc(plan.Expects, func(e ExpectPlan) bool { return e.Part == PartFault })
		b := newBuilder(t, plan).phases(280).traffic("shoppers", 0, 280, steady(20)).end(280, EndComplete)
		b.alarms("prometheus.main", 280, whole, list...)
		c := Score(b.record())
		for _, p := range c.Parts {
			if p.Part == Detection && p.Low != 0 || p.Part == Response || p.Part == Recover {
				t.Errorf("%s: part %s with %v points", name, p.Part, p.Low)
			}
		}
		want := map[string]Verdict{"quiet": Passed, "noisy": Failed}[name]
		if c.Verdict != want {
			t.Errorf("%s: %v, %v–%v, want %v", name, c.Verdict, c.Low, c.High, want)
		}
	}
}

func TestService(t *testing.T) {
	bad := func(from, to int, share float64) func(int) tick {
		return func(s int) tick {
			k := steady(10)(s)
			if s >= from && s < to {
				k.errors = share
			}
			return k
		}
	}
	expects := []ExpectPlan{
		{ID: "steady", Name: "availability", Part: PartSteady, That: less("error_ratio", 0.05), Over: sec(2)},
		{ID: "cut", Name: "lives", Part: PartFault, Fault: "cut", That: less("error_ratio", 0.35), Over: sec(2)},
		{ID: "own", Name: "queue", Part: PartFault, Fault: "cut", That: less("queue_depth", 5), Over: sec(2)},
	}
	plan := smallPlan(func(p *Plan) { p.Expects = expects })
	for _, c := range []struct {
		name   string
		shape  func(int) tick
		change func(*builder)
		id     string
		want   clock.Outcome
		why    string
	}{
		{"lives", bad(20, 40, 0.3), nil, "cut", clock.Met, ""},
		{"dies", bad(20, 40, 0.5), nil, "cut", clock.Missed, "50 % errors does not satisfy"},
		{"errors elsewhere do not count", bad(42, 60, 1), nil, "cut", clock.Met, ""},
		{"steady while no fault is felt", bad(20, 40, 0.5), nil, "steady", clock.Met, ""},
		{"the way back is not judged twice", bad(20, 45, 0.5), nil, "steady", clock.Met, ""},
		{"not steady under load", bad(10, 19, 0.5), nil, "steady", clock.Missed, ""},
		{"no traffic while it stands", bad(0, 0, 0), func(b *builder) { b.windows = slices.Delete(b.windows, 25, 35) }, "cut",
			clock.Unknown,
			"traffic was recorded for only"},
		{"own indicator without readings", bad(0, 0, 0), nil, "own", clock.Unknown, "no data"},
		{"own indicator", bad(0, 0, 0), func(b *builder) {
			for s := 20; s < 40; s++ {
				b.add(float64(s)+0.5, ReadingTaken, Reading{SLI: "queue_depth", Known: true, Value: float64(s % 3)})
			}
		}, "own", clock.Met, ""},
		{"own indicator that often had no answer", bad(0, 0, 0), func(b *builder) {
			for s := 20; s < 40; s++ {
				b.add(float64(s)+0.5, ReadingTaken, Reading{SLI: "queue_depth", Known: s%5 > 0, Value: 1})
			}
		}, "own", clock.Unknown, "no data"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := smallRun(t, plan, c.shape)
			if c.change != nil {
				c.change(b)
			}
			it := item(t, Score(b.record()), c.id)
			if it.Outcome != c.want || !strings.Contains(it.Why, c.why) {
				t.Errorf("%v because %q, want %v because %q", it.Outcome, it.Why, c.want, c.why)
			}
		})
	}
	t.Run("cut short", func(t *testing.T) {
		b := newBuilder(t, plan).phases(30).traffic("users", 0, 30, steady(10)).fault("cut", "network_partition", "db", 20,
			29).
			end(30, EndAborted)
		c := Score(b.record())
		check(t, item(t, c, "cut"), clock.Unknown, 0, "9s of 20s")
		check(t, item(t, c, "steady"), clock.Unknown, 0, "cut short at 20s of 1m")
		if c.Verdict != Aborted || c.ExitCode() != 4 {
			t.Errorf("%v, exit %d", c.Verdict, c.ExitCode())
		}
	})
}

func TestSteadyAgain(t *testing.T) {
	until := func(end int) func(int) tick {
		return func(s int) tick {
			k := steady(10)(s)
			if s >= 20 && s < end {
				k.errors = 0.5
			}
			return k
		}
	}
	for _, c := range []struct {
		name   string
		shape  func(int) tick
		change func(*builder)
		want   clock.Outcome
		value  float64
		lo, hi float64 // of the latency; 0 when there is none
		why    string
	}{
		// The fault is gone between 40.00 and 40.02, and windows begin at whole seconds: 46 is the first good one.
		{"after six seconds", until(46), nil, clock.Met, 1, 4.98, 6, ""},
		{"at once", until(40), nil, clock.Met, 1, 0, 1, ""},
		{"a good second in between is not back", func(s int) tick {
			k := until(46)(s)
			if s == 43 {
				k.errors = 0
			}
			return k
		}, nil, clock.Met, 1, 4.98, 6, ""},
		{"nor are four of them", func(s int) tick {
			k := until(48)(s)
			if s >= 42 && s < 46 {
				k.errors = 0
			}
			return k
		}, nil, clock.Met, 1, 6.98, 8, ""},
		// Δ.hi = 55 − 40 = 15 s, and 1 − 5/10 = 0.5
		{"late", until(55), nil, clock.Missed, 0.5, 13.98, 15, "limit is 10s"},
		{"never", until(100), nil, clock.Missed, 0, 0, 0, "did not hold again"},
		{"only at the very end", until(98), nil, clock.Unknown, 0, 0, 0, "not for long enough"},
		{"no traffic after it", until(100), func(b *builder) { b.windows = b.windows[:42] }, clock.Unknown, 0, 0, 0,
			"before its time"},
		{"a gap, then well", until(55), func(b *builder) { b.windows = slices.Delete(b.windows, 43, 50) }, clock.Unknown, 0,
			0, 0, "without traffic"},
		{"another fault in between", until(100), func(b *builder) { b.kill("kill", "process_kill", "web", 45, 0) },
			clock.Unknown, 0, 0, 0,
			"kill began before"},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan := smallPlan(func(p *Plan) {
				p.Faults[0].SteadyWithin = sec(10)
				p.Faults = append(p.Faults, FaultPlan{Name: "kill", Kind: "process_kill", Targets: []string{"web"}})
				p.Expects = []ExpectPlan{{ID: "steady", Name: "availability", Part: PartSteady, That: less("error_ratio", 0.05),
					Over: sec(2)}}
			})
			b := smallRun(t, plan, c.shape)
			if c.change != nil {
				c.change(b)
			}
			it := item(t, Score(b.record()), "recovery.cut.steady_state")
			check(t, it, c.want, c.value, c.why)
			if c.hi > 0 && (it.Latency == nil || it.Latency.Lo.Round(time.Millisecond) != sec(c.lo) ||
				it.Latency.Hi.Round(time.Millisecond) != sec(c.hi)) {
				t.Errorf("latency %v, want %v to %v s", it.Latency, c.lo, c.hi)
			}
		})
	}
}

func TestRestarted(t *testing.T) {
	for _, c := range []struct {
		name string
		kind string
		back float64
		end  EndReason
		boot string
		want clock.Outcome
		why  string
	}{
		{"in time", "process_kill", 23, EndComplete, "", clock.Met, ""},
		{"late", "process_kill", 29, EndComplete, "", clock.Missed, "limit is 5s"},
		{"never", "process_kill", 0, EndComplete, "", clock.Missed, "did not come back"},
		{"killed gameday saw nothing", "process_kill", 0, EndInterrupted, "", clock.Unknown, "was killed"},
		{"the boot id changed", nodeRestart, 23, EndComplete, "9a", clock.Met, ""},
		{"the boot id did not change", nodeRestart, 23, EndComplete, "3f", clock.Unknown, "boot id did not change"},
		{"a container was started anew", nodeRestart, 23, EndComplete, "later", clock.Met, ""},
		{"a container was not", nodeRestart, 23, EndComplete, "then", clock.Unknown, "not started anew"},
		{"a pod is Ready again", nodeRestart, 23, EndComplete, "ready", clock.Met, ""},
		{"a pod is gone", nodeRestart, 23, EndComplete, "pod", clock.Unknown, "its pod is gone"},
		{"an instance was told to start", nodeRestart, 23, EndComplete, "conditions", clock.Unknown, "not to be seen from the cluster"},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan := smallPlan(func(p *Plan) {
				p.Faults = []FaultPlan{{Name: "kill", Kind: c.kind, Targets: []string{"web"}, RestartsWithin: sec(5)}}
			})
			b := newBuilder(t, plan).phases(100).kill("kill", c.kind, "web", 20, c.back)
			if c.boot == "3f" {
				for i, e := range b.events {
					if e.Kind == Recovered {
						b.events[i].Data = []byte(strings.ReplaceAll(string(e.Data), `"9a"`, `"3f"`))
					}
				}
			}
			if c.boot == "later" || c.boot == "then" {
				for i, e := range b.events {
					b.events[i].Data = []byte(strings.NewReplacer(`"new_boot_id":"9a"`, `"new_started_at":"`+c.boot+`"`,
						`"boot_id":"3f"`, `"started_at":"then"`).Replace(string(e.Data)))
				}
			}
			if slices.Contains([]string{"ready", "pod", "conditions"}, c.boot) { // what Chaos Mesh did
				for i, e := range b.events {
					b.events[i].Data = []byte(strings.NewReplacer(`"new_boot_id":"9a"`, `"object":"PodChaos shop/reboot","`+c.boot+`":"told"`,
						`"boot_id":"3f"`, `"object":"PodChaos shop/reboot"`).Replace(string(e.Data)))
				}
			}
			b.add(100, Noted, Note{Text: "the end"})
			if c.end != EndInterrupted {
				b.end(100, c.end)
			}
			it := item(t, Score(b.record()), "recovery.kill.restarted")
			if it.Outcome != c.want || !strings.Contains(it.Why, c.why) {
				t.Errorf("%v because %q, want %v because %q", it.Outcome, it.Why, c.want, c.why)
			}
			if never := it.Measured == "never"; never != (c.name == "never") {
				t.Errorf("measured is %q, and it is %v", it.Measured, it.Outcome)
			}
		})
	}
}

func TestCapacity(t *testing.T) {
	with := func(started int, change func(*tick)) func(int) tick {
		return func(s int) tick {
			k := steady(100)(s)
			k.started = started
			change(&k)
			return k
		}
	}
	none := func(*tick) {}
	for _, c := range []struct {
		name  string
		shape func(int) tick
		want  clock.Outcome
		why   string
	}{
		{"holds", with(100, none), clock.Met, ""},
		{"holds at 95 %", with(95, none), clock.Met, ""},
		{"too slow", with(100, func(k *tick) { k.fast = time.Second }), clock.Missed, "does not satisfy"},
		{"generator out of processor", with(90, func(k *tick) { k.load.CPU, k.load.RunQueue = sec(0.95), sec(0.4) }),
			clock.Unknown,
			"the generator of users was the limit (0.9 cores busy"},
		{"generator late with users free", with(90, func(k *tick) { k.load.Lateness = sec(0.3) }), clock.Unknown,
			"starts were up to 300ms late"},
		{"system: all users waiting", with(90, func(k *tick) { k.load.VUs = 50 }), clock.Unknown,
			"the system was the limit: all 50"},
		{"too slow, and so is its generator", with(100, func(k *tick) { k.fast, k.load.CPU, k.load.RunQueue = time.Second, sec(0.95), sec(0.4) }),
			clock.Unknown, "the generator of users was at its own limit (0.9 cores busy"},
		{"holds although its generator is slow", with(100, func(k *tick) { k.load.Lateness = sec(0.3) }), clock.Met, ""},
		{"garbage collection", with(90, func(k *tick) { k.load.GCPause = sec(0.2) }), clock.Unknown,
			"the generator of users was the limit (its garbage collector had it stopped 20 % of the time"},
		{"nobody knows", with(90, none), clock.Unknown, "neither the generator nor the system"},
		{"too slow at less than asked for", with(90, func(k *tick) { k.fast, k.load.VUs = time.Second, 50 }), clock.Unknown,
			"the system was the limit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan := smallPlan(func(p *Plan) {
				p.Expects = []ExpectPlan{{ID: "capacity", Name: "holds", Part: PartCapacity, That: less("p95", 0.5), Over: sec(2)}}
			})
			it := item(t, Score(smallRun(t, plan, c.shape).record()), "capacity")
			if it.Outcome != c.want || !strings.Contains(it.Why, c.why) {
				t.Errorf("%v because %q, want %v because %q", it.Outcome, it.Why, c.want, c.why)
			}
			if c.want != clock.Met && it.Hint == "" {
				t.Error("no hint")
			}
		})
	}
}

// TestIndicatorsHaveWords checks that every indicator of package sli is printed with its unit, and not taken for an own
// one.
func TestIndicatorsHaveWords(t *testing.T) {
	for _, n := range sli.Names() {
		if ownName(n.Name) {
			t.Errorf("%s has no words", n.Name)
		}
	}
	if len(sli.Names()) != len(indicators) {
		t.Errorf("%d indicators have words, there are %d", len(indicators), len(sli.Names()))
	}
}

func TestQuietAlarm(t *testing.T) {
	plan := smallPlan(func(p *Plan) {
		p.Alarms = []AlarmPlan{{Name: "Other", Source: "prometheus.main", Match: map[string]string{"alertname": "Other"}, Quiet: true,
			Weight: 1}}
		p.Noise = &NoisePlan{Watch: map[string]string{"severity": "page"}}
	})
	for _, c := range []struct {
		name    string
		seen    []alarm
		covered []clock.Span
		outcome clock.Outcome
		why     string
	}{
		{"quiet", nil, smallWhole, clock.Met, ""},
		{"pending is quiet", []alarm{{name: "Other", pending: 30, ends: 35}}, smallWhole, clock.Met, ""},
		{"it fired", []alarm{{name: "Other", firing: 30, ends: 35}}, smallWhole, clock.Missed, "was not to"},
		{"long before", []alarm{{name: "Other", firing: 2, ends: 8}}, smallWhole, clock.Met, ""},
		{"before, and still", []alarm{{name: "Other", firing: 2, ends: 28}}, smallWhole, clock.Unknown, "before any fault"},
		{"unseen for five seconds", nil, []clock.Span{during(0, 50), during(55, 100)}, clock.Unknown, "93.8 % of the time"},
	} {
		t.Run(c.name, func(t *testing.T) {
			card := Score(smallRun(t, plan, nil).alarms("prometheus.main", 100, c.covered, c.seen...).record())
			it := item(t, card, "alarm.Other.quiet")
			if it.Outcome != c.outcome || !strings.Contains(it.Why, c.why) {
				t.Errorf("%v: %q", it.Outcome, it.Why)
			}
			if noise := item(t, card, "noise"); noise.Outcome == clock.Missed {
				t.Errorf("it is noise too: %s", noise.Why)
			}
		})
	}
}

func TestCarried(t *testing.T) {
	plan := smallPlan(func(p *Plan) {
		a := downAlarm
		a.Labels, a.Annotations = map[string]string{"severity": "page", "team": "shop"}, []string{"summary", "runbook_url"}
		p.Alarms = []AlarmPlan{a}
	})
	fired := alarm{name: "Down", pending: 22, firing: 30, ends: 45}
	b := smallRun(t, plan, nil)
	b.alarms("prometheus.main", 100, smallWhole)
	check(t, item(t, Score(b.record()), "alarm.Down.labels"), clock.Unknown, 0, "not seen to fire")

	told := func(labels, notes map[string]string) *Scorecard {
		b := smallRun(t, plan, nil).alarms("prometheus.main", 100, smallWhole, fired)
		rec := b.record()
		for i, e := range rec.Events {
			if e.Kind != AlarmHistory {
				continue
			}
			a, err := decode[AlarmRecord](e)
			if err != nil {
				t.Fatal(err)
			}
			labels["alertname"] = "Down"
			a.Episodes[0].Labels, a.Episodes[0].Notes = labels, notes
			if rec.Events[i].Data, err = json.Marshal(a); err != nil {
				t.Fatal(err)
			}
		}
		return Score(rec)
	}
	good := told(map[string]string{"severity": "page", "team": "shop"}, map[string]string{"summary": "no payments", "runbook_url": "https://r"})
	check(t, item(t, good, "alarm.Down.labels"), clock.Met, 1, "")
	check(t, item(t, good, "alarm.Down.annotations"), clock.Met, 1, "")
	bad := told(map[string]string{"severity": "chat"}, map[string]string{"summary": " "})
	check(t, item(t, bad, "alarm.Down.labels"), clock.Missed, 0, `it has no label team; its severity is "chat", not "page"`)
	check(t, item(t, bad, "alarm.Down.annotations"), clock.Missed, 0, "it has no runbook_url; it has no summary")
}

// TestLateUnseen leaves room in the score for what may have come late in a gap, and none where the time was watched.
func TestLateUnseen(t *testing.T) {
	for name, c := range map[string]struct {
		covered []clock.Span
		high    float64 // of the item's worth
	}{
		"watched":                   {smallWhole, 0},
		"a gap right after":         {[]clock.Span{during(0, 40), during(45, 100)}, 1},
		"a gap half the way":        {[]clock.Span{during(0, 50), during(55, 100)}, 0.5},
		"a gap when it is all over": {[]clock.Span{during(0, 70), during(75, 100)}, 0},
	} {
		plan := smallPlan(func(p *Plan) { p.Alarms = []AlarmPlan{downAlarm} }) // within 20 s of the onset at 20 s
		c1 := Score(smallRun(t, plan, nil).alarms("prometheus.main", 100, c.covered).record())
		it := item(t, c1, "alarm.Down.fired")
		if it.Outcome != clock.Missed || it.Value != 0 || math.Abs(c1.High-c1.Low-c.high*it.Points) > 2 {
			t.Errorf("%s: %v, worth %v, %.1f to %.1f", name, it.Outcome, it.Value, c1.Low, c1.High)
		}
	}
}
