package prometheus

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"gameday/alarms"
	"gameday/alarms/internal/fold"
	"gameday/clock"
	"gameday/sources/looks"
)

const (
	// before is how far ahead of the span the series are read, for the beginning of episodes that stood already; an
	// earlier pending start is still known from ALERTS_FOR_STATE.
	before = 10 * time.Minute
	// after is how far beyond the span they are read, for the end of episodes.
	after = time.Minute
)

// past is what the server remembers, in the server's clock.
type past struct {
	from, to time.Time // what was read
	rules    []rule
	askedAt  time.Time // when the rules were read
	scrape   time.Duration
	up       []clock.Span // when it was evaluating
	lines    []line
}

// History returns the episodes that overlap the span, from the raw samples of ALERTS and ALERTS_FOR_STATE, and when the
// server was evaluating rules, from the samples of up joined with what Watch saw. A stretch in which only we could not
// reach the server is thereby repaired; one in which it stood still is not. When the server does not answer, History
// returns what Watch saw with the error.
func (s *Source) History(ctx context.Context, span clock.Span) ([]alarms.Episode, alarms.Coverage, error) {
	offset, err := s.measure(ctx)
	if err != nil {
		return s.remembered(span, fmt.Errorf("reading the history of %s: %w", s.name, err))
	}
	p, err := s.read(ctx, span, offset)
	if err != nil {
		return s.remembered(span, fmt.Errorf("reading the history of %s: %w", s.name, err))
	}
	var episodes []alarms.Episode
	known := map[string]bool{}
	for _, l := range p.lines {
		known[l.key] = true
		for _, e := range l.episodes(p, offset) {
			e.Source, e.Key, e.Labels = s.name, l.key, l.labels
			e.Notes = s.annotations(e, p.rules)
			episodes = append(episodes, e)
		}
	}
	// A ruler that does not write its series back has no past; what was seen is all there is.
	for _, e := range s.memory.Episodes(s.name) {
		if !known[e.Key] {
			e.Notes = s.annotations(e, p.rules)
			episodes = append(episodes, e)
		}
	}
	return within(episodes, span), s.coverage(p, span, offset), nil
}

// Past returns the episodes that overlap a span before the run, from the series alone. A server that raises alarms whose
// series it does not have keeps no history, and that is an error.
func (s *Source) Past(ctx context.Context, span clock.Span) ([]alarms.Episode, alarms.Coverage, error) {
	offset, err := s.measure(ctx)
	if err != nil {
		return nil, alarms.Coverage{}, fmt.Errorf("reading the history of %s: %w", s.name, err)
	}
	p, err := s.read(ctx, clock.Span{Start: span.Start, End: time.Now()}, offset)
	if err != nil {
		return nil, alarms.Coverage{}, fmt.Errorf("reading the history of %s: %w", s.name, err)
	}
	var episodes []alarms.Episode
	known := map[string]bool{}
	for _, l := range p.lines {
		known[l.key] = true
		for _, e := range l.episodes(p, offset) {
			e.Source, e.Key, e.Labels = s.name, l.key, l.labels
			episodes = append(episodes, e)
		}
	}
	for _, e := range s.memory.Episodes(s.name) {
		if !known[e.Key] && !e.Firing.IsZero() {
			return nil, alarms.Coverage{}, fmt.Errorf("%s keeps no history of its alarms: %s fired, and there is no series %s of it", s.name,
				e.Key, alertsSeries)
		}
	}
	c := s.coverage(p, span, offset)
	c.Spans = looks.Clip(c.Spans, span)
	return within(episodes, span), c, nil
}

// read asks the server for everything that History needs.
func (s *Source) read(ctx context.Context, span clock.Span, offset clock.Offset) (*past, error) {
	asked := time.Now()
	rules, _, err := s.rules(ctx, nil)
	if err != nil {
		return nil, err
	}
	p := &past{rules: rules, askedAt: asked.Add(offset.Ahead), from: span.Start.Add(offset.Ahead - before), to: time.Now()}
	if limit := span.End.Add(after); limit.Before(p.to) {
		p.to = limit
	}
	p.to = p.to.Add(offset.Ahead)
	if p.to.Before(p.from) {
		p.to = p.from
	}
	if p.up, p.scrape, err = s.evaluating(ctx, p.from, p.to); err != nil {
		return nil, err
	}
	length := p.to.Sub(p.from).Milliseconds() + 1
	found := map[string]*line{}
	for _, selector := range s.selectors() {
		for _, name := range []string{alertsSeries, forStateSeries} {
			list, err := s.matrix(ctx, fmt.Sprintf("%s%s[%dms]", name, selector, length), p.to)
			if err != nil {
				return nil, err
			}
			for _, one := range list {
				enter(found, one)
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(found)) {
		l := found[key]
		l.interval, l.standing = p.now(l)
		l.sort()
		p.lines = append(p.lines, *l)
	}
	return p, nil
}

// now returns the interval at which the rule behind a line is evaluated, 0 when there is no such rule any more, and
// whether its alert was active when the rules were asked for.
func (p *past) now(l *line) (interval time.Duration, standing standing) {
	for _, r := range p.rules {
		if r.Name != l.labels[alertName] {
			continue
		}
		interval = max(interval, r.Interval)
		if standing.evaluated.Before(r.LastEvaluation) {
			standing.evaluated = r.LastEvaluation
		}
		for _, a := range r.Alerts {
			standing.active = standing.active || fold.Key(a.Labels) == l.key
		}
	}
	return interval, standing
}

// within returns the episodes that overlap the span, in order.
func within(episodes []alarms.Episode, span clock.Span) []alarms.Episode {
	out := []alarms.Episode{}
	for _, e := range episodes {
		if fold.Overlaps(e, span) {
			out = append(out, e)
		}
	}
	slices.SortStableFunc(out, func(a, b alarms.Episode) int { return fold.Begin(a).Lo.Compare(fold.Begin(b).Lo) })
	return out
}

// sameBegin is how far apart the looks and the series may tell the begin of one pending phase: less than an evaluation.
const sameBegin = 500 * time.Millisecond

// annotations returns what the alert said of itself in that episode, else the rule's own text with its templates.
func (s *Source) annotations(e alarms.Episode, rules []rule) map[string]string {
	if seen := s.notes.Of(e, sameBegin); seen != nil {
		return seen
	}
	for _, r := range rules {
		if r.Name == e.Labels[alertName] && contradicts(e.Labels, r) == "" && len(r.Annotations) > 0 {
			return r.Annotations
		}
	}
	return nil
}

// remembered answers from what Watch saw, for a server that does not answer now.
func (s *Source) remembered(span clock.Span, err error) ([]alarms.Episode, alarms.Coverage, error) {
	c := alarms.Coverage{Spans: looks.Clip(s.account.Spans(), span), Resolution: s.poll, Offset: s.knownOffset(), Blind: blind(span)}
	c.Why = append(looks.Explain(c.Spans, span, s.account.Faults(), 2*s.poll, "nobody was watching"),
		"its history could not be read: "+err.Error())
	return within(s.memory.Episodes(s.name), span), c, err
}
