package report

import (
	"strings"
	"testing"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/responders"
)

// scored returns an item of the record as it stands at an end.
func scored(t *testing.T, b *builder, id string) *Item {
	t.Helper()
	for _, it := range Score(b.record()).Items() {
		if it.ID == id {
			return it
		}
	}
	t.Fatalf("there is no item %s", id)
	return nil
}

// TestBlindToPages asks a source for pages that it cannot tell of, all the time or for a part of it: that none was seen is
// unknown where it was blind, and missed where it was not.
func TestBlindToPages(t *testing.T) {
	for name, c := range map[string]struct {
		spans []clock.Span
		want  clock.Outcome
	}{
		"sees":            {nil, clock.Missed},
		"never":           {[]clock.Span{during(0, 300)}, clock.Unknown},
		"not in time":     {[]clock.Span{during(70, 300)}, clock.Unknown},
		"not after it":    {[]clock.Span{during(200, 300)}, clock.Missed},
		"not before it":   {[]clock.Span{during(0, 40)}, clock.Missed},
		"not for a blink": {[]clock.Span{during(70, 70.5)}, clock.Missed},
	} {
		plan := &Plan{Scenario: "s", Phases: []PhasePlan{{Phase: Load, At: 0, Length: 300 * time.Second}},
			Faults: []FaultPlan{{Name: "fault.cut", Kind: "network_partition"}},
			Alarms: []AlarmPlan{{Name: "Down", Source: "x.main", Match: map[string]string{"alertname": "Down"}, Cause: "fault.cut", FiresWithin: 30 * time.Second,
				PagesVia: "x.main", PagesWithin: time.Minute}}}
		b := newBuilder(t, plan).fault("fault.cut", "network_partition", "a", 60, 150)
		r := AlarmRecord{Source: "x.main", Span: during(0, 300), Coverage: alarms.Coverage{Spans: []clock.Span{during(0, 300)}, Resolution: time.Second,
			Blind: []alarms.Blind{{To: alarms.StatePaged, Spans: c.spans, Why: "it does not tell of pages"}}}}
		r.Episodes = append(r.Episodes, alarm{name: "Down", pending: 65, firing: 70, ends: 160}.episode("x.main"))
		b.add(300, AlarmHistory, r).end(300, EndComplete)
		it := scored(t, b, "alarm.Down.paged")
		if it.Outcome != c.want || c.want == clock.Unknown && !strings.Contains(it.Why, "it does not tell of pages") {
			t.Errorf("%s: %s, want %s: %s", name, it.Outcome, c.want, it.Why)
		}
		if fired := scored(t, b, "alarm.Down.fired"); fired.Outcome != clock.Met {
			t.Errorf("%s: fired is %s: %s", name, fired.Outcome, fired.Why)
		}
	}
}

// TestBlindToEscalations asks a source for escalations, and for whom a page reached, that it cannot tell of.
func TestBlindToEscalations(t *testing.T) {
	opened := did(70, responders.Opened, responders.Integration, "", 0)
	ack := did(100, responders.Acknowledged, responders.Human, "ann", 0)
	for name, c := range map[string]struct {
		blind         []responders.Kind
		events        []responders.Event
		ack, escalate clock.Outcome
	}{
		"sees all, nobody answers": {nil, []responders.Event{opened, did(71, responders.Notified, responders.Human, "ann", 1)}, clock.Missed, clock.Missed},
		"sees no escalation":       {[]responders.Kind{responders.Escalated}, []responders.Event{opened, did(71, responders.Notified, responders.Human, "ann", 1)}, clock.Missed, clock.Unknown},
		"sees no escalation, answered": {[]responders.Kind{responders.Escalated}, []responders.Event{opened, did(71, responders.Notified, responders.Human, "ann", 1), ack},
			clock.Met, clock.Unknown},
		"one is seen all the same": {[]responders.Kind{responders.Escalated}, []responders.Event{opened, did(71, responders.Notified, responders.Human, "ann", 1),
			did(170, responders.Escalated, responders.Timeout, "", 2)}, clock.Missed, clock.Unknown}, // an earlier one may have gone unseen
		"sees nobody notified":           {[]responders.Kind{responders.Notified}, []responders.Event{opened}, clock.Unknown, clock.Unknown},
		"sees nobody notified, answered": {[]responders.Kind{responders.Notified}, []responders.Event{opened, ack}, clock.Met, clock.Met}, // acknowledged before it was due
		"sees nobody notified, no page":  {[]responders.Kind{responders.Notified}, nil, clock.Missed, clock.Missed},
	} {
		plan := &Plan{Scenario: "s", Phases: []PhasePlan{{Phase: Load, At: 0, Length: 300 * time.Second}},
			Faults: []FaultPlan{{Name: "fault.cut", Kind: "network_partition"}},
			Alarms: []AlarmPlan{{Name: "PaymentsDown", Source: "x.main", Match: map[string]string{"alertname": "PaymentsDown"}, Cause: "fault.cut", FiresWithin: 30 * time.Second}},
			Responses: []ResponsePlan{{Name: "on-call", Source: "desk.ops", To: "PaymentsDown", Acknowledge: &AckPlan{DeadlinePlan: DeadlinePlan{Within: time.Minute}},
				Escalate: &EscalatePlan{DeadlinePlan: DeadlinePlan{Within: 2 * time.Minute}, ToLevel: 2, OnlyAfter: 90 * time.Second}}}}
		b := newBuilder(t, plan).fault("fault.cut", "network_partition", "a", 60, 150)
		b.alarms("x.main", 300, []clock.Span{during(0, 300)}, alarm{name: "PaymentsDown", pending: 65, firing: 70, ends: 160})
		r := ResponseAccount{Source: "desk.ops", Span: during(0, 300), Events: c.events, Coverage: responders.Coverage{Spans: []clock.Span{during(0, 300)}}}
		for _, k := range c.blind {
			r.Coverage.Blind = append(r.Coverage.Blind, responders.Blind{To: k, Spans: []clock.Span{during(0, 300)}, Why: "it does not tell"})
		}
		b.add(300, ResponseRecord, r).end(300, EndComplete)
		for id, want := range map[string]clock.Outcome{"response.on-call.acknowledge": c.ack, "response.on-call.escalate": c.escalate} {
			if it := scored(t, b, id); it.Outcome != want {
				t.Errorf("%s: %s is %s, want %s: %s", name, id, it.Outcome, want, it.Why)
			}
		}
	}
}
