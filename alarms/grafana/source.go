// Package grafana reads alarms from Grafana's own alerting: what happened from its state history, what stands now from its rules,
// what is silenced from its Alertmanager, and what was sent from its notification history where that is kept.
//
// Forms of answers, from Grafana's published source and from grafana/gcx: /api/v1/rules/history answers one frame;
// /api/prometheus/grafana/api/v1/rules answers as Prometheus does, with instances whose states carry reasons.
package grafana

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

// Source is one Grafana. Its methods may be called concurrently; Watch by one goroutine at a time.
type Source struct {
	name         string
	namespace    string
	hosted       bool
	receivers    []string
	noDataQuiet  []string
	poll, settle time.Duration
	api          *web.Client

	wanted  poll.Wanted
	clock   poll.Clock
	notes   poll.Notes
	account *looks.Account
	memory  fold.Memory
}

var _ alarms.Source = (*Source)(nil)

// New returns a source, named as in "grafana.main". It contacts nobody. noise are the labels of the alarms to report although
// nobody expects them; nil for none.
func New(name string, c Config, noise map[string]string) (*Source, error) {
	set, err := c.parse()
	if err != nil {
		return nil, err
	}
	api, err := web.New(set.web)
	if err != nil {
		return nil, err
	}
	s := &Source{name: name, namespace: c.Namespace, hosted: c.Hosted, receivers: slices.Clone(c.Receivers), noDataQuiet: slices.Clone(c.NoDataIsQuiet),
		poll: set.poll, settle: set.settle, api: api, account: looks.New(set.poll)}
	if s.namespace == "" {
		s.namespace = "default"
	}
	s.wanted.Noise = noise
	return s, nil
}

// Close lets go of idle connections.
func (s *Source) Close() { s.api.Close() }

// names returns the names of the expected alarms' rules; nil when all rules matter.
func (s *Source) names() []string {
	if len(s.wanted.Noise) > 0 {
		return nil
	}
	var out []string
	for _, e := range s.wanted.Expected() {
		name := e.Match[alertName]
		if name == "" {
			return nil
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// state reads a state of an alarm of that name.
func (s *Source) state(text, name string) (alarms.State, string) {
	return parseState(text, slices.Contains(s.noDataQuiet, name))
}

// Watch looks at the rules and at Grafana's Alertmanager until ctx ends, and emits what changed.
func (s *Source) Watch(ctx context.Context, emit func(alarms.Observation)) error {
	w := poll.Watch{Every: s.poll, Account: s.account, Memory: &s.memory, Look: s.look}
	return w.Run(ctx, emit)
}

// look looks once. That Grafana's Alertmanager cannot be read costs the silences, not the look: the preflight has said so.
func (s *Source) look(ctx context.Context) (poll.Look, error) {
	rules, reply, err := s.rules(ctx, s.names())
	if err != nil {
		return poll.Look{}, err
	}
	held := map[string]string{} // key → what holds it back
	if list, err := s.alerts(ctx); err == nil {
		for _, h := range list {
			held[fold.Key(public(h.Labels))] = h.suppression()
		}
	}
	l := poll.Look{Received: time.Now()}
	now := reply.Received.Add(s.clock.Offset().Ahead)
	unseen := map[string]bool{} // names of rules that cannot tell
	for _, e := range s.wanted.Expected() {
		mine, wrong := s.judge(e, rules, now)
		if wrong == nil {
			continue
		}
		if l.Wrong == "" || !wrong.settling {
			l.Wrong = wrong.String()
		}
		for _, r := range mine {
			unseen[r.Name] = true
		}
		unseen[e.Match[alertName]] = true
	}
	l.Holds = func(labels map[string]string) bool { return unseen[labels[alertName]] }
	for _, r := range rules {
		l.Standing = append(l.Standing, s.standing(r, held)...)
	}
	return l, nil
}

// standing returns the alarms of a rule that stand now.
func (s *Source) standing(r rule, held map[string]string) []poll.Standing {
	var out []poll.Standing
	for _, a := range r.Alerts {
		labels := public(a.Labels)
		state, _ := s.state(a.State, r.Name)
		if state != alarms.StatePending && state != alarms.StateFiring || !s.wanted.Wants(labels) {
			continue
		}
		one := poll.Standing{Key: fold.Key(labels), Labels: labels, Notes: public(a.Annotations), State: state}
		if a.ActiveAt != nil && !a.ActiveAt.IsZero() {
			since := s.clock.Offset().Ours(*a.ActiveAt, time.Millisecond)
			since.Hi = since.Hi.Add(r.took())
			if state == alarms.StatePending {
				one.Began = since
			} else {
				one.Fired = since
			}
		}
		if why := held[one.Key]; why != "" && state == alarms.StateFiring {
			one.State, one.Why = alarms.StateSuppressed, why
		}
		s.notes.Keep(one.Key, one.Notes)
		out = append(out, one)
	}
	return out
}

// took returns how long the rule's last evaluation took: its stamps are of the moment for which it was due.
func (r rule) took() time.Duration {
	return min(time.Duration(r.EvaluationTime*float64(time.Second)), max(r.interval, time.Second))
}
