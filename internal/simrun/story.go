package simrun

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/faults"
	"gameday/loadgen/sli"
	"gameday/report"
	"gameday/responders"
)

// The sources of alarms and of responses.
const (
	rules  = "prometheus.main"
	router = "alertmanager.main"
	desk   = "desk.ops"
)

// story is what happens in a run beside its traffic.
type story struct {
	run    Run
	length time.Duration
	plan   *report.Plan
	random
	events  []event
	ills    []ill
	history map[string][]alarms.Episode // by source
	pages   []responders.Event
}

// ill is a time in which the service is not well.
type ill struct{ from, to, healed time.Duration }

func newStory(r Run) *story {
	if r.Length == 0 {
		r.Length = 24 * time.Hour
	}
	if len(r.Streams) == 0 {
		r.Streams = Streams(1)
	}
	if r.Faults == 0 {
		r.Faults = 12
	}
	s := &story{run: r, length: r.Length.Truncate(time.Second), history: map[string][]alarms.Episode{},
		random: random{rand.New(rand.NewPCG(r.Seed, math.MaxUint64))}}
	s.plan = s.promise()
	s.add(0, report.RunStarted, report.Started{Run: "20261120-060000-a-day", Version: "simulated", At: began,
		Host: "simulated", Seed: int64(r.Seed >> 1)})
	for _, p := range s.plan.Phases {
		s.add(p.At, report.PhaseStarted, report.PhaseChange{Phase: p.Phase})
		s.add(p.At+p.Length, report.PhaseEnded, report.PhaseChange{Phase: p.Phase})
	}
	for i, f := range s.plan.Faults {
		s.fault(i, f)
	}
	s.noise()
	s.readings()
	s.accounts()
	s.add(s.length+4*time.Second, report.RunEnded, report.Ended{Reason: report.EndComplete})
	return s
}

func (s *story) add(at time.Duration, kind report.EventKind, data any) {
	s.events = append(s.events, event{at, kind, data})
}

// about is an instant known to within a second.
func about(at time.Duration) clock.Interval {
	return clock.Between(began.Add(at-500*time.Millisecond), began.Add(at+500*time.Millisecond))
}

func exactly(from, to time.Duration) clock.Interval {
	return clock.Between(began.Add(from), began.Add(to))
}

// less is the expression name < limit.
func less(name string, limit float64) *sli.Expr {
	return &sli.Expr{Op: "<", Args: []*sli.Expr{{SLI: name}, {Const: &limit}}}
}

// promise is the plan of the run.
func (s *story) promise() *report.Plan {
	side := max(20*time.Second, s.length/100).Truncate(time.Second)
	ramp := side / 2
	load := s.length - 2*side - ramp
	p := &report.Plan{Scenario: "a-day", File: "a-day.hcl", Owner: "team-shop",
		Summary: "A day at three times the traffic, with a fault every other hour.",
		Phases: []report.PhasePlan{{Phase: report.Baseline, Length: side}, {Phase: report.Ramp, At: side, Length: ramp},
			{Phase: report.Load, At: side + ramp, Length: load}, {Phase: report.Recovery, At: s.length - side, Length: side}},
		Targets: []report.TargetPlan{{Name: "payments", Kind: "process", Selector: "listen 9102",
			Places: []string{"pid 4127 shop"}}},
		Expects: []report.ExpectPlan{
			expect(report.PartSteady, "", "availability", less("error_ratio", 0.01), 5*time.Second),
			expect(report.PartSteady, "", "latency", less("p95", 0.3), 10*time.Second),
			expect(report.PartSteady, "", "queue", less("queue_depth", 900), 5*time.Second),
			expect(report.PartCapacity, "", "holds 3x", less("p99", 0.5), 10*time.Second),
			expect(report.PartCapacity, "", "checks", less("check_ratio", 0.01), 10*time.Second),
		},
		Noise: &report.NoisePlan{Watch: map[string]string{"severity": "page"}, Allow: []string{"Watchdog"}, AtMost: 2},
		Score: report.ScorePlan{Pass: 80, Weights: report.DefaultWeights()},
	}
	for _, t := range s.run.Streams {
		p.Traffic = append(p.Traffic, report.TrafficPlan{Name: t.Name, Engine: "native", Rate: t.Rate, Multiple: multiple})
	}
	gap := load / time.Duration(max(1, s.run.Faults))
	for i := range max(0, s.run.Faults) {
		at := side + ramp + gap*time.Duration(i) + gap/4
		s.promiseFault(p, i, at.Truncate(time.Second), min(5*time.Minute, gap/6).Truncate(time.Second))
	}
	return p
}

// expect is one expectation.
func expect(part report.ExpectPart, fault, name string, that *sli.Expr, over time.Duration) report.ExpectPlan {
	id := string(part) + "." + name
	if fault != "" {
		id = string(part) + "." + fault + "." + name
	}
	return report.ExpectPlan{ID: id, Name: name, Part: part, Fault: fault, That: that, Source: that.String(), Over: over,
		Weight: 1}
}

// promiseFault adds a fault with what is expected of it. Every third cannot be undone.
func (s *story) promiseFault(p *report.Plan, i int, at, long time.Duration) {
	f := report.FaultPlan{Name: fmt.Sprintf("cut-%02d", i+1), Kind: "network_partition", Targets: []string{"payments"},
		At: at, Duration: long, Undoing: "kernel lease, undone by guard", Reversible: true, Lease: 10 * time.Second,
		SteadyWithin: 2 * time.Minute}
	alarm := "PaymentsDown"
	if i%3 == 2 {
		f = report.FaultPlan{Name: fmt.Sprintf("crash-%02d", i+1), Kind: "process_kill", Targets: []string{"payments"},
			At: at, Undoing: "cannot be undone", RestartsWithin: long, SteadyWithin: 2 * time.Minute}
		alarm = "PaymentsRestarted"
	}
	p.Faults = append(p.Faults, f)
	p.Expects = append(p.Expects, expect(report.PartFault, f.Name, "degrades, does not die", less("error_ratio", 0.3),
		10*time.Second))
	p.Alarms = append(p.Alarms, report.AlarmPlan{Name: fmt.Sprintf("%s-%02d", alarm, i+1), Source: rules,
		Match: alarmLabels(alarm, i), Cause: f.Name, FiresWithin: time.Minute, PagesVia: router,
		PagesWithin: 90 * time.Second, ClearsWithin: 2 * time.Minute, Weight: 1})
	p.Responses = append(p.Responses, report.ResponsePlan{Name: fmt.Sprintf("on-call-%02d", i+1), Source: desk,
		To:          p.Alarms[i].Name,
		Acknowledge: &report.AckPlan{DeadlinePlan: report.DeadlinePlan{Within: 2 * time.Minute, Weight: 2}, Level: 1},
		Resolve:     &report.ResolvePlan{DeadlinePlan: report.DeadlinePlan{Within: 30 * time.Minute, Weight: 1}}})
}

func alarmLabels(name string, i int) map[string]string {
	return map[string]string{"alertname": name, "severity": "page", "target": fmt.Sprintf("payments-%02d", i+1)}
}

// multiple is that of the traffic at an instant.
func (s *story) multiple(at time.Duration) float64 {
	ramp := s.plan.Phases[1]
	return 1 + (multiple-1)*min(1, max(0, float64(at-ramp.At)/float64(ramp.Length)))
}

// illness is how unwell the service is at an instant, from 0 to 1.
func (s *story) illness(at time.Duration) float64 {
	for _, i := range s.ills {
		switch {
		case at < i.from || at >= i.healed:
		case at < i.to:
			return 1
		default: // what broke heals slowly
			return 0.5 * float64(i.healed-at) / float64(i.healed-i.to)
		}
	}
	return 0
}

// fault tells the life of one fault, its alarm and its page.
func (s *story) fault(i int, f report.FaultPlan) {
	late := s.lognormal(2*time.Millisecond, 0.4)
	on := f.At + late + s.lognormal(30*time.Millisecond, 0.3)
	in := report.Injection{ID: "a-day/" + f.Name, Fault: f.Name, Kind: f.Kind, Place: "pid 4127 shop", Planned: f.At}
	s.add(f.At+late, report.Injecting, in)
	in.Onset, in.Effect = exactly(f.At+late, on), &faults.Effect{Proven: true, Summary: "214 packets dropped"}
	s.add(on, report.Injected, in)
	over := on + f.Duration
	if f.Reversible {
		in.Onset, in.Effect = clock.Interval{}, nil
		s.add(over, report.Reverting, in)
		in.Gone = exactly(over, over+20*time.Millisecond)
		s.add(over+20*time.Millisecond, report.Reverted, in)
	} else {
		over = on + min(f.RestartsWithin/2, 20*time.Second)
		s.add(over, report.Recovered, report.Comeback{Fault: f.Name, Place: in.Place, At: exactly(over-time.Second/5, over),
			Effect: &faults.Effect{Proven: true, Summary: "pid 4127 → 4190"}})
	}
	sick := ill{on, over, over + s.lognormal(8*time.Second, 0.5)}
	s.ills = append(s.ills, sick)
	bad := func(at time.Duration, holds clock.Outcome) {
		s.add(at, report.ExpectSeen, report.ExpectChange{ID: "steady_state.availability", Holds: holds,
			Values: map[string]float64{"sli.error_ratio": s.Float64()}})
	}
	bad(sick.from+2*time.Second, clock.Missed)
	bad(sick.healed+5*time.Second, clock.Met)
	s.alarm(i, s.plan.Alarms[i].Match, sick)
}

// alarm tells of one alarm from its condition to the end of its page.
func (s *story) alarm(i int, labels map[string]string, sick ill) {
	pending := sick.from + s.lognormal(3*time.Second, 0.3)
	firing := pending + s.lognormal(12*time.Second, 0.2)
	paged := firing + s.lognormal(2*time.Second, 0.3)
	ended := max(sick.healed, paged) + s.lognormal(15*time.Second, 0.3)
	key := fmt.Sprintf("%s{%s}", labels["alertname"], labels["target"])
	see := func(at time.Duration, source string, state alarms.State) {
		s.add(at+time.Second, report.AlarmSeen, report.AlarmSighting{Source: source,
			Observation: alarms.Observation{At: about(at), Key: key, Labels: labels, State: state}})
	}
	see(pending, rules, alarms.StatePending)
	see(firing, rules, alarms.StateFiring)
	see(paged, router, alarms.StatePaged)
	see(ended, rules, alarms.StateInactive)
	e := alarms.Episode{Source: rules, Key: key, Labels: labels, Pending: about(pending), Firing: about(firing),
		Ended: about(ended)}
	s.history[rules] = append(s.history[rules], e)
	e.Source, e.Pending, e.Paged = router, clock.Interval{}, about(paged)
	s.history[router] = append(s.history[router], e)
	page := fmt.Sprintf("#%d", i+1)
	tell := func(at time.Duration, kind responders.Kind, who responders.Actor, level int, targets ...string) {
		s.page(at, page, labels, responders.Event{Kind: kind, Actor: who, Level: level, Targets: targets})
	}
	policy := responders.Actor{ID: "policy", Kind: responders.Integration}
	ann := responders.Actor{ID: "ann", Kind: responders.Human}
	tell(paged, responders.Opened, responders.Actor{ID: "alertmanager", Kind: responders.Integration}, 0)
	tell(paged+time.Second, responders.Notified, policy, 1, "ann")
	tell(paged+s.lognormal(40*time.Second, 0.5), responders.Acknowledged, ann, 1)
	tell(ended+time.Minute, responders.Resolved, ann, 0)
}

// page records one event of a page.
func (s *story) page(at time.Duration, page string, labels map[string]string, e responders.Event) {
	e.Source, e.Page, e.Labels, e.At, e.Grade = desk, page, labels, about(at), "A"
	e.ID = fmt.Sprintf("%s.%d", page, len(s.pages)+1)
	if e.Kind == responders.Notified {
		e.Delivered = "yes"
	}
	s.pages = append(s.pages, e)
	if at < s.length {
		s.add(at, report.ResponseSeen, e)
	}
}

// noise is an alarm that fires and means nothing, some times a day.
func (s *story) noise() {
	every := max(2*time.Hour, s.length/12)
	for at := every; at < s.length-every/2; at += every {
		e := alarms.Episode{Source: rules, Key: "DiskSlow", Pending: about(at), Firing: about(at + time.Minute),
			Ended: about(at + 5*time.Minute), Labels: map[string]string{"alertname": "DiskSlow", "severity": "ticket"}}
		s.history[rules] = append(s.history[rules], e)
	}
}

// readings are those of an indicator of the scenario's own, each second.
func (s *story) readings() {
	for at := 700 * time.Millisecond; at < s.length; at += time.Second {
		known := s.Float64() > 0.001
		r := report.Reading{SLI: "queue_depth", Known: known}
		if known {
			r.Value = math.Round(300 * math.Exp(0.3*s.NormFloat64()))
		} else {
			r.Why = "the query yields no value"
		}
		s.add(at, report.ReadingTaken, r)
	}
}

// accounts are what the sources say of the whole run at its end.
func (s *story) accounts() {
	whole := clock.Span{Start: began, End: began.Add(s.length)}
	for i, source := range []string{rules, router} {
		s.add(s.length+time.Duration(i+1)*time.Second, report.AlarmHistory, report.AlarmRecord{Source: source, Span: whole,
			Episodes: s.history[source], Coverage: alarms.Coverage{Spans: []clock.Span{whole}, Resolution: 5 * time.Second}})
	}
	s.add(s.length+3*time.Second, report.ResponseRecord, report.ResponseAccount{Source: desk, Span: whole, Events: s.pages,
		Coverage: responders.Coverage{Spans: []clock.Span{whole}}})
}
