package grafanairm

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gameday/clock"
	"gameday/responders"
	"gameday/sources/looks"
)

// before is how far ahead of the span groups are read: what was opened earlier may be answered in it.
const before = 24 * time.Hour

// maker makes the events of a group.
type maker struct {
	source *Source
	group  group
	labels map[string]string
	offset clock.Offset
	asked  time.Time // by when what the group tells had happened, in our clock
	out    []responders.Event
}

// events returns the events of a group, as it tells them. What it does not tell the time of was between its opening and now.
func (s *Source) events(ctx context.Context, g group, offset clock.Offset, asked time.Time) []responders.Event {
	m := maker{source: s, group: g, labels: g.labels(s.config.Labels), offset: offset, asked: asked}
	created := m.when(g.Created)
	m.add(responders.Opened, "", created, responders.Actor{ID: g.Integration, Kind: responders.Integration}, "")
	if s.notifies > 0 {
		m.add(responders.Notified, "", clock.Interval{Lo: created.Lo, Hi: created.Hi.Add(s.notifies)}, responders.Actor{Kind: responders.Timeout}, "its escalation chain begins so, as the scenario says")
		e := &m.out[len(m.out)-1]
		e.Delivered, e.Level, e.Grade = "unknown", 1, "C"
	}
	if g.Acked != "" || g.State == "acknowledged" {
		m.add(responders.Acknowledged, g.Acked, m.when(g.Acked), s.actor(ctx, g.AckedBy), "")
	}
	if g.Silenced != "" {
		m.add(responders.Noted, g.Silenced, m.when(g.Silenced), responders.Actor{Kind: responders.UnknownKind}, "silenced")
	}
	if g.Permalinks.Slack != "" {
		m.add(responders.RoomOpened, "", clock.Interval{Lo: created.Lo, Hi: m.roomBy()}, responders.Actor{ID: "slack", Kind: responders.Integration}, "thread in Slack")
		m.out[len(m.out)-1].Channel = "chat"
	}
	if g.Resolved != "" || g.State == "resolved" {
		by := s.actor(ctx, g.ResolvedBy)
		if g.ResolvedBy == "" {
			by = responders.Actor{ID: g.Integration, Kind: responders.Integration} // the alarm's own end
		}
		m.add(responders.Resolved, g.Resolved, m.when(g.Resolved), by, "")
	}
	return m.out
}

// when reads a time; one that is not told, or cannot be read, was between the opening and now.
func (m *maker) when(text string) clock.Interval {
	if at, granularity, err := stamp(text); err == nil {
		return m.offset.Ours(at, granularity)
	}
	at, granularity, _ := stamp(m.group.Created)
	return clock.Between(m.offset.Ours(at, granularity).Lo, m.asked)
}

// add adds an event. again tells one from another of its kind.
func (m *maker) add(kind responders.Kind, again string, at clock.Interval, by responders.Actor, text string) {
	id := m.group.ID + "/" + string(kind)
	if again != "" {
		id += "/" + again
	}
	m.out = append(m.out, responders.Event{Source: m.source.name, ID: id, Page: m.group.ID, Labels: m.labels, Kind: kind, At: at, Actor: by, Team: m.group.Team, Text: text, Grade: "B"})
}

// roomBy returns when the group's thread was there at the latest: when a look first saw it, else now.
func (m *maker) roomBy() time.Time {
	s := m.source
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, ok := s.rooms[m.group.ID]; ok {
		return at
	}
	return m.asked
}

// actor returns who a user is. An API key acts as its user, so a machine may stand behind one: automation names those.
func (s *Source) actor(ctx context.Context, id string) responders.Actor {
	if id == "" {
		return responders.Actor{Kind: responders.UnknownKind}
	}
	name, told := s.user(ctx, id)
	a := responders.Actor{ID: name, Kind: responders.Human}
	switch {
	case slices.Contains(s.config.Automation, name) || slices.Contains(s.config.Automation, id):
		a.Kind = responders.Bot
	case !told && len(s.config.Automation) > 0:
		a.Kind = responders.UnknownKind // it may be one that automation names by what it is called
	}
	return a
}

// odd says what of a group is not understood; empty when all is.
func (g group) odd() string {
	if !slices.Contains(states, g.State) {
		return fmt.Sprintf("the state %q of page %s is not known here", g.State[:min(len(g.State), 40)], g.ID)
	}
	for _, text := range []string{g.Acked, g.Resolved, g.Silenced} {
		if _, _, err := stamp(text); text != "" && err != nil {
			return fmt.Sprintf("page %s: %v", g.ID, err)
		}
	}
	return ""
}

// Watch looks at the alert groups until ctx ends, and emits what is new. An acknowledgement that is gone was taken back.
func (s *Source) Watch(ctx context.Context, emit func(responders.Event)) error {
	ticker := time.NewTicker(s.poll)
	defer ticker.Stop()
	var last time.Time // when the last good answer was asked for
	acked := map[string]responders.Event{}
	begin := time.Now()
	for {
		asked := time.Now()
		offset := s.clock.Offset()
		list, reply, err := s.groups(ctx, begin.Add(offset.Ahead-before), asked.Add(offset.Ahead+s.settle))
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			s.account.Bad(asked, "unreachable: "+err.Error())
		default:
			s.look(ctx, list, begin, last, reply.Received, acked, emit)
			s.account.Good(asked)
			last = asked
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// look emits what one answer has that no earlier one had. What may have been before the watch began is history: emitted, an old page
// would look like one that is opened now.
func (s *Source) look(ctx context.Context, list []group, begin, last, received time.Time, acked map[string]responders.Event, emit func(responders.Event)) {
	old := begin.Add(-s.clock.Offset().Err - 2*time.Second)
	for _, g := range list {
		if g.Permalinks.Slack != "" {
			s.mu.Lock()
			if _, known := s.rooms[g.ID]; !known {
				s.rooms[g.ID] = received
			}
			s.mu.Unlock()
		}
		ack := ""
		for _, e := range s.events(ctx, g, s.clock.Offset(), received) {
			if e.Kind == responders.Acknowledged {
				ack = e.ID
				acked[g.ID] = e
			}
			if !e.At.Lo.Before(old) {
				s.tell(e, emit)
			}
		}
		if was, ok := acked[g.ID]; ok && ack == "" && g.State != "resolved" {
			delete(acked, g.ID)
			e := was
			e.ID, e.Kind, e.Actor, e.At = was.ID+"/taken back", responders.Unacknowledged, responders.Actor{Kind: responders.UnknownKind}, clock.Between(was.At.Lo, received)
			if last.After(e.At.Lo) {
				e.At.Lo = last
			}
			s.tell(e, emit)
		}
	}
}

// tell emits an event that was not seen yet, and keeps it.
func (s *Source) tell(e responders.Event, emit func(responders.Event)) {
	s.mu.Lock()
	_, known := s.seen[e.ID]
	if !known {
		s.seen[e.ID] = e
		s.order = append(s.order, e.ID)
	}
	s.mu.Unlock()
	if !known {
		emit(e)
	}
}

// remembered returns what Watch saw.
func (s *Source) remembered() map[string]responders.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.seen)
}

// History returns the events in the span: what the alert groups tell, and what Watch saw that they tell no more. They tell of
// themselves for all time, so the span is covered up to what may not be told yet. It is blind to what its API has no word for.
func (s *Source) History(ctx context.Context, span clock.Span) ([]responders.Event, responders.Coverage, error) {
	all := s.remembered()
	offset, _, err := s.clock.Measure(ctx)
	asked := time.Now()
	var list []group
	if err == nil {
		list, _, err = s.groups(ctx, span.Start.Add(offset.Ahead-before), span.End.Add(offset.Ahead))
	}
	c := responders.Coverage{Offset: s.clock.Offset(), Spans: []clock.Span{}}
	if err != nil {
		c.Spans = looks.Clip(s.account.Spans(), span)
		c.Why = looks.Explain(c.Spans, span, s.account.Faults(), 2*s.poll, "its alert groups could not be read: "+err.Error())
		c.Blind = s.blind(span)
		return within(all, span), c, fmt.Errorf("reading the alert groups of %s: %w", s.name, err)
	}
	settled := clock.Span{Start: span.Start, End: asked.Add(-s.settle)}
	var odd []clock.Span
	for _, g := range list {
		for _, e := range s.events(ctx, g, c.Offset, asked) {
			all[e.ID] = e
		}
		if why := g.odd(); why != "" {
			at, granularity, _ := stamp(g.Created)
			odd = append(odd, clock.Span{Start: c.Offset.Ours(at, granularity).Lo, End: span.End})
			c.Why = append(c.Why, why)
		}
	}
	c.Spans = looks.Clip(looks.Without([]clock.Span{settled}, odd), span)
	if settled.End.Before(span.End) {
		c.Why = append(c.Why, looks.Clock(clock.Span{Start: settled.End, End: span.End})+": not everything may be told yet: ask again with `gameday finalize`")
	}
	c.Blind = s.blind(span)
	return within(all, span), c, nil
}

// blind says what its API does not tell.
func (s *Source) blind(span clock.Span) []responders.Blind {
	out := []responders.Blind{{To: responders.Escalated, Spans: []clock.Span{span}, Why: "Grafana IRM does not tell at which step of its escalation chain a page is"}}
	if s.notifies == 0 {
		out = append(out, responders.Blind{To: responders.Notified, Spans: []clock.Span{span}, Why: "Grafana IRM does not tell whom it notified; say notifies_within if its escalation chain does so at once"})
	}
	if gaps := looks.Gaps(s.account.Spans(), span); len(gaps) > 0 {
		for kind, what := range map[responders.Kind]string{responders.Acknowledged: "an acknowledgement", responders.Resolved: "a resolution"} {
			out = append(out, responders.Blind{To: kind, Spans: gaps, Why: "nobody was watching, and " + what + " that was taken back is forgotten"})
		}
	}
	slices.SortStableFunc(out, func(a, b responders.Blind) int { return strings.Compare(string(a.To), string(b.To)) })
	return out
}

// within returns the events that may lie in a span, by time.
func within(all map[string]responders.Event, span clock.Span) []responders.Event {
	out := []responders.Event{}
	for _, id := range slices.Sorted(maps.Keys(all)) {
		if e := all[id]; !e.At.Hi.Before(span.Start) && !e.At.Lo.After(span.End) {
			out = append(out, e)
		}
	}
	slices.SortStableFunc(out, func(a, b responders.Event) int { return a.At.Lo.Compare(b.At.Lo) })
	return out
}
