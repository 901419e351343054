package report

import (
	"time"

	"gameday/clock"
)

// watch is for which time a source could have seen what happened.
type watch struct {
	spans []clock.Span
	slack time.Duration // how long a gap may be and still hide nothing: one look
	end   time.Time     // of what the source was asked about
}

func (a *alarmAccount) watch() watch {
	return watch{a.Coverage.Spans, max(a.Coverage.Resolution, second), a.End}
}

func (a *responseAccount) watch() watch {
	return watch{a.Coverage.Spans, second, a.End}
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

// gap returns when the first gap in a span begins that could hide something.
func (w watch) gap(need clock.Span) (from time.Time, found bool) {
	for _, hole := range without(need, w.spans) {
		if hole.Length() > w.slack {
			return hole.Start, true
		}
	}
	return time.Time{}, false
}
