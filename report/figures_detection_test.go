package report

import (
	"strings"
	"testing"

	"gameday/clock"
)

func TestOf(t *testing.T) {
	for _, c := range []struct {
		of   Of
		want string
	}{
		{Of{3, 0, 4}, "3 of 4"}, {Of{2, 1, 4}, "2 to 3 of 4"}, {Of{4, 0, 5}, "4 of 5 (80 %)"}, {Of{3, 1, 5}, "3 to 4 of 5 (60 to 80 %)"}, {Of{}, "0 of 0"},
	} {
		if got := c.of.String(); got != c.want {
			t.Errorf("%+v is %q, want %q", c.of, got, c.want)
		}
	}
}

// detectedOf is what is counted of a run with the alarms Down and Second expected, and others as noise.
func detectedOf(t *testing.T, covered []clock.Span, list ...alarm) *Detected {
	b := smallRun(t, smallPlan(func(p *Plan) {
		second := downAlarm
		second.Name, second.Match = "Second", map[string]string{"alertname": "Second"}
		p.Alarms = []AlarmPlan{downAlarm, second}
		p.Noise = &NoisePlan{Watch: map[string]string{"severity": "page"}}
	}), nil)
	page := map[string]string{"severity": "page"}
	for i := range list {
		list[i].labels = page
	}
	b.alarms("prometheus.main", 100, covered, list...)
	return Score(b.record()).Detected
}

func TestDetected(t *testing.T) {
	d := detectedOf(t, smallWhole, alarm{name: "Down", pending: 22, firing: 30, ends: 45}, alarm{name: "Loud", firing: 34, ends: 50},
		alarm{name: "Habit", firing: 4, ends: 8}, alarm{name: "Habit", firing: 33.9, ends: 36})
	if d.Recall != (Of{1, 0, 2}) || *d.Precision != (Of{1, 0, 2}) || len(d.LeftOut) != 1 || d.LeftOut[0] != "Habit" {
		t.Errorf("recall %v, precision %v, left out %v", d.Recall, d.Precision, d.LeftOut)
	}
	// What the clocks cannot tell apart is not put in an order.
	if len(d.Incidents) != 1 || len(d.Incidents[0].Order) != 3 || d.Incidents[0].Order[1].Tied || !d.Incidents[0].Order[2].Tied || !d.Incidents[0].Order[0].Expected {
		t.Fatalf("incidents %+v", d.Incidents)
	}
	if w := d.Incidents[0].words(); !strings.HasPrefix(w, "Down 10.0 s") || !strings.Contains(w, "with or after it") {
		t.Errorf("in words %q", w)
	}
	d = detectedOf(t, []clock.Span{during(0, 25)})
	if d.Recall != (Of{0, 2, 2}) || d.Recall.String() != "0 to 2 of 2" || *d.Precision != (Of{}) {
		t.Errorf("unwatched: recall %v, precision %v", d.Recall, d.Precision)
	}
}

func TestFirst(t *testing.T) {
	down := alarm{name: "Down", pending: 22, firing: 30, paged: 34, ends: 45}
	for _, c := range []struct {
		name    string
		covered []clock.Span
		list    []alarm
		outcome clock.Outcome
		why     string
	}{
		{"alone", smallWhole, []alarm{down}, clock.Met, ""},
		{"another came later", smallWhole, []alarm{down, {name: "Loud", firing: 31, paged: 36, ends: 50}}, clock.Met, ""},
		{"another paged before", smallWhole, []alarm{down, {name: "Loud", firing: 29, paged: 31, ends: 50}}, clock.Missed, "Loud paged"},
		{"too close to tell", smallWhole, []alarm{down, {name: "Loud", firing: 29, paged: 34.5, ends: 50}}, clock.Unknown, "cannot be told"},
		{"another was there before the fault", smallWhole, []alarm{down, {name: "Loud", firing: 12, paged: 25, ends: 50}}, clock.Met, ""},
		{"another fired before and paged nobody", smallWhole, []alarm{down, {name: "Loud", firing: 29, ends: 50}}, clock.Met, ""},
		{"a gap before it", []clock.Span{during(0, 22), during(28, 100)}, []alarm{down}, clock.Unknown, "may have gone unseen"},
		{"it never paged", smallWhole, []alarm{{name: "Down", pending: 22, firing: 30, ends: 45}}, clock.Missed, "no page"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := smallRun(t, smallPlan(func(p *Plan) {
				a := downAlarm
				a.First, a.PagesVia, a.PagesWithin = true, a.Source, sec(30)
				p.Alarms = []AlarmPlan{a}
			}), nil)
			b.alarms("prometheus.main", 100, c.covered, c.list...)
			it := item(t, Score(b.record()), "alarm.Down.first")
			if it.Outcome != c.outcome || !strings.Contains(it.Why, c.why) || c.outcome == clock.Missed && it.Hint == "" {
				t.Errorf("%v because %q (%s), want %v because %q", it.Outcome, it.Why, it.Hint, c.outcome, c.why)
			}
		})
	}
}

// TestIncidentOfLaterFault keeps what a later fault was expected to raise out of what an earlier one did, though the earlier one's
// alarms still count.
func TestIncidentOfLaterFault(t *testing.T) {
	plan := smallPlan(func(p *Plan) {
		reboot := p.Faults[0]
		reboot.Name, reboot.At = "reboot", sec(40)
		p.Faults = append(p.Faults, reboot)
		down, second := downAlarm, downAlarm
		down.ClearsWithin = sec(40)
		second.Name, second.Match, second.Cause = "Second", map[string]string{"alertname": "Second"}, "reboot"
		p.Alarms = []AlarmPlan{down, second}
	})
	for _, c := range []struct {
		name            string
		pending, firing float64
		ofCut, ofReboot string
	}{
		{"begins once the later fault stands", 53, 55, "Down 10.0 s", "Second 5.0 s"},
		{"was there before the later fault", 45, 55, "then Second 35.0 s", "no alarm"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := smallRun(t, plan, nil).fault("reboot", "network_partition", "db", 50, 60)
			b.alarms("prometheus.main", 100, smallWhole, alarm{name: "Down", pending: 22, firing: 30, ends: 45},
				alarm{name: "Second", pending: c.pending, firing: c.firing, ends: 70})
			in := Score(b.record()).Detected.Incidents
			if len(in) != 2 || !strings.Contains(in[0].words(), c.ofCut) || !strings.Contains(in[1].words(), c.ofReboot) ||
				strings.Contains(in[0].words(), "Second") != strings.Contains(c.ofCut, "Second") {
				t.Errorf("of the first %q, of the second %q", in[0].words(), in[1].words())
			}
		})
	}
}
