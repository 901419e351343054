// Package webhook takes alarms that are posted as JSON, from any system that can. It knows what it was told and no more: that
// nothing was posted shows only that nothing fired where the sender gives a sign of life.
package webhook

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"gameday/alarms"
	"gameday/alarms/internal/fold"
	"gameday/clock"
	"gameday/sources/hook"
	"gameday/sources/looks"
)

// mostKnown bounds the alarms that are remembered as quiet.
const mostKnown = 10_000

// Source takes postings. Its methods may be called concurrently.
type Source struct {
	name  string
	noise map[string]string
	settings

	account *looks.Postings
	memory  fold.Memory
	notes   fold.Notes
	server  hook.Server

	mu       sync.Mutex
	expected []alarms.Expectation
	firing   map[string]clock.Interval // key → since when
	known    map[string]bool           // keys that were quiet once
	began    time.Time                 // when it began to listen
	pending  []alarms.Observation      // that Watch has not emitted
	changed  chan struct{}
}

var (
	_ alarms.Source = (*Source)(nil)
	_ alarms.Server = (*Source)(nil)
)

// New returns a source, named as in "webhook.sentry". noise are the labels of the alarms to report although nobody expects
// them; nil for none.
func New(name string, c Config, noise map[string]string) (*Source, error) {
	s, err := c.parse()
	if err != nil {
		return nil, err
	}
	src := &Source{name: name, noise: maps.Clone(noise), settings: s, account: looks.NewPostings(s.beat),
		firing: map[string]clock.Interval{}, known: map[string]bool{}, began: time.Now(), changed: make(chan struct{})}
	src.server = hook.Server{Listen: s.listen, Token: s.token, Take: src.take, Garbled: src.garble}
	return src, nil
}

// Start listens until Stop.
func (s *Source) Start(context.Context) (address string, err error) { return s.server.Start() }

// Stop ends listening, once what is under way was answered.
func (s *Source) Stop() error { return s.server.Stop() }

// take reads one posting.
func (s *Source) take(body []byte, _ http.Header, received time.Time) error {
	alarms, err := s.read(body, received)
	if err != nil {
		return err
	}
	s.note(alarms, received)
	return nil
}

// garble books a posting that could not be read: an alarm may be in it.
func (s *Source) garble(at time.Time, err error) { s.account.Garbled(at, err.Error()) }

// note books what was posted. An alarm that is posted again while it fires is a repetition, unless it began anew in the
// meantime.
func (s *Source) note(list []posted, received time.Time) {
	s.account.Good(received)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range list {
		since, fires := s.firing[p.key]
		switch {
		case !s.wanted(p.labels):
			continue
		case !p.firing && !fires:
			s.known[p.key] = len(s.known) < mostKnown
			continue
		case p.firing && fires && (!p.timed || !since.Before(p.at)):
			continue
		case p.firing && fires: // its end was never posted: it was somewhere between
			s.emit(alarms.Observation{At: clock.Between(since.Lo, p.at.Hi), Key: p.key, Labels: p.labels, State: alarms.StateInactive})
		}
		if p.firing && !p.timed && s.repeats && !s.known[p.key] {
			p.at.Lo = s.began.Add(-s.delay) // it may be an old one that is told of again
		}
		s.known[p.key] = true
		if p.firing {
			s.firing[p.key] = p.at
			s.notes.Keep(p.key, p.at.Hi, p.notes)
		} else {
			delete(s.firing, p.key)
		}
		for _, o := range p.observations(s.pages, received) {
			s.emit(o)
		}
	}
}

// emit keeps an observation, for History and for Watch. s.mu is held.
func (s *Source) emit(o alarms.Observation) {
	s.memory.Add(o)
	s.pending = append(s.pending, o)
	close(s.changed)
	s.changed = make(chan struct{})
}

// wanted reports whether an alarm is expected or noise; every one is, without either. s.mu is held.
func (s *Source) wanted(labels map[string]string) bool {
	for _, e := range s.expected {
		if e.Matches(labels) {
			return true
		}
	}
	return len(s.expected) == 0 && len(s.noise) == 0 || alarms.Match(s.noise, labels)
}

// Preflight keeps what is expected. That nothing was heard yet is no mistake: the source has only begun to listen.
func (s *Source) Preflight(_ context.Context, expected []alarms.Expectation) ([]alarms.Finding, error) {
	s.mu.Lock()
	s.expected = slices.Clone(expected)
	var out []alarms.Finding
	for _, e := range expected {
		for _, key := range slices.Sorted(maps.Keys(s.firing)) {
			if key != "" && e.Matches(s.labels(key)) {
				out = append(out, alarms.Finding{Blocks: true, Summary: fmt.Sprintf("alarm %s is firing already", e.Name),
					Detail: "What this run does could not be told from it: wait until it is quiet."})
			}
		}
	}
	s.mu.Unlock()
	if s.beat == 0 {
		out = append(out, alarms.Finding{Summary: s.name + " cannot prove that it hears anything",
			Detail: "Alarms that are posted count; that one was not stays unknown. Have the sender post something regularly (Alertmanager: a Watchdog " +
				"alarm with a short repeat_interval) and say how often: heartbeat = \"1m\"."})
	}
	return out, nil
}

// labels returns the labels of a firing alarm. s.mu is held.
func (s *Source) labels(key string) map[string]string {
	for _, e := range s.memory.Episodes(s.name) {
		if e.Key == key {
			return e.Labels
		}
	}
	return nil
}

// Watch emits what is posted until ctx ends.
func (s *Source) Watch(ctx context.Context, emit func(alarms.Observation)) error {
	for {
		s.mu.Lock()
		pending, changed := s.pending, s.changed
		s.pending = nil
		s.mu.Unlock()
		for _, o := range pending {
			emit(o)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// History returns what was posted. Without a heartbeat nothing is covered: silence is no sign of anything.
func (s *Source) History(_ context.Context, span clock.Span) ([]alarms.Episode, alarms.Coverage, error) {
	episodes := []alarms.Episode{}
	for _, e := range s.memory.Episodes(s.name) {
		if fold.Overlaps(e, span) {
			e.Notes = s.notes.Of(e, 0)
			episodes = append(episodes, e)
		}
	}
	c := alarms.Coverage{Resolution: s.beat}
	c.Spans, c.Why = s.account.Cover(span, nil)
	if !s.pages {
		c.Blind = []alarms.Blind{{To: alarms.StatePaged, Spans: []clock.Span{span}, Why: "what is posted to it is no page"}}
	}
	if s.memory.Lost() > 0 {
		c.Spans = []clock.Span{}
		c.Why = append(c.Why, "more changes were posted than are kept")
	}
	return episodes, c, nil
}
