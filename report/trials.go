package report

import (
	"gameday/clock"
)

// Trial is what one run shows of whether an alarm fires within its limit: once its fault took effect, and as long after the begin of
// the control phase. Either is unknown where it was not seen, or where the run has no such arm.
type Trial struct {
	Alarm   string
	Cause   string
	Fault   clock.Outcome // met: it fired within its limit
	Control clock.Outcome
}

// Trials returns one for each expected alarm that has a limit to fire in, in the plan's order.
func (c *Scorecard) Trials() []Trial {
	var out []Trial
	for i := range c.by.plan.Alarms {
		a := &c.by.plan.Alarms[i]
		f := c.by.alarms[a.Name]
		if a.Quiet || a.FiresWithin == 0 {
			continue
		}
		out = append(out, Trial{Alarm: a.Name, Cause: a.Cause, Fault: f.fired, Control: c.by.controlOf(f)})
	}
	return out
}

// controlOf is whether an alarm fired in as much of the control phase as its limit is long.
func (j *judge) controlOf(f *alarmFinding) clock.Outcome {
	p, ok := j.tl.Phase(Control)
	if !ok || f.account == nil || f.plan.unasked {
		return clock.Unknown
	}
	need := clock.Span{Start: p.Start, End: p.Start.Add(f.plan.FiresWithin)}
	from, to := clock.At(need.Start), clock.At(need.End)
	outcome := clock.Missed
	for _, e := range f.account.Episodes {
		if !matches(f.plan.Match, e.Labels) || !e.fired() || to.Before(e.Firing) || !e.Ended.IsZero() && e.Ended.Before(from) {
			continue
		}
		if from.Before(e.Firing) && e.Firing.Before(to) {
			return clock.Met
		}
		outcome = clock.Unknown // it may have been there before, or have come after
	}
	if outcome == clock.Missed && (need.End.After(p.End) || !f.account.watch().all(need)) {
		return clock.Unknown
	}
	return outcome
}
