// Package builtin raises alarms from the run's own indicators, for a game day without a monitoring system. Its rules
// have the phases of Prometheus: pending while the condition holds, firing when it has held long enough, and kept
// firing over short lulls.
package builtin

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"gameday/alarms"
	"gameday/alarms/internal/fold"
	"gameday/clock"
	"gameday/faults"
	"gameday/loadgen/sli"
	"gameday/sources/looks"
)

// alertName is the label that every alarm gets: its rule's name.
const alertName = "alertname"

// Source evaluates rules when it is told to. Its methods may be called concurrently; Evaluate by one goroutine at a
// time, and Watch by one.
type Source struct {
	name    string
	config  Config
	account *looks.Account
	memory  fold.Memory
	senders []*sender
	wake    chan struct{} // capacity 1: there is something to emit

	mu     sync.Mutex
	states []*state
	queue  []alarms.Observation // not emitted yet
}

var _ alarms.Source = (*Source)(nil)

// New returns a source, named as in "builtin.main".
func New(name string, c Config) (*Source, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.Repeat == 0 {
		c.Repeat = DefaultRepeat
	}
	if c.Every <= 0 {
		c.Every = DefaultEvery
	}
	if c.Receiver == "" {
		c.Receiver = DefaultReceiver
	}
	s := &Source{name: name, config: c, account: looks.New(c.Every), wake: make(chan struct{}, 1)}
	for _, r := range c.Rules {
		labels := map[string]string{alertName: r.Name}
		maps.Copy(labels, r.Labels)
		s.states = append(s.states, &state{rule: r, key: fold.Key(labels), labels: labels, phase: alarms.StateInactive})
	}
	for _, address := range c.Notify {
		s.senders = append(s.senders, newSender(address, s.observe))
	}
	return s, nil
}

// Evaluate evaluates every rule once, with the indicators that its condition asks for as they are now over its window. It returns at
// once: notifications are handed to the senders, which work while Watch runs.
func (s *Source) Evaluate(now time.Time, over func(*sli.Expr, time.Duration) sli.Readings) {
	s.mu.Lock()
	var changed []alarms.Observation
	var out []message
	why := ""
	for _, st := range s.states {
		changes, unknown := st.step(now, over(st.rule.When, st.rule.Over))
		if unknown != "" {
			if why == "" {
				why = unknown
			}
			continue
		}
		changed = append(changed, changes...)
		if m, ok := s.due(st, changes, now); ok {
			out = append(out, m)
		}
	}
	s.mu.Unlock()
	if why == "" {
		s.account.Good(now)
	} else {
		s.account.Bad(now, why)
	}
	for _, o := range changed {
		s.observe(o)
	}
	for _, m := range out {
		for _, to := range s.senders {
			to.put(m)
		}
	}
}

// due returns the message to send about a rule after an evaluation: that it fires, fires still, or is quiet again.
func (s *Source) due(st *state, changes []alarms.Observation, now time.Time) (message, bool) {
	status := ""
	for _, c := range changes {
		switch {
		case c.State == alarms.StateFiring:
			status = firing
		case c.State == alarms.StateInactive && !st.started.IsZero():
			status = resolved
		}
	}
	if status == "" && st.phase == alarms.StateFiring && clock.Lasted(now.Sub(st.notified), s.config.Repeat) {
		status = firing
	}
	if status == "" {
		return message{}, false
	}
	st.notified = now
	m := compose(s.config, st, status, now)
	if status == resolved {
		st.started = time.Time{}
	}
	return m, true
}

// observe keeps an observation and queues it for Watch.
func (s *Source) observe(o alarms.Observation) {
	s.memory.Add(o)
	s.mu.Lock()
	s.queue = append(s.queue, o)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Watch emits the changes that Evaluate found, and sends the notifications, until ctx ends.
func (s *Source) Watch(ctx context.Context, emit func(alarms.Observation)) error {
	var working sync.WaitGroup
	defer working.Wait()
	for _, to := range s.senders {
		working.Go(func() { to.work(ctx) })
	}
	for {
		s.mu.Lock()
		queue := s.queue
		s.queue = nil
		s.mu.Unlock()
		for _, o := range queue {
			emit(o)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		}
	}
}

// Preflight checks that each expected alarm is one of the rules' and is quiet.
func (s *Source) Preflight(_ context.Context, expected []alarms.Expectation) ([]alarms.Finding, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []alarms.Finding
	var names []string
	for _, st := range s.states {
		names = append(names, st.rule.Name)
	}
	for _, e := range expected {
		i := slices.IndexFunc(s.states, func(st *state) bool { return e.Matches(st.labels) })
		if i < 0 {
			out = append(out, absent(s.name, e, s.states, names))
			continue
		}
		if st := s.states[i]; st.phase != alarms.StateInactive {
			out = append(out, alarms.Finding{Blocks: true, Summary: fmt.Sprintf("alarm %s is %s already", e.Name, st.phase),
				Detail: "What this run does could not be told from it: wait until it is quiet."})
		}
	}
	return out, nil
}

// absent words an expected alarm that no rule can raise.
func absent(source string, e alarms.Expectation, states []*state, names []string) alarms.Finding {
	f := alarms.Finding{Absent: e.Name, Summary: fmt.Sprintf("alarm %s: no rule of %s has its labels", e.Name, source)}
	want := e.Match[alertName]
	for _, st := range states {
		if st.rule.Name != want {
			continue
		}
		for _, k := range slices.Sorted(maps.Keys(e.Match)) {
			if st.labels[k] != e.Match[k] {
				f.Detail = fmt.Sprintf("Rule %s has %s=%q, the scenario expects %s=%q.", want, k, st.labels[k], k, e.Match[k])
				return f
			}
		}
	}
	f.Detail = fmt.Sprintf("Its rules are %s.", strings.Join(names, ", "))
	if guess := faults.Nearest(want, names); guess != "" {
		f.Detail = fmt.Sprintf("Did you mean %s?", guess)
	}
	return f
}

// History returns the episodes so far, and the time in which every rule could be evaluated.
func (s *Source) History(_ context.Context, span clock.Span) ([]alarms.Episode, alarms.Coverage, error) {
	notes := map[string]map[string]string{}
	for _, st := range s.states {
		notes[st.key] = st.rule.Annotations
	}
	episodes := []alarms.Episode{}
	for _, e := range s.memory.Episodes(s.name) {
		if fold.Overlaps(e, span) {
			e.Notes = notes[e.Key]
			episodes = append(episodes, e)
		}
	}
	c := alarms.Coverage{Spans: looks.Clip(s.account.Spans(), span), Resolution: s.config.Every}
	c.Why = looks.Explain(c.Spans, span, s.account.Faults(), 2*s.config.Every, "the rules were not evaluated")
	return episodes, c, nil
}
