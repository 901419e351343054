// Package icinga2 reads from an Icinga 2 what people did about its problems: whom its notifications told, who acknowledged, and when the next
// level was told. Icinga forgets most of it at recovery, so what is reported is what the stream of events told while Watch
// followed it.
package icinga2

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"gameday/clock"
	"gameday/responders"
	"gameday/responders/internal/page"
	source "gameday/sources/icinga2"
	"gameday/sources/looks"
)

// mostKept bounds the events that are kept.
const mostKept = 20_000

// Source is one Icinga 2. Its methods may be called concurrently; Watch by one goroutine at a time.
type Source struct {
	name    string
	config  Config
	client  *source.Client
	watcher *source.Watcher

	mu       sync.Mutex
	expected []map[string]string
	kept     []responders.Event
	lost     int
	unclear  []looks.Fault // when somebody was told, and at which level could not be found out
}

var (
	_ responders.Source   = (*Source)(nil)
	_ responders.Expecter = (*Source)(nil)
	_ responders.Real     = (*Source)(nil)
)

// New returns a source, named as in "icinga2.ops".
func New(name string, c Config) (*Source, error) {
	options, err := c.parse()
	if err != nil {
		return nil, err
	}
	client, err := source.NewClient(options)
	if err != nil {
		return nil, err
	}
	return &Source{name: name, config: c, client: client, watcher: source.NewWatcher(client, true)}, nil
}

// Expect says which alarms' pages matter. Without it, all do.
func (s *Source) Expect(match []map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expected = slices.Clone(match)
}

// RealPages reports whether the block says that people are paged.
func (s *Source) RealPages() bool { return s.config.Pages == page.RealPages }

func (s *Source) matches() []map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.expected
}

// Preflight checks that the server answers and may be read, its clock, that its stream can be opened, and that what is
// expected would tell somebody.
func (s *Source) Preflight(ctx context.Context) ([]responders.Finding, error) {
	read, found, err := s.watcher.Check(ctx, s.name)
	if err != nil {
		return nil, err
	}
	var out []responders.Finding
	for _, f := range found {
		out = append(out, responders.Finding{Blocks: f.Blocks, Summary: f.Summary, Detail: f.Detail})
	}
	if read == nil {
		return out, nil
	}
	for _, match := range s.matches() {
		if !everything(match) {
			out = append(out, s.pages(read, match)...)
		}
	}
	return out, nil
}

// everything reports whether a match stands for every page.
func everything(match map[string]string) bool { return len(match) == 0 }

// pages checks what one expected alarm is about.
func (s *Source) pages(read *source.Checked, match map[string]string) []responders.Finding {
	all := read.Find(match)
	if len(all) == 0 {
		return []responders.Finding{{Blocks: true, Summary: fmt.Sprintf("no host or service of %s has the labels %v", s.name, match),
			Detail: "A page about that alarm could not be told from others, so that nobody answers it would say nothing. Labels are alertname (the display name), host, " +
				"service, type, and those of the block's labels."}}
	}
	var out []responders.Finding
	for _, c := range all {
		if why := read.Pages(c); why != "" {
			out = append(out, responders.Finding{Blocks: true, Summary: "nobody would be told of " + c.Name, Detail: why + "."})
			continue
		}
		out = append(out, s.ladder(c, read.Notifications[c.Name])...)
		if c.Acknowledged || c.Downtime || c.Problem() {
			out = append(out, responders.Finding{Blocks: true, Summary: c.Name + " is " + c.StateName(c.State) + ", acknowledged or in a downtime already",
				Detail: "A page about it could not be told from an old one, or would not be sent."})
		}
	}
	return out
}

// ladder says whom the levels are, and what makes them hard to tell apart.
func (s *Source) ladder(c *source.Checkable, rules []*source.Notification) []responders.Finding {
	var words []string
	for _, n := range rules {
		if n.Problems {
			words = append(words, fmt.Sprintf("level %d after %s: %d users by %s", n.Level, n.Begin, len(n.Users), n.Name))
		}
	}
	return []responders.Finding{{Summary: "who is told of " + c.Name, Detail: strings.Join(words, "; ") + ". Levels are those notifications' times.begin, in order."}}
}

// Watch follows the event stream until ctx ends.
func (s *Source) Watch(ctx context.Context, emit func(responders.Event)) error {
	selection := source.Select(s.matches()...)
	if slices.ContainsFunc(s.matches(), everything) {
		selection = selection.Every()
	}
	f := &follower{source: s, selection: selection, open: map[string]*open{}, emit: emit}
	s.watcher.Follow(ctx, f.selection, f)
	return nil
}

// History returns the events that the stream told of, and when it was there and nothing can have been missed.
func (s *Source) History(ctx context.Context, span clock.Span) ([]responders.Event, responders.Coverage, error) {
	c := responders.Coverage{Offset: s.watcher.Offset()}
	c.Spans, c.Why = s.watcher.Covered(ctx, span)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.unclear) > 0 {
		holes := make([]clock.Span, len(s.unclear))
		for i, f := range s.unclear {
			holes[i] = f.Span
		}
		whole := c.Spans
		c.Spans = looks.Without(whole, holes)
		for _, f := range s.unclear {
			c.Why = append(c.Why, looks.Clock(f.Span)+": "+f.Why)
		}
	}
	events := []responders.Event{}
	for _, e := range s.kept {
		if !e.At.Hi.Before(span.Start) && !e.At.Lo.After(span.End) {
			events = append(events, e)
		}
	}
	if s.lost > 0 {
		c.Spans, c.Why = []clock.Span{}, append(c.Why, fmt.Sprintf("%d more events came than are kept", s.lost))
	}
	return events, c, nil
}

// Close lets go of idle connections.
func (s *Source) Close() { s.client.Close() }

// keep keeps an event, for History.
func (s *Source) keep(e responders.Event) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.kept) == mostKept {
		s.lost++
		return false
	}
	s.kept = append(s.kept, e)
	return true
}

// blur books that it is not clear what happened around an instant.
func (s *Source) blur(at clock.Interval, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unclear = append(s.unclear, looks.Fault{Span: clock.Span{Start: at.Lo.Add(-time.Second), End: at.Hi.Add(time.Second)}, Why: why})
}

// pageID names the page of a problem: what it is about, and since when, by the server's clock.
func pageID(key string, since time.Time) string {
	return key + " " + since.UTC().Format("2006-01-02T15:04:05.000000Z")
}

// number numbers the events of a page.
func (o *open) number() string {
	o.events++
	return o.id + "." + strconv.Itoa(o.events)
}
