// Package clock holds instants and durations that are known only to within an interval, and what follows from
// that: whether a deadline was met, missed, or cannot be told.
//
// A fault is injected somewhere between the command and the proof of its effect; an alarm is stamped by a clock
// that is not ours and seen by polling. Treating such instants as points turns noise into verdicts, so nothing in
// gameday does.
package clock

import (
	"fmt"
	"slices"
	"time"
)

// Interval is an instant known only to lie in [Lo, Hi], in this machine's time. The zero value is unset.
type Interval struct {
	Lo time.Time `json:"lo"`
	Hi time.Time `json:"hi"`
}

// At returns the interval of an instant that is known exactly.
func At(t time.Time) Interval { return Interval{Lo: t, Hi: t} }

// Between returns the interval from lo to hi, in either order.
func Between(lo, hi time.Time) Interval {
	if hi.Before(lo) {
		lo, hi = hi, lo
	}
	return Interval{Lo: lo, Hi: hi}
}

// IsZero reports whether the interval was never set.
func (i Interval) IsZero() bool { return i.Lo.IsZero() && i.Hi.IsZero() }

// Sub returns how much later i is than from, as a Latency: the shortest and the longest it can have been.
func (i Interval) Sub(from Interval) Latency {
	return Latency{Lo: i.Lo.Sub(from.Hi), Hi: i.Hi.Sub(from.Lo)}
}

// Shift moves the interval by d.
func (i Interval) Shift(d time.Duration) Interval {
	return Interval{Lo: i.Lo.Add(d), Hi: i.Hi.Add(d)}
}

// Widen makes the interval larger by d on either side.
func (i Interval) Widen(d time.Duration) Interval {
	return Interval{Lo: i.Lo.Add(-d), Hi: i.Hi.Add(d)}
}

// Before reports whether i is certainly over before j begins.
func (i Interval) Before(j Interval) bool { return i.Hi.Before(j.Lo) }

// Latency is a duration known only to lie in [Lo, Hi].
type Latency struct {
	Lo time.Duration `json:"lo"` // nanoseconds
	Hi time.Duration `json:"hi"` // nanoseconds
}

// Mid returns the middle of the latency, for display.
func (l Latency) Mid() time.Duration { return l.Lo + (l.Hi-l.Lo)/2 }

// Err returns half the width of the latency, for display as mid ± err.
func (l Latency) Err() time.Duration { return (l.Hi - l.Lo) / 2 }

// String prints the latency as "9.2s ± 0.5".
func (l Latency) String() string {
	if l.Err() < 50*time.Millisecond {
		return fmt.Sprintf("%.1fs", l.Mid().Seconds())
	}
	return fmt.Sprintf("%.1fs ± %.1f", l.Mid().Seconds(), l.Err().Seconds())
}

// Outcome is the answer to "was the deadline kept?". The zero value is Unknown: what nobody judged never counts as met.
type Outcome int

// The three outcomes.
const (
	Unknown Outcome = iota
	Met
	Missed
)

// String returns "unknown", "met" or "missed".
func (o Outcome) String() string {
	switch o {
	case Met:
		return "met"
	case Missed:
		return "missed"
	default:
		return "unknown"
	}
}

// MarshalText writes the outcome's word.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads one of the three words and refuses any other.
func (o *Outcome) UnmarshalText(b []byte) error {
	for _, c := range []Outcome{Unknown, Met, Missed} {
		if c.String() == string(b) {
			*o = c
			return nil
		}
	}
	return fmt.Errorf("unknown outcome %q", b)
}

// Within judges a latency against a limit: Met when even the longest is inside, Missed when even the shortest is
// outside, otherwise Unknown.
func (l Latency) Within(limit time.Duration) Outcome {
	switch {
	case l.Hi <= limit:
		return Met
	case l.Lo > limit:
		return Missed
	default:
		return Unknown
	}
}

// Span is a stretch of time, from Start to End.
type Span struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
}

// Length returns how long the span is; never negative.
func (s Span) Length() time.Duration { return max(0, s.End.Sub(s.Start)) }

// Overlap returns the part that s and o share; its length is 0 when they share none.
func (s Span) Overlap(o Span) Span {
	r := Span{Start: s.Start, End: s.End}
	if o.Start.After(r.Start) {
		r.Start = o.Start
	}
	if o.End.Before(r.End) {
		r.End = o.End
	}
	if r.End.Before(r.Start) {
		r.End = r.Start
	}
	return r
}

// Share returns the part of need that the spans cover, from 0 to 1. Spans may overlap and come in any order. A need
// of no length is covered by definition.
func Share(spans []Span, need Span) float64 {
	if need.Length() == 0 {
		return 1
	}
	var covered time.Duration
	for _, s := range Merge(spans) {
		covered += s.Overlap(need).Length()
	}
	return float64(covered) / float64(need.Length())
}

// Merge returns the spans in order, with those that touch or overlap joined and empty ones left out.
func Merge(spans []Span) []Span {
	in := slices.Clone(spans)
	slices.SortFunc(in, func(a, b Span) int { return a.Start.Compare(b.Start) })
	var out []Span
	for _, s := range in {
		if s.Length() == 0 {
			continue
		}
		if n := len(out); n > 0 && !s.Start.After(out[n-1].End) {
			if s.End.After(out[n-1].End) {
				out[n-1].End = s.End
			}
			continue
		}
		out = append(out, s)
	}
	return out
}
