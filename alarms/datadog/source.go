// Package datadog reads alarms from Datadog monitors: what happened from their events, what stands now from the state of their
// groups, what is held back from their downtimes.
//
// Forms of answers, from Datadog's published API and its Go client: GET /api/v1/monitor, GET /api/v1/monitor/{id},
// POST /api/v2/events/search. Events are found by the monitor's id.
package datadog

import (
	"context"
	"slices"
	"time"

	"gameday/alarms"
	"gameday/alarms/internal/fold"
	"gameday/alarms/internal/poll"
	"gameday/sources/looks"
	"gameday/sources/web"
)

// Source is one Datadog organisation. Its methods may be called concurrently; Watch by one goroutine at a time.
type Source struct {
	name         string
	pagesTo      []string
	warnFires    bool
	noDataQuiet  []string
	poll, settle time.Duration
	api          *web.Client

	wanted  poll.Wanted
	clock   poll.Clock
	account *looks.Account
	memory  fold.Memory
}

var _ alarms.Source = (*Source)(nil)

// New returns a source, named as in "datadog.main". It contacts nobody. noise are the labels of the alarms to report although nobody
// expects them; nil for none.
func New(name string, c Config, noise map[string]string) (*Source, error) {
	set, err := c.parse()
	if err != nil {
		return nil, err
	}
	api, err := web.New(set.web)
	if err != nil {
		return nil, err
	}
	s := &Source{name: name, pagesTo: slices.Clone(c.Pages), warnFires: c.WarnFires, noDataQuiet: slices.Clone(c.NoDataIsQuiet), poll: set.poll, settle: set.settle,
		api: api, account: looks.New(set.poll)}
	s.wanted.Noise = noise
	return s, nil
}

// Close lets go of idle connections.
func (s *Source) Close() { s.api.Close() }

// validate asks whether the key is one, for the Date header of the answer.
func (s *Source) validate(ctx context.Context) (web.Reply, error) {
	return s.api.Get(ctx, "/api/v1/validate", nil)
}

// Watch looks at the monitors until ctx ends, and emits what changed.
func (s *Source) Watch(ctx context.Context, emit func(alarms.Observation)) error {
	w := poll.Watch{Every: s.poll, Account: s.account, Memory: &s.memory, Look: s.look, Restamps: true}
	return w.Run(ctx, emit)
}

// look looks once.
func (s *Source) look(ctx context.Context) (poll.Look, error) {
	list, _, err := s.monitors(ctx, false)
	if err != nil {
		return poll.Look{}, err
	}
	l := poll.Look{Received: time.Now()}
	unseen := map[string]bool{}
	for _, e := range s.wanted.Expected() {
		mine, wrong := s.judge(e, list)
		if wrong == nil {
			continue
		}
		l.Wrong = wrong.String()
		for _, m := range mine {
			unseen[m.Name] = true
		}
	}
	l.Holds = func(labels map[string]string) bool { return unseen[labels[alertName]] }
	for _, m := range list {
		l.Standing = append(l.Standing, s.standing(m)...)
	}
	return l, nil
}

// standing returns the alarms of a monitor that stand now.
func (s *Source) standing(m monitor) []poll.Standing {
	var out []poll.Standing
	offset := s.clock.Offset()
	m.each(func(labels map[string]string, g group) {
		state, _ := s.state(g.Status, m)
		if state != alarms.StateFiring || !s.wanted.Wants(labels) {
			return
		}
		one := poll.Standing{Key: key(labels), Labels: labels, Notes: m.notes(), State: state}
		if g.Triggered > 0 {
			one.Fired = offset.Ours(time.Unix(g.Triggered, 0), time.Second)
		}
		if by, _ := m.held(labels, time.Now().Add(offset.Ahead)); by != "" {
			one.State, one.Why = alarms.StateSuppressed, by
		}
		out = append(out, one)
	})
	return out
}
