package screen

import (
	"testing"
	"time"

	"gameday/report"
)

// TestTeller says what a screen's lines do, a line each, and counts down to what is next.
func TestTeller(t *testing.T) {
	told := NewTeller(plan())
	s := time.Second
	for _, tt := range []struct {
		e    report.Event
		want string
	}{
		{event(40*s, report.PhaseStarted, report.PhaseChange{Phase: report.Load}), "phase load"},
		{event(41*s, report.PreflightFound, report.Found{What: "fault cut", Summary: "it would be\x1b[31m", Detail: "red\napiVersion: v1\nkind: Pod"}), "preflight note: fault cut: it would be [31m. red"},
		{event(42*s, report.Noted, report.Note{Text: "two\nlines", Fault: "cut"}), "two lines"},
		{event(43*s, report.PhaseEnded, report.PhaseChange{Phase: report.Load}), ""},
	} {
		if got := told.Tell(tt.e); got != tt.want {
			t.Errorf("%s is told as %q, want %q", tt.e.Kind, got, tt.want)
		}
	}
	at := plan().Faults[0].At
	if got, want := told.Next(at-10*s), plan().Faults[0].Name+" in 0:10"; got != want {
		t.Errorf("next is %q, want %q", got, want)
	}
	if got := told.Next(10 * time.Hour); got != "" {
		t.Errorf("hours later next is %q", got)
	}
}
