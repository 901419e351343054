package report

import (
	"slices"
	"strings"
	"testing"

	"gameday/alarms"
	"gameday/clock"
	"gameday/responders"
)

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
