// Package jsm reads what people did about alerts from Jira Service Management Operations, Opsgenie's successor: the alerts' logs, by
// a strict grammar, and their notes. See developer.atlassian.com, Jira Service Management ops REST API.
package jsm

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"gameday/clock"
	"gameday/responders"
	"gameday/responders/internal/follow"
	"gameday/responders/internal/page"
	"gameday/sources/web"
)

// Source is one site. Its methods may be called concurrently; Watch by one goroutine at a time.
type Source struct {
	name string
	settings
	api    *web.Client
	follow *follow.Follower

	mu       sync.Mutex
	labels   map[string]map[string]string // by alert
	expected []map[string]string
}

var (
	_ responders.Source   = (*Source)(nil)
	_ responders.Real     = (*Source)(nil)
	_ responders.Expecter = (*Source)(nil)
	_ responders.Lasting  = (*Source)(nil)
)

// New returns a source, named as in "jsm.ops". It contacts nobody.
func New(name string, c Config) (*Source, error) {
	s, err := c.parse()
	if err != nil {
		return nil, err
	}
	src := &Source{name: name, settings: s, labels: map[string]map[string]string{}}
	return src, src.connect()
}

// connect makes what asks.
func (s *Source) connect() (err error) {
	if s.api, err = web.New(s.options); err != nil {
		return err
	}
	s.follow = &follow.Follower{Name: s.name, Every: s.poll, Settle: s.settle, Read: s.read, Ask: func(ctx context.Context) (web.Reply, error) {
		return s.api.Get(ctx, s.base+"/alerts", url.Values{"size": {"1"}})
	}}
	return nil
}

// RealPages reports whether real people are paged.
func (s *Source) RealPages() bool { return s.real }

// Expect says which alarms' alerts are read. Without it all are.
func (s *Source) Expect(match []map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expected = slices.Clone(match)
}

// about says whether an alert with these labels matters, and whether they tell.
func (s *Source) about(labels map[string]string) (wanted, clear bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return page.About(labels, s.expected)
}

// Watch emits what happens, as soon as it is seen, until ctx ends.
func (s *Source) Watch(ctx context.Context, emit func(responders.Event)) error {
	return s.follow.Watch(ctx, emit)
}

// History asks for what happened in the span.
func (s *Source) History(ctx context.Context, span clock.Span) ([]responders.Event, responders.Coverage, error) {
	return s.follow.History(ctx, span)
}

// Lasting says that it tells the same after the run, and wherever it is asked.
func (s *Source) Lasting() {}

// Close lets go of idle connections.
func (s *Source) Close() { s.api.Close() }

const next = "Is cloud_id that of the site (https://SITE.atlassian.net/_edge/tenant_info), and may the token's account see Operations there?"

// Preflight checks that it answers, its clock, and that somebody is on call in each schedule.
func (s *Source) Preflight(ctx context.Context) ([]responders.Finding, error) {
	offset, ok, err := s.follow.Measure(ctx)
	if err != nil {
		return s.follow.Failed(ctx, nil, err, next)
	}
	found := s.follow.Skew(offset, ok)
	reply, err := s.api.Get(ctx, s.base+"/alerts", url.Values{"size": {"1"}})
	if err == nil {
		_, _, err = open[alert](reply.Body, s.base+"/alerts")
	}
	if err != nil {
		return s.follow.Failed(ctx, found, err, next)
	}
	standing, err := s.standing(ctx)
	if err != nil {
		return s.follow.Failed(ctx, found, err, next)
	}
	found = append(found, standing...)
	for _, id := range s.schedules {
		who, err := s.onCall(ctx, id)
		if err != nil {
			return s.follow.Failed(ctx, found, err, next)
		}
		if len(who) == 0 {
			found = append(found, responders.Finding{Summary: "nobody is on call in schedule " + id, Detail: "Whom is a page to reach? Look at its rotations."})
		}
		var strangers []string
		for _, account := range who {
			if s.names[account] == "" {
				strangers = append(strangers, account)
			}
		}
		if len(strangers) > 0 {
			found = append(found, responders.Finding{Summary: fmt.Sprintf("what logs call those on call in schedule %s is not known", id),
				Detail: "Schedules have account ids, and logs have names. Say which are whose: people = { \"ann@shop.example\" = \"" + strangers[0] + "\" }; missing are " +
					strings.Join(strangers, ", ") + "."})
		}
	}
	return found, nil
}

// standing reports alerts that are open already: what fires again is added to them, and nobody is paged anew.
func (s *Source) standing(ctx context.Context) ([]responders.Finding, error) {
	now := time.Now()
	list, err := s.alerts(ctx, s.follow.Theirs(clock.Span{Start: now.Add(-s.lookback), End: now}))
	if err != nil {
		return nil, err
	}
	var out []responders.Finding
	for _, a := range list {
		if a.Status != "open" || len(out) == mostStanding {
			continue
		}
		if err := s.detail(ctx, a); err != nil {
			return nil, err
		}
		if wanted, clear := s.about(a.labels); wanted && clear {
			out = append(out, responders.Finding{Summary: fmt.Sprintf("alert %s (%s) is open already", a.Tiny, a.labels["alertname"]),
				Detail: "What fires again may be added to it, and page nobody. Close it first."})
		}
	}
	return out, nil
}

// mostStanding bounds how many open alerts are named.
const mostStanding = 10

// OnCall returns who is on call in the schedules, which are levels in their order.
func (s *Source) OnCall(ctx context.Context) ([]responders.Duty, error) {
	var out []responders.Duty
	for i, id := range s.schedules {
		who, err := s.onCall(ctx, id)
		if err != nil {
			return nil, err
		}
		for _, account := range who {
			name := s.names[account]
			if name == "" {
				name = account
			}
			out = append(out, responders.Duty{Who: name, Level: i + 1, Team: id})
		}
	}
	return out, nil
}

// read reads what happened in a span to the alerts that were created in it, or up to lookback before it.
func (s *Source) read(ctx context.Context, span clock.Span) (follow.Told, error) {
	theirs := s.follow.Theirs(span)
	theirs.Start = theirs.Start.Add(-s.lookback)
	list, err := s.alerts(ctx, theirs)
	if err != nil {
		return follow.Told{}, err
	}
	var told follow.Told
	read := 0
	for _, a := range list {
		if err := s.detail(ctx, a); err != nil {
			return follow.Told{}, err
		}
		wanted, clear := s.about(a.labels)
		if clear && !wanted {
			continue
		}
		if read++; read > mostRead {
			return follow.Told{}, fmt.Errorf("there are more than %d alerts to read: narrow them with query, or set lookback shorter", mostRead)
		}
		before := len(told.Events)
		if err := s.story(ctx, a, &told); err != nil {
			return follow.Told{}, err
		}
		if !clear {
			told.Unclear(told.Events[before:], "something happened to alert "+a.Tiny+", whose labels do not say which alarm it is about: labels = { alertname = \"message\" }")
		}
	}
	return told, nil
}

// story tells what happened to one alert.
func (s *Source) story(ctx context.Context, a *alert, told *follow.Told) error {
	if a.Tiny == "" {
		a.Tiny = a.ID
	}
	made := s.follow.Ours(a.made, time.Millisecond)
	told.Events = append(told.Events, responders.Event{Source: s.name, ID: a.ID + ":created", Page: a.ID, Labels: a.labels, Kind: responders.Opened, At: made,
		Actor: responders.Actor{ID: a.By, Kind: responders.Integration}, Text: follow.Scrub(a.Message), Grade: grade})
	logs, err := s.entries(ctx, a, "logs")
	if err != nil {
		return err
	}
	for _, l := range logs {
		e, ok, gap := s.event(a, l)
		if gap != nil {
			told.Blind = append(told.Blind, *gap)
		}
		if ok {
			told.Events = append(told.Events, e)
		}
	}
	notes, err := s.entries(ctx, a, "notes")
	if err != nil {
		return err
	}
	for _, n := range notes {
		told.Events = append(told.Events, responders.Event{Source: s.name, ID: a.ID + ":note:" + n.id, Page: a.ID, Labels: a.labels, Kind: responders.Noted, At: n.at,
			Actor: s.actor(n.owner, ""), Text: follow.Scrub(n.text), Grade: grade})
	}
	return nil
}
