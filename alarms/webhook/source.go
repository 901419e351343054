// Package webhook takes alarms that are posted as JSON, from any system that can. It knows what it was told and no more: that
// nothing was posted shows only that nothing fired where the sender gives a sign of life.
package webhook

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"gameday/alarms"
	"gameday/alarms/internal/fold"
	"gameday/alarms/internal/looks"
	"gameday/clock"
)

// mostKnown bounds the alarms that are remembered as quiet.
const mostKnown = 10_000

// mostBody bounds one posting, in bytes.
const mostBody = 4 << 20

// Source takes postings. Its methods may be called concurrently.
type Source struct {
	name  string
	noise map[string]string
	settings

	account *looks.Account
	memory  fold.Memory
	server  *http.Server
	served  chan struct{}

	mu       sync.Mutex
	expected []alarms.Expectation
	notes    map[string]map[string]string // key → annotations
	firing   map[string]clock.Interval    // key → since when
	known    map[string]bool              // keys that were quiet once
	began    time.Time                    // when it began to listen
	garbled  []looks.Fault                // postings that could not be read, each from the last good one on
	pending  []alarms.Observation         // that Watch has not emitted
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
	return &Source{name: name, noise: maps.Clone(noise), settings: s, account: looks.New(max(s.beat, time.Second)),
		notes: map[string]map[string]string{}, firing: map[string]clock.Interval{}, known: map[string]bool{}, began: time.Now(), changed: make(chan struct{})}, nil
}

// Start listens until Stop.
func (s *Source) Start(context.Context) (address string, err error) {
	l, err := net.Listen("tcp", s.listen)
	if err != nil {
		return "", fmt.Errorf("listening for alarms: %w", err)
	}
	s.served = make(chan struct{})
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, MaxHeaderBytes: 64 << 10}
	go func() {
		defer close(s.served)
		_ = s.server.Serve(l) // it ends with Stop
	}()
	return l.Addr().String(), nil
}

// Stop ends listening, once what is under way was answered.
func (s *Source) Stop() error {
	if s.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := s.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.server.Close())
	}
	<-s.served
	return err
}

// ServeHTTP takes one posting, on any path.
func (s *Source) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	received, last := time.Now(), s.account.Last()
	status, err := s.take(w, r, received)
	// Whoever may post has said something that nobody understands.
	if status == http.StatusBadRequest || status == http.StatusUnsupportedMediaType && s.token != "" {
		s.garble(last, received, err)
	}
	if err != nil {
		http.Error(w, err.Error(), status)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Source) take(w http.ResponseWriter, r *http.Request, received time.Time) (status int, err error) {
	if r.Method != http.MethodPost {
		return http.StatusMethodNotAllowed, errors.New("alarms are posted: use POST")
	}
	if s.token == "" && !ours(r.Host) { // a foreign web page may call us by a name of its own
		return http.StatusForbidden, errors.New("without a token alarms are taken under an address or localhost only")
	}
	if !s.admits(r) {
		return http.StatusUnauthorized, errors.New("the token is missing or wrong: Authorization: Bearer …, or ?token=…")
	}
	// No foreign web page can make a browser send JSON without asking.
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return http.StatusUnsupportedMediaType, errors.New("send JSON, with the header Content-Type: application/json")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostBody))
	if err != nil {
		return http.StatusBadRequest, fmt.Errorf("reading the body: %w", err)
	}
	alarms, err := s.read(body, received)
	if err != nil {
		return http.StatusBadRequest, err
	}
	s.note(alarms, received)
	return 0, nil
}

// mostGarbled bounds the stretches that are kept of what could not be read.
const mostGarbled = 1_000

// garble books a posting that could not be read: an alarm may be in it.
func (s *Source) garble(last, at time.Time, err error) {
	from := at
	if !last.IsZero() && last.Before(at) {
		from = last
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := looks.Fault{Span: clock.Span{Start: from, End: at.Add(time.Second)}, Why: "what was posted cannot be read: " + err.Error()}
	if n := len(s.garbled); n == mostGarbled {
		s.garbled[n-1].Span.End = f.Span.End
		return
	}
	s.garbled = append(s.garbled, f)
}

// ours reports whether a request was made to an address, or to this machine by its own name.
func ours(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return host == "localhost" || net.ParseIP(strings.Trim(host, "[]")) != nil
}

// admits reports whether a request has the token, if there is one.
func (s *Source) admits(r *http.Request) bool {
	if s.token == "" {
		return true
	}
	given := r.URL.Query().Get("token")
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		given = bearer
	}
	return subtle.ConstantTimeCompare([]byte(given), []byte(s.token)) == 1
}

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
			s.notes[p.key] = p.notes
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
	s.mu.Lock()
	notes, garbled := maps.Clone(s.notes), slices.Clone(s.garbled)
	s.mu.Unlock()
	episodes := []alarms.Episode{}
	for _, e := range s.memory.Episodes(s.name) {
		if fold.Overlaps(e, span) {
			e.Notes = notes[e.Key]
			episodes = append(episodes, e)
		}
	}
	c := alarms.Coverage{Spans: []clock.Span{}, Resolution: s.beat}
	if s.beat > 0 {
		cut := make([]clock.Span, len(garbled))
		for i, f := range garbled {
			cut[i] = f.Span
		}
		c.Spans = looks.Without(looks.Clip(s.account.Spans(), span), cut)
		c.Why = looks.Explain(c.Spans, span, garbled, 2*s.beat, "nothing was posted, not even a heartbeat")
	} else {
		c.Why = []string{"it has no heartbeat, so silence says nothing"}
	}
	if s.memory.Lost() > 0 {
		c.Spans = []clock.Span{}
		c.Why = append(c.Why, "more changes were posted than are kept")
	}
	return episodes, c, nil
}
