package report

import (
	"cmp"
	"math"
	"slices"
	"time"

	"gameday/clock"
)

// Score judges a record. It is a pure function: it reads no clock, no environment and no file, so the same record gives
// the same scorecard at any time.
//
// Items have three outcomes, and what is unknown never counts as met. Over all items with a weight,
//
//	low      = 100 · Σ known weight·value / Σ weight
//	high     = low + 100 · (Σ unknown weight + Σ late weight·(best − value)) / Σ weight
//	coverage = Σ known weight / Σ weight
//
// where best is what a late item would be worth by its shortest reading, and an item's weight is its part's weight, shared among the part's items by their own weights. A part without items
// is left out, which scales the others to 100.
func Score(rec *Record) *Scorecard {
	j := newJudge(rec)
	parts := []PartScore{
		{Part: Service, Items: j.shorten(j.service())},
		{Part: Recover, Items: j.shorten(j.recovery())},
		{Part: Detection, Items: j.shorten(j.detection())},
		{Part: Response, Items: j.shorten(j.response())},
		{Part: Capacity, Items: j.capacity()},
	}
	c := &Scorecard{
		Format: 1, Scenario: rec.Plan.Scenario, File: rec.Plan.File, Summary: rec.Plan.Summary,
		Owner: j.people.scrub(rec.Plan.Owner), Run: j.tl.Started.Run, Version: j.tl.Started.Version,
		Started: cmpTime(j.tl.Started.At, j.tl.Start).UTC(), Length: j.tl.End.Sub(j.tl.Start),
		Torn: rec.Torn, Pass: rec.Plan.Score.Pass,
		rec: rec, tl: j.tl, load: j.load, people: j.people, untested: j.shortfalls(), by: j,
	}
	if e := j.tl.Ended; e != nil {
		c.End, c.EndError = e.Reason, j.people.scrub(e.Error)
	}
	j.ground(parts)
	c.Safety = j.safety()
	c.Residue = len(c.Safety.Residue) > 0
	parts = j.override(c, parts)
	gradeItems(parts)
	c.Parts = tally(parts, rec.Plan.Score.Weights)
	c.sum()
	c.judge()
	c.Why, c.Remedies = j.reasons(c), j.remedies(c)
	if rests := c.restsOn(); rests != "" {
		c.Why = append(c.Why, rests)
	}
	c.Next = advice(c)
	j.advise(c)
	c.Objectives, c.Detected = j.objectives(c), j.detected(c)
	c.Exit = c.ExitCode()
	j.facts(c)
	return c
}

// judge is what the judging of one record needs at every turn.
type judge struct {
	rec    *Record
	plan   *Plan
	tl     *Timeline
	load   *traffic
	people *people
	alarms map[string]*alarmFinding // by the alarm's name in the plan
	// classes says what each episode counted as, by source, key and begin.
	classes map[episodeID]Class
	// calm is the quiet part of the load phase, found once.
	calm *quietness
	// lost are the complaints of streams whose requests were never counted.
	lost map[string]string
	// outside is for how long users were outside the objectives, once somebody asked.
	outside *Outside
}

func newJudge(rec *Record) *judge {
	tl := NewTimeline(rec)
	j := &judge{rec: rec, plan: rec.Plan, tl: tl, load: newTraffic(rec), people: newPeople(rec, tl),
		alarms: map[string]*alarmFinding{}, classes: map[episodeID]Class{}}
	j.unname()
	for i := range rec.Plan.Alarms {
		a := &rec.Plan.Alarms[i]
		j.alarms[a.Name] = j.find(a)
	}
	j.lost = j.unsent()
	return j
}

// null reports whether the scenario has no fault, so that there is nothing to detect and nobody to answer.
func (j *judge) null() bool { return len(j.plan.Faults) == 0 }

// complete reports whether the run came to its planned end.
func (j *judge) complete() bool { return j.tl.Ended != nil && j.tl.Ended.Reason == EndComplete }

// weight returns an item's weight as the plan gives it; one that was not given is 1. Items without points have weight
// 0.
func weight(w float64) float64 {
	if !(w > 0) || math.IsInf(w, 0) {
		return 1
	}
	return w
}

// tally shares out the points: to the parts that have items by their weights, within a part by the items' weights.
func tally(parts []PartScore, weights map[Part]float64) []PartScore {
	parts = slices.DeleteFunc(parts, func(p PartScore) bool { return len(p.Items) == 0 })
	of := func(p Part) float64 {
		w, given := weights[p]
		if !given {
			w = DefaultWeights()[p]
		}
		if !(w > 0) || math.IsInf(w, 0) {
			return 0
		}
		return w
	}
	var sum float64
	for _, p := range parts {
		if p.weight() > 0 {
			sum += of(p.Part)
		}
	}
	for i := range parts {
		p := &parts[i]
		if sum > 0 && p.weight() > 0 {
			p.Points = 100 * of(p.Part) / sum
		}
		p.share()
	}
	return parts
}

// share gives the part's items their points, and adds up what they earned.
func (p *PartScore) share() {
	sum := p.weight()
	var known, missing, blurred float64
	for i := range p.Items {
		it := &p.Items[i]
		it.Part = p.Part
		if sum == 0 {
			continue
		}
		it.Points = p.Points * it.Weight / sum
		if it.Outcome == clock.Unknown {
			it.Value = 0
			missing += it.Weight
			continue
		}
		known += it.Weight
		p.Low += it.Points * it.Value
		blurred += it.Points * max(0, it.best-it.Value)
	}
	if sum > 0 {
		p.High = min(p.Points, p.Low+p.Points*missing/sum+blurred)
		p.Coverage = known / sum
	}
}

// weight returns the sum of the weights of the part's items.
func (p *PartScore) weight() float64 {
	var sum float64
	for _, it := range p.Items {
		sum += it.Weight
	}
	return sum
}

// sum adds up the parts.
func (c *Scorecard) sum() {
	var points float64
	for _, p := range c.Parts {
		points += p.Points
		c.Low += p.Low
		c.High += p.High
		c.Coverage += p.Coverage * p.Points / 100
	}
	if points == 0 {
		c.High = 100 // nothing that could be judged: anything is possible
	}
	c.Low = min(100, c.Low)
	c.High = min(100, max(c.High, c.Low))
	c.Coverage = min(1, c.Coverage)
}

// judge reaches the verdict. A required miss fails; a required unknown is inconclusive; a low score at the pass mark
// passes; a high score below it fails; anything else is inconclusive. A run that did not come to its planned end cannot
// pass, nor can one in which a planned fault never took effect or was cut short: what it passed is not what was
// planned. A fault left standing outranks everything.
func (c *Scorecard) judge() {
	v := c.base()
	switch c.End {
	case EndComplete:
	case EndAborted, EndStopped:
		v = v.Merge(Aborted)
	default:
		v = v.Merge(Inconclusive)
	}
	if len(c.untested) > 0 || c.Safety.Unseen != "" {
		v = v.Merge(Inconclusive)
	}
	if c.Residue {
		v = Failed
	}
	c.Verdict = v
}

// rounding absorbs what adding up shares of 100 loses.
const rounding = 1e-9

func (c *Scorecard) base() Verdict {
	unknown := false
	for _, it := range c.Items() {
		if it.Required && it.Outcome == clock.Missed {
			return Failed
		}
		unknown = unknown || it.Required && it.Outcome == clock.Unknown
	}
	switch {
	case unknown || len(c.Parts) == 0:
		return Inconclusive
	case c.Low >= c.Pass-rounding:
		return Passed
	case c.High < c.Pass-rounding:
		return Failed
	}
	return Inconclusive
}

// verdictOf judges a deadline by a latency: within the limit is worth everything, late is missed but worth
//
//	1 − (Δ.hi − D) / (L − D),  with L = 2D,
//
// and never less than nothing. A limit of 0 has no lateness.
func verdictOf(l clock.Latency, limit time.Duration) (clock.Outcome, float64) {
	switch l.Within(limit) {
	case clock.Met:
		return clock.Met, 1
	case clock.Missed:
		if limit <= 0 {
			return clock.Missed, 0
		}
		late := float64(l.Hi-limit) / float64(limit)
		return clock.Missed, max(0, 1-late)
	default:
		return clock.Unknown, 0
	}
}

// met, missed and unknown set an item's outcome with its reason.
func (i *Item) met() { i.Outcome, i.Value = clock.Met, 1 }

func (i *Item) missed(why string) { i.Outcome, i.Value, i.best, i.Why = clock.Missed, 0, 0, why }

func (i *Item) unknown(why string) { i.Outcome, i.Value, i.best, i.Why = clock.Unknown, 0, 0, why }

// within judges the item by a latency and its limit, and says why in the words of late and blurred.
func (i *Item) within(l clock.Latency) {
	i.Latency = &l
	i.Measured = latency(l)
	i.Outcome, i.Value = verdictOf(l, i.Within)
	i.best = 0
	if i.Outcome == clock.Missed && i.Within > 0 {
		i.best = max(0, min(1, 1-float64(l.Lo-i.Within)/float64(i.Within)))
	}
	switch i.Outcome {
	case clock.Missed:
		i.Why = "it took " + latency(l) + ", and the limit is " + span(i.Within)
	case clock.Unknown:
		i.Why = "it took " + latency(l) + ", too close to the limit of " + span(i.Within) + " to tell"
	}
}

// lateUnseen leaves room for what may have come late, and unseen: what is missed for not having been seen in time is worth
// nothing for certain only where the time in which it would still be worth a part was watched too.
func (i *Item) lateUnseen(w watch, since clock.Interval) {
	if i.Outcome != clock.Missed || i.Latency != nil || i.Within <= 0 {
		return
	}
	need := clock.Span{Start: since.Lo.Add(i.Within), End: earlierOf(since.Hi.Add(2*i.Within), w.end)}
	if need.Length() == 0 {
		return
	}
	if from, gap := w.gap(need); gap {
		late := from.Sub(since.Hi.Add(i.Within))
		i.best = max(i.best, min(1, 1-float64(late)/float64(i.Within)))
	}
}

// grounded reports whether the item's evidence names a line of the record.
func (i *Item) grounded() bool {
	return slices.ContainsFunc(i.Evidence, func(e Evidence) bool { return len(e.Lines) > 0 })
}

// ground gives items of which nothing was seen what is known of their fault: that it was tried, and what came of it.
func (j *judge) ground(parts []PartScore) {
	last := 0 // line of the record, but for those of traffic
	for _, e := range j.rec.Events {
		if e.Kind != WindowClosed {
			last = int(e.Seq)
		}
	}
	for p := range parts {
		for i := range parts[p].Items {
			it := &parts[p].Items[i]
			if f := j.tl.Fault(it.cause); len(it.Evidence) == 0 && f != nil && f.attempted() && f.Onset().IsZero() {
				it.sawAs("A", "guard", f.Name+" was tried: "+j.people.scrub(f.failure(j.complete())), f.lines()...)
			}
			if it.Outcome == clock.Unknown && j.tl.Ended == nil && !it.grounded() {
				it.sawAs("A", "record", "it ends at "+j.tl.stamp(j.tl.End)+" without an end: gameday was killed, and nobody was asked afterwards", last)
			}
		}
	}
}

// saw adds evidence to the item.
func (i *Item) saw(source, text string, lines ...int) {
	lines = slices.Clone(lines)
	slices.Sort(lines)
	lines = slices.DeleteFunc(slices.Compact(lines), func(n int) bool { return n == 0 })
	i.Evidence = append(i.Evidence, Evidence{Source: source, Text: text, Lines: lines})
}

// notInjected says why nothing can be judged about a fault that never took effect, with what to do about it.
func (j *judge) notInjected(name string) (why, hint string, not bool) {
	f := j.tl.Fault(name)
	switch {
	case name == "":
		return "the plan names no fault as its cause", "", true
	case f == nil:
		return name + " is not a fault of the plan", "", true
	case f.Onset().IsZero():
		for _, in := range f.Injections {
			hint = cmp.Or(hint, j.people.scrub(in.Hint))
		}
		return name + " was never injected: " + j.people.scrub(f.failure(j.complete())), hint, true
	}
	return "", "", false
}

// skipped makes an item unknown when its fault was never injected.
func (j *judge) skipped(it *Item, fault string) bool {
	why, hint, not := j.notInjected(fault)
	if not {
		it.unknown(why)
		it.Hint = hint
	}
	return not
}

// byLoss orders items by what they cost, the required ones first.
func byLoss(a, b *Item) int {
	rank := func(i *Item) int {
		if i.Required {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(b.Lost(), a.Lost()))
}
