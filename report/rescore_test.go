package report

import (
	"strings"
	"testing"
	"time"

	"gameday/clock"
	"gameday/responders"
)

// TestUnder scores one record under other promises, which leaves the record as it was.
func TestUnder(t *testing.T) {
	promise := func(within time.Duration) *Plan {
		return smallPlan(func(p *Plan) {
			a := downAlarm
			a.FiresWithin = within
			p.Alarms = []AlarmPlan{a}
		})
	}
	rec := smallRun(t, promise(sec(3)), nil).alarms("prometheus.main", 100, smallWhole,
		alarm{name: "Down", pending: 24, firing: 26, ends: 50}).record()
	check(t, item(t, Score(rec), "alarm.Down.fired"), clock.Missed, 0, "the limit is 3s")
	other, err := rec.Under(promise(sec(20)))
	if err != nil {
		t.Fatal(err)
	}
	check(t, item(t, Score(other), "alarm.Down.fired"), clock.Met, 1, "")
	check(t, item(t, Score(rec), "alarm.Down.fired"), clock.Missed, 0, "the limit is 3s")

	for name, change := range map[string]func(*Plan){
		"another name": func(p *Plan) { p.Faults[0].Name = "other" },
		"another kind": func(p *Plan) { p.Faults[0].Kind = "dns_outage" },
		"one more":     func(p *Plan) { p.Faults = append(p.Faults, FaultPlan{Name: "second"}) },
		"none":         func(p *Plan) { p.Faults = nil },
	} {
		p := promise(sec(20))
		change(p)
		if _, err := rec.Under(p); err == nil || !strings.Contains(err.Error(), "other faults") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestUnderWhatWasNotAsked leaves unknown what the run did not ask its sources about: their silence says nothing.
func TestUnderWhatWasNotAsked(t *testing.T) {
	of := func(name string, change func(*AlarmPlan)) *Plan {
		return smallPlan(func(p *Plan) {
			a := downAlarm
			a.Name, a.Match = name, map[string]string{"alertname": name}
			if change != nil {
				change(&a)
			}
			p.Alarms = []AlarmPlan{a}
		})
	}
	rec := smallRun(t, of("Down", nil), nil).alarms("prometheus.main", 100, smallWhole).record()
	under := func(p *Plan) *Scorecard {
		other, err := rec.Under(p)
		if err != nil {
			t.Fatal(err)
		}
		return Score(other)
	}
	check(t, item(t, under(of("Down", nil)), "alarm.Down.fired"), clock.Missed, 0, "")
	check(t, item(t, under(of("Down", func(a *AlarmPlan) { a.Match["severity"] = "page" })), "alarm.Down.fired"), clock.Missed, 0, "")
	check(t, item(t, under(of("Other", nil)), "alarm.Other.fired"), clock.Unknown, 0, "did not ask prometheus.main about it")
	check(t, item(t, under(of("Other", func(a *AlarmPlan) { a.Quiet, a.Cause, a.FiresWithin = true, "", 0 })), "alarm.Other.quiet"),
		clock.Unknown, 0, "did not ask")
	noisy := of("Down", nil)
	noisy.Noise = &NoisePlan{Watch: map[string]string{"severity": "page"}}
	check(t, item(t, under(noisy), "noise"), clock.Unknown, 0, "did not ask for all alarms")
}

// TestUnderTells judges by what sources were set to tell of in the run, and not by what a newer scenario sets them to.
func TestUnderTells(t *testing.T) {
	then := smallPlan(func(p *Plan) {
		a := downAlarm
		a.Match = map[string]string{"alertname": "PaymentsDown"}
		p.Alarms = []AlarmPlan{a}
		p.Responses = []ResponsePlan{{Name: "on-call", Source: "desk.ops", To: "Down", Steps: []StepPlan{{StepBridge, within(30)}}}}
	})
	now := *then
	now.Tells = map[string][]responders.Kind{"desk.ops": {responders.BridgeOpened}}
	b := smallRun(t, then, nil).alarms("prometheus.main", 100, smallWhole, alarm{name: "PaymentsDown", pending: 22, firing: 28})
	b.responses(100, smallWhole, did(30, responders.Notified, responders.Human, "ann", 1))
	rec, err := b.record().Under(&now)
	if err != nil {
		t.Fatal(err)
	}
	check(t, item(t, Score(rec), "response.on-call.bridge"), clock.Unknown, 0, "no source of this scenario tells")
}
