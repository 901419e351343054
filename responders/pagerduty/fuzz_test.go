package pagerduty

import (
	"encoding/json"
	"testing"
	"time"

	"gameday/clock"
	"gameday/responders"
	"gameday/responders/internal/page"
)

// FuzzLog reads any log: whatever is in it becomes events that say what, when, by whom and how sure, and nobody is a person
// who is not a user that acted by themselves.
func FuzzLog(f *testing.F) {
	f.Add([]byte(`[{"id":"1","type":"trigger_log_entry","created_at":"2026-11-20T14:00:00Z","agent":{"id":"S","type":"service_reference"},"channel":{"type":"api","details":{"firing":"Labels:\n - alertname = X\n"}}},
		{"id":"2","type":"acknowledge_log_entry","created_at":"2026-11-20T14:00:09Z","agent":{"id":"U","type":"user_reference"},"channel":{"type":"mobile"}},
		{"id":"3","type":"escalate_log_entry","created_at":"2026-11-20T14:05:00Z","assignees":[{"id":"V","type":"user_reference"}]}]`))
	f.Add([]byte(`[{"id":"1","type":"notify_log_entry","created_at":"2026-11-20T14:00:00Z","user":{"id":"U"},"channel":{"notification":7,"type":["x"]}}]`))
	s, err := New("pagerduty.ops", Config{Token: token, Services: []string{svc}, Pages: "dry", Automation: []string{machine}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var log []entry
		if json.Unmarshal(text, &log) != nil {
			return
		}
		w := &walk{source: s, incident: incident{ID: "PI1"}, users: page.Names{}, placed: map[string]int{}, duty: map[string][]int{"U": {1}, "V": {1, 2}},
			ours: func(at time.Time) clock.Interval { return clock.Offset{}.Ours(at, time.Second) }}
		users := map[string]bool{}
		for _, e := range log {
			users[e.Agent.ID] = users[e.Agent.ID] || isUser(e.Agent) && e.Agent.ID != machine
			labelsOf(known{Trigger: e.Channel, Alert: e.Channel}, "t", map[string]string{"a": "trigger.details.a"})
		}
		w.all(log)
		if len(w.out.events) != len(log) {
			t.Errorf("%d events of %d entries", len(w.out.events), len(log))
		}
		for i, e := range w.out.events {
			if e.ID != log[i].ID || e.Page != "PI1" || e.Kind == "" || e.Actor.Kind == "" || e.Grade == "" || e.Level < 0 {
				t.Errorf("%+v", e)
			}
			if e.Actor.Kind == responders.Human && !users[e.Actor.ID] {
				t.Errorf("%+v is a person", e.Actor)
			}
			if e.Kind == responders.Escalated && e.Level == 0 && len(w.out.gaps) == 0 {
				t.Errorf("%+v is at no level, and leaves no gap", e)
			}
		}
	})
}

// FuzzWebhook takes any posting: it is read, or refused with a reason.
func FuzzWebhook(f *testing.F) {
	f.Add([]byte(hooked("E1", "incident.acknowledged", "PI1", time.Date(2026, 11, 20, 14, 0, 0, 0, time.UTC), user(ann))))
	f.Add([]byte(`{"event":{"id":"E2","event_type":"incident.responder.replied","occurred_at":"2026-11-20T14:00:00Z","data":{"type":"incident_responder","state":"joined","incident":{"id":"PI1"},"user":{"id":"U","type":"user_reference"}}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := New("pagerduty.ops", Config{Token: token, Services: []string{svc}, Pages: "dry"})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.take(body, nil, time.Now()); err != nil && err.Error() == "" {
			t.Error("it was refused without a reason")
		}
		events, gaps := s.unmatched(clock.Offset{}, nil)
		if len(events) != len(gaps) {
			t.Errorf("%d events and %d gaps", len(events), len(gaps))
		}
		for _, e := range events {
			if e.Page == "" || e.Kind == "" || e.Actor.Kind == responders.Human || e.Grade != "B" {
				t.Errorf("%+v", e)
			}
		}
	})
}
