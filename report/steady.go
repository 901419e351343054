package report

import (
	"iter"
	"time"

	"gameday/clock"
	"gameday/loadgen/sli"
)

// holdFor is how long the steady state must keep holding before it counts as back.
const holdFor = 3 * second

// steadiness is the search for the first instant from which every steady-state expectation holds.
type steadiness struct {
	found   bool
	at      clock.Interval // the instant, known to one window
	blind   bool           // before it, or up to the end, there were seconds without data
	partial bool           // in some seconds not all generators of a stream told of theirs
	maybe   bool           // at the end of the data it held, but not for long enough to count
	seen    time.Time      // data reaches to here
	strain  string         // why in some seconds what was measured is a generator's doing as much as the system's
	easy    bool           // what some of a stream's generators told is enough
	failed  []string       // names of the expectations that did not hold last, for hints
	last    string         // what was measured last
	sum     sli.Aggregate  // for one expectation after the other
}

// steadyFrom searches the windows that begin at or after an instant, up to an end, for the first one from which the
// steady state holds: every expectation, evaluated over the windows from there on for as long as its sliding window is,
// and again from each of the following three seconds. Looking forward from the instant, rather than back, keeps the
// fault's own time out of the sliding window, so the answer is as fine as one window and does not grow with `over`.
func (j *judge) steadyFrom(from, end time.Time) steadiness {
	return j.steadyBy(from, end, steadiness{})
}

// steadyBy is steadyFrom, with what r says beforehand.
func (j *judge) steadyBy(from, end time.Time, r steadiness) steadiness {
	expects := j.steadyExpects()
	longest := j.longest()
	for s := range j.starts(from, end) {
		r.seen = s.Add(second)
	}
	if r.seen.IsZero() {
		r.blind = true
		return r
	}
	run := 0
	var first time.Time
	last := from
	for s := range j.starts(from, end) {
		if s.Sub(last) > 2*second {
			r.blind, run = true, 0
		}
		last = s
		holds := j.holdsFrom(expects, s, r.seen, &r)
		full := !s.Add(longest).After(r.seen)
		switch {
		case holds == clock.Unknown:
			r.blind = true
			run = 0
			continue
		case holds == clock.Missed:
			run = 0
			continue
		case run == 0:
			first = s
		}
		run++
		if full && s.Sub(first) >= holdFor {
			r.found, r.maybe = true, false
			r.at = clock.Between(laterOf(from, first.Add(-second)), first)
			return r
		}
	}
	r.maybe = run > 0
	return r
}

// steadyExpects returns the steady-state expectations of the plan.
func (j *judge) steadyExpects() []ExpectPlan {
	var out []ExpectPlan
	for _, e := range j.plan.Expects {
		if e.Part == PartSteady {
			out = append(out, e)
		}
	}
	return out
}

// longest returns the longest sliding window of the steady-state expectations.
func (j *judge) longest() time.Duration {
	d := second
	for _, e := range j.plan.Expects {
		if e.Part == PartSteady {
			d = max(d, e.Over)
		}
	}
	return d
}

// blindness says why seconds did not count.
func (r *steadiness) blindness() string {
	if r.partial {
		return "there were seconds that not every generator told of"
	}
	if r.strain != "" {
		return r.strain
	}
	return "there were seconds without traffic"
}

// starts goes through the distinct seconds at which windows begin in [from, end).
func (j *judge) starts(from, end time.Time) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		var last time.Time
		for ws := j.load.windows[j.load.from(from):]; len(ws) > 0; ws = ws[1:] {
			s := ws[0].Start
			if s.Add(second).After(end) {
				return
			}
			// Streams begin their seconds apart; one look a second is enough.
			if !last.IsZero() && s.Sub(last) < second/2 {
				continue
			}
			if last = s; !yield(s) {
				return
			}
		}
	}
}

// holdsFrom evaluates all expectations over their windows from s on, cut off where the data ends. What does not hold while a
// generator is at its own limit is unknown, as in every judgement.
func (j *judge) holdsFrom(expects []ExpectPlan, s, end time.Time, r *steadiness) clock.Outcome {
	answer := clock.Met
	r.failed = nil
	for _, e := range expects {
		span := clock.Span{Start: s, End: earlierOf(s.Add(max(e.Over, second)), end)}
		readings := j.load.into(&r.sum, []clock.Span{span})
		v := e.That.Eval(readings)
		partial := !r.easy && j.load.coverage("", []clock.Span{span}) < covered && len(j.load.absences("", span)) > 0
		r.partial = r.partial || partial
		switch {
		case !v.Known || !v.IsBool || partial:
			if answer == clock.Met {
				answer = clock.Unknown
			}
		case !v.Truth:
			if why := j.strain(e, span); why != "" {
				r.strain = why
				if answer == clock.Met {
					answer = clock.Unknown
				}
				continue
			}
			answer = clock.Missed
			var it Item
			it.measure(e.That, readings)
			r.failed, r.last = append(r.failed, e.Name), it.Measured
		}
	}
	return answer
}

// back returns when the steady state was back after a fault, or the end of the time it was allowed for that; known is
// false while the fault still stands. What some of a stream's generators told is enough to say so: else the time that is not known for want
// of the others would be left out as the fault's.
func (j *judge) back(f *FaultLife) (time.Time, bool) {
	from, ok := j.recoveryFrom(f)
	if !ok {
		return time.Time{}, false
	}
	allowed := from.Hi.Add(j.steadyLimit(f))
	if r := j.steadyBy(from.Hi, earlierOf(allowed.Add(j.longest()+holdFor+second), j.tl.End), steadiness{easy: true}); r.found {
		return r.at.Hi, true
	}
	return earlierOf(allowed, j.tl.End), true
}

// recoveryFrom returns the instant from which the way back is measured: the proof that the fault was gone. A kill has
// no revert, so for one it is the target's return; when the target never came back, the others must do without it, and
// the clock runs from the onset.
func (j *judge) recoveryFrom(f *FaultLife) (clock.Interval, bool) {
	onset := f.Onset()
	if onset.IsZero() {
		return clock.Interval{}, false
	}
	if gone := f.Gone(); !gone.IsZero() {
		return gone, true
	}
	return onset, !f.Reversible()
}

// steadyLimit returns how long the steady state may take to be back.
func (j *judge) steadyLimit(f *FaultLife) time.Duration {
	if f.Plan != nil && f.Plan.SteadyWithin > 0 {
		return f.Plan.SteadyWithin
	}
	return j.planned(Recovery)
}

// planned returns a phase's planned length.
func (j *judge) planned(p Phase) time.Duration {
	for _, x := range j.plan.Phases {
		if x.Phase == p {
			return x.Length
		}
	}
	return 0
}

func earlierOf(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func laterOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
