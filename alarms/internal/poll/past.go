package poll

import (
	"time"

	"gameday/alarms"
	"gameday/alarms/internal/fold"
	"gameday/clock"
)

// Episode returns what stands as an episode. since is when it may have fired, where it tells no time at all.
func (s Standing) Episode(source string, since clock.Interval) alarms.Episode {
	e := alarms.Episode{Source: source, Key: s.Key, Labels: s.Labels, Notes: s.Notes, Pending: s.Began, Firing: s.Fired, Paged: s.Paged}
	if s.State == alarms.StateSuppressed {
		e.SuppressedBy = []string{s.Why}
	}
	if fold.Begin(e).IsZero() {
		e.Firing = since
	}
	return e
}

// Complete returns the episodes that a history tells of, completed by what was seen live and by what stands now. from is since when
// the history was read, settled until when it should have everything. late says that it lacks something that was over by then: it
// is not complete, and proves nothing.
func Complete(told, seen, now []alarms.Episode, from, settled time.Time) (out []alarms.Episode, late bool) {
	for _, e := range seen {
		if _, missing := fold.Join(told, []alarms.Episode{e}); missing > 0 {
			late = late || !e.Ended.IsZero() && e.Ended.Hi.Before(settled) && fold.Begin(e).Lo.After(from)
		}
	}
	out, _ = fold.Join(told, seen)
	out, _ = fold.Join(out, now)
	return out, late
}

// Within returns the episodes that may overlap a span; never nil.
func Within(list []alarms.Episode, span clock.Span) []alarms.Episode {
	out := []alarms.Episode{}
	for _, e := range list {
		if fold.Overlaps(e, span) {
			out = append(out, e)
		}
	}
	return out
}

// longestDelivery is for how long after its end an alarm may still be notified of.
const longestDelivery = 5 * time.Minute

// Page enters a notification in the episode of an alarm that it is about. The first one of an episode counts.
func Page(list []alarms.Episode, key string, at clock.Interval) {
	for i := len(list) - 1; i >= 0; i-- {
		e := &list[i]
		over := !e.Ended.IsZero() && at.Lo.After(e.Ended.Hi.Add(longestDelivery))
		if e.Key != key || at.Before(fold.Begin(*e)) || over {
			continue
		}
		if e.Paged.IsZero() || at.Hi.Before(e.Paged.Hi) {
			e.Paged = at
		}
		return
	}
}
