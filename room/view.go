package room

import (
	"slices"
	"time"

	"gameday/report"
)

// View is what one role sees now. Told is nil while the run is blind for the role; then all that can be shown of the run is in Seen
// and in the picture, which has no more than the seconds' sums in it.
type View struct {
	Role  Role
	Blind bool          // something is hidden from this role now
	Now   time.Duration // on the run's clock, in whole seconds
	Quiet time.Duration // for how long nothing was heard of the run
	Start time.Time     // zero while there is no event
	Seen  Seen
	Told  *Told

	live report.Live
	last *report.LivePoint
}

// View returns what a role sees at a time. It shares the strip of traffic with the state, so that a View must be drawn before the
// next Take, by the same goroutine; everything else in it stays as it is.
func (s *State) View(role Role, at time.Time) View {
	v := View{Role: role, Blind: s.plan.Blind && !s.ended && !s.shown && role != Facilitator, Start: s.start, Seen: s.seen.clone()}
	heard := s.heard
	if v.Blind { // that it is not quiet would tell that something happens
		heard = s.pulse
	}
	v.Now = heard
	if !s.start.IsZero() && !s.ended {
		v.Now = max(heard, at.Sub(s.start))
	}
	v.Now = v.Now.Truncate(time.Second) // whole, so that when a view was made does not show in it
	v.Quiet = max(0, v.Now-heard)
	v.live = report.Live{Start: s.start, Now: v.Now, Strip: &s.strip, Phases: open(s.stages, s.start.Add(v.Now))}
	if last, ok := s.strip.Last(); ok {
		v.last = &last
	}
	if v.Blind {
		return v
	}
	told := s.told
	told.Log = slices.Clone(s.told.Log)
	told.Next = s.teller.Next(v.Now)
	if s.ended {
		told.Next = ""
	}
	v.Told = &told
	v.live.Phases, v.live.Faults = open(s.spans, s.start.Add(v.Now)), s.faults
	v.live.Limits = s.plan.Expects
	return v
}

// open returns the spans with the last one reaching until now.
func open(spans []report.PhaseSpan, now time.Time) []report.PhaseSpan {
	out := slices.Clone(spans)
	if n := len(out); n > 0 && out[n-1].Open {
		out[n-1].End = now
	}
	return out
}

// Draw returns the picture of the last minutes in one of report.LiveSizes, as an svg element; "" before the first event.
func (v View) Draw(size string) string {
	if v.Start.IsZero() {
		return ""
	}
	return v.live.Draw(size)
}

// Traffic says in words what the last second was; "" before the first.
func (v View) Traffic() string {
	if v.last == nil {
		return ""
	}
	return v.last.Words()
}

// Can reports whether the role may do something that has a name of its own in the room.
func (v View) Can(r Role) bool { return v.Role == r && v.Seen.Stage != Over }
