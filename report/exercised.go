package report

import (
	"gameday/clock"
)

// Exercise is what one run tells of one alarm that it expected to fire.
type Exercise struct {
	Alarm, Source, Cause string
	// Fired is Met when the alarm fired because of its cause, in time or not; Missed when it did not and was watched; else
	// Unknown: its cause never came, its source was not watched, or it was there before.
	Fired clock.Outcome
	At    clock.Interval // when it fired; zero unless Fired is Met
	// Took is from the onset of the cause to the firing. It is nil when it did not fire, and when an earlier episode may have
	// gone unseen.
	Took *clock.Latency
}

// Exercises returns what the run tells of each alarm that the plan expects to fire, in the plan's order. A run without
// faults exercises none.
func (c *Scorecard) Exercises() []Exercise {
	j := c.by
	if j.null() {
		return nil
	}
	var out []Exercise
	for i := range j.plan.Alarms {
		p := &j.plan.Alarms[i]
		if p.Quiet {
			continue
		}
		f := j.alarms[p.Name]
		x := Exercise{Alarm: p.Name, Source: p.Source, Cause: p.Cause}
		switch {
		case f.first != nil:
			x.Fired, x.At = clock.Met, f.first.Firing
			unseen := clock.Span{Start: f.t0.Lo, End: f.first.Firing.Lo}
			if unseen.Length() == 0 || f.account.watch().all(unseen) {
				l := f.first.Firing.Sub(f.t0)
				x.Took = &clock.Latency{Lo: max(0, l.Lo), Hi: max(0, l.Hi)}
			}
		case f.class == ClassMissed:
			x.Fired = clock.Missed
		default:
			if a, _ := j.absent(p.Name); a != nil && f.skip == "" {
				x.Fired = clock.Missed // no rule can raise it
			}
		}
		out = append(out, x)
	}
	return out
}

// Style returns the style sheet of the report's page, for other pages in its look.
func Style() string { return pageStyle }
