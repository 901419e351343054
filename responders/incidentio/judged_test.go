package incidentio

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/faults"
	"gameday/report"
	"gameday/responders"
)

// judge scores a game day that began ten minutes ago and took eight, whose fault took effect after a minute, by what a
// source tells of it.
func judge(t *testing.T, s *Source, began time.Time) map[string]*report.Item {
	t.Helper()
	alarm := map[string]string{"alertname": "PaymentsDown"}
	limit := func(sec int) report.DeadlinePlan {
		return report.DeadlinePlan{Within: time.Duration(sec) * time.Second, Weight: 1}
	}
	at := func(sec int) time.Time { return began.Add(time.Duration(sec) * time.Second) }
	span := clock.Span{Start: began, End: at(480)}
	rec := &report.Record{Plan: &report.Plan{Scenario: "small", File: "small.hcl",
		Phases:  []report.PhasePlan{{Phase: report.Load, Length: 480 * time.Second}},
		Traffic: []report.TrafficPlan{{Name: "users", Engine: "k6", Rate: 10, Multiple: 1}},
		Faults:  []report.FaultPlan{{Name: "cut", Kind: "network_partition", Targets: []string{"db"}, Duration: 200 * time.Second, Reversible: true}},
		Alarms:  []report.AlarmPlan{{Name: "Down", Source: "prometheus.main", Match: alarm, Cause: "cut", FiresWithin: time.Minute, Weight: 1}},
		Responses: []report.ResponsePlan{{Name: "on-call", Source: "incident_io.main", To: "Down",
			Acknowledge: &report.AckPlan{DeadlinePlan: limit(60), Level: 1}, Escalate: &report.EscalatePlan{DeadlinePlan: limit(120), ToLevel: 2},
			Engage: &report.EngagePlan{DeadlinePlan: limit(200), Roles: []string{"Incident Lead"}},
			Steps: []report.StepPlan{{Step: report.StepChannel, DeadlinePlan: limit(120)}, {Step: report.StepBridge, DeadlinePlan: limit(120)},
				{Step: report.StepCustomers, DeadlinePlan: limit(120)}}}},
		Tells: map[string][]responders.Kind{"incident_io.main": Kind().Tells}, Score: report.ScorePlan{Pass: 80}}}
	add := func(sec int, kind report.EventKind, data any) {
		raw, err := json.Marshal(data)
		if err != nil {
			t.Fatal(err)
		}
		rec.Events = append(rec.Events, report.Event{Seq: uint64(len(rec.Events) + 1), At: at(sec), T: time.Duration(sec) * time.Second, Kind: kind, Data: raw})
	}
	in := report.Injection{ID: "run/cut", Fault: "cut", Kind: "network_partition", Place: "db", Onset: clock.At(at(60)), Effect: &faults.Effect{Proven: true}}
	add(0, report.RunStarted, report.Started{Run: "small", At: began})
	add(0, report.PhaseStarted, report.PhaseChange{Phase: report.Load})
	add(60, report.Injected, in)
	add(480, report.AlarmHistory, report.AlarmRecord{Source: "prometheus.main", Span: span, Coverage: alarms.Coverage{Spans: []clock.Span{span}, Resolution: time.Second},
		Episodes: []alarms.Episode{{Source: "prometheus.main", Key: "1", Labels: alarm, Pending: clock.At(at(70)), Firing: clock.At(at(80))}}})
	s.Expect([]map[string]string{alarm})
	a := report.ResponseAccount{Source: "incident_io.main", Span: span}
	var err error
	if a.Events, a.Coverage, err = s.History(t.Context(), span); err != nil {
		a.Error = err.Error()
	}
	add(480, report.ResponseRecord, a)
	add(480, report.RunEnded, report.Ended{Reason: report.EndComplete})
	out := map[string]*report.Item{}
	for _, it := range report.Score(rec).Items() {
		if what, ok := strings.CutPrefix(it.ID, "response.on-call."); ok {
			out[what] = it
		}
	}
	return out
}

// TestJudged takes incident.io's answers all the way to the score.
func TestJudged(t *testing.T) {
	const met, missed, unknown = clock.Met, clock.Missed, clock.Unknown
	for name, c := range map[string]struct {
		happens func(f *fake, at func(int) time.Time)
		want    map[string]clock.Outcome
	}{
		"all is done": {func(f *fake, at func(int) time.Time) {
			f.page("E1", at(85), alertText, []string{"I1"}, event("triggered", at(85)), event("notified_users", at(86), "UANN"), event("acked", at(100), "UANN"))
			f.open("I1", at(110), "Payments are down", by("UANN"))
			f.log("I1", "incident_channel_created", at(112), nil)
			f.log("I1", "role_update", at(115), object{"new_assignee": user("UANN"), "role": object{"name": "Incident Lead"}, "updater": by("UANN")})
			f.log("I1", "incident_call_started", at(120), nil)
			f.log("I1", "status_page_incident_updated", at(130), nil)
		}, map[string]clock.Outcome{"acknowledge": met, "escalate": missed, "engage": met, "channel": met, "bridge": met, "customers": met}},
		"nobody does a thing": {func(f *fake, at func(int) time.Time) {
			f.page("E1", at(85), alertText, nil, event("notified_users", at(86), "UANN"))
		}, map[string]clock.Outcome{"acknowledge": missed, "escalate": missed, "channel": missed, "bridge": unknown, "customers": unknown}},
		"passed on": {func(f *fake, at func(int) time.Time) {
			f.page("E1", at(85), alertText, nil, event("notified_users", at(86), "UANN"), event("notified_users", at(160), "UBOB"))
		}, map[string]clock.Outcome{"acknowledge": unknown, "escalate": unknown}}, // nobody knows who was reached, nor at which level
		"an incident.io that fails": {func(f *fake, at func(int) time.Time) {
			f.page("E1", at(85), alertText, nil, event("notified_users", at(86), "UANN"), event("acked", at(100), "UANN"))
			f.only, f.body = "/incidents", `{"incidents":[`
		}, map[string]clock.Outcome{"acknowledge": unknown, "escalate": unknown, "channel": unknown}},
		"a page about nobody knows what": {func(f *fake, at func(int) time.Time) {
			f.page("E1", at(85), nil, nil, event("notified_users", at(86), "UANN"), event("acked", at(100), "UANN"))
		}, map[string]clock.Outcome{"acknowledge": unknown, "escalate": unknown}},
	} {
		t.Run(name, func(t *testing.T) {
			f, s := newFake(t)
			began := time.Now().Add(-10 * time.Minute)
			c.happens(f, func(sec int) time.Time { return began.Add(time.Duration(sec) * time.Second) })
			got := judge(t, s, began)
			for what, want := range c.want {
				if got[what] == nil || got[what].Outcome != want {
					t.Errorf("%s: %+v, want %s", what, got[what], want)
				}
			}
		})
	}
}
