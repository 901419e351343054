package report

import (
	"slices"
	"strings"
	"testing"

	"gameday/clock"
	"gameday/responders"
)

// calmPlan is a small plan whose score does not depend on its fault.
func calmPlan(change func(*Plan)) *Plan {
	return smallPlan(func(p *Plan) {
		p.Expects = []ExpectPlan{{ID: "capacity.holds", Name: "holds", Part: PartCapacity, That: less("error_ratio", 0.05),
			Over: sec(2)}}
		p.Score.Pass = 50
		if change != nil {
			change(p)
		}
	})
}

// calm is a run of the plan without its fault, up to the end.
func calm(t testing.TB, plan *Plan) *builder {
	return newBuilder(t, plan).phases(100).traffic("users", 0, 100, steady(10))
}

func TestFaultThatTestedNothing(t *testing.T) {
	in := Injection{ID: "x", Fault: "cut", Kind: "network_partition", Place: "db"}
	failed := in
	failed.Error = "no packet was dropped"
	second := func(p *Plan) {
		p.Faults = append(p.Faults, FaultPlan{Name: "late", Kind: "network_partition", Targets: []string{"db"}, After: "cut",
			Duration: sec(5), Reversible: true})
	}
	for _, c := range []struct {
		name   string
		change func(*Plan)
		build  func(*builder)
		want   Verdict
		why    string
	}{
		{"stood", nil, func(b *builder) { b.fault("cut", "x", "db", 20, 40) }, Passed, "no less than the pass mark"},
		{"injection failed", nil, func(b *builder) { b.add(20, Injecting, in).add(21, InjectFailed, failed) }, Inconclusive,
			"cut was never injected: no packet was dropped."},
		{"nothing is known of it", nil, func(b *builder) { b.add(20, Injecting, in) }, Inconclusive,
			"cut was never injected: it was tried, and nothing shows that it took effect."},
		{"never due", nil, func(*builder) {}, Inconclusive, "cut was never injected: its turn never came."},
		{"one of two", second, func(b *builder) { b.fault("cut", "x", "db", 20, 40) }, Inconclusive,
			"late was never injected: its turn never came, for it waits until cut is over."},
		{"lapsed", nil, func(b *builder) {
			lapsed := in
			lapsed.ID, lapsed.Error = "run/cut", "the lease ran out"
			b.fault("cut", "x", "db", 20, 0).add(30, Lapsed, lapsed)
		}, Inconclusive, "cut stood for only 10s of 20s: it lapsed (the lease ran out)."},
		{"reverted too soon", nil, func(b *builder) { b.fault("cut", "x", "db", 20, 38.5) }, Inconclusive,
			"cut stood for only 18.6s of 20s: it was gone before its time."},
		{"reverted hardly too soon", nil, func(b *builder) { b.fault("cut", "x", "db", 20, 39.2) }, Passed, ""},
		{"failed at one of two places", nil, func(b *builder) {
			b.fault("cut", "x", "db", 20, 40)
			other := failed
			other.ID, other.Place = "run/cut-2", "db/2"
			b.add(21, InjectFailed, other)
		}, Inconclusive, "cut took effect at only 1 of 2 places: no packet was dropped."},
		{"short at one of two places", nil, func(b *builder) {
			b.fault("cut", "x", "db", 20, 40)
			i := in
			i.ID, i.Place = "run/web", "web"
			b.add(20, Injecting, i).add(20.1, Injected, i).add(25, Lapsed, i)
		}, Inconclusive, "cut stood for only 5s of 20s: it lapsed."},
		{"ends by itself", func(p *Plan) { p.Faults[0].Kind = nodeRestart }, func(b *builder) {
			b.kill("cut", nodeRestart, "db", 20, 22)
		}, Passed, ""},
		{"null run", func(p *Plan) { p.Faults = nil }, func(*builder) {}, Passed, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := calm(t, calmPlan(c.change))
			c.build(b)
			s := Score(b.end(100, EndComplete).record())
			if s.Verdict != c.want || !strings.Contains(strings.Join(s.Why, "\n"), c.why) {
				t.Errorf("%v with %v points, because %q; want %v because %q", s.Verdict, s.Low, s.Why, c.want, c.why)
			}
			if c.want == Passed && s.Low < 100 {
				t.Errorf("%v points, so the verdict depends on more than the fault", s.Low)
			}
		})
	}
}

// TestCutShort checks what becomes of the items about a fault that lapsed after 8 of its 20 seconds.
func TestCutShort(t *testing.T) {
	flaps := 0
	plan := func(p *Plan) {
		a := downAlarm
		a.MaxFlaps, a.ClearsWithin = &flaps, sec(10)
		p.Alarms = []AlarmPlan{a}
		p.Expects = append(p.Expects, ExpectPlan{ID: "lives", Name: "lives", Part: PartFault, Fault: "cut",
			That: less("error_ratio", 0.1), Over: sec(2)},
			ExpectPlan{ID: "steady", Name: "steady", Part: PartSteady, That: less("error_ratio", 0.1), Over: sec(2)})
		p.Responses = []ResponsePlan{{Name: "on-call", Source: "desk.ops", To: "Down",
			Acknowledge: &AckPlan{DeadlinePlan: DeadlinePlan{Within: sec(10)}}}}
	}
	run := func(end EndReason, bad int, episodes ...alarm) *Scorecard {
		b := newBuilder(t, calmPlan(plan)).phases(100).traffic("users", 0, 100, func(s int) tick {
			k := steady(10)(s)
			if s >= 20 && s < bad {
				k.errors = 0.5
			}
			return k
		})
		page := did(26, responders.Notified, responders.Human, "ann", 1)
		page.Labels = map[string]string{"alertname": "Down"}
		b.fault("cut", "x", "db", 20, 0)
		b.add(28, Lapsed, Injection{ID: "run/cut", Fault: "cut", Place: "db", Error: "the lease ran out"})
		b.alarms("prometheus.main", 100, smallWhole, episodes...).responses(100, smallWhole, page)
		return Score(b.end(100, end).record())
	}
	short := "cut stood for only 8s of 20s, not long enough to tell"

	c := run(EndComplete, 90)
	for _, id := range []string{"lives", "recovery.cut.steady_state", "alarm.Down.fired", "response.on-call.acknowledge"} {
		it := item(t, c, id)
		check(t, it, clock.Unknown, 0, short)
		if it.Class != "" || !strings.Contains(it.Hint, "gone too soon") {
			t.Errorf("%s: class %q, hint %q", id, it.Class, it.Hint)
		}
	}
	c = run(EndComplete, 0, alarm{name: "Down", pending: 21, firing: 24, ends: 30})
	for _, id := range []string{"recovery.cut.steady_state", "alarm.Down.fired", "alarm.Down.cleared"} {
		check(t, item(t, c, id), clock.Met, 1, "")
	}
	check(t, item(t, c, "alarm.Down.flaps"), clock.Unknown, 0, short)
	check(t, item(t, c, "lives"), clock.Unknown, 0, "8s of 20s")
	if c.Verdict != Inconclusive {
		t.Errorf("%v", c.Verdict)
	}
	check(t, item(t, run(EndAborted, 90), "lives"), clock.Missed, 0, "does not satisfy")
}

func TestStopWords(t *testing.T) {
	for _, s := range []Stop{{By: "signal power failure"}, {By: "signal hangup", Abandoned: true}} {
		b := calm(t, calmPlan(nil)).add(62, StopAsked, s)
		b.add(100, RunEnded, Ended{Reason: EndError, Error: "gameday was killed"})
		c := Score(b.record())
		if got := strings.Join(c.Why, "\n"); got != "the gameday that started this run was killed at 1:02." {
			t.Errorf("%+v: %q", s, got)
		}
	}
	c := Score(calm(t, calmPlan(nil)).add(62, StopAsked, Stop{By: "signal interrupt"}).end(63, EndStopped).record())
	if c.Why[0] != "stopped at 1:02 by signal interrupt." {
		t.Errorf("%q", c.Why)
	}
}

// TestBadTraffic reads runs whose traffic came to nothing: what is said, once, and what to do.
func TestBadTraffic(t *testing.T) {
	const cause = "running /day/s.js: it took 154 MB of memory, and may have 150 MB (see /day/k6.log)"
	b := calm(t, calmPlan(nil)).add(30, GeneratorSaid, GeneratorNote{Stream: "users", Level: "error", Message: cause})
	b.add(31, GeneratorSaid, GeneratorNote{Stream: "users", Level: "warning", Message: "the door is stuck"})
	c := Score(b.add(31, RunEnded, Ended{Reason: EndTraffic, Error: `traffic "users" ended before the run: ` + cause}).record())
	if len(c.Why) == 0 || c.Why[0] != `traffic "users" ended before the run: `+cause+"." {
		t.Errorf("why: %q", c.Why)
	}
	if !slices.Equal(c.Remarks, []string{"users: the door is stuck"}) {
		t.Errorf("notes: %q", c.Remarks)
	}
	for ratio, want := range map[float64]string{1: "Every request of users failed already at 1x", 0.5: "the system is not well at 1x"} {
		b := newBuilder(t, calmPlan(nil)).phases(10).traffic("users", 0, 10, func(s int) tick {
			k := steady(10)(s)
			k.errors = ratio
			return k
		})
		c := Score(b.end(10, EndUnsteady).record())
		if len(c.Next) == 0 || !strings.Contains(c.Next[0].Text, want) {
			t.Errorf("with %g of all requests failed, next is %+v", ratio, c.Next)
		}
	}
}

func TestRequiredUnknownsAreGrouped(t *testing.T) {
	b := calm(t, calmPlan(func(p *Plan) {
		for _, n := range []string{"A", "B", "C", "D"} {
			a := downAlarm
			a.Name, a.Required = n, true
			p.Alarms = append(p.Alarms, a)
		}
	}))
	b.add(20, InjectFailed, Injection{ID: "x", Fault: "cut", Place: "db", Error: "no such host"})
	got := Score(b.end(100, EndComplete).record()).Why
	want := []string{"cut was never injected: no such host.",
		"A fired, B fired and 2 more are required and unknown: cut was never injected."}
	if len(got) < 2 || !slices.Equal(got[:2], want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for n, want := range map[int]string{1: "I is required", 2: "I and I are", 3: "I, I and I are",
		5: "I, I and 3 more are"} {
		items := slices.Repeat([]*Item{{Title: "I", Required: true, Why: "no data"}}, n)
		got := requiredUnknowns(items, nil)
		if len(got) != 1 || !strings.HasPrefix(got[0], want) || !strings.HasSuffix(got[0], "unknown: no data.") {
			t.Errorf("%d items: %q", n, got)
		}
	}
}

func TestResidueInLab(t *testing.T) {
	const gone, stays = "gone with it", "(run `gameday revert`)"
	for _, c := range []struct {
		lab, machine bool
		text, advice string
	}{
		{true, false, gone, "nothing to revert"},
		{true, true, stays, "Run `gameday revert` now"},
		{false, false, stays, "Run `gameday revert` now"},
	} {
		in := Injection{ID: "run/cut", Fault: "cut", Place: "db", Error: "device busy"}
		b := calm(t, calmPlan(func(p *Plan) { p.Faults[0].Machine = c.machine }))
		b.events = nil
		b.add(0, RunStarted, Started{Run: "run", At: began, Lab: c.lab}).phases(100).traffic("users", 0, 100, steady(10))
		b.fault("cut", "x", "db", 20, 0).add(40, Reverting, in).add(41, RevertFailed, in)
		s := Score(b.end(100, EndComplete, "cut on db").record())
		if !s.Residue || s.ExitCode() != 5 || !strings.Contains(s.Safety.Text, c.text) ||
			!strings.Contains(s.Next[0].Text, c.advice) {
			t.Errorf("lab %v, machine %v: %q, next %q", c.lab, c.machine, s.Safety.Text, s.Next[0].Text)
		}
	}
}

func TestRequestsThatWereNeverSent(t *testing.T) {
	said := GeneratorNote{Stream: "users", Level: "warning", Message: "Request Failed: invalid URL"}
	steadyToo := func(p *Plan) {
		p.Expects = append(p.Expects, ExpectPlan{ID: "steady", Name: "steady", Part: PartSteady, That: less("p95", 1),
			Over: sec(2)},
			ExpectPlan{ID: "rate", Name: "rate", Part: PartCapacity, That: less("rate", 100), Over: sec(2)})
	}
	for _, c := range []struct {
		name   string
		change func(*builder)
		lost   bool
	}{
		{"said so", func(b *builder) { b.add(15, GeneratorSaid, said) }, true},
		{"said nothing", func(*builder) {}, false},
		{"said so of its setup", func(b *builder) { b.add(-1, GeneratorSaid, said) }, false},
		{"another stream said so", func(b *builder) {
			b.add(15, GeneratorSaid, GeneratorNote{Stream: "others", Level: "warning", Message: said.Message})
		}, false},
		{"a request was counted", func(b *builder) {
			b.add(15, GeneratorSaid, said)
			b.windows[15].Requests++
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := calm(t, calmPlan(steadyToo)).fault("cut", "x", "db", 20, 40)
			c.change(b)
			s := Score(b.end(100, EndComplete).record())
			for _, id := range []string{"capacity.holds", "steady", "recovery.cut.steady_state"} {
				want, why := clock.Met, ""
				if c.lost {
					want, why = clock.Unknown, "users made no request that was counted, although its script said "+
						`"Request Failed: invalid URL"`
				}
				if it := item(t, s, id); it.Outcome != want || !strings.Contains(it.Why, why) {
					t.Errorf("%s is %v because %q", id, it.Outcome, it.Why)
				}
			}
			check(t, item(t, s, "rate"), clock.Met, 1, "")
			if got := strings.Contains(strings.Join(s.Remarks, "\n"), "its iterations were counted instead"); got != c.lost {
				t.Errorf("remarks %q", s.Remarks)
			}
		})
	}
}
