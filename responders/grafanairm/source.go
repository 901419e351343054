// Package grafanairm reads pages and what people did about them from Grafana IRM, or from an OnCall of one's own: alert groups with
// who acknowledged and resolved them, and who is on call. Its API does not tell whom it notified, nor at which step of its escalation
// chain a group is, so there are no events of either; and it forgets an acknowledgement that was taken back.
//
// Forms of answers: grafana/oncall, docs/sources/oncall-api-reference and engine/apps/public_api.
package grafanairm

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"gameday/responders"
	"gameday/responders/internal/follow"
	"gameday/responders/internal/page"
	"gameday/sources/looks"
	"gameday/sources/web"
)

// Source is one Grafana IRM. Its methods may be called concurrently; Watch by one goroutine at a time.
type Source struct {
	name   string
	config Config
	settings
	api     *web.Client
	account *looks.Account
	clock   *follow.Follower // which asks nothing but the time

	mu       sync.Mutex
	expected []map[string]string
	users    map[string]string           // id → name
	seen     map[string]responders.Event // by id, as Watch saw them
	order    []string                    // their ids, in the order in which they were seen
	rooms    map[string]time.Time        // group → when its thread was seen first
}

var (
	_ responders.Source   = (*Source)(nil)
	_ responders.Expecter = (*Source)(nil)
	_ responders.Roster   = (*Source)(nil)
	_ responders.Real     = (*Source)(nil)
)

// New returns a source, named as in "grafana_irm.ops". It contacts nobody.
func New(name string, c Config) (*Source, error) {
	set, err := c.parse()
	if err != nil {
		return nil, err
	}
	api, err := web.New(set.web)
	if err != nil {
		return nil, err
	}
	c.Schedules, c.Automation = slices.Clone(c.Schedules), slices.Clone(c.Automation)
	s := &Source{name: name, config: c, settings: set, api: api, account: looks.New(set.poll), users: map[string]string{}, seen: map[string]responders.Event{},
		rooms: map[string]time.Time{}}
	s.clock = &follow.Follower{Name: name, Ask: func(ctx context.Context) (web.Reply, error) {
		now := time.Now()
		_, reply, err := s.groups(ctx, now.Add(-time.Second), now)
		return reply, err
	}}
	return s, nil
}

// Close lets go of idle connections.
func (s *Source) Close() { s.api.Close() }

// RealPages reports whether its pages reach people.
func (s *Source) RealPages() bool { return s.config.Pages == page.RealPages }

// Expect says which alarms' pages matter, for the preflight.
func (s *Source) Expect(match []map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expected = slices.Clone(match)
}

// OnCall returns who is on call now, by the schedules of the block: the first is level 1.
func (s *Source) OnCall(ctx context.Context) ([]responders.Duty, error) {
	var out []responders.Duty
	for i, id := range s.config.Schedules {
		sch, err := s.schedule(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("asking %s who is on call: %w", s.name, err)
		}
		for _, u := range sch.Now {
			who, _ := s.user(ctx, u)
			out = append(out, responders.Duty{Who: who, Level: i + 1, Team: sch.Name})
		}
	}
	return out, nil
}

// Preflight checks that it answers and may be read, its clock, that no page is open about an alarm that is expected, and that somebody
// is on call. A server that does not answer is a finding; the error is only that of ctx.
func (s *Source) Preflight(ctx context.Context) ([]responders.Finding, error) {
	const next = "Is the url that of its API, and may the token read alert groups?"
	offset, told, err := s.clock.Measure(ctx)
	if err != nil {
		return s.clock.Failed(ctx, nil, err, next)
	}
	out := s.clock.Skew(offset, told)
	add := func(blocks bool, summary, detail string) {
		out = append(out, responders.Finding{Blocks: blocks, Summary: summary, Detail: detail})
	}
	now := time.Now().Add(offset.Ahead)
	list, _, err := s.groups(ctx, now.Add(-before), now)
	if err != nil {
		return s.clock.Failed(ctx, out, err, next)
	}
	for _, g := range list {
		if g.State != "resolved" && s.matters(g) {
			add(false, fmt.Sprintf("page %s (%s) is open already", g.ID, g.Title), "A page about the same alarm may be added to it instead of opening a new one. Resolve it first.")
		}
	}
	for i, id := range s.config.Schedules {
		sch, err := s.schedule(ctx, id)
		switch {
		case err != nil:
			add(true, fmt.Sprintf("the schedule %s of %s cannot be read", id, s.name), err.Error())
		case len(sch.Now) == 0:
			add(false, fmt.Sprintf("nobody is on call at level %d", i+1), fmt.Sprintf("The schedule %s has nobody now.", sch.Name))
		}
	}
	return out, ctx.Err()
}

// matters reports whether a group is about an alarm that is expected.
func (s *Source) matters(g group) bool {
	labels := g.labels(s.config.Labels)
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.expected, func(match map[string]string) bool {
		for k, v := range match {
			if labels[k] != v {
				return false
			}
		}
		return len(match) > 0
	})
}
