package report

import (
	"slices"

	"gameday/alarms"
	"gameday/clock"
	"gameday/responders"
)

// seeing returns the account as it is for one thing alone: what its source could not see of it is not covered.
func (a *alarmAccount) seeing(s alarms.State) *alarmAccount {
	c := *a
	for _, b := range a.Coverage.Blind {
		if b.To == s {
			c.Coverage.Spans, c.Coverage.Why = cutOut(c.Coverage.Spans, c.Coverage.Why, b.Spans, b.Why)
		}
	}
	return &c
}

// seeing returns the account as it is for one kind of event alone.
func (a *responseAccount) seeing(k responders.Kind) *responseAccount {
	c := *a
	for _, b := range a.Coverage.Blind {
		if b.To == k {
			c.Coverage.Spans, c.Coverage.Why = cutOut(c.Coverage.Spans, c.Coverage.Why, b.Spans, b.Why)
		}
	}
	return &c
}

// cutOut takes the stretches in cut from spans, and adds their reason: with their times, unless nothing is
// left.
func cutOut(spans []clock.Span, why []string, cut []clock.Span, reason string) ([]clock.Span, []string) {
	var out []clock.Span
	for _, s := range clock.Merge(spans) {
		out = append(out, without(s, cut)...)
	}
	switch why = slices.Clone(why); {
	case total(out) == total(clock.Merge(spans)):
		return spans, why // it was not seen then anyway
	case len(out) == 0:
		return out, slices.Insert(why, 0, reason)
	}
	for _, c := range clock.Merge(cut) {
		why = append(why, clockTimes(c)+": "+reason)
	}
	return out, why
}

// CompleteAlarms returns a later answer of a source of alarms with what it can tell no more and the record has: who was paged, and
// what was held back, can be seen of some sources only while somebody watches. lost names what it is blind to all the same and the
// record is not.
func (t *Timeline) CompleteAlarms(a AlarmRecord) (out AlarmRecord, lost string) {
	old := t.alarmSource(a.Source)
	if old == nil || len(a.Coverage.Blind) == 0 {
		return a, ""
	}
	a.Episodes, a.Coverage.Blind = slices.Clone(a.Episodes), slices.Clone(a.Coverage.Blind)
	whole := true // each page of the record is one of an episode that is told of again
	for _, was := range old.Episodes {
		i := slices.IndexFunc(a.Episodes, func(e alarms.Episode) bool { return e.Key == was.Key && together(episode{Episode: e}, was) })
		if i < 0 {
			whole = whole && was.Paged.IsZero()
			continue
		}
		e := &a.Episodes[i]
		if e.Paged.IsZero() {
			e.Paged = was.Paged
		}
		if len(e.SuppressedBy) == 0 {
			e.SuppressedBy = slices.Clone(was.SuppressedBy)
		}
	}
	now := alarmAccount{Coverage: a.Coverage}
	for i := range a.Coverage.Blind {
		b := &a.Coverage.Blind[i]
		if whole {
			b.Spans = cutAway(b.Spans, old.seeing(b.To).Coverage.Spans)
		}
	}
	for _, b := range a.Coverage.Blind {
		if t.fewer(now.seeing(b.To).Coverage.Spans, old.seeing(b.To).Coverage.Spans) {
			lost = string(b.To)
		}
	}
	a.Coverage.Blind = slices.DeleteFunc(a.Coverage.Blind, func(b alarms.Blind) bool { return len(b.Spans) == 0 })
	return a, lost
}

// CompleteResponses is CompleteAlarms for a source of responses.
func (t *Timeline) CompleteResponses(a ResponseAccount) (out ResponseAccount, lost string) {
	old := t.responseSource(a.Source)
	if old == nil || old.Line == 0 || len(a.Coverage.Blind) == 0 {
		return a, ""
	}
	a.Events, a.Coverage.Blind = slices.Clone(a.Events), slices.Clone(a.Coverage.Blind)
	now := responseAccount{Coverage: a.Coverage}
	for i := range a.Coverage.Blind {
		b := &a.Coverage.Blind[i]
		for _, was := range old.Events {
			if was.Kind == b.To && !slices.ContainsFunc(a.Events, func(e responders.Event) bool { return sameResponse(e, was.Event) }) {
				a.Events = append(a.Events, was.Event)
			}
		}
		b.Spans = cutAway(b.Spans, old.seeing(b.To).Coverage.Spans)
	}
	for _, b := range a.Coverage.Blind {
		if t.fewer(now.seeing(b.To).Coverage.Spans, old.seeing(b.To).Coverage.Spans) {
			lost = string(b.To)
		}
	}
	a.Coverage.Blind = slices.DeleteFunc(a.Coverage.Blind, func(b responders.Blind) bool { return len(b.Spans) == 0 })
	return a, lost
}

// together reports whether two tellings may be of one episode: it fired, or began, at one time.
func together(a, b episode) bool {
	meet := func(x, y clock.Interval) bool { return !x.IsZero() && !y.IsZero() && !x.Before(y) && !y.Before(x) }
	return meet(a.Firing, b.Firing) || meet(a.begin(), b.begin())
}

// cutAway returns the spans less those in cut.
func cutAway(spans, cut []clock.Span) []clock.Span {
	out := []clock.Span{}
	for _, s := range spans {
		out = append(out, without(s, cut)...)
	}
	return out
}

// fewer reports whether one set of spans has less of the run than another.
func (t *Timeline) fewer(now, before []clock.Span) bool {
	run := clock.Span{Start: t.Start, End: t.End}
	return clock.Share(now, run)+1e-3 < clock.Share(before, run)
}
