package report

import (
	"cmp"
	"fmt"
	"strings"

	"gameday/clock"
	"gameday/loadgen/sli"
)

// service returns the items of the service part: the expectations of each fault over the windows while it stood, and
// the steady state over the quiet part of the load phase.
func (j *judge) service() []Item {
	var out []Item
	for _, e := range j.plan.Expects {
		switch e.Part {
		case PartFault:
			out = append(out, j.whileStanding(e))
		case PartSteady:
			it := j.expectation(e)
			it.Title += " under load"
			it.Expected = fmt.Sprintf("%s holds over the load phase while no fault is felt", limitOf(e))
			j.overQuiet(&it, e)
			if it.Outcome == clock.Missed {
				it.Hint = "The steady state does not hold at the planned load even without a fault: mend that first, or " +
					"plan a lower multiple."
			}
			out = append(out, it)
		}
	}
	return out
}

// expectation begins the item of an expectation.
func (j *judge) expectation(e ExpectPlan) Item {
	return Item{ID: e.ID, Title: e.Name, Weight: weight(e.Weight), Required: e.Required, Limit: limitWords(e.That,
		e.Source),
		Measured: "unknown"}
}

func limitOf(e ExpectPlan) string { return cmp.Or(e.Source, e.That.String()) }

// whileStanding judges a fault's expectation over the windows that lie wholly in the time it stood everywhere.
func (j *judge) whileStanding(e ExpectPlan) Item {
	it := j.expectation(e)
	it.cause, it.broken = e.Fault, true
	it.Title += " while " + e.Fault
	it.Expected = fmt.Sprintf("%s holds over the time in which %s stands", limitOf(e), e.Fault)
	if j.skipped(&it, e.Fault) {
		return it
	}
	f := j.tl.Fault(e.Fault)
	stood, ok := f.Standing(j.tl.End)
	if !ok {
		it.unknown(e.Fault + " stood at no time at all of its places")
		return it
	}
	it.saw("record", fmt.Sprintf("%s stood from %s to %s", e.Fault, j.tl.since(stood.Start), j.tl.since(stood.End)),
		f.lines()...)
	j.evaluate(&it, e, []clock.Span{stood})
	if it.Outcome == clock.Missed {
		it.Hint = fmt.Sprintf("While %s stood users saw %s: give the calls that it breaks a time limit and a fallback.",
			e.Fault, it.Measured)
	}
	if p := f.Plan; it.Outcome == clock.Met && p != nil && p.Duration > 0 &&
		float64(stood.Length()) < covered*float64(p.Duration) {
		it.unknown(fmt.Sprintf("it held for as long as %s stood, but that was %s of %s", e.Fault, span(stood.Length()),
			span(p.Duration)))
	}
	return it
}

// quiet returns the load phase without the times in which a fault may have been felt: from the command to inject until
// the steady state was back, or until the time allowed for that was over. The way back is judged as recovery, not
// twice.
func (j *judge) quiet() quietness {
	if j.calm != nil {
		return *j.calm
	}
	q := quietness{}
	q.load, q.reached = j.tl.Phase(Load)
	var holes []clock.Span
	for _, f := range j.tl.Faults {
		s, ok := f.reach(j.tl.End)
		if !ok {
			continue
		}
		if back, known := j.back(f); known {
			s.End = laterOf(s.End, back)
		}
		holes = append(holes, s)
	}
	if q.reached {
		q.spans = without(q.load.Span, holes)
	}
	j.calm = &q
	return q
}

// quietness is the quiet part of the load phase.
type quietness struct {
	spans   []clock.Span
	load    PhaseSpan
	reached bool // the load phase was reached
}

// overQuiet judges an expectation over the quiet part of the load phase.
func (j *judge) overQuiet(it *Item, e ExpectPlan) {
	q := j.quiet()
	quiet, load := q.spans, q.load
	if !q.reached {
		it.unknown("the load phase was not reached")
		return
	}
	if total(quiet) < second {
		it.unknown("a fault was felt through the whole load phase, so nothing is left to judge it by")
		return
	}
	it.saw("record", fmt.Sprintf("%s of the load phase (%s) were free of faults: %s", span(total(quiet)),
		span(load.Length()), j.spans(quiet)))
	j.evaluate(it, e, quiet)
	if it.Outcome == clock.Met && float64(j.came(load)) < covered*float64(j.planned(Load)) {
		it.unknown("it held, but " + j.cut(load))
	}
}

// spans prints spans as times since the run's start.
func (j *judge) spans(spans []clock.Span) string {
	words := make([]string, len(spans))
	for i, s := range spans {
		words[i] = j.tl.since(s.Start) + "–" + j.tl.since(s.End)
	}
	return strings.Join(words, ", ")
}

// evaluate judges an expectation by one aggregate over the windows of the spans.
func (j *judge) evaluate(it *Item, e ExpectPlan, spans []clock.Span) {
	r := j.load.over(spans...)
	it.measure(e.That, r)
	if j.uncounted(it, e) {
		return
	}
	for _, s := range e.That.SLIs() {
		if ownName(s[1]) {
			continue
		}
		if got := j.load.coverage(s[0], spans); got < covered {
			it.unknown(j.untold(s[0], spans, got))
			return
		}
	}
	it.sawAs("A", "traffic", fmt.Sprintf("%s in %s: %s", count(r.n, "window"), span(total(spans)), it.Measured))
	v := e.That.Eval(r)
	switch {
	case !v.Known || !v.IsBool:
		it.unknown("there is no data to tell by")
	case v.Truth:
		it.met()
	default:
		it.missed(it.Measured + " does not satisfy " + limitOf(e))
	}
	j.saturated(it, e, spans)
}

// measure notes what the expression's indicators are, in the order they appear.
func (i *Item) measure(e *sli.Expr, r sli.Readings) {
	i.Values = nil
	var words []string
	for _, s := range e.SLIs() {
		v, ok := r.Read(s[0], s[1])
		m := Measure{Stream: s[0], Name: s[1], Known: ok}
		if ok {
			m.Value = v
			words = append(words, measured(s[0], s[1], v))
		}
		i.Values = append(i.Values, m)
	}
	i.Measured = cmp.Or(strings.Join(words, ", "), "no data")
}
