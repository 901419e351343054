package simrun

import (
	"math"
	"math/rand/v2"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/faults"
	"gameday/report"
	"gameday/responders"
)

// WriteGameDay writes the record of one game day of eleven minutes, in which most went well and something of everything
// else happened: a page that was answered late and by the second level, a page that nobody expected, customers that
// nobody told, and what nobody could tell. It is always the same record.
func WriteGameDay(dir string) error {
	s := &story{length: 680 * time.Second, history: map[string][]alarms.Episode{},
		random: random{rand.New(rand.NewPCG(1, math.MaxUint64))},
		run: Run{Seed: 1, Streams: []Stream{
			{"browse", 18, 24 * time.Millisecond, 310 * time.Millisecond, 80, 0.01},
			{"buy", 12, 70 * time.Millisecond, 340 * time.Millisecond, 120, 0.42},
			{"receipts", 10, 40 * time.Millisecond, 860 * time.Millisecond, 80, 0.16}}}}
	s.plan = gameDayPlan()
	s.add(0, report.RunStarted, report.Started{Run: "20261120-060000-checkout-loses-payments", Version: "simulated",
		At: began, Host: "simulated"})
	for _, p := range s.plan.Phases {
		s.add(p.At, report.PhaseStarted, report.PhaseChange{Phase: p.Phase})
		s.add(p.At+p.Length, report.PhaseEnded, report.PhaseChange{Phase: p.Phase})
	}
	s.gameDayFaults()
	s.gameDayAlarms()
	s.gameDayPeople()
	s.accounts()
	s.add(s.length+4*time.Second, report.RunEnded, report.Ended{Reason: report.EndComplete})
	return s.save(dir)
}

// secs is a time of the game day.
func secs(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

func gameDayPlan() *report.Plan {
	within := func(n float64) report.DeadlinePlan { return report.DeadlinePlan{Within: secs(n), Weight: 1} }
	required := within(120)
	required.Required, required.Weight = true, 2
	flaps := 0
	cut := expect(report.PartFault, "cut", "degrades, does not die", less("error_ratio", 0.3), 10*time.Second)
	p := &report.Plan{Scenario: "checkout-loses-payments", File: "checkout.hcl", Owner: "team-checkout",
		Summary: "The shop keeps selling while payments is down, and on-call hears of it within a minute.",
		Blast:   "2 of 3 nodes",
		Phases: []report.PhasePlan{{Phase: report.Baseline, Length: secs(60)}, {Phase: report.Ramp, At: secs(60), Length: secs(20)},
			{Phase: report.Load, At: secs(80), Length: secs(480)}, {Phase: report.Recovery, At: secs(560), Length: secs(120)}},
		Targets: []report.TargetPlan{{Name: "payments", Kind: "process", Selector: "listen 9102", Places: []string{"pid 4127 shop"}},
			{Name: "ledger", Kind: "node", Selector: "ledger", Places: []string{"198.18.0.4"}}},
		Faults: []report.FaultPlan{
			{Name: "crash", Kind: "process_kill", Targets: []string{"payments"}, At: secs(110), RestartsWithin: secs(15),
				SteadyWithin: secs(30), Undoing: "cannot be undone; must restart within 15s"},
			{Name: "cut", Kind: "network_partition", Targets: []string{"payments", "ledger"}, Between: true, At: secs(180),
				Duration: secs(150), Reversible: true, Lease: 10 * time.Second, SteadyWithin: secs(60),
				Undoing: "kernel lease 10s, undone by guard"},
			{Name: "reboot", Kind: "node_restart", Targets: []string{"ledger"}, At: secs(420), After: "cut", Wait: secs(90),
				SteadyWithin: secs(60), RestartsWithin: secs(30), Undoing: "boots by itself"}},
		Expects: []report.ExpectPlan{
			expect(report.PartSteady, "", "availability", less("error_ratio", 0.01), 5*time.Second),
			expect(report.PartSteady, "", "latency", less("p95", 0.3), 5*time.Second), cut,
			expect(report.PartCapacity, "", "holds 3x", less("p99", 0.5), 10*time.Second)},
		Alarms: []report.AlarmPlan{
			{Name: "PaymentsDown", Source: rules, Match: pageLabels("PaymentsDown"), Cause: "cut", FiresWithin: secs(30),
				PagesVia: router, PagesWithin: secs(60), ClearsWithin: secs(60), MaxFlaps: &flaps, Weight: 2, Required: true},
			{Name: "ReceiptsFailing", Source: rules, Match: pageLabels("ReceiptsFailing"), Cause: "reboot", FiresWithin: secs(10),
				PagesVia: router, PagesWithin: secs(30), ClearsWithin: secs(60), Weight: 1}},
		Noise: &report.NoisePlan{Watch: map[string]string{"severity": "page"}, Allow: []string{"Watchdog"}},
		Responses: []report.ResponsePlan{{Name: "on-call", Source: desk, To: "PaymentsDown",
			Acknowledge: &report.AckPlan{DeadlinePlan: required},
			Escalate:    &report.EscalatePlan{DeadlinePlan: within(150), ToLevel: 2, OnlyAfter: secs(110)},
			Engage:      &report.EngagePlan{DeadlinePlan: within(180), Roles: []string{"incident lead"}},
			Steps:       []report.StepPlan{{Step: report.StepBridge, DeadlinePlan: within(180)}, {Step: report.StepCustomers, DeadlinePlan: within(240)}},
			Mitigate:    &report.DeadlinePlan{Within: secs(240), Weight: 1},
			Resolve:     &report.ResolvePlan{DeadlinePlan: within(30 * 60)}}},
		Tells: map[string][]responders.Kind{desk: {responders.Joined, responders.BridgeOpened, responders.Told}},
		Score: report.ScorePlan{Pass: 80, Weights: report.DefaultWeights()}}
	for _, t := range []struct {
		name string
		rate float64
	}{{"browse", 18}, {"buy", 12}, {"receipts", 10}} {
		p.Traffic = append(p.Traffic, report.TrafficPlan{Name: t.name, Engine: "k6", Script: t.name + ".js", Rate: t.rate, Multiple: multiple})
	}
	return p
}

func pageLabels(name string) map[string]string {
	return map[string]string{"alertname": name, "severity": "page"}
}

// gameDayFaults tells what was done to the shop.
func (s *story) gameDayFaults() {
	begin := func(i int, place, effect, boot string, on float64) report.Injection {
		f := s.plan.Faults[i]
		in := report.Injection{ID: "game-day/" + f.Name, Fault: f.Name, Kind: f.Kind, Place: place, Planned: f.At}
		s.add(f.At, report.Injecting, in)
		in.Onset, in.Effect = exactly(f.At, secs(on)), proven(effect, "boot_id", boot)
		s.add(secs(on), report.Injected, in)
		return in
	}
	back := func(in report.Injection, at float64, effect, boot string) {
		s.add(secs(at), report.Recovered, report.Comeback{Fault: in.Fault, Place: in.Place, At: exactly(secs(at-0.2), secs(at)),
			Effect: proven(effect, "new_boot_id", boot)})
	}
	back(begin(0, "pid 4127 shop", "pid 4127 is gone", "", 110.02), 118.4, "pid 4127 → 4190", "")
	in := begin(1, "payments ↮ ledger", "214 packets dropped", "", 180.034)
	in.Onset, in.Effect = clock.Interval{}, nil
	s.add(secs(330), report.Reverting, in)
	in.Gone = exactly(secs(330), secs(330.02))
	s.add(secs(330.02), report.Reverted, in)
	back(begin(2, "198.18.0.4", "it does not answer", "3f12", 420.04), 441.2, "it boots again", "9a40")
	s.ills = []ill{{secs(110.02), secs(118.4), secs(123)}, {secs(180.034), secs(330.02), secs(341)}, {secs(420.04), secs(441.2), secs(447)}}
}

// proven is an effect, with the id of a boot where there is one.
func proven(summary, name, boot string) *faults.Effect {
	e := &faults.Effect{Proven: true, Summary: summary}
	if boot != "" {
		e.Details = map[string]string{name: boot}
	}
	return e
}

// gameDayAlarms tells what fired.
func (s *story) gameDayAlarms() {
	for _, a := range []struct {
		name                         string
		pending, firing, paged, ends float64
	}{
		{"PaymentsDown", 187, 197.4, 201, 349}, {"HighLatency", 205, 221, 224, 346}, {"ReceiptsFailing", 425, 430.4, 433, 455},
	} {
		e := alarms.Episode{Source: rules, Key: a.name, Labels: pageLabels(a.name), Pending: about(secs(a.pending)),
			Firing: about(secs(a.firing)), Ended: about(secs(a.ends))}
		s.history[rules] = append(s.history[rules], e)
		e.Source, e.Pending, e.Paged = router, clock.Interval{}, about(secs(a.paged))
		s.history[router] = append(s.history[router], e)
	}
}

// gameDayPeople tells who was told, and what they did: the first level slept.
func (s *story) gameDayPeople() {
	policy := responders.Actor{ID: "policy", Kind: responders.Integration}
	bob := responders.Actor{ID: "bob", Kind: responders.Human}
	tell := func(at float64, e responders.Event) { s.page(secs(at), "#1", pageLabels("PaymentsDown"), e) }
	tell(201, responders.Event{Kind: responders.Opened, Actor: responders.Actor{ID: "alertmanager", Kind: responders.Integration}})
	tell(202, responders.Event{Kind: responders.Notified, Actor: policy, Level: 1, Targets: []string{"ann"}})
	tell(322, responders.Event{Kind: responders.Escalated, Actor: responders.Actor{ID: "policy", Kind: responders.Timeout}, Level: 2})
	tell(323, responders.Event{Kind: responders.Notified, Actor: policy, Level: 2, Targets: []string{"bob"}})
	tell(341, responders.Event{Kind: responders.Acknowledged, Actor: bob, Level: 2})
	tell(352, responders.Event{Kind: responders.Noted, Actor: bob, Text: "payments cannot reach the ledger"})
	tell(346, responders.Event{Kind: responders.Joined, Actor: bob, Text: "incident lead"})
	tell(365, responders.Event{Kind: responders.BridgeOpened, Actor: bob, Channel: "phone"})
}
