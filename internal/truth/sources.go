package truth

import (
	"time"

	"gameday/clock"
)

// began is when every run begins, by our clock.
var began = time.Date(2026, 11, 20, 6, 0, 0, 0, time.UTC)

// source is a system that is asked about alarms or people. It looks at what is, or is looked at, every so often.
type source struct {
	name    string
	pending bool          // it knows of alarms before they fire
	stamps  bool          // it says itself when something happened; otherwise looks tell
	every   time.Duration // between two looks
	phase   time.Duration // of the first look
	grain   time.Duration // its stamps are cut off to it
	ahead   time.Duration // its clock, in truth
	claimed time.Duration // the estimate of that
	err     time.Duration // and the estimate's bound, which it keeps
	// blind is when it saw nothing, or nobody saw it: what it was asked afterwards does not have it either.
	blind []span
	// away is when nobody reached it, although it saw: missing from what was seen live only.
	away   []span
	silent bool // it did not answer when it was asked afterwards
	late   bool // it answered in full only when it was asked a second time
}

// sources makes up the three of them.
func (w *World) sources() {
	w.rules = w.source("prometheus.main")
	w.rules.pending = w.chance(0.8)
	w.router = w.source("alertmanager.main")
	w.desk = w.source("pagerduty.ops")
	w.desk.stamps = true
	w.tells, w.rostered = w.chance(0.8), w.chance(0.8)
}

func (w *World) source(name string) *source {
	s := &source{name: name, stamps: w.chance(0.6), grain: time.Millisecond, every: w.between(0.5, 5)}
	if w.chance(0.1) { // slower than most limits
		s.every = w.between(5, 30)
	}
	s.phase = w.between(0, s.every.Seconds())
	if w.chance(0.3) {
		s.grain = time.Second
	}
	s.err = w.between(0.001, 0.4)
	s.ahead = w.between(-90, 90)
	if w.chance(0.7) {
		s.ahead = w.between(-1, 1)
	}
	s.claimed = s.ahead + time.Duration((2*w.Float64()-1)*float64(s.err))
	hole := func() span {
		from := w.between(0, w.length.Seconds())
		return span{from, from + w.between(1, 60)}
	}
	for w.chance(0.15) {
		s.blind = append(s.blind, hole())
	}
	if w.chance(0.02) {
		s.blind = []span{{0, forever}}
	}
	if w.chance(0.03) { // lost for good
		s.blind = append(s.blind, span{w.between(0, w.length.Seconds()), forever})
	}
	for w.chance(0.2) {
		s.away = append(s.away, hole())
	}
	s.silent = w.chance(0.05)
	s.late = w.chance(0.05)
	return s
}

func in(spans []span, at time.Duration) bool {
	for _, s := range spans {
		if s.holds(at) {
			return true
		}
	}
	return false
}

// saw reports whether a look at an instant saw anything.
func (s *source) saw(at time.Duration, live bool) bool {
	return !in(s.blind, at) && !(live && in(s.away, at))
}

// looks returns the instants of all looks that saw something, up to the end.
func (s *source) looks(end time.Duration, live bool) []time.Duration {
	var out []time.Duration
	for at := s.phase; at <= end; at += s.every {
		if s.saw(at, live) {
			out = append(out, at)
		}
	}
	return out
}

// stamp is what the source tells of an instant: by its own clock, cut off, and brought to our time as well as that goes.
func (s *source) stamp(at time.Duration) clock.Interval {
	theirs := began.Add(at + s.ahead).Truncate(s.grain)
	lo := theirs.Add(-s.claimed - s.err)
	return clock.Interval{Lo: lo, Hi: lo.Add(2*s.err + s.grain)}
}

// covered are the spans between looks that follow each other as they should.
func (s *source) covered(end time.Duration, live bool) []clock.Span {
	var out []clock.Span
	looks := s.looks(end, live)
	for i, at := range looks {
		next := at
		if i+1 < len(looks) && looks[i+1]-at < s.every+s.every/2 {
			next = looks[i+1]
		} else if end-at < s.every+s.every/2 {
			next = end
		}
		if n := len(out); n > 0 && out[n-1].End.Equal(began.Add(at)) {
			out[n-1].End = began.Add(next)
			continue
		}
		out = append(out, clock.Span{Start: began.Add(at), End: began.Add(next)})
	}
	return out
}

// blur is how far what the source tells of an instant may lie from it, as long as it sees.
func (s *source) blur() time.Duration {
	if s.stamps {
		return 2*s.err + s.grain
	}
	return s.every
}

// whole reports whether the source, asked afterwards, tells all that it saw, and saw all the time.
func (s *source) whole() bool { return len(s.blind) == 0 && !s.silent }
