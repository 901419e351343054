package report

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"time"

	"gameday/clock"
	"gameday/loadgen"
)

// Signs of a generator at its own limit, per stream and on average over the windows.
const (
	busyCores   = 0.9                    // processor time per time of one core
	busyWaiting = 0.1                    // time its threads were ready but not running, per time
	busyAll     = 0.95                   // processor time per time of all cores that it may use: nobody waits but inside it
	busyPauses  = 0.05                   // time its garbage collector had it stopped, per time
	lateStart   = 100 * time.Millisecond // from the intended to the actual start
)

// usage is what a generator used over some windows.
type usage struct {
	cores, waiting float64
	paused         float64 // time its garbage collector had it stopped, per time
	lateness       time.Duration
	full, late     int // windows with all virtual users busy; windows with late starts although some were free
	windows        int
	vus, maxVUs    int
	given          float64 // cores that it may use, or 0
	memory         uint64
}

// using adds up what a generator used.
type using struct {
	usage
	cpu, queue, pauses time.Duration
}

func (u *using) add(g *loadgen.Load) {
	u.windows++
	u.cpu += g.CPU
	u.queue += g.RunQueue
	u.pauses += g.GCPause
	u.lateness = max(u.lateness, g.Lateness)
	u.vus, u.maxVUs, u.memory = max(u.vus, g.VUs), max(u.maxVUs, g.MaxVUs), max(u.memory, g.Memory)
	u.given = max(u.given, g.Cores)
	busy := g.MaxVUs > 0 && g.VUs >= g.MaxVUs
	if busy {
		u.full++
	} else if g.Lateness >= lateStart {
		u.late++
	}
}

func (u *using) sum() usage {
	if u.windows > 0 {
		all := float64(time.Duration(u.windows) * second)
		u.cores, u.waiting, u.paused = float64(u.cpu)/all, float64(u.queue)/all, float64(u.pauses)/all
	}
	return u.usage
}

// use returns what a stream's generator used over some windows; of several, what they used together.
func use(ws iter.Seq[*loadgen.Window]) usage {
	var u using
	for w := range ws {
		u.add(&w.Generator)
	}
	return u.sum()
}

// generator is one of those of a stream, and what it used.
type generator struct {
	name string // empty when it was the only one
	using
}

// before names the generator in front of what is said of it.
func (g *generator) before(why string) string {
	if g.name == "" {
		return why
	}
	return g.name + ": " + why
}

// useApart returns what each generator of a stream used.
func useApart(ws iter.Seq[*loadgen.Window]) []*generator {
	var out []*generator
	of := func(name string) *generator {
		i := slices.IndexFunc(out, func(g *generator) bool { return g.name == name })
		if i < 0 {
			i, out = len(out), append(out, &generator{name: name})
		}
		return out[i]
	}
	for w := range ws {
		if len(w.Generators) == 0 {
			of("").add(&w.Generator)
		}
		for i := range w.Generators {
			of(w.Generators[i].Name).add(&w.Generators[i].Load)
		}
	}
	for _, g := range out {
		g.sum()
	}
	return out
}

// shows returns what the first of the generators that shows a sign shows, with its name, and "" when none does.
func shows(all []*generator, sign func(usage) string) string {
	for _, g := range all {
		if why := sign(g.usage); why != "" {
			return g.before(why)
		}
	}
	return ""
}

// fullest returns the first of several generators whose virtual users were all busy, or nil.
func fullest(all []*generator) *generator {
	for _, g := range all {
		if g.name != "" && g.windows > 0 && g.full*2 >= g.windows {
			return g
		}
	}
	return nil
}

// hungry says that the generator was short of the processor itself, and "" when it was not.
func (u usage) hungry() string {
	switch {
	case u.cores >= busyCores && u.waiting >= busyWaiting:
		return fmt.Sprintf("%.1f cores busy, its threads waited %s of the time", u.cores, percent(u.waiting))
	case u.given > 0 && u.cores >= busyAll*u.given:
		return fmt.Sprintf("%.3g of the %.3g cores that it may use busy", u.cores, u.given)
	case u.paused >= busyPauses:
		return fmt.Sprintf("its garbage collector had it stopped %s of the time", percent(u.paused))
	}
	return ""
}

// tardy says that the generator started late although it had virtual users free.
func (u usage) tardy() string {
	if u.windows == 0 || u.late*2 < u.windows {
		return ""
	}
	return fmt.Sprintf("starts were up to %s late with virtual users free", span(u.lateness))
}

// Saturation says by what signs the generator of these windows, of one stream, was at its own limit, and "" when it was
// not. What is measured then is the generator's as much as the system's. Of several generators one is enough, and is named.
func Saturation(ws []loadgen.Window) string {
	return saturation(func(yield func(*loadgen.Window) bool) {
		for i := range ws {
			if !yield(&ws[i]) {
				return
			}
		}
	})
}

func saturation(ws iter.Seq[*loadgen.Window]) string {
	all := useApart(ws)
	return cmp.Or(shows(all, usage.hungry), shows(all, usage.tardy))
}

// saturated makes a missed item unknown when it reads what a generator at its own limit spoils: how long answers took and
// how many arrivals were begun. Such a generator makes times longer and rates lower, never better, so that what holds all the same
// is proven; and an answer that says "error" says so whoever was slow.
func (j *judge) saturated(it *Item, e ExpectPlan, spans []clock.Span) {
	if it.Outcome != clock.Missed {
		return
	}
	streams := j.spoilt(e)
	for _, stream := range streams {
		if why := saturation(j.load.during(stream, spans...)); why != "" {
			it.unknown(fmt.Sprintf("%s does not satisfy %s, but the generator of %s was at its own limit "+
				"(%s)", it.Measured, limitOf(e), stream, why))
			it.Hint = fmt.Sprintf("What %s measured is its generator's as much as the system's: %s", stream,
				moreCores)
			return
		}
	}
	rest, stream, why := j.unstrained(streams, spans)
	if why == "" {
		return
	}
	if v := e.That.Eval(j.load.over(rest...)); total(rest) >= second && v.Known && v.IsBool && !v.Truth {
		return // the system's own doing
	}
	it.unknown(fmt.Sprintf("%s does not satisfy %s, but it is not missed without the %s in which the generator of %s was at its own limit "+
		"(%s)", it.Measured, limitOf(e), span(total(spans)-total(rest)), stream, why))
	it.Hint = fmt.Sprintf("What %s measured then is its generator's as much as the system's: %s", stream, moreCores)
}

// spoilt returns the streams of which an expectation reads what their generators may have spoilt.
func (j *judge) spoilt(e ExpectPlan) []string {
	var out []string
	for _, stream := range j.load.streams {
		if slices.ContainsFunc(e.That.SLIs(), func(s [2]string) bool {
			return !ownName(s[1]) && s[1] != "error_ratio" && s[1] != "check_ratio" && (s[0] == "" || s[0] == stream)
		}) {
			out = append(out, stream)
		}
	}
	return out
}

// stretch is how many seconds are looked at together, as the run itself does while it goes on.
const stretch = 5

// unstrained returns what is left of the spans without the stretches in which the generator of a stream was at its own limit, whose it
// was and by what signs; these are of the first, and empty when there was none. A peak is lost in the average over a long phase,
// and still decides a quantile.
func (j *judge) unstrained(streams []string, spans []clock.Span) (rest []clock.Span, stream, why string) {
	var holes []clock.Span
	for _, name := range streams {
		ws := slices.Collect(j.load.during(name, spans...))
		for i := range max(0, len(ws)-stretch+1) {
			part := ws[i : i+stretch]
			signs := saturation(slices.Values(part))
			if signs == "" {
				continue
			}
			if why == "" {
				stream, why = name, signs
			}
			holes = append(holes, clock.Span{Start: part[0].Start, End: part[stretch-1].Start.Add(second)})
		}
	}
	if why == "" {
		return spans, "", ""
	}
	holes = clock.Merge(holes)
	for _, s := range spans {
		rest = append(rest, without(s, holes)...)
	}
	return rest, stream, why
}

// strain says by what signs a generator was at its own limit while it measured what an expectation reads of a span, or about then;
// "" when none was.
func (j *judge) strain(e ExpectPlan, span clock.Span) string {
	about := clock.Span{Start: span.Start.Add(-(stretch - 1) * second), End: span.End.Add((stretch - 1) * second)}
	rest, stream, why := j.unstrained(j.spoilt(e), []clock.Span{about})
	if why == "" || clock.Share(rest, span) == 1 {
		return ""
	}
	return fmt.Sprintf("the generator of %s was at its own limit (%s)", stream, why)
}

const moreCores = "give it more cores, a cheaper script, or requests without one."

// limit says whose limit kept the planned load from being reached. The generator's: it used up a core while its threads
// had to wait for one, or all that it may use, or was stopped by its garbage collector, or started late although virtual users were
// free. The system's: all virtual users were busy waiting for answers, or those of one of several machines.
func (j *judge) limit(spans []clock.Span) (whose, hint string) {
	for _, stream := range j.load.streams {
		u := use(j.load.during(stream, spans...))
		if u.windows == 0 {
			continue
		}
		all := useApart(j.load.during(stream, spans...))
		hungry, tardy := shows(all, usage.hungry), shows(all, usage.tardy)
		switch {
		case hungry != "":
			return fmt.Sprintf("the generator of %s was the limit (%s)", stream, hungry),
				fmt.Sprintf("The generator of %s ran out of processor: capacity is unknown. G%s", stream, moreCores[1:])
		case u.full*2 >= u.windows:
			return fmt.Sprintf("the system was the limit: all %d virtual users of %s were busy waiting for it",
					u.maxVUs,
					stream),
				fmt.Sprintf("All %d virtual users of %s waited for answers: the system could not take the load. "+
					"Find what "+
					"is slow, or raise max_vus to see how it fails.", u.maxVUs, stream)
		case fullest(all) != nil:
			g := fullest(all)
			return fmt.Sprintf("the system, or the way to it from %s, was the limit: all %d virtual users of %s there were busy waiting for it",
					g.name, g.maxVUs, stream),
				fmt.Sprintf("All %d virtual users of %s on %s waited for answers, and those elsewhere did not. See how far it is from there, "+
					"leave %s out, or raise max_vus.", g.maxVUs, stream, g.name, g.name)
		case tardy != "":
			return fmt.Sprintf("the generator of %s was the limit (%s)", stream, tardy),
				fmt.Sprintf("The generator of %s started late although it had free virtual users: it competes for "+
					"processors. Run it on a quieter machine.", stream)
		}
	}
	return "neither the generator nor the system shows why",
		"Look at the generator's notes: arrivals were lost, and neither the " +
			"processor nor the virtual users were exhausted."
}
