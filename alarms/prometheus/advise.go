package prometheus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"gameday/alarms"
	"gameday/clock"
)

// What Advise asks and tells at most.
const (
	mostStudies = 20    // rules
	mostListed  = 500   // rules by name
	mostTracks  = 4     // series of a run that are kept
	mostPoints  = 600   // of each of them
	mostHeld    = 100   // stretches in which a condition held
	mostExpr    = 4_000 // bytes of a rule's expression
)

// Advise studies the rules of the expected alarms. It asks for the list of rules, for what fired, and for each rule at
// most seven ranges of values. Each question has the source's time limit.
func (s *Source) Advise(ctx context.Context, ask alarms.Inquiry) (alarms.Advice, error) {
	offset, err := s.measure(ctx)
	if err != nil {
		return alarms.Advice{}, fmt.Errorf("studying the rules of %s: %w", s.name, err)
	}
	rules, reply, err := s.rules(ctx, nil)
	if err != nil {
		return alarms.Advice{}, fmt.Errorf("studying the rules of %s: %w", s.name, err)
	}
	out := alarms.Advice{Server: s.server, Studies: []alarms.RuleStudy{}, Rules: []alarms.RuleUse{}}
	s.exercised(ctx, &out, rules, ask.Run, offset)
	scrape, _ := s.scrapeInterval(ctx)
	now := reply.Received.Add(offset.Ahead)
	for _, e := range ask.Alarms {
		mine, _ := judge(e, rules, now)
		for _, r := range mine {
			if len(out.Studies) == mostStudies {
				out.Why = append(out.Why, fmt.Sprintf("%d rules were studied, and no more", mostStudies))
				return out, nil
			}
			st := study{source: s, ctx: ctx, ask: ask, want: e, rule: r, offset: offset}
			st.out = alarms.RuleStudy{Alarm: e.Name, Rule: r.Name, Query: r.Query, For: inSeconds(r.Duration),
				Interval: r.Interval, Scrape: scrape, Error: offset.Err}
			st.make()
			out.Studies = append(out.Studies, st.out)
		}
	}
	return out, nil
}

// roundUp rounds to whole seconds.
func roundUp(d time.Duration) time.Duration { return (d + time.Second - 1).Truncate(time.Second) }

// inSeconds converts a number of seconds as the API writes it.
func inSeconds(n float64) time.Duration { return time.Duration(math.Round(n * float64(time.Second))) }

// exercised lists the rules, with those that fired during the run.
func (s *Source) exercised(ctx context.Context, out *alarms.Advice, rules []rule, run clock.Span, offset clock.Offset) {
	fired := map[string]bool{}
	end := run.End.Add(offset.Ahead)
	query := fmt.Sprintf(`max by (alertname) (max_over_time(%s{alertstate="firing"}[%dms]))`, alertsSeries, run.Length().Milliseconds()+1)
	list, warnings, err := s.span(ctx, query, end, end, time.Second)
	switch {
	case err != nil:
		out.Why = append(out.Why, "which rules fired could not be asked: "+err.Error())
	case len(warnings) > 0:
		out.Why = append(out.Why, "which rules fired is not known for certain: the server warns: "+strings.Join(warnings, "; "))
	default:
		out.Fired = true
	}
	for _, one := range list {
		fired[one.Metric[alertName]] = true
	}
	names := map[string]bool{}
	for _, r := range rules {
		if names[r.Name] {
			continue
		}
		names[r.Name] = true
		if len(out.Rules) == mostListed {
			out.More++
			continue
		}
		out.Rules = append(out.Rules, alarms.RuleUse{Name: r.Name, Fired: fired[r.Name]})
	}
	slices.SortFunc(out.Rules, func(a, b alarms.RuleUse) int { return cmp.Compare(a.Name, b.Name) })
}

// study is the study of one rule while it is made.
type study struct {
	source *Source
	ctx    context.Context
	ask    alarms.Inquiry
	want   alarms.Expectation
	rule   rule
	offset clock.Offset
	out    alarms.RuleStudy
}

// lacks notes what could not be had.
func (s *study) lacks(what string, err error) {
	s.out.Why = append(s.out.Why, what+": "+err.Error())
}

// make asks for all there is to know.
func (s *study) make() {
	if s.rule.Query == "" {
		s.lacks("its expression", errors.New("the rules API does not tell it"))
		return
	}
	if len(s.rule.Query) > mostExpr {
		s.lacks("its expression", fmt.Errorf("it has %d characters, and at most %d are studied", len(s.rule.Query), mostExpr))
		s.out.Query = s.out.Query[:0]
		return
	}
	s.out.Step = max(time.Second, roundUp(s.ask.Run.Length()/mostPoints))
	s.held()
	limit, why := s.comparison()
	if limit == nil {
		s.out.NoLimit = why
		return
	}
	s.out.Limit = limit
	found, err := s.values(limit.Left, s.ask.Run, s.out.Step)
	if err != nil {
		s.lacks("what it measures", err)
		return
	}
	s.tracks(found)
	s.past(len(found))
}

// values asks for a query over a span of our clock, and returns the series that can be those of the alarm expected, with
// stamps of our clock.
func (s *study) values(query string, span clock.Span, step time.Duration) ([]series, error) {
	list, warnings, err := s.source.span(s.ctx, query, span.Start.Add(s.offset.Ahead), span.End.Add(s.offset.Ahead), step)
	if err != nil {
		return nil, err
	}
	if len(warnings) > 0 {
		return nil, fmt.Errorf("the answer may be incomplete: the server warns: %s", strings.Join(warnings, "; "))
	}
	list = slices.DeleteFunc(list, func(one series) bool { return !s.fits(one.Metric) })
	for i := range list {
		for n := range list[i].Samples {
			list[i].Samples[n].At = list[i].Samples[n].At.Add(-s.offset.Ahead)
		}
	}
	return list, nil
}

// fits reports whether an alert of the rule for a series with these labels can be the one expected. A label that a
// template of the rule sets may become anything.
func (s *study) fits(labels map[string]string) bool {
	for k, v := range s.want.Match {
		if _, set := s.rule.Labels[k]; k != alertName && !set && labels[k] != v {
			return false
		}
	}
	return true
}

// held asks when the whole condition was true.
func (s *study) held() {
	found, err := s.values(s.rule.Query, s.ask.Run, s.out.Step)
	if err != nil {
		s.lacks("when its condition held", err)
		return
	}
	s.out.Looks = s.ask.Run
	var at []time.Time
	for _, one := range found {
		for _, v := range one.Samples {
			at = append(at, v.At)
		}
	}
	slices.SortFunc(at, time.Time.Compare)
	s.out.Held = runs(at, time.Time{}, s.out.Step+s.out.Step/2)
	if len(s.out.Held) > mostHeld {
		s.out.Held = s.out.Held[:mostHeld]
		s.out.Looks.End = s.out.Held[mostHeld-1].End
		s.lacks("when its condition held", fmt.Errorf("it came and went more than %d times; the first are told", mostHeld))
	}
}

// comparison takes the rule's condition apart, or says why it cannot be.
func (s *study) comparison() (*alarms.Comparison, string) {
	c, why := split(s.rule.Query)
	if why != "" {
		return nil, why
	}
	threshold, err := strconv.ParseFloat(c.right, 64)
	if err != nil {
		var ok bool
		if threshold, ok, err = s.source.number(s.ctx, c.right); err != nil || !ok {
			return nil, "the number it compares with could not be had"
		}
	}
	if math.IsNaN(threshold) || math.IsInf(threshold, 0) {
		return nil, "it compares with what is no number"
	}
	return &alarms.Comparison{Left: c.left, Op: c.op, Threshold: threshold}, ""
}

// worse compares values by how near to firing they are.
func worse(c *alarms.Comparison, a, b float64) bool {
	if c.Up() {
		return a > b
	}
	return a < b
}

// tracks keeps the series that came furthest.
func (s *study) tracks(found []series) {
	furthest := func(one series) (v float64) {
		for i, x := range one.Samples {
			if i == 0 || worse(s.out.Limit, x.Value, v) {
				v = x.Value
			}
		}
		return v
	}
	for i := range found {
		found[i].Samples = slices.DeleteFunc(found[i].Samples, func(x sample) bool { return math.IsNaN(x.Value) })
	}
	found = slices.DeleteFunc(found, func(one series) bool { return len(one.Samples) == 0 })
	slices.SortStableFunc(found, func(a, b series) int {
		switch x, y := furthest(a), furthest(b); {
		case worse(s.out.Limit, x, y):
			return -1
		case worse(s.out.Limit, y, x):
			return 1
		}
		return 0
	})
	for _, one := range found[:min(len(found), mostTracks)] {
		t := alarms.Track{Labels: one.Metric, Points: [][2]float64{}}
		for _, x := range one.Samples {
			// Infinity is not a number in JSON.
			v := min(max(x.Value, -math.MaxFloat64), math.MaxFloat64)
			t.Points = append(t.Points, [2]float64{math.Round(x.At.Sub(s.ask.Run.Start).Seconds()*1000) / 1000, v})
		}
		s.out.Values = append(s.out.Values, t)
	}
	if n := len(found); n > mostTracks {
		s.lacks("what it measures", fmt.Errorf("there are %d series; the %d that came furthest are told", n, mostTracks))
	}
}
