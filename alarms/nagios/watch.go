package nagios

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"gameday/alarms"
	"gameday/alarms/internal/fold"
	"gameday/clock"
	"gameday/sources/looks"
)

// before is for how long before a span the archive is read: an episode in it may have begun by then.
const before = time.Hour

// Watch looks at the status every so often, and emits what changed, until ctx ends.
func (s *Source) Watch(ctx context.Context, emit func(alarms.Observation)) error {
	w := &watcher{source: s, emit: emit, was: map[string]alarms.State{}, health: alarms.StateReachable}
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

// watcher is the state of one Watch.
type watcher struct {
	source *Source
	emit   func(alarms.Observation)
	was    map[string]alarms.State
	health alarms.State
	read   bool // the labels are known
}

// look looks once.
func (w *watcher) look(ctx context.Context) {
	s, asked := w.source, time.Now()
	var err error
	if !w.read {
		if _, err = s.measure(ctx); err == nil {
			err = s.configured(ctx)
		}
		w.read = err == nil
	}
	var all map[string]thing
	var m meta
	if err == nil {
		all, m, err = s.status(ctx)
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		s.account.Bad(asked, "unreachable: "+err.Error())
		w.turn(alarms.StateUnreachable, err.Error(), asked)
		return
	}
	at, why := s.book(m, asked)
	if why != "" {
		w.turn(alarms.StateBroken, why, asked)
		return
	}
	w.turn(alarms.StateReachable, "", asked)
	for _, k := range slices.Sorted(maps.Keys(all)) {
		if labels := s.wanted(k); labels != nil {
			w.compare(k, labels, all[k], at)
		}
	}
}

// turn emits a change of the source's own health.
func (w *watcher) turn(to alarms.State, why string, at time.Time) {
	if w.health != to {
		w.health = to
		w.emit(alarms.Observation{At: clock.At(at), State: to, Why: why})
	}
}

// book enters an answer into the account: it tells how things were when Nagios wrote its status, and that Nagios was alive then. why says that
// this was too long ago.
func (s *Source) book(m meta, asked time.Time) (at clock.Interval, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at = s.offset.Ours(moment(m.Updated), time.Second)
	if s.started != 0 && m.Started != s.started {
		began := s.offset.Ours(moment(m.Started), time.Second)
		s.cuts = append(s.cuts, looks.Fault{Span: clock.Span{Start: s.updated.Lo, End: began.Hi}, Why: "Nagios was started anew"})
	}
	s.started = m.Started
	if m.Updated == 0 || asked.Sub(at.Hi) > 3*s.update {
		why = fmt.Sprintf("Nagios has not written its status since %s", at.Lo.Format(time.TimeOnly))
		s.account.Bad(asked, why)
		return at, why
	}
	if at.Lo.After(s.updated.Lo) {
		s.updated = at
		s.account.Good(at.Lo)
	}
	return at, ""
}

// compare emits what changed, and keeps what the log does not tell.
func (w *watcher) compare(key string, labels map[string]string, t thing, at clock.Interval) {
	s := w.source
	to := alarms.StateInactive
	since := s.ours(moment(t.Since))
	switch {
	case t.well():
	case t.Type != "hard":
		to = alarms.StatePending
	case t.held() != "":
		to = alarms.StateSuppressed
	default:
		to = alarms.StateFiring
	}
	was, known := w.was[key]
	if !known {
		was = alarms.StateInactive
	}
	w.was[key] = to
	if to == was {
		return
	}
	s.mu.Lock()
	if was == alarms.StateInactive {
		lo := since.Lo
		if ok := max(t.OK, t.Up); ok > 0 {
			lo = s.offset.Ours(moment(ok), time.Second).Lo
		}
		s.begun[key] = append(s.begun[key], clock.Between(lo, since.Hi))
	}
	if to == alarms.StateSuppressed {
		s.held = append(s.held, holding{key, t.held(), at})
	}
	s.mu.Unlock()
	when := since
	if to == alarms.StateSuppressed || was == alarms.StateSuppressed && to == alarms.StateFiring {
		when = at
	}
	w.emit(alarms.Observation{At: when, Key: key, Labels: labels, State: to, Why: t.held()})
}

// ours converts an instant that Nagios gives, to the second.
func (s *Source) ours(t time.Time) clock.Interval {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.offset.Ours(t, time.Second)
}

// History returns the episodes that the log tells of, with what looks add to it, and when Nagios was seen to be alive. An archive that cannot be read is
// an error.
func (s *Source) History(ctx context.Context, span clock.Span) ([]alarms.Episode, alarms.Coverage, error) {
	c := alarms.Coverage{Resolution: s.update}
	var program struct {
		P struct{} `json:"programstatus"`
	}
	asked := time.Now()
	m, _, err := s.ask(ctx, "statusjson", "programstatus", nil, &program)
	if err != nil {
		return nil, c, err
	}
	s.book(m, asked)
	alerts, notices, err := s.archive(ctx, clock.Span{Start: span.Start.Add(-before), End: span.End})
	if err != nil {
		return nil, c, err
	}
	s.mu.Lock()
	cuts, notes, held := slices.Clone(s.cuts), maps.Clone(s.notes), slices.Clone(s.held)
	c.Offset = s.offset
	s.mu.Unlock()
	holes := make([]clock.Span, len(cuts))
	for i, f := range cuts {
		holes[i] = f.Span
	}
	c.Spans = looks.Without(looks.Clip(s.account.Spans(), span), holes)
	c.Why = looks.Explain(c.Spans, span, append(cuts, s.account.Faults()...), 2*s.update, "nobody was watching")
	episodes := []alarms.Episode{}
	for _, e := range fold.Episodes(s.name, s.observations(alerts, notices, held, span.Start.Add(-before))) {
		if fold.Overlaps(e, span) {
			e.Notes = maps.Clone(notes[e.Key])
			if e.Notes == nil {
				e.Notes = map[string]string{}
			}
			for _, a := range alerts {
				if a.key() == e.Key && a.Type == "hard" && s.ours(moment(a.At)) == e.Firing && a.Output != "" {
					e.Notes["summary"] = a.Output
				}
			}
			episodes = append(episodes, e)
		}
	}
	return episodes, c, nil
}

// Which entries of the log are about a problem.
var (
	problems = []string{"warning", "unknown", "critical", "down", "unreachable"}
	wells    = []string{"ok", "up"}
)

// observations makes observations of the log's entries, in order. Where the log does not tell when a problem began, for Nagios does not log soft
// states unless log_service_retries and log_host_retries are set, the looks do; and where they do not either, it was at some time since from.
func (s *Source) observations(alerts, notices []entry, held []holding, from time.Time) []alarms.Observation {
	var out []alarms.Observation
	add := func(key string, at clock.Interval, state alarms.State, why string) {
		if labels := s.wanted(key); labels != nil {
			out = append(out, alarms.Observation{At: at, Key: key, Labels: labels, State: state, Why: why})
		}
	}
	open, ended := map[string]bool{}, map[string]time.Time{}
	slices.SortStableFunc(alerts, func(a, b entry) int { return int(a.At - b.At) })
	for _, a := range alerts {
		at, k := s.ours(moment(a.At)), a.key()
		switch {
		case slices.Contains(wells, a.State):
			add(k, at, alarms.StateInactive, "")
			open[k], ended[k] = false, at.Lo
		case !slices.Contains(problems, a.State):
		case a.Type != "hard":
			add(k, at, alarms.StatePending, "")
			open[k] = true
		default:
			if !open[k] {
				add(k, s.beginning(k, at, later(ended[k], from)), alarms.StatePending, "")
			}
			add(k, at, alarms.StateFiring, "")
			open[k] = true
		}
	}
	for _, n := range notices {
		if slices.Contains(problems, n.Notice) && n.Contact != "" {
			add(n.key(), s.ours(moment(n.At)), alarms.StatePaged, "to a contact")
		}
	}
	// Nagios logs the notification before the alert that it is about, mostly in the same second.
	rank := func(o alarms.Observation) time.Time {
		if o.State == alarms.StatePaged {
			return o.At.Lo.Add(time.Second)
		}
		return o.At.Lo
	}
	slices.SortStableFunc(out, func(a, b alarms.Observation) int { return rank(a).Compare(rank(b)) })
	for _, h := range held {
		labels := s.wanted(h.key)
		if labels == nil {
			continue
		}
		// The look saw a problem, so what ended it came after the look, also in the same second.
		i := slices.IndexFunc(out, func(o alarms.Observation) bool {
			return o.Key == h.key && o.State == alarms.StateInactive && !o.At.Lo.Before(h.at.Lo)
		})
		if i < 0 {
			i = len(out)
		}
		out = slices.Insert(out, i, alarms.Observation{At: h.at, Key: h.key, Labels: labels, State: alarms.StateSuppressed, Why: h.why})
	}
	return answered(out)
}

// answered leaves out acknowledgements after the page, which hold nothing back but answer it, and what was held back while nothing fired.
func answered(list []alarms.Observation) []alarms.Observation {
	firing, paged := map[string]bool{}, map[string]bool{}
	return slices.DeleteFunc(list, func(o alarms.Observation) bool {
		switch o.State {
		case alarms.StateInactive:
			firing[o.Key], paged[o.Key] = false, false
		case alarms.StateFiring:
			firing[o.Key] = true
		case alarms.StatePaged:
			paged[o.Key] = true
		case alarms.StateSuppressed:
			return !firing[o.Key] || paged[o.Key] && o.Why == acknowledgement
		}
		return false
	})
}

// beginning returns when the problem began that fired at an instant, of which the log does not tell.
func (s *Source) beginning(key string, fired clock.Interval, from time.Time) clock.Interval {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range slices.Backward(s.begun[key]) {
		if !b.Lo.After(fired.Hi) && !b.Hi.Before(from) {
			if b.Hi.After(fired.Hi) {
				b.Hi = fired.Hi
			}
			return b
		}
	}
	return clock.Between(from, fired.Hi)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
