// Package looks keeps account of when a source was looked at with success, for the coverage of an observation: the time
// between two good looks counts only when they were close enough together.
package looks

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"gameday/clock"
)

// mostReasons bounds how many gaps are put in words.
const mostReasons = 12

// Fault is a stretch in which looks failed, with the reason of the first of them.
type Fault struct {
	Span clock.Span
	Why  string
}

// Account is the account of one source. It is safe for concurrent use.
type Account struct {
	every time.Duration

	mu     sync.Mutex
	good   []clock.Span
	faults []Fault
	failed bool // the last look was a bad one
}

// New returns an empty account of looks that should be every so often.
func New(every time.Duration) *Account { return &Account{every: every} }

// Good books a look that could have seen an alarm. Looks more than twice the agreed pause apart leave a gap.
func (a *Account) Good(at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failed {
		a.faults[len(a.faults)-1].Span.End = at
		a.failed = false
	}
	if n := len(a.good); n > 0 && at.Sub(a.good[n-1].End) <= 2*a.every {
		if at.After(a.good[n-1].End) {
			a.good[n-1].End = at
		}
		return
	}
	a.good = append(a.good, clock.Span{Start: at, End: at})
}

// Bad books a look that could not. The fault counts from the last good look on, for nobody knows when it began.
func (a *Account) Bad(at time.Time, why string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := len(a.faults); a.failed && a.faults[n-1].Why == why {
		a.faults[n-1].Span.End = at
		return
	} else if a.failed {
		a.faults[n-1].Span.End = at
		a.faults = append(a.faults, Fault{Span: clock.Span{Start: at, End: at}, Why: why})
		return
	}
	start := at
	if n := len(a.good); n > 0 {
		start = a.good[n-1].End
	}
	a.faults = append(a.faults, Fault{Span: clock.Span{Start: start, End: at}, Why: why})
	a.failed = true
}

// Last returns the time of the last good look, the zero time when there was none.
func (a *Account) Last() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.good) == 0 {
		return time.Time{}
	}
	return a.good[len(a.good)-1].End
}

// Spans returns the time covered by good looks.
func (a *Account) Spans() []clock.Span {
	a.mu.Lock()
	defer a.mu.Unlock()
	return clock.Merge(a.good)
}

// Faults returns the stretches with failed looks, in order.
func (a *Account) Faults() []Fault {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.faults)
}

// Clip returns the parts of the spans that lie in need, merged.
func Clip(spans []clock.Span, need clock.Span) []clock.Span {
	out := []clock.Span{}
	for _, s := range clock.Merge(spans) {
		if o := s.Overlap(need); o.Length() > 0 {
			out = append(out, o)
		}
	}
	return out
}

// Gaps returns the parts of need that the spans leave out.
func Gaps(spans []clock.Span, need clock.Span) []clock.Span {
	var out []clock.Span
	at := need.Start
	for _, s := range Clip(spans, need) {
		if s.Start.After(at) {
			out = append(out, clock.Span{Start: at, End: s.Start})
		}
		at = s.End
	}
	if need.End.After(at) {
		out = append(out, clock.Span{Start: at, End: need.End})
	}
	return out
}

// Without returns the spans less the stretches in cut.
func Without(spans, cut []clock.Span) []clock.Span {
	out := []clock.Span{}
	for _, s := range clock.Merge(spans) {
		out = append(out, Gaps(cut, s)...)
	}
	return out
}

// Explain puts the gaps of a coverage in words, each with the reasons that overlap it, else with the reason otherwise.
// Gaps no longer than slack are not worth a line unless a fault explains them.
func Explain(covered []clock.Span, need clock.Span, faults []Fault, slack time.Duration, otherwise string) []string {
	var out []string
	left := 0
	for _, gap := range Gaps(covered, need) {
		why := ""
		for _, f := range faults {
			if f.Span.Start.After(gap.End) || f.Span.End.Before(gap.Start) {
				continue
			}
			if why != "" {
				why += "; "
			}
			why += f.Why
		}
		if why == "" {
			if gap.Length() <= slack {
				continue
			}
			why = otherwise
		}
		if len(out) == mostReasons {
			left++
			continue
		}
		out = append(out, Clock(gap)+": "+why)
	}
	if left > 0 {
		out = append(out, fmt.Sprintf("and %d more gaps", left))
	}
	return out
}

// Clock prints a span as times of day: "14:04:10 to 14:04:40".
func Clock(s clock.Span) string {
	return s.Start.Format(time.TimeOnly) + " to " + s.End.Format(time.TimeOnly)
}
