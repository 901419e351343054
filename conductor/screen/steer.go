package screen

import (
	"fmt"
	"time"

	"gameday/report"
)

// holding is a hold in progress: whose it is, since when and until when, on the run's clock.
type holding struct {
	by           string
	began, until time.Duration
}

// steer folds in what a facilitator did to the timeline.
func (s *state) steer(e report.Event) string {
	switch e.Kind {
	case report.HoldBegan:
		var h report.Hold
		decode(e, &h)
		if s.hold != nil && h.More {
			s.hold.until = e.T + h.Limit
			return s.because(fmt.Sprintf("held on by %s, for %s more at most", h.By, seconds(h.Limit)), h.Why)
		}
		s.hold = &holding{h.By, e.T, e.T + h.Limit}
		return s.because(fmt.Sprintf("the %s phase is held by %s, for %s at most", h.Phase, h.By, seconds(h.Limit)), h.Why)
	case report.HoldEnded:
		var r report.Release
		decode(e, &r)
		s.still, s.hold = s.still+r.Held, nil
		if r.Lapsed {
			return fmt.Sprintf("the hold has lapsed after %s: the %s phase goes on", seconds(r.Held), r.Phase)
		}
		return s.because(fmt.Sprintf("the %s phase goes on after %s, released by %s", r.Phase, seconds(r.Held), r.By), r.Why)
	case report.WaitSkipped:
		var k report.Skip
		decode(e, &k)
		s.skipped += k.Over
		to := k.To
		if s.blind && k.Fault != "" {
			to = "what comes next"
		}
		return s.because(fmt.Sprintf("%s of the %s phase skipped by %s, to %s", seconds(k.Over), k.Phase, k.By, to), k.Why)
	}
	var n report.InjectNow
	decode(e, &n)
	return s.because(fmt.Sprintf("fault %s is injected now, by %s", n.Fault, n.By), n.Why)
}

// because adds a reason. What a facilitator writes may give a fault away, which a blind run hides.
func (s *state) because(text, why string) string {
	if why == "" || s.blind {
		return text
	}
	return text + ": " + why
}

// elapsed returns how far the timeline is in the phase.
func (s *state) elapsed() time.Duration {
	now := s.now
	if s.hold != nil {
		now = s.hold.began
	}
	return max(0, now-s.phaseBegan-s.still+s.skipped)
}

// due returns when something comes on the run's clock that the plan has at an instant of it. Only how the phase in progress has gone is
// known: the later ones are as planned.
func (s *state) due(at time.Duration) time.Duration {
	for _, p := range s.plan.Phases {
		if p.Phase == s.phase {
			return at + s.phaseBegan - p.At + s.still - s.skipped
		}
	}
	return at
}

// held is the line about a hold in progress.
func (s *state) held() string {
	return fmt.Sprintf(" HELD       by %s for %s; goes on by itself in %s, or by gameday release", s.hold.by, mmss(s.now-s.hold.began),
		mmss(max(0, s.hold.until-s.now)))
}
