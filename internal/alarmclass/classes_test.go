package alarmclass

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/internal/promrig"
	"gameday/report"
)

// inhibits holds Inhibited back while Hit fires.
const inhibits = "inhibit_rules:\n- source_matchers: [alertname=Hit]\n  target_matchers: [alertname=Inhibited]\n"

// Limits. What must happen has time enough on a slow machine; what must be late has none.
const (
	enough = 20 * time.Second
	short  = 4 * time.Second
)

// expected are the alarms of the game day, each to become another class.
func expected() []report.AlarmPlan {
	zero := 0
	of := func(name string, change func(*report.AlarmPlan)) report.AlarmPlan {
		a := report.AlarmPlan{Name: name, Source: "prometheus.main", Match: map[string]string{"alertname": name}, Cause: "cut", FiresWithin: enough}
		if change != nil {
			change(&a)
		}
		return a
	}
	paged := func(a *report.AlarmPlan) { a.PagesVia, a.PagesWithin = "alertmanager.main", enough }
	return []report.AlarmPlan{
		of("Hit", func(a *report.AlarmPlan) { paged(a); a.ClearsWithin, a.MaxFlaps = enough, &zero }),
		of("Late", func(a *report.AlarmPlan) { a.FiresWithin = short }),
		of("Missed", func(a *report.AlarmPlan) { a.FiresWithin = short }),
		of("Blind", nil), // its threshold is too high, and that of Sighted, for the same measure, is not
		of("Sighted", nil),
		of("Already", nil),
		of("Primed", nil),
		of("Silenced", paged),
		of("Inhibited", paged),
		of("Flappy", func(a *report.AlarmPlan) { a.MaxFlaps = &zero }),
		of("Stuck", func(a *report.AlarmPlan) { a.ClearsWithin = short }),
		of("Frozen", func(a *report.AlarmPlan) { a.Source, a.FiresWithin = "prometheus.frozen", short }),
		of("Lasting", func(a *report.AlarmPlan) {
			a.Source, a.PagesVia, a.PagesWithin, a.MaxFlaps = "prometheus.restarted", "alertmanager.restarted", enough, &zero
		}),
	}
}

// of lists what is expected of the sources of one name.
func of(name string) (out []alarms.Expectation) {
	for _, a := range expected() {
		if strings.HasSuffix(a.Source, "."+name) {
			out = append(out, alarms.Expectation{Name: a.Name, Match: a.Match})
		}
	}
	return out
}

// above is a rule that fires when the measure is above a threshold for two seconds.
func above(name, threshold string) string {
	return strings.Replace(promrig.Rule(name, "2s", page), fmt.Sprintf("condition{name=%q} > 0", name), `condition{name="measure"} > `+threshold, 1)
}

// TestClasses has real servers produce every class of alarm in one game day, with both of one pair restarted and one server
// frozen in the middle of it.
func TestClasses(t *testing.T) {
	if testing.Short() { // real programs, for half a minute
		t.Skip("not in a short run")
	}
	promrig.Each(t, classes)
}

func classes(t *testing.T, program promrig.Program) {
	s := newStage(t)
	target := promrig.NewTarget(t)
	dependent := map[string]string{"severity": "page", "service": "dependent"}
	rules := promrig.Rule("Hit", "1s", page) + promrig.Rule("Late", "8s", page) + promrig.Rule("Missed", "0s", page) + promrig.Rule("Already", "0s", page) +
		promrig.Rule("Primed", "6s", page) + promrig.Rule("Silenced", "0s", page) + promrig.Rule("Inhibited", "4s", page) + promrig.Rule("Flappy", "0s", page) +
		promrig.Rule("Stuck", "0s", page) + above("Blind", "10") + above("Sighted", "3") + promrig.Rule("Noise", "0s", page) + promrig.Rule("Collateral", "0s", dependent) + promrig.Rule("Background", "0s", page)
	for _, name := range []string{"Hit", "Late", "Missed", "Already", "Primed", "Silenced", "Inhibited", "Flappy", "Stuck", "Noise", "Collateral", "Background", "Frozen", "Lasting", "measure"} {
		target.Set(name, 0)
	}
	main := s.pair("main", program, target, rules, true, inhibits)
	frozen := s.pair("frozen", program, target, promrig.Rule("Frozen", "0s", page), false)
	restarted := s.pair("restarted", program, target, promrig.Rule("Lasting", "1s", page), true)
	all := []*pair{main, frozen, restarted}
	for _, p := range all {
		promrig.Eventually(t, patience, p.name+" scrapes and evaluates", func() bool {
			v, ok, err := p.rules.Query(t.Context(), `count(condition)`)
			if err != nil || !ok || v == 0 {
				return false
			}
			found, err := p.rules.Preflight(t.Context(), of(p.name))
			return err == nil && len(found) == 0
		})
	}

	// Before the fault: one alarm that fires, one that comes and goes, a silence.
	s.add(report.RunStarted, report.Started{Run: "classes", At: s.began, Host: "here"})
	s.add(report.PhaseStarted, report.PhaseChange{Phase: report.Baseline})
	s.silence(main.router.URL, "Silenced")
	for _, p := range all {
		s.open(p, of(p.name))
	}
	target.Set("Already", 1)
	target.Set("Background", 1)
	s.until("prometheus.main", "Already", alarms.StateFiring, 1)
	s.until("prometheus.main", "Background", alarms.StateFiring, 1)
	target.Set("Background", 0)
	s.until("prometheus.main", "Background", alarms.StateInactive, 1)
	target.Set("Primed", 1)
	s.until("prometheus.main", "Primed", alarms.StatePending, 1)

	// The fault.
	s.add(report.PhaseEnded, report.PhaseChange{Phase: report.Baseline})
	s.add(report.PhaseStarted, report.PhaseChange{Phase: report.Load})
	calm := clock.Span{Start: s.began, End: time.Now()}
	in := injection()
	s.add(report.Injecting, in)
	frozen.prom.Freeze()
	sent := time.Now()
	for _, name := range []string{"Hit", "Late", "Silenced", "Inhibited", "Flappy", "Stuck", "Noise", "Collateral", "Lasting"} {
		target.Set(name, 1)
	}
	target.Set("measure", 6)
	in.Onset = clock.Between(sent, time.Now())
	s.add(report.Injected, in)
	s.until("prometheus.main", "Flappy", alarms.StateFiring, 1)
	target.Set("Flappy", 0)
	s.until("prometheus.main", "Flappy", alarms.StateInactive, 1)
	target.Set("Flappy", 1)
	s.until("alertmanager.restarted", "Lasting", alarms.StatePaged, 1)
	restarted.router.Stop()
	restarted.prom.Stop()
	stopped := time.Now()
	s.until("prometheus.restarted", "", alarms.StateUnreachable, 1)
	s.until("alertmanager.restarted", "", alarms.StateUnreachable, 1)
	s.past(stopped.Add(4 * time.Second)) // a shorter pause is no gap between samples
	restarted.router.Start()
	restarted.prom.Start()
	s.until("prometheus.main", "Flappy", alarms.StateFiring, 2)
	s.until("prometheus.main", "Late", alarms.StateFiring, 1)
	s.until("prometheus.main", "Sighted", alarms.StateFiring, 1)
	s.until("prometheus.main", "Primed", alarms.StateFiring, 1)
	s.until("alertmanager.main", "Hit", alarms.StatePaged, 1)
	s.until("alertmanager.main", "Silenced", alarms.StateSuppressed, 1)
	s.until("alertmanager.main", "Inhibited", alarms.StateSuppressed, 1)
	s.until("alertmanager.main", "Noise", alarms.StatePaged, 1)
	s.until("prometheus.restarted", "Lasting", alarms.StateFiring, 2)
	s.past(in.Onset.Hi.Add(short + time.Second))
	s.until("prometheus.frozen", "", alarms.StateUnreachable, 1)
	frozen.prom.Thaw()
	s.until("prometheus.frozen", "", alarms.StateReachable, 1)

	// The fault is lifted, and one condition does not know it.
	s.add(report.Reverting, in)
	lifted := time.Now()
	target.Set("Inhibited", 0) // first, for it pages as soon as Hit is over
	s.until("alertmanager.main", "Inhibited", alarms.StateInactive, 1)
	for _, name := range []string{"Hit", "Late", "Silenced", "Flappy", "Noise", "Collateral"} {
		target.Set(name, 0)
	}
	target.Set("measure", 0)
	in.Gone = clock.Between(lifted, time.Now())
	s.add(report.Reverted, in)
	s.add(report.PhaseEnded, report.PhaseChange{Phase: report.Load})
	s.until("prometheus.main", "Hit", alarms.StateInactive, 1)
	s.past(in.Gone.Hi.Add(short + 2*time.Second))
	s.past(in.Onset.Hi.Add(enough + 2*time.Second)) // until then a silence must hold to count
	run := clock.Span{Start: s.began, End: time.Now()}
	for _, p := range all {
		for _, stop := range p.stop {
			stop()
		}
		s.account(p, run)
	}
	advice, err := main.rules.Advise(t.Context(), alarms.Inquiry{Run: run, Calm: calm, Alarms: of("main")})
	if err != nil {
		t.Fatal(err)
	}
	s.add(report.RulesStudied, report.RuleRecord{Source: "prometheus.main", Span: run, Calm: calm, Advice: advice})
	s.add(report.RunEnded, report.Ended{Reason: report.EndComplete})

	plan := &report.Plan{Scenario: "classes", File: "classes.hcl", Alarms: expected(), Score: report.ScorePlan{Pass: 80, Weights: report.DefaultWeights()},
		Noise:  &report.NoisePlan{Watch: page, Collateral: []map[string]string{{"service": "dependent"}}},
		Faults: []report.FaultPlan{{Name: "cut", Kind: "network_partition", Targets: []string{"payments"}, Reversible: true}}}
	c := s.judge(plan)
	t.Logf("%s: a game day of %s", program, time.Since(s.began).Round(time.Second))
	compare(t, s, c)
	advised(t, c)
}
