// Package poll is what sources share that are asked again and again which alarms stand: the watch, what is expected of them,
// the other clock, and the coverage that looks and a history make together.
package poll

import (
	"context"
	"maps"
	"slices"
	"time"

	"gameday/alarms"
	"gameday/alarms/internal/fold"
	"gameday/clock"
	"gameday/sources/looks"
)

// Standing is an alarm as one look found it.
type Standing struct {
	Key    string
	Labels map[string]string
	Notes  map[string]string
	State  alarms.State // StatePending, StateFiring or StateSuppressed
	Why    string       // of StateSuppressed: what holds it back
	// Began is when its condition began to hold, Fired when it fired, Paged when the first notification about it left, each as
	// the source tells it in our clock; zero where it does not, or it did not happen.
	Began, Fired, Paged clock.Interval
}

// Look is the answer to one look.
type Look struct {
	Standing []Standing
	// Wrong says why an expected alarm could not be seen: its rule is missing, fails, has no data; empty when all could.
	Wrong string
	// Holds reports whether an alarm that is not listed may stand all the same; nil means that none does.
	Holds    func(labels map[string]string) bool
	Received time.Time // when the answer was complete
}

// Unreachable begins the reason of a look that had no answer.
const Unreachable = "unreachable: "

// Watch looks every so often until ctx ends, and emits what changed. It keeps account of the looks, and what was emitted of
// alarms in the memory.
type Watch struct {
	Every   time.Duration
	Account *looks.Account
	Memory  *fold.Memory
	Look    func(context.Context) (Look, error)
	// Restamps says that the source may give an alarm another time while it stands, so that one is no sign of its having ended and
	// begun again.
	Restamps bool

	emit   func(alarms.Observation)
	stands map[string]Standing
	seen   time.Time // when the last answer was asked for: what has changed since, changed after it
	health alarms.State
	why    string
}

// Run watches. It returns nil, when ctx ends.
func (w *Watch) Run(ctx context.Context, emit func(alarms.Observation)) error {
	w.begin(emit)
	ticker := time.NewTicker(w.Every)
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

func (w *Watch) begin(emit func(alarms.Observation)) {
	w.stands, w.health, w.seen = map[string]Standing{}, alarms.StateReachable, time.Time{}
	w.emit = func(o alarms.Observation) {
		w.Memory.Add(o)
		emit(o)
	}
}

// look asks once and emits what changed.
func (w *Watch) look(ctx context.Context) {
	asked := time.Now()
	l, err := w.Look(ctx)
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		w.Account.Bad(asked, Unreachable+err.Error())
		w.turn(alarms.StateUnreachable, err.Error(), asked)
		return
	case l.Wrong != "":
		w.Account.Bad(asked, l.Wrong)
		w.turn(alarms.StateBroken, l.Wrong, asked)
	default:
		w.Account.Good(asked)
		w.turn(alarms.StateReachable, "", asked)
	}
	w.compare(l)
	w.seen = asked
}

// turn emits a change of the source's own health. The wording of a failure may change while it lasts (refused, then timed
// out): that is not a change worth a line.
func (w *Watch) turn(to alarms.State, why string, at time.Time) {
	same := w.health == to && (to != alarms.StateBroken || w.why == why)
	w.health, w.why = to, why
	if !same {
		w.emit(alarms.Observation{At: w.since(at), State: to, Why: why})
	}
}

// since returns the interval in which something changed that is seen at an instant.
func (w *Watch) since(at time.Time) clock.Interval {
	if w.seen.IsZero() {
		return clock.At(at)
	}
	return clock.Between(w.seen, at)
}

// compare emits what changed among the alarms.
func (w *Watch) compare(l Look) {
	now := map[string]Standing{}
	for _, s := range l.Standing {
		now[s.Key] = s
	}
	for _, key := range slices.Sorted(maps.Keys(w.stands)) {
		was := w.stands[key]
		is, still := now[key]
		again := still && !w.Restamps && (later(was.Began, is.Began) || later(was.Fired, is.Fired))
		if still && !again || !still && l.Holds != nil && l.Holds(was.Labels) {
			continue
		}
		w.emit(alarms.Observation{At: w.since(l.Received), Key: key, Labels: was.Labels, State: alarms.StateInactive})
		delete(w.stands, key)
	}
	for _, key := range slices.Sorted(maps.Keys(now)) {
		w.advance(now[key], l.Received)
	}
}

// later reports whether an alarm that a source gives another time for is another episode of it.
func later(was, is clock.Interval) bool { return !was.IsZero() && !is.IsZero() && was.Before(is) }

// advance emits how an alarm came to its present state.
func (w *Watch) advance(s Standing, received time.Time) {
	was, known := w.stands[s.Key]
	w.stands[s.Key] = s
	tell := func(at clock.Interval, state alarms.State, why string) {
		w.emit(alarms.Observation{At: at, Key: s.Key, Labels: s.Labels, State: state, Why: why})
	}
	since := w.since(received)
	if w.seen.IsZero() { // it stood before the first look, nobody knows since when
		since.Lo = earliest(s, received)
	}
	if !known && (s.State == alarms.StatePending || !s.Began.IsZero()) {
		at := s.Began
		if at.IsZero() {
			at = since
		}
		tell(at, alarms.StatePending, "")
	}
	fires := s.State == alarms.StateFiring || s.State == alarms.StateSuppressed
	if fires && (!known || was.State != s.State || was.Why != s.Why) {
		at := since
		if (!known || was.State == alarms.StatePending) && !s.Fired.IsZero() {
			at = s.Fired
		}
		tell(at, s.State, s.Why)
	}
	if !s.Paged.IsZero() && (!known || was.Paged.IsZero()) {
		tell(s.Paged, alarms.StatePaged, "")
	}
}

// unknownAge is how old an alarm may be that stood before the first look, where its source does not tell: old enough that
// nothing which happens in a run can be taken for its cause.
const unknownAge = 24 * time.Hour

// earliest returns when an alarm of the first look began at the earliest.
func earliest(s Standing, received time.Time) time.Time {
	if !s.Began.IsZero() {
		return s.Began.Lo
	}
	return received.Add(-unknownAge)
}
