package fold

import (
	"slices"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/sources/looks"
)

// Change is one change of an alarm that a source's history tells of.
type Change struct {
	At clock.Interval
	// To is StatePending, StateFiring or StateInactive, or StateBroken when from then on the source could not tell what the
	// alarm would have done: it had no data, or its rule failed.
	To  alarms.State
	Why string // of StateBroken
}

// History is what a source's history tells of one alarm.
type History struct {
	Key    string
	Labels map[string]string
	Notes  map[string]string
	// Before is what the alarm was before its first change, when that says so; empty when nobody knows.
	Before  alarms.State
	Changes []Change // in any order; repetitions count once
	// From and To bound what was read of it.
	From, To time.Time
}

// Episodes returns the alarm's episodes, and the stretches in which it could not be seen. An episode goes on through such a
// stretch, unless the alarm is quiet after it: then it ended somewhere in it. One that begins right after such a stretch may
// have begun in it.
func (h History) Episodes(source string) ([]alarms.Episode, []looks.Fault) {
	b := builder{source: source, of: h}
	if h.Before != "" {
		b.enter(Change{At: clock.At(h.From), To: h.Before, Why: "it was so from before what is known of it"})
	}
	for _, c := range ordered(h.Changes) {
		b.enter(c)
	}
	if b.blind != nil {
		b.lift(clock.At(h.To))
	}
	return b.out, b.faults
}

// ordered returns changes by time, each once. Of two at the same time, the one that fires comes after the one that begins.
func ordered(list []Change) []Change {
	rank := map[alarms.State]int{alarms.StateInactive: 0, alarms.StateBroken: 1, alarms.StatePending: 2, alarms.StateFiring: 3}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b Change) int {
		if c := a.At.Lo.Compare(b.At.Lo); c != 0 {
			return c
		}
		return rank[a.To] - rank[b.To]
	})
	return slices.CompactFunc(list, func(a, b Change) bool {
		return a.To == b.To && a.At.Lo.Equal(b.At.Lo) && a.At.Hi.Equal(b.At.Hi)
	})
}

// builder goes through the changes of one alarm.
type builder struct {
	source string
	of     History
	out    []alarms.Episode
	open   bool    // the last of out has not ended
	blind  *Change // since when it cannot be seen; nil while it can
	faults []looks.Fault
}

// enter takes the next change.
func (b *builder) enter(c Change) {
	if c.To == alarms.StateBroken {
		if b.blind == nil {
			b.blind = &c
		}
		return
	}
	begin := clock.Interval{} // when it began, where that is not when it was first seen
	if b.blind != nil {
		begin = clock.Interval{Lo: b.blind.At.Lo, Hi: c.At.Hi}
		b.lift(c.At)
	}
	if c.To == alarms.StateInactive {
		b.end(c.At, begin)
		return
	}
	if !b.open {
		b.out = append(b.out, alarms.Episode{Source: b.source, Key: b.of.Key, Labels: b.of.Labels, Notes: b.of.Notes, Pending: begin})
		b.open = true
	}
	e := &b.out[len(b.out)-1]
	switch {
	case c.To == alarms.StateFiring && e.Firing.IsZero():
		e.Firing = c.At
	case c.To == alarms.StatePending && e.Pending.IsZero() && e.Firing.IsZero():
		e.Pending = c.At
	}
}

// end ends the episode that is open, at an instant or, when it could not be seen before, somewhere between.
func (b *builder) end(at, between clock.Interval) {
	if !b.open {
		return
	}
	if !between.IsZero() {
		at = between
	}
	b.out[len(b.out)-1].Ended, b.open = at, false
}

// lift ends a stretch in which the alarm could not be seen.
func (b *builder) lift(at clock.Interval) {
	b.faults = append(b.faults, looks.Fault{Span: clock.Span{Start: b.blind.At.Lo, End: at.Hi}, Why: b.blind.Why})
	b.blind = nil
}

// Join returns the episodes of a history, completed by what was seen live: pages, silences, and an end or a firing that the
// history does not have yet. What was seen live and is not in the history at all is added, and counted in late. Both are of one
// source; an episode is the same as another of its key when they cannot be told apart by their times.
func Join(told, seen []alarms.Episode) (joined []alarms.Episode, late int) {
	joined = slices.Clone(told)
	for _, w := range seen {
		same := -1
		for i := range joined {
			if joined[i].Key == w.Key && meet(joined[i], w) {
				same = i // the last of several: what was seen last belongs to it
				add(&joined[i], w)
			}
		}
		if same < 0 {
			joined = append(joined, w)
			late++
			continue
		}
		if e := &joined[same]; e.Ended.IsZero() && !w.Ended.IsZero() {
			e.Ended = w.Ended
		}
	}
	slices.SortStableFunc(joined, func(a, b alarms.Episode) int { return Begin(a).Lo.Compare(Begin(b).Lo) })
	return joined, late
}

// meet reports whether two episodes may be one.
func meet(a, b alarms.Episode) bool {
	over := func(a, b alarms.Episode) bool { return !a.Ended.IsZero() && a.Ended.Hi.Before(Begin(b).Lo) }
	return !over(a, b) && !over(b, a)
}

// add adds to an episode of the history what only a look can know.
func add(e *alarms.Episode, w alarms.Episode) {
	if e.Firing.IsZero() {
		e.Firing = w.Firing
	}
	if e.Paged.IsZero() {
		e.Paged = w.Paged
	}
	if len(e.Notes) == 0 {
		e.Notes = w.Notes
	}
	for _, by := range w.SuppressedBy {
		if !slices.Contains(e.SuppressedBy, by) {
			e.SuppressedBy = append(slices.Clone(e.SuppressedBy), by)
		}
	}
}
