// Package alertmanager watches an Alertmanager: which alarms it holds, which of them are silenced or inhibited, and
// when a notification left. It keeps no history, so what is reported after a run is what Watch saw.
package alertmanager

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"gameday/alarms"
	"gameday/alarms/internal/fold"
	"gameday/clock"
	"gameday/sources/looks"
	"gameday/sources/web"
)

// Source is one Alertmanager. Its methods may be called concurrently; Watch by one goroutine at a time.
type Source struct {
	name      string
	poll      time.Duration
	api       *web.Client
	receivers []string
	noise     map[string]string

	account *looks.Account
	memory  fold.Memory
	notes   fold.Notes

	mu       sync.Mutex
	expected []alarms.Expectation
	offset   clock.Offset
}

var _ alarms.Source = (*Source)(nil)

// New returns a source, named as in "alertmanager.main". noise are the labels of the alarms to report although nobody
// expects them; nil for none.
func New(name string, c Config, noise map[string]string) (*Source, error) {
	options, poll, err := c.parse()
	if err != nil {
		return nil, err
	}
	api, err := web.New(options)
	if err != nil {
		return nil, err
	}
	return &Source{
		name: name, poll: poll, api: api, receivers: slices.Clone(c.Receivers), noise: maps.Clone(noise),
		account: looks.New(poll),
	}, nil
}

// expect keeps what is expected.
func (s *Source) expect(expected []alarms.Expectation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expected = slices.Clone(expected)
}

// wanted reports whether an alarm with these labels is expected or is noise. Without either, every alarm is wanted.
func (s *Source) wanted(labels map[string]string) bool {
	s.mu.Lock()
	expected := s.expected
	s.mu.Unlock()
	if len(expected) == 0 && len(s.noise) == 0 {
		return true
	}
	for _, e := range expected {
		if e.Matches(labels) {
			return true
		}
	}
	return alarms.Match(s.noise, labels)
}

// probes is how often the other clock is asked.
const probes = 3

// measure estimates the server's clock offset from the Date header, which is cut to the second.
func (s *Source) measure(ctx context.Context) (o clock.Offset, ok bool, err error) {
	var asked []clock.Probe
	for range probes {
		reply, err := s.api.Get(ctx, "/api/v2/status", nil)
		if err != nil {
			return clock.Offset{}, false, err
		}
		if stamp, err := http.ParseTime(reply.Header.Get("Date")); err == nil {
			asked = append(asked, clock.Probe{Sent: reply.Sent, Stamp: stamp, Received: reply.Received})
		}
	}
	if o, ok = clock.EstimateOffset(asked, time.Second); ok {
		s.mu.Lock()
		s.offset = o
		s.mu.Unlock()
	}
	return o, ok, nil
}

// History returns the episodes that Watch saw, and the coverage of its looks. An Alertmanager remembers nothing itself.
func (s *Source) History(_ context.Context, span clock.Span) ([]alarms.Episode, alarms.Coverage, error) {
	s.mu.Lock()
	offset := s.offset
	s.mu.Unlock()
	episodes := []alarms.Episode{}
	for _, e := range s.memory.Episodes(s.name) {
		if fold.Overlaps(e, span) {
			e.Notes = s.notes.Of(e, 0)
			episodes = append(episodes, e)
		}
	}
	c := alarms.Coverage{Spans: looks.Clip(s.account.Spans(), span), Resolution: s.poll, Offset: offset}
	c.Why = looks.Explain(c.Spans, span, s.account.Faults(), 2*s.poll, "nobody was watching")
	if s.memory.Lost() > 0 {
		c.Why = append(c.Why, "more changes were seen than are kept: the last ones are missing")
	}
	return episodes, c, nil
}

// Close lets go of idle connections.
func (s *Source) Close() { s.api.Close() }
