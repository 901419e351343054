package conductor

import (
	"errors"
	"time"

	"gameday/clock"
	"gameday/loadgen/sli"
	"gameday/report"
	"gameday/scenarios"
)

// stop is how a stop condition stands. Those that ask for traffic are looked at for each of its seconds, and others, and all while there is no
// traffic, for the instant at which they are.
type stop struct {
	upTo  time.Time // the end of the last second that was looked at with all that is told of it
	since time.Time // the end of the second since which the condition had held by then; zero when it did not hold
	live  time.Time // since which instant it has held without traffic; zero when it does not
}

// stop evaluates a stop condition for every second that has become known since it last did: windows come late, and then several at a time. How long
// the condition has held is told by those seconds, not by when they came. One of which a stream has yet to tell is looked at again.
func (c *checks) stop(now time.Time, a scenarios.Abort, known *sums, own map[string]float64) {
	if c.run.ctx.Err() != nil || c.run.over.Load() {
		return // it ends already
	}
	streams, traffic := c.asks(a.When.Expr)
	end, whole := c.run.traffic.closed(now, streams...)
	s := c.stops[a.Name]
	defer func() { c.stops[a.Name] = s }()
	if !traffic || end.IsZero() {
		r := readings{known.upTo(end, a.When.Over), own}
		s.live = holds(a, r, s.live, now)
		c.abort(now, a, r, s.live)
		return
	}
	s.live = time.Time{}
	from, since := s.upTo.Add(time.Second), s.since
	if oldest := end.Add(-lateWindows); from.Before(oldest) {
		from, since = oldest, time.Time{} // what is between is not looked at any more
	}
	for at := from; !at.After(end); at = at.Add(time.Second) {
		r := readings{known.upTo(at, a.When.Over), c.ownAt(at)}
		since = holds(a, r, since, at)
		if c.abort(at, a, r, since) {
			return
		}
		if !at.After(whole) {
			s.upTo, s.since = at, since
		}
	}
}

// holds returns since when a condition has held that is looked at for an instant: zero when it does not hold. An unknown one does not count as
// held.
func holds(a scenarios.Abort, r sli.Readings, since, at time.Time) time.Time {
	switch {
	case outcome(a.When.Expr.Eval(r)) != clock.Met:
		return time.Time{}
	case since.IsZero():
		return at
	}
	return since
}

// abort ends the run when a stop condition has held for long enough at an instant, and reports whether it did.
func (c *checks) abort(at time.Time, a scenarios.Abort, r sli.Readings, since time.Time) bool {
	held := at.Sub(since)
	if since.IsZero() || !clock.Lasted(held, a.Held) {
		return false
	}
	c.run.rec.add(report.AbortSeen, report.Abort{Name: a.Name, When: a.When.Source, Held: held, Values: values(a.When.Expr, r)})
	c.run.end(report.EndAborted, errors.New("abort condition "+a.Name+" held: "+a.When.Source))
	return true
}
