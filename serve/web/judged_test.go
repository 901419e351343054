package web

import (
	"strings"
	"testing"
	"time"

	"gameday/rehearsals"
	"gameday/report"
	"gameday/schedules"
)

// TestJudgedInDoubt says go only as long as everything that may be of a rehearsal can be read.
func TestJudgedInDoubt(t *testing.T) {
	began := time.Date(2026, 11, 29, 11, 0, 0, 0, time.UTC)
	now := began.Add(time.Hour)
	r := &Rehearsal{Plan: &rehearsals.Rehearsal{Name: "launch", Steps: []rehearsals.Step{{Item: schedules.Item{File: "shop.hcl", Scenario: "shop"}, Fingerprint: "shop"}}},
		Shown: rehearsals.Shown{"shop": {{Record: "a", Run: "a", Fingerprint: "shop", Started: began, Length: time.Minute, End: report.EndComplete, Verdict: report.Passed, Low: 92, High: 92,
			Coverage: 1, Report: "its digest"}}}}
	if c := judged(r, r.Shown, now); c.State != rehearsals.Go {
		t.Fatalf("it is %s", c.State)
	}
	r.Broken = 2
	if c := judged(r, r.Shown, now); c.State != rehearsals.NotYetKnown || !strings.Contains(strings.Join(c.Why, "\n"), "Of 2 record(s) or sign-off(s)") {
		t.Errorf("with something that cannot be read it is %s: %q", c.State, c.Why)
	}
}
