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
	"gameday/sources/looks"
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
	d := open(t, program)
	d.calm()
	in := d.strike()
	d.hold(in)
	d.lift(&in)
	c := d.end(in)
	t.Logf("%s: a game day of %s", program, time.Since(d.began).Round(time.Second))
	compare(t, d.stage, c, d.busy)
	advised(t, c, d.busy)
}

// day is the game day, on three stages of its own.
type day struct {
	*stage
	target                  *promrig.Target
	main, frozen, restarted *pair
	quiet                   clock.Span           // before the fault
	late                    func() time.Duration // how much later than due the main server's alarms may have come since the onset
	busy                    busy
}

// busy is what a busy machine did to the main server since the onset, by what that says itself.
type busy struct {
	waited time.Duration // how much later than due alarms may have fired
	stood  bool          // it stood still for so long that its coverage has a hole: what was absent in that is not known
}

func (d *day) pairs() []*pair { return []*pair{d.main, d.frozen, d.restarted} }

// set sets conditions.
func (d *day) set(value float64, names ...string) {
	for _, name := range names {
		d.target.Set(name, value)
	}
}

// open starts the servers and waits until they scrape and evaluate.
func open(t *testing.T, program promrig.Program) *day {
	d := &day{stage: newStage(t), target: promrig.NewTarget(t)}
	dependent := map[string]string{"severity": "page", "service": "dependent"}
	rules := promrig.Rule("Hit", "1s", page) + promrig.Rule("Late", "8s", page) + promrig.Rule("Missed", "0s", page) + promrig.Rule("Already", "0s", page) +
		promrig.Rule("Primed", "6s", page) + promrig.Rule("Silenced", "0s", page) + promrig.Rule("Inhibited", "4s", page) + promrig.Rule("Flappy", "0s", page) +
		promrig.Rule("Stuck", "0s", page) + above("Blind", "10") + above("Sighted", "3") + promrig.Rule("Noise", "0s", page) +
		promrig.Rule("Collateral", "0s", dependent) + promrig.Rule("Background", "0s", page)
	d.set(0, "Hit", "Late", "Missed", "Already", "Primed", "Silenced", "Inhibited", "Flappy", "Stuck", "Noise", "Collateral", "Background", "Frozen", "Lasting", "measure")
	d.main = d.pair("main", program, d.target, rules, true, inhibits)
	d.frozen = d.pair("frozen", program, d.target, promrig.Rule("Frozen", "0s", page), false)
	d.restarted = d.pair("restarted", program, d.target, promrig.Rule("Lasting", "1s", page), true)
	for _, p := range d.pairs() {
		promrig.Eventually(t, patience, p.name+" scrapes and evaluates", func() bool {
			v, ok, err := p.rules.Query(t.Context(), `count(condition)`)
			if err != nil || !ok || v == 0 {
				return false
			}
			found, err := p.rules.Preflight(t.Context(), of(p.name))
			return err == nil && len(found) == 0
		})
	}
	return d
}

// calm is the time before the fault: one alarm fires, one comes and goes, one is about to fire, and one is silenced.
func (d *day) calm() {
	d.add(report.RunStarted, report.Started{Run: "classes", At: d.began, Host: "here"})
	d.add(report.PhaseStarted, report.PhaseChange{Phase: report.Baseline})
	d.silence(d.main.router.URL, "Silenced")
	for _, p := range d.pairs() {
		d.open(p, of(p.name))
	}
	d.set(1, "Already", "Background")
	d.until("prometheus.main", "Already", alarms.StateFiring, 1)
	d.until("prometheus.main", "Background", alarms.StateFiring, 1)
	d.set(0, "Background")
	d.until("prometheus.main", "Background", alarms.StateInactive, 1)
	d.set(1, "Primed")
	d.until("prometheus.main", "Primed", alarms.StatePending, 1)
	d.add(report.PhaseEnded, report.PhaseChange{Phase: report.Baseline})
	d.add(report.PhaseStarted, report.PhaseChange{Phase: report.Load})
}

// strike is the onset.
func (d *day) strike() report.Injection {
	d.quiet = clock.Span{Start: d.began, End: time.Now()}
	d.late = d.main.prom.Late()
	in := injection()
	d.add(report.Injecting, in)
	d.frozen.prom.Freeze()
	sent := time.Now()
	d.set(1, "Hit", "Late", "Silenced", "Inhibited", "Flappy", "Stuck", "Noise", "Collateral", "Lasting")
	d.set(6, "measure")
	in.Onset = clock.Between(sent, time.Now())
	d.add(report.Injected, in)
	return in
}

// hold is the time of the fault: one alarm flaps, both servers of a pair are restarted, and one is frozen until its limit
// is over.
func (d *day) hold(in report.Injection) {
	d.until("prometheus.main", "Flappy", alarms.StateFiring, 1)
	d.set(0, "Flappy")
	d.until("prometheus.main", "Flappy", alarms.StateInactive, 1)
	d.set(1, "Flappy")
	d.until("alertmanager.restarted", "Lasting", alarms.StatePaged, 1)
	d.restarted.router.Stop()
	d.restarted.prom.Stop()
	stopped := time.Now()
	d.until("prometheus.restarted", "", alarms.StateUnreachable, 1)
	d.until("alertmanager.restarted", "", alarms.StateUnreachable, 1)
	d.past(stopped.Add(4 * time.Second)) // a shorter pause is no gap between samples
	d.restarted.router.Start()
	d.restarted.prom.Start()
	d.until("prometheus.main", "Flappy", alarms.StateFiring, 2)
	for _, name := range []string{"Late", "Sighted", "Primed"} {
		d.until("prometheus.main", name, alarms.StateFiring, 1)
	}
	d.busy.waited = d.late()
	d.until("alertmanager.main", "Hit", alarms.StatePaged, 1)
	d.until("alertmanager.main", "Silenced", alarms.StateSuppressed, 1)
	d.until("alertmanager.main", "Inhibited", alarms.StateSuppressed, 1)
	d.until("alertmanager.main", "Noise", alarms.StatePaged, 1)
	d.until("prometheus.restarted", "Lasting", alarms.StateFiring, 2)
	d.past(in.Onset.Hi.Add(short + time.Second))
	d.until("prometheus.frozen", "", alarms.StateUnreachable, 1)
	d.frozen.prom.Thaw()
	d.until("prometheus.frozen", "", alarms.StateReachable, 1)
}

// lift is the end of the fault, of which one condition does not know.
func (d *day) lift(in *report.Injection) {
	d.add(report.Reverting, *in)
	lifted := time.Now()
	d.set(0, "Inhibited") // first, for it pages as soon as Hit is over
	d.until("alertmanager.main", "Inhibited", alarms.StateInactive, 1)
	d.set(0, "Hit", "Late", "Silenced", "Flappy", "Noise", "Collateral", "measure")
	in.Gone = clock.Between(lifted, time.Now())
	d.add(report.Reverted, *in)
	d.add(report.PhaseEnded, report.PhaseChange{Phase: report.Load})
	d.until("prometheus.main", "Hit", alarms.StateInactive, 1)
}

// end asks the sources for their accounts, and judges.
func (d *day) end(in report.Injection) *report.Scorecard {
	d.past(in.Gone.Hi.Add(short + 2*time.Second))
	d.past(in.Onset.Hi.Add(enough + 2*time.Second)) // until then a silence must hold to count
	run := clock.Span{Start: d.began, End: time.Now()}
	for _, p := range d.pairs() {
		for _, stop := range p.stop {
			stop()
		}
		d.account(p, run)
	}
	holes := looks.Gaps(d.main.seen, clock.Span{Start: in.Onset.Lo, End: run.End})
	d.busy.stood = len(holes) > 0 && promrig.Proven(holes, d.late())
	advice, err := d.main.rules.Advise(d.t.Context(), alarms.Inquiry{Run: run, Calm: d.quiet, Alarms: of("main")})
	if err != nil {
		d.t.Fatal(err)
	}
	d.add(report.RulesStudied, report.RuleRecord{Source: "prometheus.main", Span: run, Calm: d.quiet, Advice: advice})
	d.add(report.RunEnded, report.Ended{Reason: report.EndComplete})
	return d.judge(&report.Plan{Scenario: "classes", File: "classes.hcl", Alarms: expected(), Score: report.ScorePlan{Pass: 80, Weights: report.DefaultWeights()},
		Noise:  &report.NoisePlan{Watch: page, Collateral: []map[string]string{{"service": "dependent"}}},
		Faults: []report.FaultPlan{{Name: "cut", Kind: "network_partition", Targets: []string{"payments"}, Reversible: true}}})
}
