package cloudwatch

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"gameday/alarms"
	"gameday/alarms/internal/fold"
	"gameday/alarms/internal/poll"
	"gameday/clock"
	"gameday/sources/looks"
)

const (
	// before is how far ahead of the span the history is read, for the beginning of episodes that stood already.
	before = time.Hour
	// after is how far beyond the span it is read, for the end of episodes.
	after = time.Minute
)

// past is what CloudWatch remembers.
type past struct {
	from, to time.Time // what was read, in our clock
	now      []alarm
	alarms   map[string]*fold.History // by name
	done     []action
	unread   []clock.Interval // entries of actions that cannot be read
}

// action is an action that was carried out.
type action struct {
	key string
	at  clock.Interval
}

// History returns the episodes that overlap the span, from the alarms' history, completed by what Watch saw and by what stands now.
// CloudWatch evaluates alarms by itself, so their history is proof as far as it can be complete. When it does not answer, History
// returns what Watch saw with the error.
func (s *Source) History(ctx context.Context, span clock.Span) ([]alarms.Episode, alarms.Coverage, error) {
	p, err := s.read(ctx, span)
	if err != nil {
		return s.remembered(span, err)
	}
	offset := s.clock.Offset()
	var told []alarms.Episode
	var blind []looks.Fault
	for _, name := range slices.Sorted(maps.Keys(p.alarms)) {
		h := p.alarms[name]
		episodes, faults := h.Episodes(s.name)
		if s.wanted.Wants(h.Labels) {
			told = append(told, episodes...)
		}
		if s.concerns(h.Labels) {
			blind = append(blind, faults...)
		}
	}
	var now []alarms.Episode
	for _, a := range s.standing(p.now) {
		now = append(now, a.Episode(s.name, clock.Between(p.from, p.to)))
	}
	settled := time.Now().Add(-s.settle)
	told, late := poll.Complete(told, s.memory.Episodes(s.name), now, p.from, settled)
	c := alarms.Coverage{Resolution: s.poll, Offset: offset}
	s.enterPages(told, p, settled, &c)
	end := p.to
	if settled.Before(end) {
		end = settled
	}
	proven, why := []clock.Span{{Start: p.from, End: end}}, "its history is not complete yet: ask again with `gameday finalize`"
	if late {
		proven, why = nil, "its history lacks what was seen live"
	}
	unwatched := len(s.account.Spans()) == 0 && len(s.account.Faults()) == 0
	for _, e := range s.wanted.Expected() {
		// When nobody looked during the run, what is wrong now must be taken to have been wrong then.
		if _, wrong := s.judge(e, p.now); wrong != nil && unwatched {
			blind = append(blind, looks.Fault{Span: span, Why: wrong.String()})
		}
	}
	var holes []string
	c.Spans, holes = poll.Covered(s.account, span, proven, blind, 2*s.poll, why)
	c.Why = append(c.Why, holes...)
	return poll.Within(told, span), c, nil
}

// read asks for the alarms as they are, and for their history. The clock is measured by the first answers, before any stamp is read.
func (s *Source) read(ctx context.Context, span clock.Span) (*past, error) {
	now, err := s.alarms(ctx, s.names())
	if err != nil {
		return nil, err
	}
	offset, told := s.measure()
	if !told {
		offset = s.clock.Offset()
	}
	p := &past{from: span.Start.Add(-before), to: time.Now(), now: now, alarms: map[string]*fold.History{}}
	if limit := span.End.Add(after); limit.Before(p.to) {
		p.to = limit
	}
	names := s.names()
	if names == nil {
		names = []string{""}
	}
	for _, name := range names {
		list, err := s.history(ctx, name, p.from.Add(offset.Ahead), p.to.Add(offset.Ahead))
		if err != nil {
			return nil, err
		}
		s.enter(p, list, offset)
	}
	return p, nil
}

// enter adds entries to the alarms that they are of.
func (s *Source) enter(p *past, list []item, offset clock.Offset) {
	slices.SortStableFunc(list, func(a, b item) int { return a.at.Compare(b.at) })
	for _, i := range list {
		h := p.alarms[i.name]
		if h == nil {
			h = &fold.History{Labels: map[string]string{alertName: i.name}, From: p.from, To: p.to}
			if n := slices.IndexFunc(p.now, func(a alarm) bool { return a.name == i.name }); n >= 0 {
				h.Labels, h.Notes = p.now[n].labels, p.now[n].notes()
			}
			h.Key = fold.Key(h.Labels)
			p.alarms[i.name] = h
		}
		at := offset.Ours(i.at, time.Millisecond)
		switch {
		case i.kind == string(types.HistoryItemTypeStateUpdate):
			s.change(h, i, at)
		case i.kind == string(types.HistoryItemTypeAction):
			arn, done, ok := i.action()
			switch {
			case !ok:
				p.unread = append(p.unread, at)
			case done && s.pages(arn):
				p.done = append(p.done, action{key: h.Key, at: at})
			}
		case i.deleted():
			h.Changes = append(h.Changes, fold.Change{At: at, To: alarms.StateBroken, Why: "it was deleted"})
		}
	}
}

// change adds a change of state. One that cannot be read is a gap, until the next that can.
func (s *Source) change(h *fold.History, i item, at clock.Interval) {
	was, is, err := i.update()
	if err != nil {
		h.Changes = append(h.Changes, fold.Change{At: at, To: alarms.StateBroken, Why: err.Error()})
		return
	}
	if len(h.Changes) == 0 && was != "" {
		if state, _ := s.parseState(was, i.name); state != alarms.StateInactive {
			h.Before = state
		}
	}
	to, why := s.parseState(is, i.name)
	h.Changes = append(h.Changes, fold.Change{At: at, To: to, Why: why})
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

// enterPages enters the first action of each episode, and for which time that could not be seen. Actions are also carried out when an
// alarm ends: those are no pages.
func (s *Source) enterPages(list []alarms.Episode, p *past, settled time.Time, c *alarms.Coverage) {
	for _, a := range p.done {
		for i := range list {
			e := &list[i]
			if e.Key == a.key && !a.at.Before(e.Firing) && (e.Ended.IsZero() || a.at.Before(e.Ended)) && (e.Paged.IsZero() || a.at.Hi.Before(e.Paged.Hi)) {
				e.Paged = a.at
			}
		}
	}
	for _, at := range p.unread {
		c.Blind = append(c.Blind, alarms.Blind{To: alarms.StatePaged, Spans: []clock.Span{{Start: at.Lo, End: p.to}},
			Why: "what became of an action cannot be read"})
	}
	if settled.Before(p.to) {
		c.Blind = append(c.Blind, alarms.Blind{To: alarms.StatePaged, Spans: []clock.Span{{Start: settled, End: p.to}},
			Why: "its history is not complete yet: ask again with `gameday finalize`"})
	}
}

// remembered answers from what Watch saw, for what does not answer now.
func (s *Source) remembered(span clock.Span, err error) ([]alarms.Episode, alarms.Coverage, error) {
	c := alarms.Coverage{Resolution: s.poll, Offset: s.clock.Offset(),
		Blind: []alarms.Blind{{To: alarms.StatePaged, Spans: []clock.Span{span}, Why: "its history could not be read"}}}
	c.Spans, c.Why = poll.Covered(s.account, span, nil, nil, 2*s.poll, "its history could not be read: "+err.Error())
	return poll.Within(s.memory.Episodes(s.name), span), c, fmt.Errorf("reading the history of %s: %w", s.name, err)
}
