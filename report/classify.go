package report

import (
	"cmp"
	"slices"
	"time"

	"gameday/clock"
)

// episodeID names one episode of a record.
type episodeID struct {
	source, key string
	begin       time.Time
}

func (e episode) id() episodeID { return episodeID{e.Source, e.Key, e.begin().Lo} }

// alarmFinding is what the record tells of one expected alarm.
type alarmFinding struct {
	plan  *AlarmPlan
	cause *FaultLife
	skip  string // why it cannot be judged at all: its cause was never injected
	// skipHint is what to do about it.
	skipHint string
	t0       clock.Interval // onset of the cause
	gone     clock.Interval // zero while the cause stands
	account  *alarmAccount  // nil when the record has nothing from its source
	class    Class
	first    *episode // the first episode that the cause can have raised, and that fired
	masked   *episode // the one that was there before, which hides whether the alarm works
	doubtful bool     // it may only have been there before: its source was not watched then
	waiting  *episode // an episode that began after the onset and never fired
	window   clock.Span
	surely   time.Time // what began by then began in the window, however the clocks are read
	own      []episode // all episodes that the cause can have raised, and that fired
	quiet    []episode // those that fired before any fault took effect
	past     *seen[AlarmPast]
	// fired is whether the alarm fired in time at all, for those who wait for its page.
	fired clock.Outcome
}

// find classifies what happened to an expected alarm. Firing after the onset is not enough to be caused by the fault:
// the pending phase must have begun after it too, as far as the clocks can tell (q.hi ≥ t0.lo, where the interval of q
// holds the source's clock error). An alarm that was there before hides later episodes of its own key, but not of
// another.
func (j *judge) find(p *AlarmPlan) *alarmFinding {
	f := &alarmFinding{plan: p, account: j.tl.alarmSource(p.Source)}
	if why, hint, not := j.notInjected(p.Cause); not {
		f.skip, f.skipHint = why, hint
		return f
	}
	if p.unasked {
		f.skip = "the run did not ask " + p.Source + " about it"
		return f
	}
	f.cause = j.tl.Fault(p.Cause)
	f.t0, f.gone = f.cause.Onset(), f.cause.Gone()
	limit := max(p.FiresWithin, p.PagesWithin)
	f.window = clock.Span{Start: f.t0.Lo, End: f.t0.Hi.Add(2 * limit)}
	f.surely = f.t0.Lo.Add(2 * limit)
	if f.gone.IsZero() {
		f.window.End = laterOf(f.window.End, j.tl.End)
		f.surely = f.window.End
	} else {
		f.window.End = laterOf(f.window.End, f.gone.Hi.Add(max(limit, p.ClearsWithin)))
		f.surely = laterOf(f.surely, f.gone.Lo.Add(max(limit, p.ClearsWithin)))
	}
	if f.account != nil {
		f.sort(f.account.Episodes)
		for _, e := range f.account.Episodes {
			if matches(p.Match, e.Labels) && e.fired() && e.Firing.Before(j.firstOnset()) && !e.Firing.Hi.Before(j.tl.Start) {
				f.quiet = append(f.quiet, e)
				j.classes[e.id()] = ClassBackground
			}
		}
	}
	f.judge(p.FiresWithin)
	if f.masked != nil {
		j.classes[f.masked.id()] = f.class
	}
	for _, e := range f.own {
		j.classes[e.id()] = f.class
		if f.tainted(e.Key) {
			j.classes[e.id()] = ClassBackground
		}
	}
	// The router behind the source tells of the same alarm.
	if via := j.tl.alarmSource(p.PagesVia); via != nil && via != f.account && f.first != nil {
		for _, e := range via.Episodes {
			if matches(p.Match, e.Labels) && e.fired() && !e.Firing.Before(f.t0) && !e.Firing.Lo.After(f.window.End) {
				j.classes[e.id()] = f.class
			}
		}
	}
	return f
}

// sort puts the source's episodes where they belong.
func (f *alarmFinding) sort(episodes []episode) {
	hidden := map[string]*episode{}
	for i := range episodes {
		e := &episodes[i]
		over := !e.Ended.IsZero() && e.Ended.Before(f.t0)
		if !matches(f.plan.Match, e.Labels) || over || !e.begin().Before(f.t0) {
			continue
		}
		if e.fired() && hidden[e.Key] == nil {
			hidden[e.Key] = e
		}
	}
	f.doubt(episodes, hidden)
	for i := range episodes {
		e := &episodes[i]
		if !matches(f.plan.Match, e.Labels) || e.begin().Before(f.t0) || hidden[e.Key] != nil ||
			e.begin().Lo.After(f.window.End) {
			continue
		}
		if !e.fired() {
			if f.waiting == nil {
				f.waiting = e
			}
			continue
		}
		f.own = append(f.own, *e)
	}
	slices.SortStableFunc(f.own, func(a, b episode) int { return a.Firing.Hi.Compare(b.Firing.Hi) })
	if len(f.own) > 0 {
		f.first = &f.own[0]
		return
	}
	for _, k := range sortedKeys(hidden) {
		if f.masked == nil || hidden[k].begin().Lo.Before(f.masked.begin().Lo) {
			f.masked = hidden[k]
		}
	}
}

// doubt hides the episodes whose begin was not watched, so that they may have been there before the onset. An episode
// that a look found begun, after one that did not, counts as begun after an onset that lies between the two: the doubt is
// about longer times.
func (f *alarmFinding) doubt(episodes []episode, hidden map[string]*episode) {
	for i := range episodes {
		e := &episodes[i]
		if !matches(f.plan.Match, e.Labels) || !e.fired() || e.begin().Before(f.t0) || hidden[e.Key] != nil {
			continue
		}
		if f.t0.Lo.Sub(e.begin().Lo) > f.account.blur() {
			hidden[e.Key], f.doubtful = e, true
		}
	}
}

// blur is how long before its end the begin of an instant may lie that the source tells of, when it was watched.
func (a *alarmAccount) blur() time.Duration {
	return 2*max(a.Coverage.Resolution, second) + 2*a.Coverage.Offset.Err
}

// judge sets the class and whether it fired in time.
func (f *alarmFinding) judge(limit time.Duration) {
	// Without a limit to fire in, an absence shows by the limit to page in, or by the end of the window.
	seen := f.watched(cmp.Or(limit, f.plan.PagesWithin, f.window.End.Sub(f.t0.Hi)))
	switch {
	case f.first != nil:
		f.class, f.fired = ClassHit, clock.Met
		if limit == 0 {
			return
		}
		f.fired = f.first.Firing.Sub(f.t0).Within(limit)
		if f.fired == clock.Missed {
			f.class = ClassLate
			if !seen {
				f.class, f.fired = ClassUnobserved, clock.Unknown
			}
		}
	case f.masked != nil && f.doubtful && !f.masked.begin().Before(f.t0):
		f.class = ClassUnobserved
	case f.masked != nil && f.masked.Firing.Before(f.t0):
		f.class = ClassPreexisting
	case f.masked != nil:
		f.class = ClassPrimed
	case seen:
		f.class, f.fired = ClassMissed, clock.Missed
	default:
		f.class = ClassUnobserved
	}
}

// watched reports whether the source was watched well enough over [t0, t0 + limit] for an absence to count.
func (f *alarmFinding) watched(limit time.Duration) bool {
	return f.account != nil && f.account.watch().all(f.need(limit))
}

// need returns the span that must be watched for a limit from the onset.
func (f *alarmFinding) need(limit time.Duration) clock.Span {
	return clock.Span{Start: f.t0.Lo, End: f.t0.Hi.Add(max(limit, second))}
}

func (f *alarmFinding) gap(limit time.Duration) string { return f.gapIn(f.need(limit)) }

// gapIn says why what was not seen in a span does not count.
func (f *alarmFinding) gapIn(need clock.Span) string {
	a := f.account
	if a == nil {
		return gap(f.plan.Source, nil, nil, time.Time{}, need, false)
	}
	why := a.Coverage.Why
	if len(why) == 0 && a.Error != "" {
		why = []string{a.Error}
	}
	return gap(a.Source, a.Coverage.Spans, why, a.End, need, true)
}
