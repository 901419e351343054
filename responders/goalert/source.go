// Package goalert reads what people did about the alerts of a GoAlert service, from the words in which its GraphQL API tells of it.
// See github.com/target/goalert.
package goalert

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"gameday/clock"
	"gameday/responders"
	"gameday/responders/internal/follow"
	"gameday/responders/internal/page"
	"gameday/sources/looks"
	"gameday/sources/web"
)

// Source is one service. Its methods may be called concurrently; Watch by one goroutine at a time.
type Source struct {
	name string
	settings
	api    *web.Client
	follow *follow.Follower

	mu       sync.Mutex
	expected []map[string]string
}

var (
	_ responders.Source   = (*Source)(nil)
	_ responders.Real     = (*Source)(nil)
	_ responders.Roster   = (*Source)(nil)
	_ responders.Expecter = (*Source)(nil)
	_ responders.Lasting  = (*Source)(nil)
)

// New returns a source, named as in "goalert.ops". It contacts nobody.
func New(name string, c Config) (*Source, error) {
	s, err := c.parse()
	if err != nil {
		return nil, err
	}
	src := &Source{name: name, settings: s}
	return src, src.connect()
}

// connect makes what asks.
func (s *Source) connect() (err error) {
	if s.api, err = web.New(s.options); err != nil {
		return err
	}
	s.follow = &follow.Follower{Name: s.name, Every: s.poll, Settle: s.settle, Read: s.read, Ask: func(ctx context.Context) (web.Reply, error) {
		_, reply, err := s.ask(ctx, time.Now(), "")
		return reply, err
	}}
	return nil
}

// RealPages reports whether real people are paged.
func (s *Source) RealPages() bool { return s.real }

// Expect says which alarms' alerts matter. Without it all do.
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

const next = "Is the key made for the query of docs/responders/goalert.md, to the letter, and does it still hold?"

// Preflight checks that it answers this query, its clock, and that somebody is on call.
func (s *Source) Preflight(ctx context.Context) ([]responders.Finding, error) {
	offset, ok, err := s.follow.Measure(ctx)
	if err != nil {
		return s.follow.Failed(ctx, nil, err, next)
	}
	found := s.follow.Skew(offset, ok)
	duties, err := s.OnCall(ctx)
	if err != nil {
		return s.follow.Failed(ctx, found, err, next)
	}
	standing, err := s.standing(ctx)
	if err != nil {
		return s.follow.Failed(ctx, found, err, next)
	}
	found = append(found, standing...)
	if !slices.ContainsFunc(duties, func(d responders.Duty) bool { return d.Level == 1 }) {
		found = append(found, responders.Finding{Summary: "nobody is on call at the first step of " + s.name,
			Detail: "Whom is a page to reach? Look at the escalation policy of the service."})
	}
	return found, nil
}

// standing reports alerts that are open already: what fires again is a duplicate of them, and nobody is paged anew.
func (s *Source) standing(ctx context.Context) ([]responders.Finding, error) {
	now := time.Now()
	list, err := s.alerts(ctx, s.follow.Theirs(clock.Span{Start: now.Add(-s.lookback), End: now}))
	if err != nil {
		return nil, err
	}
	var out []responders.Finding
	for _, a := range list {
		wanted, clear := s.about(a.labels)
		if a.Status != "StatusClosed" && wanted && clear && len(out) < mostStanding {
			out = append(out, responders.Finding{Summary: fmt.Sprintf("alert %d (%s) is open already", a.ID, a.labels["alertname"]),
				Detail: "What fires again may be a duplicate of it, and page nobody. Close it first."})
		}
	}
	return out, nil
}

// mostStanding bounds how many open alerts are named.
const mostStanding = 10

// OnCall returns who is on call for the service, by the steps of its escalation policy.
func (s *Source) OnCall(ctx context.Context) ([]responders.Duty, error) {
	a, _, err := s.ask(ctx, time.Now(), "")
	if err != nil {
		return nil, err
	}
	out := []responders.Duty{}
	for _, o := range *a.Data.Service.OnCall {
		out = append(out, responders.Duty{Who: o.Name, Level: o.Step + 1, Team: a.Data.Service.Name})
	}
	slices.SortStableFunc(out, func(a, b responders.Duty) int {
		return cmp.Or(cmp.Compare(a.Level, b.Level), cmp.Compare(a.Who, b.Who))
	})
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
	for _, a := range list {
		wanted, clear := s.about(a.labels)
		if clear && !wanted {
			continue
		}
		before := len(told.Events)
		if err := s.story(a, &told); err != nil {
			return follow.Told{}, err
		}
		if !clear {
			told.Unclear(told.Events[before:], fmt.Sprintf("something happened to alert %d, whose labels do not say which alarm it is about: labels = { alertname = \"summary\" }", a.ID))
		}
	}
	return told, nil
}

// story tells what happened to one alert, in order.
func (s *Source) story(a *alert, told *follow.Told) error {
	made := s.follow.Ours(a.made, time.Microsecond)
	opened := responders.Event{Source: s.name, ID: strconv.Itoa(a.ID) + ":created", Page: strconv.Itoa(a.ID), Labels: a.labels, Kind: responders.Opened, At: made,
		Actor: responders.Actor{Kind: responders.Integration}, Text: follow.Scrub(a.Summary), Team: a.team, Grade: grade}
	list := slices.Clone(*a.Events.Nodes)
	slices.SortStableFunc(list, func(a, b entry) int { return cmp.Compare(a.ID, b.ID) })
	if *a.Events.Page.More { // what it is asked for are the latest; those before them are not told
		until := made
		if len(list) > 0 {
			if at, err := time.Parse(time.RFC3339Nano, list[0].Time); err == nil {
				until = s.follow.Ours(at, time.Microsecond)
			}
		}
		told.Blind = append(told.Blind, looks.Fault{Span: clock.Span{Start: made.Lo, End: until.Hi},
			Why: fmt.Sprintf("more happened to alert %d than is told: the first of it is missing", a.ID)})
	}
	p := &progress{}
	for _, e := range list {
		at, err := time.Parse(time.RFC3339Nano, e.Time)
		if err != nil {
			return fmt.Errorf("what happened to alert %d: %.40q is no time", a.ID, e.Time)
		}
		if d, ok := read(e.Message); ok && d.what == "Created" {
			if d.name != "" {
				opened.Actor, opened.Channel = s.actor(d), channels[d.class]
			}
			continue
		}
		event, gap := s.event(a, e, s.follow.Ours(at, time.Microsecond), p)
		if gap != nil {
			told.Blind = append(told.Blind, *gap)
		}
		told.Events = append(told.Events, event)
	}
	told.Events = append(told.Events, opened)
	return nil
}
