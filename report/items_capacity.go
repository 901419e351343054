package report

import (
	"fmt"
	"time"

	"gameday/clock"
	"gameday/loadgen"
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

// Signs of a generator at its own limit, per stream and on average over the windows.
const (
	busyCores   = 0.9                    // processor time per time of one core
	busyWaiting = 0.1                    // time its threads were ready but not running, per time
	lateStart   = 100 * time.Millisecond // from the intended to the actual start
)

// limit says whose limit kept the planned load from being reached. The generator's: it used up a core while its threads
// had to wait for one, or started late although virtual users were free. The system's: all virtual users were busy
// waiting for answers.
func (j *judge) limit(spans []clock.Span) (whose, hint string) {
	for _, stream := range j.load.streams {
		var ws []loadgen.Window
		for _, s := range spans {
			for _, w := range j.load.inside(s) {
				if w.Stream == stream {
					ws = append(ws, w)
				}
			}
		}
		if len(ws) == 0 {
			continue
		}
		u := use(ws)
		switch {
		case u.cores >= busyCores && u.waiting >= busyWaiting:
			return fmt.Sprintf("the generator of %s was the limit (%.1f cores busy, its threads waited %s of the time)", stream,
					u.cores, percent(u.waiting)),
				fmt.Sprintf("The generator of %s ran out of processor: capacity is unknown. Give it more cores, or use a cheaper "+
					"script.", stream)
		case u.full*2 >= len(ws):
			return fmt.Sprintf("the system was the limit: all %d virtual users of %s were busy waiting for it", u.maxVUs,
					stream),
				fmt.Sprintf("All %d virtual users of %s waited for answers: the system could not take the load. Find what "+
					"is slow, or "+
					"raise max_vus to see how it fails.", u.maxVUs, stream)
		case u.late*2 >= len(ws):
			return fmt.Sprintf("the generator of %s was the limit (starts were up to %s late with virtual users free)", stream,
					span(u.lateness)),
				fmt.Sprintf("The generator of %s started late although it had free virtual users: it competes for "+
					"processors. Run it "+
					"on a quieter machine.", stream)
		}
	}
	return "neither the generator nor the system shows why",
		"Look at the generator's notes: arrivals were lost, and neither the " +
			"processor nor the virtual users were exhausted."
}

// usage is what a generator used over some windows.
type usage struct {
	cores, waiting float64
	lateness       time.Duration
	full, late     int // windows with all virtual users busy; windows with late starts although some were free
	vus, maxVUs    int
	memory         uint64
}

func use(ws []loadgen.Window) usage {
	var u usage
	var cpu, queue time.Duration
	for _, w := range ws {
		g := w.Generator
		cpu += g.CPU
		queue += g.RunQueue
		u.lateness = max(u.lateness, g.Lateness)
		u.vus, u.maxVUs, u.memory = max(u.vus, g.VUs), max(u.maxVUs, g.MaxVUs), max(u.memory, g.Memory)
		busy := g.MaxVUs > 0 && g.VUs >= g.MaxVUs
		if busy {
			u.full++
		} else if g.Lateness >= lateStart {
			u.late++
		}
	}
	if len(ws) > 0 {
		all := time.Duration(len(ws)) * second
		u.cores, u.waiting = float64(cpu)/float64(all), float64(queue)/float64(all)
	}
	return u
}
