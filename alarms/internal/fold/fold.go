// Package fold makes episodes: from the observations of a watch, for sources that forget what they raised, and from the changes
// that a history tells of, for those that do not.
package fold

import (
	"slices"
	"strconv"
	"strings"
	"sync"

	"gameday/alarms"
	"gameday/clock"
)

// mostKept bounds the observations that a Memory keeps.
const mostKept = 200_000

// Key returns the name under which all episodes of the alarm with these labels are kept:
// {alertname="Down",severity="page"}.
func Key(labels map[string]string) string {
	names := make([]string, 0, len(labels))
	for name := range labels {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	b.WriteByte('{')
	for i, name := range names {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(name + "=" + strconv.Quote(labels[name]))
	}
	b.WriteByte('}')
	return b.String()
}

// Memory keeps the observations of one source, in order. The zero value is ready. It is safe for concurrent use.
type Memory struct {
	mu   sync.Mutex
	kept []alarms.Observation
	lost int
}

// Add keeps an observation of an alarm; observations of the source itself are not kept.
func (m *Memory) Add(o alarms.Observation) {
	if o.Key == "" {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.kept) == mostKept {
		m.lost++
		return
	}
	m.kept = append(m.kept, o)
}

// Lost returns how many observations were one too many to keep.
func (m *Memory) Lost() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lost
}

// Episodes folds what was kept.
func (m *Memory) Episodes(source string) []alarms.Episode {
	m.mu.Lock()
	kept := slices.Clone(m.kept)
	m.mu.Unlock()
	return Episodes(source, kept)
}

// Episodes folds observations, in the order they were made, into episodes ordered by their beginning. An alarm that was
// paged after it had ended (the notification was seen late) counts for the episode that ended.
func Episodes(source string, seen []alarms.Observation) []alarms.Episode {
	var out []alarms.Episode
	last := map[string]int{} // key → index in out
	open := map[string]bool{}
	for _, o := range seen {
		i, known := last[o.Key]
		opens := o.State == alarms.StatePending || o.State == alarms.StateFiring || o.State == alarms.StateSuppressed
		if opens && !open[o.Key] {
			i, known = len(out), true
			out = append(out, alarms.Episode{Source: source, Key: o.Key, Labels: o.Labels})
			last[o.Key], open[o.Key] = i, true
		}
		if !known {
			continue
		}
		apply(&out[i], o)
		if o.State == alarms.StateInactive {
			open[o.Key] = false
		}
	}
	slices.SortStableFunc(out, func(a, b alarms.Episode) int { return Begin(a).Lo.Compare(Begin(b).Lo) })
	return out
}

// apply enters one observation in its episode.
func apply(e *alarms.Episode, o alarms.Observation) {
	first := func(i *clock.Interval) {
		if i.IsZero() {
			*i = o.At
		}
	}
	if e.Receivers == nil && o.State != alarms.StateInactive {
		e.Receivers = o.Receivers
	}
	switch o.State {
	case alarms.StatePending:
		first(&e.Pending)
	case alarms.StateFiring:
		first(&e.Firing)
	case alarms.StateSuppressed:
		first(&e.Firing)
		if !slices.Contains(e.SuppressedBy, o.Why) {
			e.SuppressedBy = append(e.SuppressedBy, o.Why)
		}
	case alarms.StatePaged:
		first(&e.Paged)
	case alarms.StateInactive:
		first(&e.Ended)
	}
}

// Begin returns when the episode began: its pending phase, else its firing.
func Begin(e alarms.Episode) clock.Interval {
	if e.Pending.IsZero() {
		return e.Firing
	}
	return e.Pending
}

// Overlaps reports whether any part of the episode may lie in the span.
func Overlaps(e alarms.Episode, span clock.Span) bool {
	if Begin(e).Lo.After(span.End) {
		return false
	}
	return e.Ended.IsZero() || !e.Ended.Hi.Before(span.Start)
}
