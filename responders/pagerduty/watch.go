package pagerduty

import (
	"context"
	"slices"
	"time"

	"gameday/clock"
	"gameday/responders"
	"gameday/responders/internal/follow"
	"gameday/sources/hook"
)

// watcher is the state of one Watch.
type watcher struct {
	source *Source
	emit   func(responders.Event)
	began  time.Time
	sent   map[string]bool      // ids of events that were emitted
	closed map[string]time.Time // incidents that are resolved, and until when their logs are still read
}

// Watch reads the logs of the services' incidents, at every poll and whenever a webhook comes, and emits what is new in
// them, until ctx ends. What a webhook told and no log does within the time that entries may take is emitted as it was told.
func (s *Source) Watch(ctx context.Context, emit func(responders.Event)) error {
	w := s.watcher(emit)
	if err := s.listen(); err != nil {
		return err
	}
	ticker := time.NewTicker(s.poll)
	defer ticker.Stop()
	for {
		w.look(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-s.nudge:
		}
	}
}

func (s *Source) watcher(emit func(responders.Event)) *watcher {
	return &watcher{source: s, emit: emit, began: time.Now(), sent: map[string]bool{}, closed: map[string]time.Time{}}
}

// listen begins to take webhooks, if the block has any and they are not taken already.
func (s *Source) listen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.settings.listen == "" || s.server != nil {
		return nil
	}
	server := &hook.Server{Listen: s.settings.listen, Signed: s.signed, Take: s.take}
	if _, err := server.Start(); err != nil {
		return err
	}
	s.server = server
	return nil
}

// look asks once and emits what is new. A look that fails is made up for by the next one, and by History.
func (w *watcher) look(ctx context.Context) {
	s := w.source
	a := &follow.Asking{API: s.api}
	events, offset, _ := w.read(ctx, a) // what it could read counts
	if ctx.Err() != nil {
		return
	}
	for _, e := range events {
		w.tell(e)
	}
	now := time.Now()
	s.mu.Lock()
	var due []responders.Event
	var still []posting
	for _, p := range s.posted.fresh {
		switch {
		case slices.ContainsFunc(events, func(e responders.Event) bool { return p.same(e, offset) }):
		case now.Sub(p.received) >= s.settle:
			if e := s.event(p, offset); len(e.Labels) > 0 { // else nobody knows which alarm it is about; History has it
				due = append(due, e)
			}
		default:
			still = append(still, p)
		}
	}
	s.posted.fresh = still
	s.mu.Unlock()
	for _, e := range due {
		w.tell(e)
	}
}

// read reads the logs of the incidents that are open, and of those that were opened or resolved a short while ago.
func (w *watcher) read(ctx context.Context, a *follow.Asking) ([]responders.Event, clock.Offset, error) {
	s := w.source
	open, err := s.open(ctx, a)
	offset, _ := a.Offset()
	if err != nil {
		return nil, offset, err
	}
	s.meet(open)
	recent, err := s.between(ctx, a, w.began.Add(offset.Ahead-time.Minute), time.Now().Add(offset.Ahead+time.Minute))
	if err != nil {
		return nil, offset, err
	}
	by := map[string]incident{}
	for _, i := range append(open, recent...) {
		by[i.ID] = i
	}
	s.mu.Lock()
	for id, i := range s.met { // one that was open and is in neither list has been resolved
		if _, listed := by[id]; !listed {
			i.Status = "resolved"
			by[id] = i
		}
	}
	s.mu.Unlock()
	var out []responders.Event
	var failure error
	duties := map[string]map[string][]int{}
	now := time.Now()
	span := clock.Span{Start: w.began.Add(offset.Ahead), End: now.Add(offset.Ahead + time.Second)}
	for _, i := range by {
		if !w.worth(i, now) {
			continue
		}
		duty, err := s.duty(ctx, a, i.Policy.ID, span, duties)
		if err != nil {
			failure = err
			continue
		}
		log, err := s.log(ctx, a, i.ID)
		if err != nil {
			failure = err
			continue
		}
		one, err := s.read(ctx, a, i, log, duty, offset)
		if err != nil {
			failure = err
			continue
		}
		// Without its beginning nobody knows yet which alarm it is about, and what is emitted cannot be taken back.
		if slices.ContainsFunc(one.events, func(e responders.Event) bool { return e.Kind == responders.Opened }) {
			out = append(out, one.events...)
		}
	}
	slices.SortStableFunc(out, func(x, y responders.Event) int { return x.At.Lo.Compare(y.At.Lo) }) // each log is in order
	return out, offset, failure
}

// worth reports whether an incident's log may have something new: as long as it is open, and for a while after that.
func (w *watcher) worth(i incident, now time.Time) bool {
	if i.Status != "resolved" {
		delete(w.closed, i.ID)
		return true
	}
	until, known := w.closed[i.ID]
	if !known {
		until = now.Add(w.source.settle)
		w.closed[i.ID] = until
	}
	return !now.After(until)
}

// tell emits an event that happened while it was watched, once.
func (w *watcher) tell(e responders.Event) {
	if w.sent[e.ID+" "+e.Page] || e.At.Hi.Before(w.began) {
		return
	}
	w.sent[e.ID+" "+e.Page] = true
	w.emit(e)
}
