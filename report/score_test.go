package report

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/clock"
	"gameday/loadgen/sli"
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
