package scenarios

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/hcl/v2"

	"gameday/report"
)

// TestResponses reads back what can be asked of people, value by value.
func TestResponses(t *testing.T) {
	f := Load("testdata/good/people.hcl", testOptions())
	if f.Diags.HasErrors() {
		t.Fatal(f.Diags)
	}
	s := f.Scenarios[0]
	in := func(minutes int) report.DeadlinePlan {
		return report.DeadlinePlan{Within: time.Duration(minutes) * time.Minute, Weight: 1}
	}
	ack, told, mitigate := in(5), in(13), in(15)
	ack.MinEvidence, told.Required = "B", true
	want := []report.ResponsePlan{{
		Name: "everything", Source: "desk.ops", Also: []string{"desk.room"}, To: "Down",
		Acknowledge: &report.AckPlan{DeadlinePlan: ack, Level: 1, OnCall: true},
		Escalate:    &report.EscalatePlan{DeadlinePlan: in(12), ToLevel: 2, OnlyAfter: 5 * time.Minute, Team: "ledger"},
		Engage:      &report.EngagePlan{DeadlinePlan: in(10), People: 2, Roles: []string{"incident lead", "comms"}},
		Steps: []report.StepPlan{{Step: report.StepBridge, DeadlinePlan: in(10)}, {Step: report.StepChannel, DeadlinePlan: in(11)},
			{Step: report.StepRunbook, DeadlinePlan: in(12)}, {Step: report.StepCustomers, DeadlinePlan: told}, {Step: report.StepPostMortem, DeadlinePlan: in(7200)}},
		Diagnose: &report.DiagnosePlan{DeadlinePlan: in(14), Expect: "the web server"},
		Mitigate: &mitigate,
		Without:  []report.WithoutPlan{{Down: "chat", Use: "bridge", DeadlinePlan: in(16)}},
		Resolve:  &report.ResolvePlan{DeadlinePlan: in(17), AfterService: true},
	}, {
		Name: "drill", Source: "desk.ops", To: "Down", Withhold: true, Escalate: &report.EscalatePlan{DeadlinePlan: in(6), ToLevel: 2},
	}}
	var got []report.ResponsePlan
	for _, r := range s.Responses {
		got = append(got, r.ResponsePlan)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if n := len(want[0].Deadlines()); n != 12 {
		t.Errorf("it has %d deadlines", n)
	}
	incidents := []Incident{{Name: "real", Source: "desk.ops"}, {Name: "alarms", Source: "builtin.main", Alarms: true, Match: map[string]string{"severity": "page"}}}
	if diff := cmp.Diff(incidents, s.Incidents, cmpopts.IgnoreTypes(hcl.Range{})); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]map[string]string{{"service": "ledger"}, {"service": "shop", "tier": "edge"}}, s.Noise.Collateral); diff != "" {
		t.Error(diff)
	}
	if s.AlarmSources[0].RealPages {
		t.Error("dry pages are real")
	}
}
