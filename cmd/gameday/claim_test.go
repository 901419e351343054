package main

import (
	"testing"
	"time"

	"gameday/audit"
	"gameday/schedules"
)

// TestClaimNamesItsMachine writes down on which machine an occasion was claimed: others share the folder.
func TestClaimNamesItsMachine(t *testing.T) {
	now := time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC)
	r := &scheduling{schedule: &schedules.Schedule{Name: "weekly"}}
	c := r.claim(schedules.Occasion{ID: "x", Windows: []schedules.Span{{From: now, To: now.Add(time.Hour)}}}, now)
	if c.Host == "" || c.Host != audit.Me().Host {
		t.Errorf("it was claimed on %q, and this is %q", c.Host, audit.Me().Host)
	}
}
