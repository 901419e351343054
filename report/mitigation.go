package report

import (
	"cmp"
	"fmt"
	"time"

	"gameday/clock"
)

// comeback is when the service was back in its steady state after a fault took effect, whether or not the fault still stood.
type comeback struct {
	at    clock.Interval // since when every steady-state expectation held; zero when that is not known
	bad   bool           // it was out of its steady state at all
	last  time.Time      // the begin of the last second that did not hold
	never bool           // it was not back by the end of what was measured
	why   string         // why nothing is known
	said  string         // what did not hold last
	// ceased says that why is about the time after end, for the traffic ended there and the run did not.
	ceased bool
	end    time.Time // until when it was looked at
	by     string    // the fault that began then; empty at the record's end
}

// cameBack looks through every second from the onset of a fault until another one is felt, for the last that did not hold: what
// holds for a moment before an effect reaches users is no recovery.
func (j *judge) cameBack(f *FaultLife, onset clock.Interval) comeback {
	c := comeback{}
	c.end, c.by = j.disturbed(f, onset.Hi)
	expects := j.steadyExpects()
	var r steadiness
	for s := range j.starts(onset.Lo, c.end) {
		r.seen = s.Add(second)
	}
	if r.seen.IsZero() || len(expects) == 0 {
		c.why = "there is no traffic to tell it by"
		return c
	}
	last := onset.Lo
	for s := range j.starts(onset.Lo, c.end) {
		if s.Sub(last) > 2*second {
			c.why = "there were seconds without traffic"
		}
		last = s
		switch j.holdsFrom(expects, s, r.seen, &r) {
		case clock.Missed:
			c.bad, c.last, c.said, c.why = true, s, list(r.failed)+" did not hold: "+r.last, ""
		case clock.Unknown:
			c.why = cmp.Or(r.strain, "there were seconds of which nothing is known")
		}
	}
	if c.bad && c.why == "" {
		c.at = clock.Between(c.last, c.last.Add(second))
		c.never = r.seen.Sub(c.at.Hi) < holdFor
	}
	until := c.end
	if n := len(j.tl.Phases); n > 0 {
		until = earlierOf(until, j.tl.Phases[n-1].End)
	}
	if until.Sub(r.seen) > 2*second { // the generator gave up before its time
		c.end, c.by = r.seen, ""
		if !c.never && c.why == "" {
			c.why, c.ceased = "there was no traffic after "+j.tl.stamp(r.seen), true
		}
	}
	return c
}

// mitigated judges how soon after the onset the users' own indicators were back inside, with or without the fault gone.
func (j *judge) mitigated(p *paging) Item {
	it := p.item("mitigate", "mitigated", *p.plan.Mitigate)
	it.timed(ClockMitigate, p.plan.Name, "the onset of "+p.cause)
	it.Expected = fmt.Sprintf("every steady-state expectation holds again, for good, within %s of the onset of %s", it.Limit, p.cause)
	f := j.tl.Fault(p.cause)
	if j.skipped(&it, p.cause) || j.uncounted(&it, j.steadyExpects()...) {
		return it
	}
	onset := f.Onset()
	it.runs(onset)
	c := j.cameBack(f, onset)
	deadline := onset.Hi.Add(it.Within)
	if c.said != "" {
		it.sawAs("A", "traffic", fmt.Sprintf("%s: %s", j.tl.stamp(c.last), c.said))
	}
	it.Measured = "not seen"
	switch {
	case c.why != "":
		it.unknown(c.why)
	case !c.bad && c.end.Before(deadline):
		it.unknown(fmt.Sprintf("it held until %s, when its time was not over", j.tl.stamp(c.end)))
	case !c.bad:
		it.Measured = "not needed"
		it.met()
		it.Why = "the steady state held all along"
	case c.never && c.end.Before(deadline):
		it.unknown("it was not back when " + endedBy(c.by) + ", and its time was not over")
	case c.never:
		it.Measured = "never"
		it.missed(c.said)
		it.Hint = "Nothing that was done brought the service back in time: what would have, and does the runbook say so?"
	default:
		l := c.at.Sub(onset)
		l.Lo = max(0, l.Lo)
		it.sawAs("A", "traffic", fmt.Sprintf("the steady state holds from %s on, %s", j.tl.around(c.at), j.stoodThen(f, c.at)))
		it.within(l)
		if it.Outcome == clock.Missed {
			it.Hint = "It came back late: what could have been done sooner, such as turning the affected part off?"
		}
	}
	return it
}

// stoodThen says whether a fault still stood at an instant.
func (j *judge) stoodThen(f *FaultLife, at clock.Interval) string {
	switch gone := f.Gone(); {
	case gone.IsZero() || at.Before(gone):
		return "while " + f.Name + " still stood"
	case gone.Before(at):
		return "after " + f.Name + " was gone"
	default:
		return "about when " + f.Name + " was lifted"
	}
}

func endedBy(fault string) string {
	if fault == "" {
		return "the record ended"
	}
	return fault + " began"
}

// premature takes back that a page was resolved rightly, when the service was not back by then.
func (j *judge) premature(p *paging, it *Item, resolved clock.Interval) {
	f := j.tl.Fault(p.cause)
	c := j.cameBack(f, f.Onset())
	switch {
	case c.bad && c.last.After(resolved.Hi):
		it.missed(fmt.Sprintf("it was resolved at %s, and the service was not back: at %s %s", j.tl.around(resolved), j.tl.stamp(c.last), c.said))
		it.Value, it.best = 0, 0
		it.Hint = "Look at what users see before a page is closed."
	case it.Outcome != clock.Met:
	case c.why != "" && !(c.ceased && !c.end.Before(resolved.Hi)):
		it.unknown("whether the service was back when it was resolved is not known: " + c.why)
	case c.bad && !c.never && !c.at.Hi.After(resolved.Lo): // whatever another fault did to it by then
	case c.end.Before(resolved.Hi):
		it.unknown("it was resolved when " + endedBy(c.by) + ": whether the service was back cannot be told")
	case c.bad:
		it.unknown("it was resolved just when the service came back")
	}
}
