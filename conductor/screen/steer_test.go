package screen

import (
	"strings"
	"testing"
	"time"

	"gameday/report"
)

// steered is a load phase that began 10 s later than planned, is held from 1:00 to 4:00, and from which 40 s are skipped at 4:10.
func steered() []report.Event {
	s := time.Second
	return []report.Event{
		event(50*s, report.PhaseStarted, report.PhaseChange{Phase: report.Load}),
		event(60*s, report.HoldBegan, report.Hold{By: "fay", Why: "cut is next", Phase: report.Load, At: 10 * s, Limit: 15 * time.Minute}),
		event(120*s, report.HoldBegan, report.Hold{By: "bob", Phase: report.Load, At: 10 * s, Limit: 5 * time.Minute, More: true}),
		event(130*s, report.InjectAsked, report.InjectNow{By: "fay", Fault: "crash"}),
		event(240*s, report.HoldEnded, report.Release{Phase: report.Load, Held: 180 * s, Lapsed: true}),
		event(244*s, report.WaitSkipped, report.Skip{By: "fay", Why: "enough", Phase: report.Load, At: 14 * s, Over: 5 * s, To: "fault cut", Fault: "cut"}),
	}
}

// TestSteeredLines checks what is said of what a facilitator does, also where faults are hidden.
func TestSteeredLines(t *testing.T) {
	for name, c := range map[string]struct {
		blind bool
		want  []string
	}{
		"open": {false, []string{"phase load", "the load phase is held by fay, for 15m at most: cut is next", "held on by bob, for 5m more at most",
			"fault crash is injected now, by fay", "the hold has lapsed after 3m: the load phase goes on", "5s of the load phase skipped by fay, to fault cut: enough"}},
		"blind": {true, []string{"phase load", "the load phase is held by fay, for 15m at most", "held on by bob, for 5m more at most",
			"the hold has lapsed after 3m: the load phase goes on", "5s of the load phase skipped by fay, to what comes next"}},
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			s := New(&b, plan(), Options{Blind: c.blind})
			for _, e := range steered() {
				s.Observe(e)
			}
			s.Close()
			var got []string
			for line := range strings.Lines(b.String()) {
				_, text, _ := strings.Cut(strings.TrimSpace(line), "  ")
				got = append(got, text)
			}
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// TestSteeredClock checks the phase's clock, and what comes next, while the timeline is held and after it jumped.
func TestSteeredClock(t *testing.T) {
	for name, c := range map[string]struct {
		events int
		now    time.Duration
		want   []string
		not    string
	}{
		"late":     {1, 55 * time.Second, []string{"load 0:05 / 3:00", "next: cut in 0:15"}, "HELD"},
		"held":     {2, 90 * time.Second, []string{"load 0:10 / 3:00", "HELD       by fay for 0:30; goes on by itself in 14:30"}, "next"},
		"held on":  {3, 150 * time.Second, []string{"load 0:10 / 3:00", "by fay for 1:30; goes on by itself in 4:30"}, "next"},
		"released": {5, 242 * time.Second, []string{"load 0:12 / 3:00", "next: cut in 0:08"}, "HELD"},
		"skipped":  {6, 245 * time.Second, []string{"load 0:20 / 3:00"}, "HELD"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newState(plan(), false)
			for _, e := range steered()[:c.events] {
				s.take(e)
			}
			s.now = c.now
			got := strings.Join(s.live(Options{}), "\n")
			for _, want := range c.want {
				if !strings.Contains(got, want) {
					t.Errorf("got\n%s\nwant %q in it", got, want)
				}
			}
			if strings.Contains(got, c.not) {
				t.Errorf("got\n%s\nwant no %q in it", got, c.not)
			}
		})
	}
}
