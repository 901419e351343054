package report

import (
	"fmt"
	"time"

	"gameday/clock"
)

// shortfall says that a planned fault put nothing to the test, or less than was planned.
type shortfall struct {
	brief string // "cut was never injected"
	why   string // the whole of it, with the reason
}

// shortfalls lists the planned faults that never took effect or were cut short. What only follows from a run's own
// early end is left out: the end itself is reason enough.
func (j *judge) shortfalls() []shortfall {
	var out []shortfall
	for i := range j.plan.Faults {
		f := j.tl.Fault(j.plan.Faults[i].Name)
		if why, _, not := j.notInjected(f.Name); not {
			if j.complete() || f.refused() != "" {
				out = append(out, shortfall{f.Name + " was never injected", why})
			}
			continue
		}
		if failed := f.refused(); failed != "" {
			brief := fmt.Sprintf("%s took effect at only %d of %d places", f.Name, f.took(), len(f.Injections))
			out = append(out, shortfall{brief, brief + ": " + j.people.scrub(failed)})
		}
		if c, short := f.cutShort(); short && (j.complete() || c.lapsed) {
			s := shortfall{brief: c.brief(f), why: c.brief(f) + ": it was gone before its time"}
			if c.lapsed {
				s.why = c.brief(f) + ": it lapsed"
				if c.why != "" {
					s.why += " (" + j.people.scrub(c.why) + ")"
				}
			}
			out = append(out, s)
		}
	}
	return out
}

// took counts the places at which the fault took effect.
func (f *FaultLife) took() (n int) {
	for _, in := range f.Injections {
		if !in.Onset.IsZero() {
			n++
		}
	}
	return n
}

// cutoff is how a fault came to stand for less than it was planned to.
type cutoff struct {
	stood  time.Duration
	lapsed bool
	why    string // of the lapse, as its guard gave it
}

func (c cutoff) brief(f *FaultLife) string {
	return fmt.Sprintf("%s stood for only %s of %s", f.Name, span(c.stood.Round(100*time.Millisecond)),
		span(f.Plan.Duration))
}

// cutShort reports whether the fault stood, at any place, for less than 95 % of the time it was planned to, and returns
// the shortest. It counts from the earliest onset to the latest end that the clocks allow, so in doubt a fault stood
// for long enough. A fault that has no undo, or ends by itself, has no time that it must stand.
func (f *FaultLife) cutShort() (c cutoff, short bool) {
	p := f.Plan
	if p == nil || p.Duration <= 0 || !p.Reversible || p.Kind == nodeRestart {
		return cutoff{}, false
	}
	for _, in := range f.Injections {
		if in.Onset.IsZero() || in.Gone.IsZero() {
			continue
		}
		stood := max(0, in.Gone.Sub(in.Onset).Hi)
		if float64(stood) >= covered*float64(p.Duration) || short && stood >= c.stood {
			continue
		}
		c, short = cutoff{stood: stood, lapsed: in.Lapsed, why: in.LapsedWhy}, true
	}
	return c, short
}

// shorten takes back what was judged about a fault that was cut short, unless it was met by what was seen: that
// something did not happen, or did not happen in time, proves nothing when the fault may have been gone too soon. One
// thing stays: an expectation that users saw broken so badly that the run was aborted for it.
func (j *judge) shorten(items []Item) []Item {
	for i := range items {
		it := &items[i]
		f := j.tl.Fault(it.cause)
		if f == nil {
			continue
		}
		c, short := f.cutShort()
		absent := it.Outcome == clock.Met && it.absence
		if !short || it.Outcome != clock.Missed && !absent || it.broken && j.aborted() {
			continue
		}
		why := c.brief(f) + ", not long enough to tell"
		if it.Why != "" {
			why += "; as it was, " + it.Why
		}
		it.unknown(why)
		it.Class, it.Hint = "", ""
		if j.complete() {
			it.Hint = fmt.Sprintf("%s was gone too soon to judge by: find out why, and run it again.", f.Name)
		}
	}
	return items
}

// aborted reports whether a stop condition ended the run.
func (j *judge) aborted() bool { return j.tl.Ended != nil && j.tl.Ended.Reason == EndAborted }
