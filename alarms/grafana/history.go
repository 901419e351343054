package grafana

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"gameday/alarms"
	"gameday/alarms/internal/fold"
	"gameday/alarms/internal/poll"
	"gameday/clock"
	"gameday/sources/looks"
	"gameday/sources/web"
)

const (
	// before is how far ahead of the span the history is read, for the beginning of episodes that stood already.
	before = time.Hour
	// after is how far beyond the span it is read, for the end of episodes.
	after = time.Minute
	// mostRules bounds the rules that are asked about one by one, where the history is kept in annotations.
	mostRules = 200
)

// past is what Grafana remembers.
type past struct {
	from, to    time.Time // what was read, in our clock
	rules       []rule
	now         time.Time // when the rules were read, by Grafana's clock
	alarms      map[string]*fold.History
	annotations bool // it is kept in annotations, which leave out when there was no data
}

// History returns the episodes that overlap the span, from the state history, completed by what Watch saw. A stretch for which the
// history is proof that the rules were evaluated, and the looks that found them freshly evaluated, make the coverage. When Grafana
// does not answer, History returns what Watch saw with the error.
func (s *Source) History(ctx context.Context, span clock.Span) ([]alarms.Episode, alarms.Coverage, error) {
	offset, _, err := s.clock.FromDates(ctx, s.health)
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
		h.Notes = s.annotations(h.Key, h.Labels, p.rules)
		episodes, faults := h.Episodes(s.name)
		if s.wanted.Wants(h.Labels) {
			told = append(told, episodes...)
		}
		if s.concerns(h.Labels) {
			blind = append(blind, faults...)
		}
	}
	settled := time.Now().Add(-s.settle)
	seen := s.memory.Episodes(s.name)
	for i := range seen {
		seen[i].Notes = s.annotations(seen[i].Key, seen[i].Labels, p.rules)
	}
	told, late := poll.Complete(told, seen, s.now(p), p.from, settled)
	c := alarms.Coverage{Resolution: s.resolution(p.rules), Offset: offset}
	s.pages(ctx, told, p, span, settled, &c)
	proven, why := s.proven(ctx, p, settled, late)
	unwatched := len(s.account.Spans()) == 0 && len(s.account.Faults()) == 0
	for _, e := range s.wanted.Expected() {
		// When nobody looked during the run, what is wrong now must be taken to have been wrong then.
		if _, wrong := s.judge(e, p.rules, p.now); wrong != nil && !wrong.settling && unwatched {
			blind = append(blind, looks.Fault{Span: span, Why: wrong.String()})
		}
	}
	var holes []string
	c.Spans, holes = poll.Covered(s.account, span, proven, blind, 2*s.poll, why)
	c.Why = append(c.Why, holes...)
	return poll.Within(told, span), c, nil
}

// read asks for the rules as they are and for all changes in the span.
func (s *Source) read(ctx context.Context, span clock.Span, offset clock.Offset) (*past, error) {
	p := &past{from: span.Start.Add(-before), to: time.Now(), alarms: map[string]*fold.History{}}
	if limit := span.End.Add(after); limit.Before(p.to) {
		p.to = limit
	}
	rules, reply, err := s.rules(ctx, s.names())
	if err != nil {
		return nil, err
	}
	p.rules, p.now = rules, reply.Received.Add(offset.Ahead)
	from, to := p.from.Add(offset.Ahead), p.to.Add(offset.Ahead)
	asked, one := s.askable(rules)
	if !one {
		list, annotations, err := s.transitions(ctx, "", "", from, to)
		var refused *web.StatusError
		switch {
		case err == nil:
			p.enter(s, list, annotations, offset)
			return p, nil
		case !errors.As(err, &refused) || refused.Code == 401 || refused.Code == 403 || refused.Code == 429:
			return nil, err
		}
		// Annotations are told of a rule at a time.
		if len(rules) > mostRules || slices.ContainsFunc(rules, func(r rule) bool { return r.UID == "" }) {
			return nil, fmt.Errorf("%w: this Grafana tells the state history of one rule at a time; expect its alarms by their alertname, and watch for no noise", err)
		}
		asked = rules
	}
	for _, r := range asked {
		list, annotations, err := s.transitions(ctx, r.UID, r.Name, from, to)
		if err != nil {
			return nil, err
		}
		p.enter(s, list, annotations, offset)
	}
	return p, nil
}

// askable returns the rules to ask about one by one; false when all must be asked about together.
func (s *Source) askable(rules []rule) ([]rule, bool) {
	names := s.names()
	if len(names) == 0 {
		return nil, false
	}
	var out []rule
	for _, r := range rules {
		if !slices.Contains(names, r.Name) {
			continue
		}
		if r.UID == "" {
			return nil, false
		}
		out = append(out, r)
	}
	return out, true
}

// enter adds changes to the alarms that they are of.
func (p *past) enter(s *Source, list []transition, annotations bool, offset clock.Offset) {
	p.annotations = p.annotations || annotations
	took := map[string]time.Duration{}
	for _, r := range p.rules {
		took[r.Name] = max(took[r.Name], r.took())
	}
	slices.SortStableFunc(list, func(a, b transition) int { return a.At.Compare(b.At) })
	for _, t := range list {
		name := t.Labels[alertName]
		at := offset.Ours(t.At, time.Millisecond)
		at.Hi = at.Hi.Add(took[name])
		key := t.key()
		h := p.alarms[key]
		if h == nil {
			h = &fold.History{Key: key, Labels: t.Labels, From: p.from, To: p.to}
			if was, _ := s.state(t.Previous, name); was != alarms.StateInactive {
				h.Before = was
			}
			p.alarms[key] = h
		}
		to, why := s.state(t.Next, name)
		h.Changes = append(h.Changes, fold.Change{At: at, To: to, Why: why})
	}
}

// concerns reports whether what an alarm with these labels could not tell is about one that is expected. An alarm that says that
// its rule has no data lacks the labels that its query would give it.
func (s *Source) concerns(labels map[string]string) bool {
	for _, e := range s.wanted.Expected() {
		if (e.Match[alertName] == "" || labels[alertName] == e.Match[alertName]) && poll.Consistent(e.Match, labels) {
			return true
		}
	}
	return len(s.wanted.Expected()) == 0 && s.wanted.Wants(labels)
}

// now returns the alarms that stand now, as episodes.
func (s *Source) now(p *past) []alarms.Episode {
	var out []alarms.Episode
	for _, r := range p.rules {
		for _, a := range s.standing(r, nil) {
			out = append(out, a.Episode(s.name, clock.Between(p.from, p.to)))
		}
	}
	return out
}

// proven returns the stretches in which the rules were evaluated for certain, whether anybody looked or not, and else why there are
// none: a Grafana that stands still writes no history, which looks as if all were well.
func (s *Source) proven(ctx context.Context, p *past, settled time.Time, late bool) ([]clock.Span, string) {
	to := p.to
	if settled.Before(to) {
		to = settled
	}
	switch {
	case p.annotations:
		return nil, "nobody was watching, and a history kept in annotations does not tell when there was no data"
	case late:
		return nil, "its state history lacks what was seen live: is it written?"
	case s.hosted:
		return []clock.Span{{Start: p.from, End: to}}, "its history is not complete yet: ask again with `gameday finalize`"
	}
	at, ok := s.started(ctx)
	if !ok {
		return nil, "nobody was watching, and its history alone does not show that it was running: let gameday read /metrics, or say hosted = true"
	}
	since := s.clock.Offset().Ours(at, time.Millisecond).Hi
	if since.Before(p.from) {
		since = p.from
	}
	return []clock.Span{{Start: since, End: to}}, "it was not running yet, or its history is not complete yet"
}

// pages enters when the first notification about each episode left, and what of that could not be seen.
func (s *Source) pages(ctx context.Context, list []alarms.Episode, p *past, span clock.Span, settled time.Time, c *alarms.Coverage) {
	blind := func(from time.Time, why string) {
		c.Blind = append(c.Blind, alarms.Blind{To: alarms.StatePaged, Spans: []clock.Span{{Start: from, End: p.to}}, Why: why})
	}
	offset := s.clock.Offset()
	from, to := span.Start.Add(offset.Ahead), p.to.Add(offset.Ahead)
	entries, err := s.notifications(ctx, from, to)
	slices.SortStableFunc(entries, func(a, b entry) int { return a.Timestamp.Compare(b.Timestamp) })
	uids := s.uids(p.rules)
	for _, n := range entries {
		elsewhere := len(uids) > 0 && len(n.RuleUIDs) > 0 && !slices.ContainsFunc(n.RuleUIDs, func(uid string) bool { return slices.Contains(uids, uid) })
		if elsewhere || n.Outcome != "success" || n.Status != "firing" || len(s.receivers) > 0 && !slices.Contains(s.receivers, n.Receiver) {
			continue
		}
		var about []map[string]string
		if about, err = s.notified(ctx, n, from, to); err != nil {
			break
		}
		at := offset.Ours(n.Timestamp, time.Millisecond)
		at.Lo = at.Lo.Add(-min(time.Duration(n.Duration), time.Minute)) // the stamp may be of its end
		for _, labels := range about {
			poll.Page(list, fold.Key(labels), at)
		}
	}
	if err != nil {
		blind(p.from, "notifications: "+err.Error())
		return
	}
	if settled.Before(p.to) {
		blind(settled, "its notification history is not complete yet: ask again with `gameday finalize`")
	}
}

// uids returns the UIDs of the expected alarms' rules; none when all rules matter, or some have none.
func (s *Source) uids(rules []rule) []string {
	asked, one := s.askable(rules)
	if !one {
		return nil
	}
	var out []string
	for _, r := range asked {
		out = append(out, r.UID)
	}
	return out
}

// resolution is how far apart evaluations are, or looks.
func (s *Source) resolution(rules []rule) time.Duration {
	longest := s.poll
	for _, e := range s.wanted.Expected() {
		for _, r := range rules {
			if r.Name == e.Match[alertName] {
				longest = max(longest, r.interval)
			}
		}
	}
	return longest
}

// annotations returns what the alarm said of itself while it stood, else the rule's own text with its templates.
func (s *Source) annotations(key string, labels map[string]string, rules []rule) map[string]string {
	if seen := s.notes.Of(key); len(seen) > 0 {
		return seen
	}
	for _, r := range rules {
		if r.Name == labels[alertName] && contradicts(labels, r) == "" && len(r.Annotations) > 0 {
			return public(r.Annotations)
		}
	}
	return nil
}

// remembered answers from what Watch saw, for a server that does not answer now.
func (s *Source) remembered(span clock.Span, err error) ([]alarms.Episode, alarms.Coverage, error) {
	c := alarms.Coverage{Resolution: s.poll, Offset: s.clock.Offset(),
		Blind: []alarms.Blind{{To: alarms.StatePaged, Spans: []clock.Span{span}, Why: "its notification history could not be read"}}}
	c.Spans, c.Why = poll.Covered(s.account, span, nil, nil, 2*s.poll, "its history could not be read: "+err.Error())
	list := s.memory.Episodes(s.name)
	for i := range list {
		list[i].Notes = s.notes.Of(list[i].Key)
	}
	return poll.Within(list, span), c, fmt.Errorf("reading the history of %s: %w", s.name, err)
}
