package report

import (
	"fmt"
	"time"

	"gameday/clock"
)

// capacity returns the items of the capacity part: the expectations under the planned multiple, over the quiet part of
// the load phase. A rate that was not reached proves nothing about capacity, so the items are then unknown.
func (j *judge) capacity() []Item {
	var out []Item
	for _, e := range j.plan.Expects {
		if e.Part != PartCapacity {
			continue
		}
		it := j.expectation(e)
		it.Expected = fmt.Sprintf("%s holds at the planned load while no fault is felt", limitOf(e))
		j.overQuiet(&it, e)
		if it.Outcome == clock.Missed {
			it.Hint = fmt.Sprintf("The service does not carry this load (%s): find what saturates first, then run it again.",
				it.Measured)
		}
		j.reached(&it)
		out = append(out, it)
	}
	return out
}

// reached makes a capacity item unknown when less than 95 % of the arrivals that were due were begun, and says whose
// limit it was.
func (j *judge) reached(it *Item) {
	quiet := j.quiet().spans
	r := j.load.over(quiet...)
	ratio, ok := r.Read("", "reached_ratio")
	if !ok || ratio >= covered {
		return
	}
	it.Measured = "reached " + percent(ratio)
	if due := j.dueRate(quiet); due > 0 {
		it.Measured += fmt.Sprintf(" of %s/s", number(due))
	}
	whose, hint := j.limit(quiet)
	if away := j.load.absences("", quiet...); len(away) > 0 {
		whose, hint = j.runnerAway(away[0])
	}
	it.unknown("the planned load was not reached: " + whose)
	it.Hint = hint
}

// dueRate returns how many arrivals a second were due in the spans, over all streams.
func (j *judge) dueRate(spans []clock.Span) float64 {
	var due uint64
	seconds := map[time.Time]bool{}
	for _, s := range spans {
		for _, w := range j.load.inside(s) {
			due += w.Due
			seconds[w.Start.Truncate(second)] = true
		}
	}
	if len(seconds) == 0 {
		return 0
	}
	return float64(int64(10*float64(due)/float64(len(seconds))+0.5)) / 10
}
