package report

import (
	"fmt"
	"strings"
	"time"

	"gameday/clock"
)

// detection returns the items of the detection part: for each expected alarm that it fired, paged, cleared and did not
// flap, and that nothing else paged. A scenario without a fault has nothing to detect, so only the noise is left.
func (j *judge) detection() []Item {
	var out []Item
	for i := range j.plan.Alarms {
		a := &j.plan.Alarms[i]
		if a.Quiet {
			out = append(out, j.quietAlarm(a))
		}
		if a.Quiet || j.null() {
			continue
		}
		f := j.alarms[a.Name]
		if a.FiresWithin > 0 {
			out = append(out, j.fired(f))
		}
		if a.PagesVia != "" && a.PagesWithin > 0 {
			out = append(out, j.paged(f))
		}
		if a.First {
			out = append(out, j.firstToPage(f))
		}
		if a.ClearsWithin > 0 {
			out = append(out, j.cleared(f))
		}
		if a.MaxFlaps != nil {
			out = append(out, j.flaps(f))
		}
		out = append(out, j.carried(f)...)
	}
	if it, ok := j.noise(); ok {
		out = append(out, it)
	}
	if it, ok := j.perPerson(); ok {
		out = append(out, it)
	}
	return out
}

// alarmItem begins an item of an expected alarm.
func (f *alarmFinding) item(what, title string, within time.Duration) Item {
	p := f.plan
	it := Item{ID: "alarm." + p.Name + "." + what, Title: p.Name + " " + title, Weight: weight(p.Weight),
		Required: p.Required, cause: p.Cause,
		Within: within, Class: f.class, Measured: "unknown"}
	if within > 0 {
		it.Limit = span(within)
	}
	return it
}

func (j *judge) fired(f *alarmFinding) (it Item) {
	p := f.plan
	it = f.item("fired", "fired", p.FiresWithin)
	it.timed(ClockDetect, p.Name, "the onset of "+p.Cause)
	it.runs(f.t0)
	it.Expected = fmt.Sprintf("%s fires within %s of the onset of %s", p.Name, it.Limit, p.Cause)
	if f.skip != "" {
		it.unknown(f.skip)
		it.Hint = f.skipHint
		return it
	}
	it.sawAs("A", "guard", fmt.Sprintf("%s took effect at %s", p.Cause, j.tl.around(f.t0)), f.cause.lines()...)
	defer j.sourceOfAlarms(&it, f.account)
	if a, line := j.absent(p.Name); a != nil && f.first == nil {
		it.Measured = "never"
		it.saw(p.Source, strings.TrimSpace(a.Summary+". "+a.Detail), line)
		it.missed("it cannot fire: " + a.Summary)
		it.Hint = strings.TrimSpace(fmt.Sprintf("No rule can raise %s. %s", p.Name, a.Detail))
		return it
	}
	switch f.class {
	case ClassHit, ClassLate, ClassUnobserved:
		if f.first == nil && f.masked != nil {
			j.episodeSeen(&it, f.masked)
			it.unknown(f.maskedWhy())
			return it
		}
		if f.first == nil {
			it.unknown(f.gap(p.FiresWithin))
			it.Hint = fmt.Sprintf("%s could not be watched through the deadline, so nobody knows whether %s fired: mend "+
				"the way to it, "+
				"or keep the run going for longer.", p.Source, p.Name)
			if j.aborted() {
				it.Hint = fmt.Sprintf("The run was aborted before %s had its time: look at what ended it, then repeat the run.", p.Name)
			}
			return it
		}
		proof := f.proofOf(p.FiresWithin)
		j.episodeSeen(&it, proof)
		it.within(proof.Firing.Sub(f.t0))
		if it.Outcome == clock.Missed && f.class == ClassUnobserved {
			it.unknown("it fired late, but " + f.gap(p.FiresWithin) + ": an earlier episode may have gone unseen")
		}
		if it.Outcome == clock.Missed {
			it.Hint = f.lateHint()
		}
		j.attribute(f, &it, f.tainted(proof.Key))
	case ClassPreexisting, ClassPrimed:
		j.episodeSeen(&it, f.masked)
		it.unknown(f.maskedWhy())
		it.Hint = fmt.Sprintf("Make %s quiet before the run: it cannot show that it notices %s while it is already %s.",
			p.Name, p.Cause,
			map[Class]string{ClassPreexisting: "firing", ClassPrimed: "pending"}[f.class])
	case ClassMissed:
		it.Measured = "never"
		it.missed("it did not fire, and " + p.Source + " was watched throughout")
		it.lateUnseen(f.account.watch(), f.t0)
		it.Hint = fmt.Sprintf("No alarm noticed %s: does the rule of %s look at what %s breaks?", p.Cause, p.Name, p.Cause)
		if f.waiting != nil {
			j.episodeSeen(&it, f.waiting)
			it.Hint = fmt.Sprintf("%s was pending but never fired: its `for` is longer than the fault could be felt.", p.Name)
		}
	}
	return it
}

// absent returns what the preflight found of an alarm that no rule can raise, and its line; nil when a rule can.
func (j *judge) absent(alarm string) (*Found, int) {
	for _, f := range all[Found](j.rec, PreflightFound) {
		if f.V.Absent == alarm {
			return &f.V, f.line()
		}
	}
	return nil, 0
}

// barred makes an item unknown that cannot be judged: its cause was never injected, or the alarm was there before.
func (j *judge) barred(f *alarmFinding, it *Item) bool {
	switch {
	case f.skip != "":
		it.unknown(f.skip)
		it.Hint = f.skipHint
	case f.masked != nil:
		it.unknown(f.maskedWhy())
		j.episodeSeen(it, f.masked)
		j.sourceOfAlarms(it, f.account)
	default:
		return false
	}
	return true
}

// tooLate makes an item unknown that is about how an alarm fired, when it came so late that it may not be its fault's at all.
func (j *judge) tooLate(f *alarmFinding, it *Item) bool {
	for _, e := range f.own {
		if !e.begin().Hi.After(f.surely) {
			return false
		}
	}
	j.episodeSeen(it, f.first)
	it.unknown("it came so late that nobody can tell whether " + f.plan.Cause + " is why")
	return true
}

func (f *alarmFinding) maskedWhy() string {
	if f.class == ClassUnobserved {
		return "it may have been there before " + f.plan.Cause + " took effect: " + f.plan.Source + " was not watched then"
	}
	if f.class == ClassPreexisting {
		return "it was firing before " + f.plan.Cause + " took effect"
	}
	return "it was pending before " + f.plan.Cause + " took effect, so the fault is not what raised it"
}

// lateHint says where the time went: before the pending phase, or in it.
func (f *alarmFinding) lateHint() string {
	if f.first.Pending.IsZero() {
		return f.plan.Name + " fired late: look at how often it is evaluated, and at its `for`."
	}
	before, in := f.first.Pending.Sub(f.t0).Mid(), f.first.Firing.Sub(f.first.Pending).Mid()
	if in > before {
		return fmt.Sprintf("%s spent %.1f s in its pending phase: shorten `for`.", f.plan.Name, in.Seconds())
	}
	return fmt.Sprintf("%s took %.1f s to become pending: shorten the scrape or evaluation interval, or the range "+
		"that its "+
		"expression averages over.", f.plan.Name, before.Seconds())
}

// episodeSeen adds an episode to an item's evidence.
func (j *judge) episodeSeen(it *Item, e *episode) {
	var words []string
	for _, x := range []struct {
		word string
		at   clock.Interval
	}{{"pending", e.Pending}, {"firing", e.Firing}, {"paged", e.Paged}, {"ended", e.Ended}} {
		if !x.at.IsZero() {
			words = append(words, x.word+" "+j.tl.around(x.at))
		}
	}
	if len(e.SuppressedBy) > 0 {
		words = append(words, "held back by "+j.people.scrub(list(e.SuppressedBy)))
	}
	it.sawAs(j.tl.alarmSource(e.Source).grade(), e.Source, e.name()+": "+strings.Join(words, ", "), e.lines...)
}

// sourceOfAlarms adds how well a source could be read.
func (j *judge) sourceOfAlarms(it *Item, a *alarmAccount) {
	if a == nil {
		return
	}
	text := fmt.Sprintf("%s, %s, clock offset %s", count(len(a.Episodes), "episode"), j.coverageWords(a.Coverage.Spans),
		offsetWords(a.Coverage.Offset))
	if a.Line == 0 {
		text = "put together from what was seen live: " + text
	}
	it.saw(a.Source, text, a.Line)
}

// coverageWords says how much of the run the spans cover.
func (j *judge) coverageWords(spans []clock.Span) string {
	run := clock.Span{Start: j.tl.Start, End: j.tl.End}
	return fmt.Sprintf("coverage %s of %s–%s", percent(clock.Share(spans, run)), j.tl.stamp(run.Start),
		j.tl.stamp(run.End))
}

func offsetWords(o clock.Offset) string {
	return fmt.Sprintf("%+.1f s ± %.1f", o.Ahead.Seconds(), o.Err.Seconds())
}

// cleared judges that the alarm went quiet after its cause was gone.
func (j *judge) cleared(f *alarmFinding) (it Item) {
	p := f.plan
	it = f.item("cleared", "cleared", p.ClearsWithin)
	it.timed(ClockClear, p.Name, "the end of "+p.Cause)
	it.runs(f.gone)
	it.Expected = fmt.Sprintf("%s is quiet again within %s of the end of %s", p.Name, it.Limit, p.Cause)
	if j.barred(f, &it) {
		return it
	}
	switch {
	case f.first == nil:
		it.unknown("it was not seen to fire, so nothing could clear")
		j.sourceOfAlarms(&it, f.account)
		return it
	case f.gone.IsZero():
		j.episodeSeen(&it, f.first)
		it.unknown(p.Cause + " is not proven to be gone")
		return it
	}
	it.sawAs("A", "guard", fmt.Sprintf("%s was gone at %s", p.Cause, j.tl.around(f.gone)), f.cause.lines()...)
	if j.tooLate(f, &it) {
		return it
	}
	defer j.sourceOfAlarms(&it, f.account)
	last := lastToEnd(f.own)
	j.episodeSeen(&it, &last)
	need := clock.Span{Start: f.gone.Lo, End: f.gone.Hi.Add(p.ClearsWithin)}
	if !last.Ended.IsZero() {
		j.clearedAt(&it, f, last)
		if it.Outcome == clock.Missed && !f.account.watch().all(need) {
			it.unknown("it ended late, but it may have been quiet in between, and have come back unseen: " + f.gapIn(need))
			return it
		}
		if it.Outcome == clock.Met {
			need.Start, need.End = last.Ended.Lo, f.account.watch().untilEnd(earlierOf(f.window.End, f.account.End))
		}
		// Quiet once is not quiet for good: it may have come back unseen.
		if it.Outcome == clock.Met && need.Length() > 0 && !f.account.watch().all(need) {
			it.unknown("it cleared, but it may have come back unseen: " + f.gapIn(need))
		}
		return it
	}
	if !f.account.watch().all(need) {
		it.Measured = "not seen"
		it.unknown(f.gapIn(need))
		return it
	}
	if last.begin().Hi.After(f.surely) {
		it.Measured = "not seen"
		it.unknown("it came back so late that nobody can tell whether " + p.Cause + " is why")
		return it
	}
	it.Class, it.Measured = ClassStuck, "never"
	it.missed("it still fires")
	it.Hint = p.Name + " did not clear after the fault was gone: does its rule measure something that never comes " +
		"back down?"
	return it
}

// clearedAt judges by the episode that ended last. One of which nobody can tell whether the fault raised it counts only
// when it makes no difference.
func (j *judge) clearedAt(it *Item, f *alarmFinding, last episode) {
	by := func(e episode) {
		l := e.Ended.Sub(f.gone)
		it.within(l)
		if l.Hi < 0 {
			it.Measured = "before the fault was gone"
		}
	}
	sure := f.own[:1:1]
	for _, e := range f.own[1:] {
		if !e.begin().Hi.After(f.surely) {
			sure = append(sure, e)
		}
	}
	if before := lastToEnd(sure); before.id() != last.id() && !before.Ended.IsZero() {
		by(before)
		other := it.Outcome
		by(last)
		if it.Outcome != other {
			it.unknown("it came back so late that nobody can tell whether " + f.plan.Cause + " is why")
		}
	} else {
		by(last)
	}
	if it.Outcome == clock.Missed {
		it.Class = ClassStuck
		it.Hint = f.plan.Name + " stays long after the fault is gone: shorten its range or `keep_firing_for`."
	}
}

// lastToEnd returns the episode that ended last, one that did not end before all others.
func lastToEnd(own []episode) episode {
	last := own[0]
	for _, e := range own[1:] {
		if last.Ended.IsZero() {
			break
		}
		if e.Ended.IsZero() || e.Ended.Hi.After(last.Ended.Hi) {
			last = e
		}
	}
	return last
}

// flaps judges how often the alarm came and went.
func (j *judge) flaps(f *alarmFinding) Item {
	p := f.plan
	it := f.item("flaps", "did not flap", 0)
	it.Limit, it.absence = count(*p.MaxFlaps, "flap"), true
	it.Expected = fmt.Sprintf("%s comes and goes at most %s while %s is felt", p.Name, count(*p.MaxFlaps,
		"time")+" more than once", p.Cause)
	if j.barred(f, &it) {
		return it
	}
	if f.first == nil {
		it.unknown("it was not seen to fire, so it could not flap")
		j.sourceOfAlarms(&it, f.account)
		return it
	}
	if j.tooLate(f, &it) {
		return it
	}
	episodes, surely := map[string]int{}, map[string]int{}
	n, sure := 0, 0
	for i := range f.own {
		e := &f.own[i]
		j.episodeSeen(&it, e)
		episodes[e.Key]++
		n = max(n, episodes[e.Key]-1)
		if !e.begin().Hi.After(f.surely) {
			surely[e.Key]++
			sure = max(sure, surely[e.Key]-1)
		}
	}
	it.Count, it.Measured = &n, count(n, "flap")
	need := f.window
	need.End = laterOf(need.Start, earlierOf(need.End, f.account.End))
	switch {
	case sure <= *p.MaxFlaps && n > *p.MaxFlaps:
		it.unknown("it came back so late that nobody can tell whether " + p.Cause + " is why")
	case n > *p.MaxFlaps:
		it.Class = ClassFlapping
		it.missed(fmt.Sprintf("it fired %d times", n+1))
		it.Hint = p.Name + " flaps: give its rule a longer `for` or `keep_firing_for`, or a lower threshold to clear at."
	case !f.account.watch().all(need):
		it.unknown(f.gapIn(need))
	default:
		it.met()
	}
	return it
}
