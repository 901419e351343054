package report

import (
	"strings"
	"testing"
	"time"

	"gameday/clock"
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
