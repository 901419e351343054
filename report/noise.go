package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gameday/clock"
)

// noise judges that nothing paged which nobody expected. It is worth
//
//	1 − (n − at_most) / (1 + number of expected alarms)
//
// and never less than nothing, where n counts the unexpected episodes: with one expected alarm, the first page too many
// costs half, as precision does. In a scenario without a fault every alarm is noise; silence then earns nothing,
// because there was nothing to tell apart, but any noise costs the whole part.
//
// One alarm that several sources report (a rule engine and the router behind it) counts once: n is, for each alarm
// name, the most episodes that any one source has. Where the plan says which labels page, an episode without them counts a fifth.
func (j *judge) noise() (Item, bool) {
	plan := j.plan.Noise
	if plan == nil {
		if !j.null() || j.mustFire() == 0 {
			return Item{}, false
		}
		plan = &NoisePlan{}
	}
	it := Item{ID: "noise", Title: "nothing else paged", Weight: weight(plan.Weight), Limit: count(plan.AtMost, "page"),
		Expected: "no alarm fires that nobody expected: at most " + count(plan.AtMost, "page")}
	perName, surely := map[string]map[string]int{}, map[string]map[string]int{}
	add := func(to map[string]map[string]int, e *episode) {
		if to[e.name()] == nil {
			to[e.name()] = map[string]int{}
		}
		to[e.name()][e.Source] += plan.units(e)
	}
	for _, a := range j.tl.Alarms {
		for i := range a.Episodes {
			e := &a.Episodes[i]
			class := j.unexpected(e, plan)
			if class == "" {
				continue
			}
			j.classes[e.id()] = class
			if class != ClassFalseAlarm {
				j.episodeSeen(&it, e)
				it.Evidence[len(it.Evidence)-1].Text += " (" + string(class) + ", not counted)"
				continue
			}
			j.episodeSeen(&it, e)
			if plan.units(e) == noPage {
				it.Evidence[len(it.Evidence)-1].Text += " (pages nobody: counts a fifth)"
			}
			add(perName, e)
			if !j.perhapsNoise(e) {
				add(surely, e)
			}
		}
		j.sourceOfAlarms(&it, &a)
	}
	n, sure := most(perName), most(surely)
	j.judgeNoise(&it, plan, n, sortedKeys(perName))
	if it.Outcome == clock.Missed && sure <= plan.AtMost*wholePage {
		it.unknown("it cannot be told of all of them that they fired after the onset, and paged")
	} else if it.Outcome == clock.Missed && sure < n && !j.null() {
		it.best = j.noiseWorth(sure, plan)
	}
	return it, true
}

// noiseWorth is what so many fifths of a page are worth, when they are too many.
func (j *judge) noiseWorth(n int, plan *NoisePlan) float64 {
	return max(0, 1-(float64(n)/wholePage-float64(plan.AtMost))/float64(1+j.mustFire()))
}

// most adds up, for each alarm name, the most episodes that any one source has.
func most(perName map[string]map[string]int) (n int) {
	for _, by := range perName {
		one := 0
		for _, k := range by {
			one = max(one, k)
		}
		n += one
	}
	return n
}

// perhapsNoise reports whether nobody can tell that an episode was noise: it may have fired before the onset, or been held
// back by another source, which was not watched or told nothing at all.
func (j *judge) perhapsNoise(e *episode) bool {
	if e.Firing.Lo.Before(j.firstOnset().Hi) {
		return true
	}
	for i := range j.tl.Alarms {
		a := &j.tl.Alarms[i]
		life := clock.Span{Start: e.Firing.Lo, End: earlierOf(cmpTime(e.Ended.Hi, j.tl.End), a.End)}
		if e.Paged.IsZero() && a.Source != e.Source && !a.watch().all(life) {
			return true
		}
	}
	return e.Paged.IsZero() && j.unheard() != ""
}

// unheard names a source of alarms that was to be watched and of which the record has nothing at all; nothing when there is none.
func (j *judge) unheard() string {
	for _, name := range j.plan.Watched {
		if j.tl.alarmSource(name) == nil {
			return name
		}
	}
	for _, a := range j.plan.Alarms {
		if j.tl.alarmSource(a.Source) == nil {
			return a.Source
		}
	}
	return ""
}

// mustFire counts the alarms that the plan expects to fire.
func (j *judge) mustFire() (n int) {
	for _, a := range j.plan.Alarms {
		if !a.Quiet {
			n++
		}
	}
	return n
}

func (j *judge) judgeNoise(it *Item, plan *NoisePlan, n int, names []string) {
	if n%wholePage == 0 {
		pages := n / wholePage
		it.Count = &pages
	}
	it.Measured = strings.Join(append([]string{unitWords(n)}, names...), ", ")
	if j.null() && n <= plan.AtMost*wholePage {
		it.Weight = 0
	}
	if n > plan.AtMost*wholePage {
		it.Title = "noise: " + unitWords(n) + " nobody expected"
		it.Measured = strings.Join(names, ", ")
		it.Class = ClassFalseAlarm
		it.missed(fmt.Sprintf("%s fired, and nobody expected it", list(names)))
		if !j.null() {
			it.Value = j.noiseWorth(n, plan)
		}
		it.Hint = j.noiseHint(names)
		return
	}
	if plan.unasked {
		it.unknown("the run did not ask for all alarms that count as noise here")
		return
	}
	if why := j.unwatched(); why != "" {
		if n == 0 {
			it.Measured = "none seen"
		}
		it.unknown(why)
		return
	}
	it.met()
}

func (j *judge) noiseHint(names []string) string {
	what := list(names)
	var expected []string
	for _, a := range j.plan.Alarms {
		if f := j.alarms[a.Name]; f.first != nil {
			expected = append(expected, a.Name)
		}
	}
	if len(expected) == 0 {
		return what + " paged and nobody expected it: mend the rule, or say in the scenario that it is expected or allowed."
	}
	return fmt.Sprintf("%s paged for what %s already covered: inhibit it, or say in the scenario that it is "+
		"expected or allowed.", what,
		list(expected))
}

// unexpected returns what an episode that nobody expected counts as, or nothing when it is expected, allowed, not
// watched, or did not fire in the run.
func (j *judge) unexpected(e *episode, plan *NoisePlan) Class {
	if !e.fired() || slices.Contains(plan.Allow, e.Labels["alertname"]) {
		return ""
	}
	expected := slices.ContainsFunc(j.plan.Alarms, func(a AlarmPlan) bool { return matches(a.Match, e.Labels) })
	quiet := slices.ContainsFunc(j.plan.Alarms, func(a AlarmPlan) bool { return a.Quiet && matches(a.Match, e.Labels) })
	if quiet { // it is judged for itself
		return ""
	}
	if expected && !j.null() || !expected && !matches(plan.Watch, e.Labels) {
		return ""
	}
	if !e.Ended.IsZero() && e.Ended.Hi.Before(j.tl.Start) || e.Firing.Lo.After(j.tl.End) {
		return "" // a source that is asked later tells of what came after the run as well
	}
	if e.Firing.Hi.Before(j.noiseFrom()) {
		return ClassBackground
	}
	for _, labels := range plan.Collateral {
		if matches(labels, e.Labels) {
			return ClassCollateral
		}
	}
	if j.silent(e) {
		return ClassSuppressed
	}
	return ClassFalseAlarm
}

// noiseFrom returns the instant before which an alarm is background: the first onset, or in a scenario without faults
// the begin of the baseline phase.
func (j *judge) noiseFrom() time.Time { return j.firstOnset().Lo }

// firstOnset returns when the first fault took effect, the end of the run when none did, and in a scenario without faults
// the begin of the baseline phase.
func (j *judge) firstOnset() clock.Interval {
	if j.null() {
		if p, ok := j.tl.Phase(Baseline); ok {
			return clock.At(p.Start)
		}
		return clock.At(j.tl.Start)
	}
	var first clock.Interval
	for _, f := range j.tl.Faults {
		if o := f.Onset(); !o.IsZero() && (first.IsZero() || o.Lo.Before(first.Lo)) {
			first = o
		}
	}
	if first.IsZero() {
		return clock.At(j.tl.End)
	}
	return first
}

// silent reports whether an episode was held back and paged nobody, in its own source or in another that knows the same
// alarm at the same time.
func (j *judge) silent(e *episode) bool {
	if len(e.SuppressedBy) > 0 && e.Paged.IsZero() {
		return true
	}
	if !e.Paged.IsZero() {
		return false
	}
	held := false
	for _, a := range j.tl.Alarms {
		for _, o := range a.Episodes {
			if a.Source == e.Source || o.name() != e.name() || !o.fired() ||
				(!o.Ended.IsZero() && o.Ended.Before(e.Firing)) || (!e.Ended.IsZero() && e.Ended.Before(o.Firing)) {
				continue
			}
			if !o.Paged.IsZero() {
				return false
			}
			held = held || len(o.SuppressedBy) > 0
		}
	}
	return held
}

// unwatched says which source was not watched well enough from the first onset on for silence to count.
func (j *judge) unwatched() string {
	need := clock.Span{Start: j.noiseFrom(), End: j.tl.End}
	if len(j.tl.Alarms) == 0 {
		return "the record has nothing from any source of alarms"
	}
	if need.Length() == 0 {
		return "no fault was injected, so nothing was put to the test"
	}
	if name := j.unheard(); name != "" {
		return "the record has nothing from " + name
	}
	for _, a := range j.tl.Alarms {
		need := need
		need.End = laterOf(need.Start, earlierOf(need.End, a.End)) // the run is over when sources are asked about it
		if !a.watch().all(need) {
			return gap(a.Source, a.Coverage.Spans, a.Coverage.Why, laterOf(a.End, j.tl.End), need, true)
		}
	}
	return ""
}
