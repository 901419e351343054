package datadog

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"gameday/alarms"
	"gameday/alarms/internal/fold"
	"gameday/alarms/internal/poll"
	"gameday/clock"
	"gameday/sources/looks"
)

const (
	// before is how far ahead of the span events are read, for the beginning of episodes that stood already.
	before = time.Hour
	// after is how far beyond the span they are read, for the end of episodes.
	after = time.Minute
	// mostMonitors bounds the monitors whose events are searched, one by one.
	mostMonitors = 200
)

// past is what Datadog remembers.
type past struct {
	from, to time.Time // what was read, in our clock
	monitors []monitor
	alarms   map[string]*fold.History
	sent     []notice
}

// notice is an event that announced an alarm.
type notice struct {
	key string
	at  clock.Interval
	// to is the handle that pages in its text; empty when there is none although the monitor has one.
	to string
}

// History returns the episodes that overlap the span, from the monitors' events, completed by what Watch saw and by the state of the
// monitors. Datadog evaluates monitors by itself, so their events are proof as far as they can be complete. When it does not answer,
// History returns what Watch saw with the error.
func (s *Source) History(ctx context.Context, span clock.Span) ([]alarms.Episode, alarms.Coverage, error) {
	offset, _, err := s.clock.FromDates(ctx, s.validate)
	if err != nil {
		return s.remembered(span, err)
	}
	p, err := s.read(ctx, span, offset)
	if err != nil {
		return s.remembered(span, err)
	}
	var told []alarms.Episode
	var blind []looks.Fault
	for _, key := range slices.Sorted(maps.Keys(p.alarms)) {
		h := p.alarms[key]
		episodes, faults := h.Episodes(s.name)
		if s.wanted.Wants(h.Labels) {
			told = append(told, episodes...)
		}
		if s.concerns(h.Labels) {
			blind = append(blind, faults...)
		}
	}
	settled := time.Now().Add(-s.settle)
	told, late := poll.Complete(told, s.memory.Episodes(s.name), s.now(p, offset), p.from, settled)
	c := alarms.Coverage{Resolution: s.poll, Offset: offset}
	s.pages(told, p, settled, &c)
	proven, why := []clock.Span{{Start: p.from, End: earlier(p.to, settled)}}, "its events are not complete yet: ask again with `gameday finalize`"
	if late {
		proven, why = nil, "its events lack what was seen live"
	}
	unwatched := len(s.account.Spans()) == 0 && len(s.account.Faults()) == 0
	for _, e := range s.wanted.Expected() {
		// When nobody looked during the run, what is wrong now must be taken to have been wrong then.
		if _, wrong := s.judge(e, p.monitors); wrong != nil && unwatched {
			blind = append(blind, looks.Fault{Span: span, Why: wrong.String()})
		}
	}
	var holes []string
	c.Spans, holes = poll.Covered(s.account, span, proven, blind, 2*s.poll, why)
	c.Why = append(c.Why, holes...)
	return poll.Within(told, span), c, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// read asks for the monitors as they are, and for the events of those that matter.
func (s *Source) read(ctx context.Context, span clock.Span, offset clock.Offset) (*past, error) {
	p := &past{from: span.Start.Add(-before), to: earlier(time.Now(), span.End.Add(after)), alarms: map[string]*fold.History{}}
	list, _, err := s.monitors(ctx, false)
	if err != nil {
		return nil, err
	}
	p.monitors = list
	var matter []monitor
	for _, m := range list {
		if s.matters(m) {
			matter = append(matter, m)
		}
	}
	if len(matter) > mostMonitors {
		return nil, fmt.Errorf("%d monitors match, and the events of at most %d are searched: narrow what counts as noise", len(matter), mostMonitors)
	}
	for _, m := range matter {
		events, err := s.events(ctx, m.ID, p.from.Add(offset.Ahead), p.to.Add(offset.Ahead))
		if err != nil {
			return nil, err
		}
		if err := s.enter(p, m, events, offset); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// matters reports whether a monitor may raise what is expected, or noise; every one may, without either.
func (s *Source) matters(m monitor) bool {
	expected := s.wanted.Expected()
	for _, e := range expected {
		if s.mayRaise(m, e) {
			return true
		}
	}
	if len(s.wanted.Noise) > 0 {
		return poll.Consistent(s.wanted.Noise, m.labels())
	}
	return len(expected) == 0
}

// enter adds a monitor's events to the alarms that they are of.
func (s *Source) enter(p *past, m monitor, events []event, offset clock.Offset) error {
	slices.SortStableFunc(events, func(a, b event) int { return a.Attributes.Timestamp.Compare(b.Attributes.Timestamp) })
	for _, e := range events {
		was, is, why, ok := s.change(e, m)
		if !ok {
			continue
		}
		labels, stamp, granularity, err := e.of(m)
		if err != nil {
			return err
		}
		at := offset.Ours(stamp, granularity)
		k := key(labels)
		h := p.alarms[k]
		if h == nil {
			h = &fold.History{Key: k, Labels: labels, Notes: m.notes(), From: p.from, To: p.to}
			if was != alarms.StateInactive {
				h.Before = was
			}
			p.alarms[k] = h
		}
		h.Changes = append(h.Changes, fold.Change{At: at, To: is, Why: why})
		if is == alarms.StateFiring && s.handle(m.Message) != "" {
			p.sent = append(p.sent, notice{key: k, at: at, to: s.handle(e.Attributes.Message)})
		}
	}
	return nil
}

// concerns reports whether what an alarm with these labels could not tell is about one that is expected.
func (s *Source) concerns(labels map[string]string) bool {
	for _, e := range s.wanted.Expected() {
		if (e.Match[alertName] == "" || labels[alertName] == e.Match[alertName]) && poll.Consistent(e.Match, labels) {
			return true
		}
	}
	return len(s.wanted.Expected()) == 0 && s.wanted.Wants(labels)
}

// now returns the last episode of each alarm by the state of its monitor, which has it before the events do.
func (s *Source) now(p *past, offset clock.Offset) []alarms.Episode {
	var out []alarms.Episode
	for _, m := range p.monitors {
		for _, a := range s.standing(m) {
			out = append(out, a.Episode(s.name, clock.Between(p.from, p.to)))
		}
		m.each(func(labels map[string]string, g group) {
			if g.Triggered > 0 && g.Resolved > g.Triggered && s.wanted.Wants(labels) {
				out = append(out, alarms.Episode{Source: s.name, Key: key(labels), Labels: labels, Notes: m.notes(),
					Firing: offset.Ours(time.Unix(g.Triggered, 0), time.Second), Ended: offset.Ours(time.Unix(g.Resolved, 0), time.Second)})
			}
		})
	}
	return out
}

// pages enters who was notified by the events' texts, and what of that is not known: whether a downtime held it back can be seen only
// live, a text without a handle may be one that is not told, and events come late.
func (s *Source) pages(list []alarms.Episode, p *past, settled time.Time, c *alarms.Coverage) {
	blind := func(spans []clock.Span, why string) {
		if len(spans) > 0 {
			c.Blind = append(c.Blind, alarms.Blind{To: alarms.StatePaged, Spans: spans, Why: why})
		}
	}
	whole := clock.Span{Start: p.from, End: p.to}
	if len(s.pagesTo) == 0 {
		blind([]clock.Span{whole}, "which of its notifications are pages is not known: say pages_to")
		return
	}
	for _, m := range p.monitors {
		if s.matters(m) && s.handle(m.Message) == "" {
			blind([]clock.Span{whole}, fmt.Sprintf("the message of %s names no handle that pages, and a notification rule may all the same", m.Name))
		}
	}
	watched := s.account.Spans()
	for _, n := range p.sent {
		switch {
		case n.to == "":
			blind([]clock.Span{{Start: n.at.Lo, End: p.to}}, "an event does not tell whom it notified")
		case len(looks.Gaps(watched, clock.Span{Start: n.at.Lo.Add(-s.poll), End: n.at.Hi.Add(s.poll)})) == 0 && !heldThen(list, n):
			poll.Page(list, n.key, n.at)
		}
	}
	blind(looks.Gaps(watched, whole), "nobody was watching, so that whether a downtime held its notification back is not known")
	if settled.Before(p.to) {
		blind([]clock.Span{{Start: settled, End: p.to}}, "its events are not complete yet: ask again with `gameday finalize`")
	}
}

// heldThen reports whether the episode that a notice is about was seen held back.
func heldThen(list []alarms.Episode, n notice) bool {
	return slices.ContainsFunc(list, func(e alarms.Episode) bool {
		return e.Key == n.key && len(e.SuppressedBy) > 0 && !n.at.Before(fold.Begin(e)) && (e.Ended.IsZero() || !e.Ended.Before(n.at))
	})
}

// remembered answers from what Watch saw, for a server that does not answer now.
func (s *Source) remembered(span clock.Span, err error) ([]alarms.Episode, alarms.Coverage, error) {
	c := alarms.Coverage{Resolution: s.poll, Offset: s.clock.Offset(),
		Blind: []alarms.Blind{{To: alarms.StatePaged, Spans: []clock.Span{span}, Why: "its events could not be read"}}}
	c.Spans, c.Why = poll.Covered(s.account, span, nil, nil, 2*s.poll, "its history could not be read: "+err.Error())
	return poll.Within(s.memory.Episodes(s.name), span), c, fmt.Errorf("reading the history of %s: %w", s.name, err)
}
