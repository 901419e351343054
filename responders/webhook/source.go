// Package webhook takes what people did as JSON that is posted, from any system that can. It knows what it was told and no
// more: that nothing was posted shows only that nobody did anything where the sender gives a sign of life.
package webhook

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"gameday/clock"
	"gameday/responders"
	"gameday/sources/hook"
	"gameday/sources/looks"
)

// mostKept bounds the events of one run.
const mostKept = 20_000

// Source takes postings. Its methods may be called concurrently; Watch by one goroutine at a time.
type Source struct {
	name string
	settings
	account *looks.Postings
	server  hook.Server

	mu      sync.Mutex
	events  []responders.Event           // in the order of their arrival
	known   map[string]bool              // ids
	labels  map[string]map[string]string // page → of its alarm
	lost    []looks.Fault                // for which there was no room
	began   time.Time
	late    time.Duration // how long after they happened things are posted: delay, or more where more was seen
	changed chan struct{} // closed, and replaced, at each new event
}

var (
	_ responders.Source = (*Source)(nil)
	_ responders.Server = (*Source)(nil)
)

// New returns a source, named as in "webhook.rota". It takes postings once it is started.
func New(name string, c Config) (*Source, error) {
	s, err := c.parse()
	if err != nil {
		return nil, err
	}
	src := &Source{name: name, settings: s, account: looks.NewPostings(s.beat), known: map[string]bool{}, labels: map[string]map[string]string{},
		began: time.Now(), late: s.delay, changed: make(chan struct{})}
	src.server = hook.Server{Listen: s.listen, Token: s.token, Signed: s.signed, Take: src.take, Garbled: src.garble}
	return src, nil
}

// Start listens until Stop.
func (s *Source) Start(context.Context) (address string, err error) { return s.server.Start() }

// Stop ends listening, once what is under way was answered.
func (s *Source) Stop() error { return s.server.Stop() }

// take reads one posting. The sender of one for which there is no room is told of no mistake of its own.
func (s *Source) take(body []byte, _ http.Header, received time.Time) error {
	list, err := s.read(body, received)
	if err != nil {
		return err
	}
	s.account.Good(received)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range list {
		s.keep(e, received)
	}
	return nil
}

// keep books an event, once. A page's labels need be said once, and may be said after what happened to it. s.mu is held.
func (s *Source) keep(e responders.Event, received time.Time) {
	if e.Page != "" && len(e.Labels) > 0 {
		if s.labels[e.Page] == nil {
			s.labels[e.Page] = map[string]string{}
		}
		maps.Copy(s.labels[e.Page], e.Labels)
	}
	e.Source, e.Labels = s.name, nil
	id := e.ID + "\x00" + e.Page + "\x00" + string(e.Kind)
	switch {
	case s.known[id]:
		return
	case len(s.events) == mostKept:
		s.lost = append(s.lost[:min(len(s.lost), mostKept-1)], looks.Fault{Span: clock.Span{Start: e.At.Lo, End: e.At.Hi.Add(time.Second)}, Why: "more was posted than is kept"})
		return
	}
	s.known[id] = true
	if e.At.Lo.After(s.began) { // and not told of again by a sender that has only begun
		s.late = max(s.late, received.Sub(e.At.Hi))
	}
	s.events = append(s.events, e)
	close(s.changed)
	s.changed = make(chan struct{})
}

// garble books a posting that could not be read: what was waited for may be in it.
func (s *Source) garble(at time.Time, err error) { s.account.Garbled(at, err.Error()) }

// Preflight says what this source cannot show. That nothing was heard yet is no mistake: it has only begun to listen.
func (s *Source) Preflight(context.Context) ([]responders.Finding, error) {
	if s.mute {
		return []responders.Finding{{Blocks: true, Summary: s.name + " can hear nobody", Detail: "Its signature has an empty secret, so nothing is signed rightly. Set it."}}, nil
	}
	if s.beat > 0 {
		return nil, nil
	}
	return []responders.Finding{{Summary: s.name + " cannot prove that it hears anything",
		Detail: "What is posted counts; that nobody did something stays unknown. Have the sender post something regularly, with a kind that means " +
			"\"ignore\", and say how often: heartbeat = \"1m\"."}}, nil
}

// Watch emits what is posted until ctx ends. What happened to a page is kept back until it is known which alarm it is about.
func (s *Source) Watch(ctx context.Context, emit func(responders.Event)) error {
	next := 0
	var held []responders.Event
	for {
		s.mu.Lock()
		held = append(held, s.events[next:]...)
		next = len(s.events)
		var ready, still []responders.Event
		for _, e := range held {
			if e, ok := s.labelled(e); ok {
				ready = append(ready, e)
			} else {
				still = append(still, e)
			}
		}
		held = still
		changed := s.changed
		s.mu.Unlock()
		for _, e := range ready {
			emit(e)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// labelled gives an event the labels of its page; ok is false while they are not known. s.mu is held.
func (s *Source) labelled(e responders.Event) (_ responders.Event, ok bool) {
	if e.Page == "" {
		return e, true
	}
	e.Labels = maps.Clone(s.labels[e.Page])
	return e, len(e.Labels) > 0
}

// History returns what was posted, by time. Without a heartbeat nothing is covered: silence is no sign of anything. What
// happened to a page of which nobody knows which alarm it is about may be what is asked for: its time is not covered.
func (s *Source) History(_ context.Context, span clock.Span) ([]responders.Event, responders.Coverage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	events := []responders.Event{}
	unclear := slices.Clone(s.lost)
	for _, e := range s.events {
		if e.At.Hi.Before(span.Start) || e.At.Lo.After(span.End) {
			continue
		}
		e, ok := s.labelled(e)
		if !ok {
			unclear = append(unclear, looks.Fault{Span: clock.Span{Start: e.At.Lo.Add(-time.Second), End: e.At.Hi.Add(time.Second)},
				Why: fmt.Sprintf("something happened to page %s, and which alarm that is about was never posted", hook.Clip(e.Page, 80))})
		}
		events = append(events, e)
	}
	slices.SortStableFunc(events, func(a, b responders.Event) int { return cmp.Or(a.At.Lo.Compare(b.At.Lo), a.At.Hi.Compare(b.At.Hi)) })
	c := responders.Coverage{Offset: clock.Offset{Err: s.slack}}
	c.Spans, c.Why = s.account.Cover(span, unclear)
	if len(c.Spans) > 0 {
		c.Spans = early(c.Spans, s.late)
		c.Why = append(c.Why, fmt.Sprintf("the last %s before each of these gaps, and before the end, are not covered: things are posted up to that long after they happened", s.late))
	}
	if len(s.lost) > 0 {
		c.Why = append(c.Why, fmt.Sprintf("%d events were posted for which there is no room; %d are kept", len(s.lost), mostKept))
	}
	return events, c, nil
}

// early takes from each stretch its end: what happened then may be posted after it.
func early(spans []clock.Span, late time.Duration) []clock.Span {
	out := []clock.Span{}
	for _, s := range clock.Merge(spans) {
		if s.End = s.End.Add(-late); s.Length() > 0 {
			out = append(out, s)
		}
	}
	return out
}
