package report

import (
	"slices"
	"testing"
	"time"

	"gameday/clock"
)

func TestLetter(t *testing.T) {
	limit := 10 * time.Second
	one := func(title string, required bool, outcome clock.Outcome) *Item {
		return &Item{ID: title, Title: title, Required: required, Outcome: outcome, Within: limit}
	}
	late := func(title string, required bool) *Item {
		it := one(title, required, clock.Missed)
		it.Latency = &clock.Latency{Lo: 2 * limit, Hi: 3 * limit}
		return it
	}
	met, missed, unknown := clock.Met, clock.Missed, clock.Unknown
	for _, c := range []struct {
		name    string
		items   []*Item
		noise   *Item
		stopped string
		want    string
	}{
		{"all met", []*Item{one("a", true, met), one("b", false, met)}, one("noise", false, met), "", "P"},
		{"noise", []*Item{one("a", true, met)}, one("noise", false, missed), "", "S"},
		{"noise unknown", []*Item{one("a", true, met)}, one("noise", false, unknown), "", "P/S"},
		{"optional late", []*Item{one("a", true, met), late("b", false)}, nil, "", "S"},
		{"optional unknown", []*Item{one("a", true, met), one("b", false, unknown)}, nil, "", "P/S"},
		{"optional unknown and missed", []*Item{one("a", true, met), one("b", false, unknown), one("c", false, missed)}, nil, "", "S"},
		{"required late", []*Item{late("a", true), one("b", false, met)}, nil, "", "M"},
		{"stopped", []*Item{one("a", true, met)}, nil, "too many errors", "M"},
		{"required missed", []*Item{one("a", true, missed), one("b", true, unknown)}, nil, "", "U"},
		{"required unknown, another late", []*Item{one("a", true, unknown), late("b", true)}, nil, "", "N/O"},
		{"nothing required: all must be", []*Item{one("a", false, met), one("b", false, missed)}, nil, "", "U"},
		{"nothing required, unknown", []*Item{one("a", false, met), one("b", false, unknown)}, nil, "", "N/O"},
	} {
		var noise []*Item
		if c.noise != nil {
			noise = []*Item{c.noise}
		}
		if got, why := letter(c.items, noise, c.stopped); got != c.want || why == "" {
			t.Errorf("%s: %s because %q, want %s", c.name, got, why, c.want)
		}
	}
}

// TestObjectives rates the faults of a day apart from each other, and changes nothing by it.
func TestObjectives(t *testing.T) {
	c := Score(failedRun(t).record())
	var names []string
	for _, o := range c.Objectives {
		names = append(names, o.Name)
		if o.Letter == "" || o.Why == "" || len(o.Items) == 0 {
			t.Errorf("%+v", o)
		}
	}
	if want := []string{"crash", "cut", "reboot", "service", "capacity"}; !slices.Equal(names, want) {
		t.Errorf("objectives %q, want %q", names, want)
	}
}

// TestNoiseOfDetection does not say of detection that nothing paged which nobody expected, when something did.
func TestNoiseOfDetection(t *testing.T) {
	b := smallRun(t, smallPlan(func(p *Plan) {
		still := AlarmPlan{Name: "Still", Source: "prometheus.main", Match: map[string]string{"alertname": "Still"}, Quiet: true}
		p.Alarms = []AlarmPlan{downAlarm, still}
		p.Noise = &NoisePlan{Watch: map[string]string{"severity": "page"}}
	}), nil)
	b.alarms("prometheus.main", 100, smallWhole, alarm{name: "Down", pending: 22, firing: 30, ends: 45},
		alarm{name: "Loud", firing: 34, ends: 50, labels: map[string]string{"severity": "page"}})
	for _, o := range Score(b.record()).Objectives {
		if o.Name == "detection" {
			if o.Letter != "S" || !slices.Contains(o.Items, "noise") {
				t.Errorf("%+v", o)
			}
			return
		}
	}
	t.Error("nothing is suggested for detection")
}
