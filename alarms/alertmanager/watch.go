package alertmanager

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gameday/alarms"
	"gameday/alarms/internal/fold"
	"gameday/clock"
)

// forgetful is how long after a restart a missing alarm may only be forgotten: senders repeat themselves once a minute.
const forgetful = 90 * time.Second

// watcher is the state of one Watch.
type watcher struct {
	source *Source
	emit   func(alarms.Observation)
	held   map[string]*holding // by key
	seen   time.Time           // when the last good answer was asked for
	health alarms.State
	last   counters
	booted time.Time // when a restart was noticed last
}

// holding is an alarm that the Alertmanager holds.
type holding struct {
	alert
	state alarms.State
	why   string
	// due says that no notification about it was seen yet.
	due bool
	// missing is when it vanished from an Alertmanager that had just been restarted.
	missing clock.Interval
}

// Watch polls the alarms held and the counters of notifications, and emits what changed, until ctx ends.
func (s *Source) Watch(ctx context.Context, emit func(alarms.Observation)) error {
	w := &watcher{source: s, held: map[string]*holding{}, health: alarms.StateReachable, emit: func(o alarms.Observation) {
		s.memory.Add(o)
		emit(o)
	}}
	ticker := time.NewTicker(s.poll)
	defer ticker.Stop()
	for {
		w.look(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// look asks once and emits what changed. The counters are read before the alarms, so that a notification that has left
// is never counted for an alarm that came after it.
func (w *watcher) look(ctx context.Context) {
	s := w.source
	asked := time.Now()
	now, countErr := s.count(ctx)
	held, reply, err := s.alerts(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		s.account.Bad(asked, "unreachable: "+err.Error())
		w.turn(alarms.StateUnreachable, err.Error(), asked)
		return
	}
	at := clock.Between(asked, reply.Received)
	first := w.seen.IsZero()
	if !first {
		at.Lo = w.seen
	}
	if countErr != nil {
		s.account.Bad(asked, "notifications cannot be counted: "+countErr.Error())
		w.turn(alarms.StateBroken, "notifications cannot be counted: "+countErr.Error(), asked)
		w.compare(held, at, first)
	} else {
		s.account.Good(asked)
		w.turn(alarms.StateReachable, "", asked)
		if w.last.started != 0 && now.started > w.last.started {
			w.booted = asked
		}
		w.compare(held, at, first)
		w.pages(rise(w.last, now), at)
		w.last = now
	}
	w.seen = asked
}

// turn emits a change of the source's own health.
func (w *watcher) turn(to alarms.State, why string, at time.Time) {
	if w.health == to {
		return
	}
	w.health = to
	i := clock.At(at)
	if !w.seen.IsZero() {
		i = clock.Between(w.seen, at)
	}
	w.emit(alarms.Observation{At: i, State: to, Why: why})
}

// compare emits what changed among the alarms.
func (w *watcher) compare(list []alert, at clock.Interval, first bool) {
	current := map[string]alert{}
	for _, a := range list {
		if w.source.wanted(a.Labels) && a.Status.State != "unprocessed" {
			current[fold.Key(a.Labels)] = a
		}
	}
	for _, key := range slices.Sorted(maps.Keys(w.held)) {
		if _, still := current[key]; !still {
			w.vanish(key, at)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(current)) {
		w.appear(key, current[key], at, first)
	}
}

// vanish ends an alarm that is held no more. After a restart of the Alertmanager that means nothing until the senders
// have had the time to repeat themselves.
func (w *watcher) vanish(key string, at clock.Interval) {
	h := w.held[key]
	if !w.booted.IsZero() && at.Hi.Sub(w.booted) < forgetful {
		if h.missing.IsZero() {
			h.missing = at
		}
		return
	}
	if !h.missing.IsZero() {
		at.Lo = h.missing.Lo
	}
	w.emit(alarms.Observation{At: at, Key: key, Labels: h.Labels, State: alarms.StateInactive})
	delete(w.held, key)
}

// appear enters an alarm, or its new state.
func (w *watcher) appear(key string, a alert, at clock.Interval, first bool) {
	h, known := w.held[key]
	if known && h.missing.IsZero() && a.StartsAt.After(h.StartsAt) && h.state != alarms.StateSuppressed {
		// It ended and began again between two looks. A sender's restart looks the same here; Prometheus' own history tells.
		w.emit(alarms.Observation{At: at, Key: key, Labels: h.Labels, State: alarms.StateInactive})
		known = false
	}
	if !known {
		// What stood before the first look may have paged before it.
		h = &holding{due: !first}
		w.held[key] = h
		if first {
			at.Lo = clock.Between(w.source.knownOffset().Ours(a.StartsAt, time.Millisecond).Lo, at.Lo).Lo
		}
		w.source.notes.Keep(key, at.Hi, a.Annotations)
	}
	state, why := alarms.StateFiring, strings.Join(receivers(a), ", ")
	if s := a.suppression(); s != "" {
		state, why = alarms.StateSuppressed, s
	}
	if h.state != state || (state == alarms.StateSuppressed && h.why != why) {
		w.emit(alarms.Observation{At: at, Key: key, Labels: a.Labels, State: state, Why: why, Receivers: receivers(a)})
	}
	h.alert, h.state, h.why, h.missing = a, state, why, clock.Interval{}
}

// pages counts the notifications that left since the last look for the alarms that are due one.
func (w *watcher) pages(risen []string, at clock.Interval) {
	if len(risen) == 0 {
		return
	}
	var due []string
	for _, key := range slices.Sorted(maps.Keys(w.held)) {
		h := w.held[key]
		if h.due && h.state == alarms.StateFiring && h.missing.IsZero() && h.goesTo(w.source.receivers) {
			due = append(due, key)
		}
	}
	for _, key := range due {
		h := w.held[key]
		h.due = false
		why := fmt.Sprintf("receiver %s; delivered by %s", strings.Join(receivers(h.alert), ", "), strings.Join(risen, ", "))
		if len(due) > 1 {
			why += fmt.Sprintf("; %d alarms were due", len(due))
		}
		w.emit(alarms.Observation{At: at, Key: key, Labels: h.Labels, State: alarms.StatePaged, Why: why})
	}
}

// rise returns the integrations that delivered since the last look. After a restart they count from 0 again.
func rise(last, now counters) []string {
	if last.delivered == nil {
		return nil
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(now.delivered)) {
		before := last.delivered[name]
		if now.started > last.started {
			before = 0
		}
		if now.delivered[name] > before {
			out = append(out, name)
		}
	}
	return out
}

// receivers returns the names of an alarm's receivers.
func receivers(a alert) []string {
	out := make([]string, 0, len(a.Receivers))
	for _, r := range a.Receivers {
		out = append(out, r.Name)
	}
	return out
}

// knownOffset returns the clock offset, zero when it was never measured.
func (s *Source) knownOffset() clock.Offset {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.offset
}
