package report

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/faults"
	"gameday/loadgen"
	"gameday/loadgen/sli"
	"gameday/responders"
)

// began is when every synthetic run begins, in a zone that is not this machine's.
var began = time.Date(2026, 11, 20, 14, 2, 0, 0, time.FixedZone("", 3600))

// builder puts a synthetic record together. Seconds count from the run's start.
type builder struct {
	t       testing.TB
	plan    *Plan
	events  []Event
	windows []loadgen.Window
	torn    bool
}

func at(sec float64) time.Time { return began.Add(time.Duration(sec * float64(time.Second))) }

// about is an instant known to within half a second either way.
func about(sec float64) clock.Interval { return clock.Between(at(sec-0.5), at(sec+0.5)) }
func during(a, b float64) clock.Span   { return clock.Span{Start: at(a), End: at(b)} }

func newBuilder(t testing.TB, plan *Plan) *builder {
	b := &builder{t: t, plan: plan}
	return b.add(0, RunStarted, Started{Run: "20261120-140200-" + plan.Scenario, Version: "0.1.0", At: began,
		Host: "host"})
}

func (b *builder) add(sec float64, kind EventKind, data any) *builder {
	raw, err := json.Marshal(data)
	if err != nil {
		b.t.Fatal(err)
	}
	b.events = append(b.events, Event{At: at(sec), T: time.Duration(sec * float64(time.Second)), Kind: kind, Data: raw})
	return b
}

// phases adds the phases of the plan as they were planned, up to an end.
func (b *builder) phases(end float64) *builder {
	for _, p := range b.plan.Phases {
		from, to := p.At.Seconds(), (p.At + p.Length).Seconds()
		if from >= end {
			break
		}
		b.add(from, PhaseStarted, PhaseChange{p.Phase})
		if to <= end {
			b.add(to, PhaseEnded, PhaseChange{p.Phase})
		}
	}
	return b
}

// second is what one second of traffic is like.
type tick struct {
	due, started int
	errors       float64       // share of the requests
	fast, slow   time.Duration // response time of nine in ten, and of the rest
	load         loadgen.Load
	apart        []loadgen.NamedLoad // of several generators, instead
	missing      []string            // of three
}

// traffic adds a window for each second in [from, to).
func (b *builder) traffic(stream string, from, to int, shape func(sec int) tick) *builder {
	for s := from; s < to; s++ {
		k := shape(s)
		w := loadgen.Window{Stream: stream, Start: at(float64(s)), Multiple: 1, Due: uint64(k.due),
			Started: uint64(k.started), Dropped: uint64(k.due - k.started),
			Completed: uint64(k.started), Generator: k.load}
		if len(k.missing) > 0 {
			w.Missing, w.Of = k.missing, 3
		}
		if len(k.apart) > 0 {
			w.Generator = loadgen.Load{}
		}
		for _, l := range k.apart {
			w.Merge(loadgen.Window{Generator: l.Load, Generators: []loadgen.NamedLoad{l}})
		}
		w.OK.Response, w.Failed.Response = &loadgen.Histogram{}, &loadgen.Histogram{}
		failed := int(float64(k.started)*k.errors + 0.5)
		for i := range k.started {
			d := k.fast
			if i%10 == 9 {
				d = k.slow
			}
			if i < failed {
				w.Failed.Count++
				w.Failed.Response.Record(d)
			} else {
				w.OK.Count++
				w.OK.Response.Record(d)
			}
		}
		b.windows = append(b.windows, w)
		b.add(float64(s)+1.05, WindowClosed, w)
	}
	return b
}

// steady is quiet traffic at a rate.
func steady(rate int) func(int) tick {
	return func(int) tick {
		return tick{due: rate, started: rate, fast: 40 * time.Millisecond, slow: 120 * time.Millisecond,
			load: loadgen.Load{CPU: 200 * time.Millisecond, VUs: 8, MaxVUs: 50, Memory: 90 << 20, Lateness: time.Millisecond}}
	}
}

// fault adds the whole life of a reversible fault: onset proven at on, revert sent at off.
func (b *builder) fault(name, kind, place string, on, off float64) *builder {
	in := Injection{ID: "run/" + name, Fault: name, Kind: kind, Place: place}
	b.add(on-0.04, Injecting, in)
	in.Onset = clock.Between(at(on-0.04), at(on))
	in.Effect = &faults.Effect{Proven: true, Summary: "214 packets dropped", Details: map[string]string{"set": "gd_cut"}}
	b.add(on, Injected, in)
	if off > 0 {
		in.Effect = nil
		b.add(off, Reverting, in)
		in.Onset, in.Gone = clock.Interval{}, clock.Between(at(off), at(off+0.02))
		b.add(off+0.02, Reverted, in)
	}
	return b
}

// kill adds a kill at on, from which the target came back at back, or never when that is 0.
func (b *builder) kill(name, kind, place string, on, back float64) *builder {
	in := Injection{ID: "run/" + name, Fault: name, Kind: kind, Place: place}
	b.add(on-0.02, Injecting, in)
	in.Onset = clock.Between(at(on-0.02), at(on))
	in.Effect = &faults.Effect{Proven: true, Summary: "pid 4127 is gone", Details: map[string]string{"boot_id": "3f"}}
	b.add(on, Injected, in)
	if back > 0 {
		b.add(back, Recovered, Comeback{Fault: name, Place: place, At: clock.Between(at(back-0.2), at(back)),
			Effect: &faults.Effect{Proven: true, Summary: "pid 4127 → 4190", Details: map[string]string{"new_boot_id": "9a"}}})
	}
	return b
}

// alarm describes one episode; 0 is an instant that was not seen.
type alarm struct {
	name                         string
	pending, firing, paged, ends float64
	held                         []string
	labels                       map[string]string
}

func (a alarm) episode(source string) alarms.Episode {
	e := alarms.Episode{Source: source, Key: source + "/" + a.name,
		Labels: map[string]string{"alertname": a.name, "severity": "page"}, SuppressedBy: a.held}
	for k, v := range a.labels {
		e.Labels[k] = v
		e.Key += "," + v
	}
	for _, x := range []struct {
		sec float64
		to  *clock.Interval
	}{{a.pending, &e.Pending}, {a.firing, &e.Firing}, {a.paged, &e.Paged}, {a.ends, &e.Ended}} {
		if x.sec != 0 {
			*x.to = about(x.sec)
		}
	}
	return e
}

// alarms adds a source's own account, asked at the end.
func (b *builder) alarms(source string, end float64, covered []clock.Span, list ...alarm) *builder {
	r := AlarmRecord{Source: source, Span: during(0, end), Coverage: alarms.Coverage{Spans: covered,
		Resolution: time.Second,
		Offset:     clock.Offset{Ahead: 300 * time.Millisecond, Err: 500 * time.Millisecond}}}
	for _, a := range list {
		r.Episodes = append(r.Episodes, a.episode(source))
	}
	return b.add(end, AlarmHistory, r)
}

// did is one thing that happened to a page.
func did(sec float64, kind responders.Kind, who responders.ActorKind, id string, level int) responders.Event {
	e := responders.Event{Source: "desk.ops", Page: "#1", Kind: kind, At: about(sec), Actor: responders.Actor{ID: id,
		Kind: who},
		Level: level, Labels: map[string]string{"alertname": "PaymentsDown", "severity": "page"}, Grade: "A"}
	e.ID = string(kind) + "/" + id + "/" + at(sec).Format("150405.000")
	if kind == responders.Notified {
		e.Targets, e.Delivered, e.Actor = []string{id}, "yes", responders.Actor{ID: "policy", Kind: responders.Integration}
	}
	return e
}

// responses adds a source's account of what people did.
func (b *builder) responses(end float64, covered []clock.Span, list ...responders.Event) *builder {
	return b.add(end, ResponseRecord, ResponseAccount{Source: "desk.ops", Span: during(0, end), Events: list,
		Coverage: responders.Coverage{Spans: covered}})
}

func (b *builder) end(sec float64, reason EndReason, residue ...string) *builder {
	return b.add(sec, RunEnded, Ended{Reason: reason, Residue: residue})
}

// record returns what Read would read back.
func (b *builder) record() *Record {
	b.t.Helper()
	rec := &Record{Plan: b.plan, Windows: slices.Clone(b.windows), Torn: b.torn, Events: slices.Clone(b.events)}
	slices.SortStableFunc(rec.Events, func(x, y Event) int { return x.At.Compare(y.At) })
	for i := range rec.Events {
		rec.Events[i].Seq = uint64(i + 1)
	}
	return rec
}

// write writes the record to a folder.
func (b *builder) write(dir string) {
	b.t.Helper()
	plan, err := json.MarshalIndent(b.plan, "", "  ")
	if err != nil {
		b.t.Fatal(err)
	}
	var lines []byte
	for _, e := range b.record().Events {
		line, err := json.Marshal(e)
		if err != nil {
			b.t.Fatal(err)
		}
		lines = append(append(lines, line...), '\n')
	}
	if b.torn {
		lines = append(lines, `{"seq":`...)
	}
	for name, data := range map[string][]byte{PlanFile: plan, EventsFile: lines} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
}

// less is the expression name < limit.
func less(name string, limit float64) *sli.Expr {
	return &sli.Expr{Op: "<", Args: []*sli.Expr{{SLI: name}, {Const: &limit}}}
}

func both(a, b *sli.Expr) *sli.Expr { return &sli.Expr{Op: "&&", Args: []*sli.Expr{a, b}} }

// checkoutPlan is the scenario of the user guide: three faults, one alarm, one response.
func checkoutPlan() *Plan {
	sec := func(s int) time.Duration { return time.Duration(s) * time.Second }
	flaps := 0
	return &Plan{
		Scenario: "checkout-loses-payments", File: "examples/shop/game-day.hcl", Owner: "team-checkout",
		Summary: "The shop keeps selling while payments is down, and on-call hears of it within a minute.",
		Phases: []PhasePlan{{Baseline, 0, sec(30)}, {Ramp, sec(30), sec(10)}, {Load, sec(40), sec(180)}, {Recovery, sec(220),
			sec(60)}},
		Traffic: []TrafficPlan{{Name: "shoppers", Engine: "k6", Script: "shoppers.js", Rate: 40, Multiple: 3}},
		Targets: []TargetPlan{
			{Name: "payments", Kind: "process", Selector: "listen 9102", Places: []string{"pid 4127 shop payments"}},
			{Name: "ledger", Kind: "node", Selector: "ledger", Places: []string{"198.18.0.4"}},
		},
		Faults: []FaultPlan{
			{Name: "crash", Kind: "process_kill", Targets: []string{"payments"}, At: sec(60), RestartsWithin: sec(15),
				Undoing: "cannot be undone"},
			{Name: "cut", Kind: "network_partition", Targets: []string{"payments", "ledger"}, Between: true, At: sec(100),
				Duration: sec(45), Reversible: true, Lease: sec(10), Undoing: "kernel lease, undone by guard"},
			{Name: "reboot", Kind: "node_restart", Targets: []string{"ledger"}, At: sec(165), After: "cut", Wait: sec(20),
				Undoing: "boots by itself"},
		},
		Expects: []ExpectPlan{
			{ID: "steady_state.availability", Name: "availability", Part: PartSteady, That: less("error_ratio", 0.01),
				Source: "sli.error_ratio < 0.01", Over: sec(5), Weight: 1},
			{ID: "steady_state.latency", Name: "latency", Part: PartSteady, That: less("p95", 0.3),
				Source: `sli.p95 < seconds("300ms")`, Over: sec(5), Weight: 1},
			{ID: "fault.cut.degrades, does not die", Name: "degrades, does not die", Part: PartFault, Fault: "cut",
				That: less("error_ratio", 0.3), Source: "sli.error_ratio < 0.30", Over: sec(10), Weight: 2},
			{ID: "fault.cut.latency", Name: "latency", Part: PartFault, Fault: "cut", That: less("p95", 0.8),
				Source: `sli.p95 < seconds("800ms")`, Over: sec(10), Weight: 1},
			{ID: "capacity.holds 3x", Name: "holds 3x", Part: PartCapacity, That: both(less("p95", 0.5), less("error_ratio",
				0.01)),
				Source: `sli.p95 < seconds("500ms") && sli.error_ratio < 0.01`, Over: sec(10), Weight: 1},
		},
		Alarms: []AlarmPlan{{Name: "PaymentsDown", Source: "prometheus.main",
			Match: map[string]string{"alertname": "PaymentsDown", "severity": "page"}, Cause: "cut", FiresWithin: sec(30),
			PagesVia: "alertmanager.main", PagesWithin: sec(60), ClearsWithin: sec(60), MaxFlaps: &flaps, Weight: 2}},
		Noise: &NoisePlan{Watch: map[string]string{"severity": "page"}, Allow: []string{"Watchdog"}},
		Responses: []ResponsePlan{{Name: "on-call", Source: "desk.ops", To: "PaymentsDown",
			Acknowledge: &AckPlan{DeadlinePlan: DeadlinePlan{Within: sec(60), Weight: 3, Required: true}, Level: 1},
			Escalate:    &EscalatePlan{DeadlinePlan: DeadlinePlan{Within: sec(110), Weight: 1}, ToLevel: 2, OnlyAfter: sec(90)},
			Marks:       []MarkPlan{{"bridge opened", DeadlinePlan{Within: sec(100), Weight: 1}}},
			Resolve:     &ResolvePlan{DeadlinePlan: DeadlinePlan{Within: sec(30 * 60), Weight: 1}}}},
		Aborts: []AbortPlan{{Name: "error storm", When: less("error_ratio", 0.6), Source: "sli.error_ratio > 0.60",
			Held: sec(10)}},
		Score: ScorePlan{Pass: 80},
	}
}

// checkout is the traffic and the faults of the checkout scenario, without anybody's answer.
func checkout(t testing.TB, plan *Plan, slow time.Duration, change func(sec int, k *tick)) *builder {
	b := newBuilder(t, plan).phases(280)
	b.traffic("shoppers", 0, 280, func(s int) tick {
		rate := 120
		if s < 30 {
			rate = 40
		} else if s < 40 {
			rate = 40 + 8*(s-30)
		}
		k := steady(rate)(s)
		k.fast += time.Duration(s*7%11) * time.Millisecond
		k.slow += time.Duration(s*5%13) * 2 * time.Millisecond
		switch {
		case s >= 60 && s < 64: // killed, and restarted
			k.errors, k.slow = 0.4, 400*time.Millisecond
		case s >= 100 && s < 150: // cut for 45 s, and 5 s until it is well
			k.errors, k.fast, k.slow = 0.18+float64(s%4)/100, 300*time.Millisecond, slow
			k.load.VUs = 40
		case s >= 165 && s < 180: // the ledger reboots
			k.errors, k.slow = 0.08, 350*time.Millisecond
		}
		if change != nil {
			change(s, &k)
		}
		return k
	})
	b.kill("crash", "process_kill", "payments", 60, 63.4)
	b.fault("cut", "network_partition", "payments ↮ ledger", 100.034, 145)
	b.kill("reboot", "node_restart", "ledger", 165, 177)
	return b
}

var whole = []clock.Span{during(0, 280)}

// passedRun is a checkout run in which all went well.
func passedRun(t testing.TB) *builder {
	return checkout(t, checkoutPlan(), 700*time.Millisecond, nil).
		alarms("prometheus.main", 280, whole, alarm{name: "PaymentsDown", pending: 103, firing: 109.2, ends: 150},
			alarm{name: "Watchdog", firing: 1}).
		alarms("alertmanager.main", 280, whole, alarm{name: "PaymentsDown", firing: 109.3, paged: 111, ends: 150.5}).
		responses(2000, []clock.Span{during(0, 2000)},
			did(111, responders.Opened, responders.Integration, "alertmanager", 0),
			did(111.5, responders.Notified, responders.Human, "ann", 1),
			did(131, responders.Acknowledged, responders.Human, "ann", 1),
			marked(160, "Bridge Opened", "ann"),
			did(260, responders.Resolved, responders.Human, "ann", 0)).
		end(280, EndComplete)
}

func marked(sec float64, text, by string) responders.Event {
	e := did(sec, responders.Marked, responders.Human, by, 0)
	e.Text = text
	return e
}

// failedRun is a checkout run in which nobody answered, the page was noisy, and the generator ran out of processor.
func failedRun(t testing.TB) *builder {
	plan := checkoutPlan()
	b := checkout(t, plan, 1210*time.Millisecond, func(sec int, k *tick) {
		if sec >= 40 && sec < 220 {
			k.started = k.due * 91 / 100
			k.load.CPU, k.load.RunQueue = 980*time.Millisecond, 300*time.Millisecond
		}
	})
	return b.
		alarms("prometheus.main", 280, whole, alarm{name: "PaymentsDown", pending: 103, firing: 109.2, ends: 150},
			alarm{name: "HighLatency", pending: 104, firing: 115, ends: 155}).
		alarms("alertmanager.main", 280, whole, alarm{name: "PaymentsDown", firing: 109.3, paged: 111, ends: 150.5},
			alarm{name: "HighLatency", firing: 115.1, paged: 117, ends: 155}).
		responses(280, whole,
			did(111.5, responders.Notified, responders.Human, "ann", 1),
			did(112, responders.Acknowledged, responders.Integration, "slackbot", 0),
			did(205, responders.Escalated, responders.Timeout, "policy", 2),
			did(205.3, responders.Notified, responders.Human, "bob", 2),
			did(209, responders.Acknowledged, responders.Human, "bob", 2),
			marked(230, "bridge opened", "bob")).
		add(118, Marked, Mark{Name: "ann looks at the wrong dashboard", By: "carol"}).
		end(280, EndComplete)
}

// tornRun is a checkout run whose gameday was killed 130 s in.
func tornRun(t testing.TB) *builder {
	b := checkout(t, checkoutPlan(), 700*time.Millisecond, nil)
	b.add(103, AlarmSeen, sighting(102.5, "PaymentsDown", alarms.StateReachable))
	b.add(104, AlarmSeen, sighting(104, "PaymentsDown", alarms.StatePending))
	b.add(109, AlarmSeen, sighting(109, "PaymentsDown", alarms.StateFiring))
	b.add(112, ResponseSeen, did(111.5, responders.Notified, responders.Human, "ann", 1))
	b.events = slices.DeleteFunc(b.events, func(e Event) bool { return e.At.After(at(130)) })
	b.windows = slices.DeleteFunc(b.windows, func(w loadgen.Window) bool { return w.Start.After(at(128.9)) })
	b.torn = true
	return b
}

func sighting(sec float64, name string, state alarms.State) AlarmSighting {
	s := AlarmSighting{Source: "prometheus.main", Observation: alarms.Observation{At: about(sec), State: state}}
	if state != alarms.StateReachable && state != alarms.StateUnreachable {
		s.Key, s.Labels = name, map[string]string{"alertname": name, "severity": "page"}
	}
	return s
}
