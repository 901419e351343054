package report

import (
	"time"

	"gameday/clock"
)

// watch is for which time a source could have seen what happened.
type watch struct {
	spans      []clock.Span
	slack      time.Duration // how long a gap may be and still hide nothing: one look
	begin, end time.Time     // of what the source was asked about
}

func (a *alarmAccount) watch() watch {
	return watch{a.Coverage.Spans, max(a.Coverage.Resolution, second), a.Begin, a.End}
}

func (a *responseAccount) watch() watch {
	return watch{a.Coverage.Spans, second, a.Begin, a.End}
}

// all reports whether the source was watched all through a span, so that what was not seen in it did not happen. A share
// is not enough: a single gap is where an alarm comes and goes unseen.
func (w watch) all(need clock.Span) bool {
	if need.End.After(w.end) {
		return false
	}
	_, gap := w.gap(need)
	return !gap
}

// untilEnd returns t, or the end of all that the source was asked about where that is no more than one look later. What is
// claimed until just before the end is claimed until the end: else it would hang on where in the last look t happens to lie.
func (w watch) untilEnd(t time.Time) time.Time {
	if t.Before(w.end) && w.end.Sub(t) <= w.slack {
		return w.end
	}
	return t
}

// gap returns when the first gap in a span begins that could hide something. A gap is as long as it is, not as long as it
// lies in the span: there is a look at either end of it, but for the last one, after which nobody looked. That may take one
// look when the span goes to the end of all that the source was asked about.
func (w watch) gap(need clock.Span) (from time.Time, found bool) {
	spans := clock.Merge(w.spans)
	for _, hole := range without(need, spans) {
		whole := clock.Span{Start: earlierOf(hole.Start, cmpTime(w.begin, hole.Start)), End: laterOf(hole.End, w.end)}
		last := true
		for _, s := range spans {
			if !s.End.After(hole.Start) {
				whole.Start = s.End
			}
			if last && !s.Start.Before(hole.End) {
				whole.End, last = s.Start, false
			}
		}
		if len(spans) == 0 || whole.Length() > w.slack || last && need.End.Before(w.end) {
			return hole.Start, true
		}
	}
	return time.Time{}, false
}
