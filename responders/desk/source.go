// Package desk is a paging desk for game days: it takes Alertmanager webhooks, walks an escalation policy, and lets
// people acknowledge, escalate, mark and resolve over HTTP. It calls no telephone; "delivered" means that the page is
// on the desk.
package desk

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"gameday/clock"
	"gameday/responders"
)

// Source is one desk. Its methods may be called concurrently.
type Source struct {
	name   string
	config Config
	waits  []time.Duration

	mu      sync.Mutex
	running bool
	started time.Time
	address string
	spans   []clock.Span // earlier spells of listening
	pages   []*page      // in the order they were opened
	log     []responders.Event
	changed chan struct{} // closed, and replaced, at each new event
	known   map[identity]struct{}
	refused int // alarms for which there was no room

	server  *http.Server
	unhook  func() bool   // of the context that Start was given
	serving chan struct{} // closed when the server has ended
}

var _ responders.Source = (*Source)(nil)

// New returns a desk, named as in "desk.ops". It takes pages once it is started.
func New(name string, c Config) (*Source, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.Listen == "" {
		c.Listen = DefaultListen
	}
	return &Source{name: name, config: c, waits: c.waits(), changed: make(chan struct{}),
		known: map[identity]struct{}{}}, nil
}

// Start listens, and returns the address, such as "127.0.0.1:41231". The desk stops when ctx ends or Stop is called.
func (s *Source) Start(ctx context.Context) (addr string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running {
		return "", fmt.Errorf("starting %s: it is running already at %s", s.name, s.address)
	}
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("starting %s: %w", s.name, err)
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", s.config.Listen)
	if err != nil {
		return "", fmt.Errorf("starting %s: %w: is another run or desk using the port? Choose another with listen", s.name,
			err)
	}
	s.server = &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 10 * time.Second, IdleTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10,
	}
	s.serving = make(chan struct{})
	go serve(s.server, listener, s.serving)
	s.address = listener.Addr().String()
	s.begin()
	s.unhook = context.AfterFunc(ctx, func() { _ = s.Stop() })
	return s.address, nil
}

// ReceivesAlarms says that alarms are sent to the desk.
func (s *Source) ReceivesAlarms() {}

// serve serves until the server is closed. A listener that fails earlier shows in Preflight and in the coverage's end.
func serve(server *http.Server, listener net.Listener, done chan struct{}) {
	defer close(done)
	_ = server.Serve(listener)
}

// begin starts the desk's work without a listener. The desk's lock is held.
func (s *Source) begin() {
	s.running, s.started = true, time.Now()
	for _, p := range s.pages {
		if p.State == Open {
			s.await(p)
		}
	}
}

// Stop stops listening and walking the policy, and waits until both have ended. The events remain. Stopping twice is no
// error.
func (s *Source) Stop() error {
	s.mu.Lock()
	if !s.running {
		s.mu.Unlock()
		return nil
	}
	s.running = false
	s.spans = append(s.spans, clock.Span{Start: s.started, End: time.Now()})
	for _, p := range s.pages {
		p.stop()
	}
	server, serving, unhook := s.server, s.serving, s.unhook
	s.server, s.unhook = nil, nil
	s.mu.Unlock()
	if unhook != nil {
		unhook()
	}
	if server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err := server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, server.Close())
	}
	<-serving
	if err != nil {
		return fmt.Errorf("stopping %s: %w", s.name, err)
	}
	return nil
}

// Address returns where the desk listens; the empty string before it was started.
func (s *Source) Address() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.address
}

// Preflight checks that the desk listens and that no page is open.
func (s *Source) Preflight(context.Context) ([]responders.Finding, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running {
		return []responders.Finding{{Blocks: true, Summary: s.name + " does not listen",
			Detail: "Start it before the run."}}, nil
	}
	var out []responders.Finding
	for _, p := range s.pages {
		if p.State != Resolved {
			out = append(out, responders.Finding{
				Summary: fmt.Sprintf("page %s (%s) is open already", p.ID, p.Labels["alertname"]),
				Detail:  "A page about the same alarm would not open a new one. Resolve it first.",
			})
		}
	}
	return out, nil
}

// OnCall returns the people of every level: the desk's policy is its roster.
func (s *Source) OnCall(context.Context) ([]responders.Duty, error) {
	var out []responders.Duty
	for i, l := range s.config.Levels {
		for _, who := range l.People {
			out = append(out, responders.Duty{Who: who, Level: i + 1})
		}
	}
	return out, nil
}

// Watch emits every event of the desk, from its first one on and in order, until ctx ends.
func (s *Source) Watch(ctx context.Context, emit func(responders.Event)) error {
	for next := 0; ; {
		s.mu.Lock()
		fresh, changed := slices.Clone(s.log[next:]), s.changed
		s.mu.Unlock()
		for _, e := range fresh {
			emit(e)
		}
		next += len(fresh)
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// History returns the events in the span; the time in which the desk listened is covered.
func (s *Source) History(_ context.Context, span clock.Span) ([]responders.Event, responders.Coverage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	events := []responders.Event{}
	for _, e := range s.log {
		if !e.At.Hi.Before(span.Start) && !e.At.Lo.After(span.End) {
			events = append(events, e)
		}
	}
	listened := slices.Clone(s.spans)
	if s.running {
		listened = append(listened, clock.Span{Start: s.started, End: time.Now()})
	}
	c := responders.Coverage{Spans: []clock.Span{}}
	at := span.Start
	for _, l := range clock.Merge(listened) {
		o := l.Overlap(span)
		if o.Length() == 0 {
			continue
		}
		c.Why = append(c.Why, silent(at, o.Start)...)
		c.Spans, at = append(c.Spans, o), o.End
	}
	c.Why = append(c.Why, silent(at, span.End)...)
	if s.refused > 0 {
		c.Why = append(c.Why, fmt.Sprintf("%d alarms were refused: %v", s.refused, errFull))
	}
	return events, c, nil
}

// silent words a stretch in which the desk did not listen; a second at the edges is not worth a line.
func silent(from, to time.Time) []string {
	if to.Sub(from) <= time.Second {
		return nil
	}
	return []string{fmt.Sprintf("%s to %s: the desk did not listen", from.Format(time.TimeOnly), to.Format(time.TimeOnly))}
}

// Pages returns all pages, in the order they were opened.
func (s *Source) Pages() []Page {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Page, 0, len(s.pages))
	for _, p := range s.pages {
		out = append(out, p.snapshot())
	}
	return out
}

// snapshot returns the page as it is now, apart from what changes later.
func (p *page) snapshot() Page {
	c := p.Page
	c.Events = slices.Clone(p.Events)
	c.AckedBy = slices.Clone(p.AckedBy)
	return c
}
