package report

import (
	"fmt"
	"testing"

	"gameday/clock"
	"gameday/responders"
)

func TestPerPerson(t *testing.T) {
	told := func(at float64, page, who, delivered string) responders.Event {
		e := responders.Event{Source: "desk.ops", ID: fmt.Sprint(page, who, at), Page: page, Kind: responders.Notified, At: clock.At(began.Add(sec(at))), Delivered: delivered}
		if who != "" {
			e.Targets = []string{who}
		}
		return e
	}
	whole := []clock.Span{during(0, 100)}
	for _, c := range []struct {
		name    string
		most    int
		events  []responders.Event
		covered []clock.Span
		outcome clock.Outcome
		value   float64
		why     string
	}{
		{"nobody", 0, nil, whole, clock.Met, 1, ""},
		{"one each", 1, []responders.Event{told(25, "1", "ann", "yes"), told(30, "2", "bob", "yes")}, whole, clock.Met, 1, ""},
		{"one page, told twice", 1, []responders.Event{told(25, "1", "ann", "yes"), told(28, "1", "ann", "yes")}, whole, clock.Met, 1, ""},
		{"too many", 1, []responders.Event{told(25, "1", "ann", "yes"), told(28, "2", "ann", "yes")}, whole, clock.Missed, 0.5, "responder A got 2 pages"},
		{"not delivered", 1, []responders.Event{told(25, "1", "ann", "yes"), told(28, "2", "ann", "no")}, whole, clock.Met, 1, ""},
		{"perhaps delivered", 1, []responders.Event{told(25, "1", "ann", "yes"), told(28, "2", "ann", "unknown")}, whole, clock.Unknown, 0, "not known"},
		{"nobody knows whom", 1, []responders.Event{told(25, "1", "ann", "yes"), told(28, "2", "", "yes")}, whole, clock.Unknown, 0, "same person"},
		{"a gap", 3, []responders.Event{told(25, "1", "ann", "yes")}, []clock.Span{during(0, 40), during(60, 100)}, clock.Unknown, 0, "watched for only"},
		{"too many, in spite of a gap", 0, []responders.Event{told(25, "1", "ann", "yes")}, []clock.Span{during(0, 40)}, clock.Missed, 0, "got 1 page"},
		{"after the run", 0, []responders.Event{told(250, "1", "ann", "yes")}, whole, clock.Met, 1, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := smallRun(t, smallPlan(func(p *Plan) {
				p.Noise = &NoisePlan{Watch: map[string]string{"severity": "page"}, PerPerson: &c.most}
			}), nil)
			b.alarms("prometheus.main", 100, smallWhole)
			b.responses(100, c.covered, c.events...)
			it := item(t, Score(b.record()), "noise.per_person")
			check(t, it, c.outcome, c.value, c.why)
			if c.outcome == clock.Missed && it.Hint == "" {
				t.Error("no hint")
			}
		})
	}
	b := smallRun(t, smallPlan(func(p *Plan) {
		p.Noise = &NoisePlan{Watch: map[string]string{"severity": "page"}, PerPerson: new(int)}
	}), nil)
	check(t, item(t, Score(b.record()), "noise.per_person"), clock.Unknown, 0, "nothing from any source")
}

// TestNoiseThatPagesNobody counts what is watched and does not page a fifth.
func TestNoiseThatPagesNobody(t *testing.T) {
	for _, c := range []struct {
		pages, others, most int
		outcome             clock.Outcome
		value               float64
		measured            string
	}{
		{0, 5, 1, clock.Met, 1, "1 page, Ticket"},
		{0, 6, 1, clock.Missed, 1 - 0.2/2, "Ticket"},
		{1, 1, 1, clock.Missed, 1 - 0.2/2, "Loud, Ticket"},
		{1, 0, 1, clock.Met, 1, "1 page, Loud"},
		{0, 2, 1, clock.Met, 1, "0.4 pages, Ticket"},
	} {
		b := smallRun(t, smallPlan(func(p *Plan) {
			p.Alarms = []AlarmPlan{downAlarm}
			p.Noise = &NoisePlan{Watch: map[string]string{"team": "shop"}, Pages: map[string]string{"severity": "page"}, AtMost: c.most}
		}), nil)
		var list []alarm
		add := func(n int, name, severity string) {
			for i := range n {
				list = append(list, alarm{name: name, firing: 30 + 5*float64(i), ends: 33 + 5*float64(i), labels: map[string]string{"team": "shop", "severity": severity}})
			}
		}
		add(c.pages, "Loud", "page")
		add(c.others, "Ticket", "ticket")
		b.alarms("prometheus.main", 100, smallWhole, list...)
		it := item(t, Score(b.record()), "noise")
		check(t, it, c.outcome, c.value, "")
		if it.Measured != c.measured {
			t.Errorf("measured %q, want %q", it.Measured, c.measured)
		}
	}
}

// TestPagesOfThoseWhoPage leaves out a source that only tells of what is done beside pages, unless it told of one.
func TestPagesOfThoseWhoPage(t *testing.T) {
	notified := did(50, responders.Notified, responders.Human, "ann", 1)
	notified.Source = "slack.main"
	for name, c := range map[string]struct {
		events []responders.Event
		want   clock.Outcome
	}{"it tells of none": {nil, clock.Met}, "it told of one": {[]responders.Event{notified}, clock.Unknown}} {
		most := 3
		plan := smallPlan(func(p *Plan) {
			p.Alarms = []AlarmPlan{downAlarm}
			p.Noise = &NoisePlan{Watch: map[string]string{"severity": "page"}, PerPerson: &most}
			p.Responses = []ResponsePlan{{Name: "r", Source: "desk.ops", Also: []string{"slack.main"}, To: "Down", Acknowledge: &AckPlan{DeadlinePlan: within(30)}}}
		})
		b := smallRun(t, plan, nil).alarms("prometheus.main", 100, smallWhole).responses(100, smallWhole)
		b.add(100, ResponseRecord, ResponseAccount{Source: "slack.main", Span: during(0, 100), Events: c.events}) // and was never watched
		if it := item(t, Score(b.record()), "noise.per_person"); it.Outcome != c.want {
			t.Errorf("%s: %v, %s", name, it.Outcome, it.Why)
		}
	}
}
