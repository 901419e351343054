package prometheus

import (
	"context"
	"maps"
	"slices"
	"time"

	"gameday/alarms"
	"gameday/alarms/internal/fold"
	"gameday/clock"
)

// watcher is the state of one Watch.
type watcher struct {
	source *Source
	emit   func(alarms.Observation)
	active map[string]alert // by key
	// seen is when the last answer was asked for: what has changed since, changed after it.
	seen   time.Time
	health alarms.State // of the source, as emitted last
	why    string
}

// Watch polls the active alerts and the expected alarms' rules, and emits what changed, until ctx ends. An answer that
// does not come in time is an observation, never the absence of an alarm.
func (s *Source) Watch(ctx context.Context, emit func(alarms.Observation)) error {
	w := &watcher{source: s, active: map[string]alert{}, health: alarms.StateReachable, emit: func(o alarms.Observation) {
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

// look asks once and emits what changed.
func (w *watcher) look(ctx context.Context) {
	s := w.source
	asked := time.Now()
	active, reply, err := s.alerts(ctx)
	var rules []rule
	if err == nil {
		rules, reply, err = s.rules(ctx, s.names())
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		s.account.Bad(asked, unreachable+err.Error())
		w.turn(alarms.StateUnreachable, err.Error(), asked)
		return
	}
	wrong := s.wrong(rules, reply.Received)
	if wrong != nil {
		s.account.Bad(asked, wrong.summary)
		w.turn(alarms.StateBroken, wrong.summary+". "+wrong.detail, asked)
	} else {
		s.account.Good(asked)
		w.turn(alarms.StateReachable, "", asked)
	}
	w.compare(active, reply.Received, wrong != nil && wrong.settling)
	w.seen = asked
}

// names returns the names of the expected alarms' rules.
func (s *Source) names() []string {
	var out []string
	for _, e := range s.expectations() {
		if n := e.Match[alertName]; n != "" && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// wrong returns the first reason why an expected alarm could not be seen; one that settles by itself comes last.
func (s *Source) wrong(rules []rule, at time.Time) *problem {
	var lasting, settling *problem
	s.check(rules, at.Add(s.knownOffset().Ahead), func(_ []rule, p *problem) {
		switch {
		case p == nil:
		case p.settling:
			settling = p
		case lasting == nil:
			lasting = p
		}
	})
	if lasting != nil {
		return lasting
	}
	return settling
}

// turn emits a change of the source's own health.
func (w *watcher) turn(to alarms.State, why string, at time.Time) {
	if w.health == to && w.why == why {
		return
	}
	// The wording of a failure may change while it lasts (refused, then timed out): that is not a change worth a line.
	same := w.health == to && to == alarms.StateUnreachable
	w.health, w.why = to, why
	if !same {
		w.emit(alarms.Observation{At: w.since(at), State: to, Why: why})
	}
}

// since returns the interval in which something changed that is seen at an instant.
func (w *watcher) since(at time.Time) clock.Interval {
	if w.seen.IsZero() {
		return clock.At(at)
	}
	return clock.Between(w.seen, at)
}

// compare emits what changed among the alerts. A server that is only just starting has an empty list, which says
// nothing.
func (w *watcher) compare(now []alert, received time.Time, settling bool) {
	s := w.source
	current := map[string]alert{}
	for _, a := range now {
		if s.wanted(a.Labels) && (a.State == "pending" || a.State == "firing") {
			key := fold.Key(a.Labels)
			current[key] = a
			s.notes.Keep(key, s.knownOffset().Ours(a.ActiveAt, 0).Hi, a.Annotations)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(w.active)) {
		a, still := current[key]
		if was := w.active[key]; (still && a.ActiveAt.Equal(was.ActiveAt)) || (!still && settling) {
			continue
		}
		w.emit(alarms.Observation{At: w.since(received), Key: key, Labels: w.active[key].Labels, State: alarms.StateInactive})
		delete(w.active, key)
	}
	for _, key := range slices.Sorted(maps.Keys(current)) {
		w.advance(key, current[key], received)
	}
}

// advance emits how an active alert came to its present state.
func (w *watcher) advance(key string, a alert, received time.Time) {
	was, known := w.active[key]
	w.active[key] = a
	began := w.source.knownOffset().Ours(a.ActiveAt, time.Millisecond)
	if !known {
		w.emit(alarms.Observation{At: began, Key: key, Labels: a.Labels, State: alarms.StatePending})
	}
	if a.State != "firing" || (known && was.State == "firing") {
		return
	}
	at := clock.Between(began.Lo, received)
	if w.seen.After(began.Lo) {
		at = clock.Between(w.seen, received)
	}
	w.emit(alarms.Observation{At: at, Key: key, Labels: a.Labels, State: alarms.StateFiring})
}
