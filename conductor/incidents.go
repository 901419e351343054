package conductor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/responders"
	"gameday/scenarios"
)

const (
	// incidentsBack is for how long back pages are looked for that may still be open.
	incidentsBack = 7 * 24 * time.Hour
	// incidentsLag is how far behind a source may be that is asked what is open.
	incidentsLag = 5 * time.Minute
)

// OpenIncidents asks whether an incident is open before a scenario is run: those sources that its incident blocks name, and
// without such blocks every source of responses that can tell without a run. It returns what is open, and what nobody could
// tell: a source that is not reached, or whose account has a gap, is never "nothing is open". No source to ask is unknown as
// well.
func OpenIncidents(ctx context.Context, s *scenarios.Scenario, now time.Time) (open, unknown []string) {
	asked := false
	answer := func(id string, some []string, err error) {
		asked = true
		open = append(open, some...)
		if err != nil {
			unknown = append(unknown, s.Redact(fmt.Sprintf("%s: %v", id, err)))
		}
	}
	for _, d := range s.Responders {
		match, wanted := incidentMatch(s, d.ID(), false)
		if !wanted && len(s.Incidents) > 0 {
			continue
		}
		src, err := d.Kind.Open(d.ID(), d.Config)
		if err != nil {
			answer(d.ID(), nil, err)
			continue
		}
		if _, only := src.(responders.Server); only && !wanted {
			_ = release(src) // it was asked nothing
			continue
		}
		some, err := openPages(ctx, src, match, now)
		_ = release(src) // it has answered
		answer(d.ID(), under(d.ID(), some), err)
	}
	for _, d := range s.AlarmSources {
		match, wanted := incidentMatch(s, d.ID(), true)
		if !wanted {
			continue
		}
		some, err := firing(ctx, d, match, now)
		answer(d.ID(), under(d.ID(), some), err)
	}
	if !asked {
		unknown = append(unknown, fmt.Sprintf("scenario %s has no source that could tell before a run", s.Name))
	}
	return open, unknown
}

// under puts a source's id before what it tells.
func under(id string, some []string) []string {
	out := slices.Clone(some)
	for i := range out {
		out[i] = id + ": " + out[i]
	}
	return out
}

// incidentMatch returns the labels of the incidents that a scenario watches a source for.
func incidentMatch(s *scenarios.Scenario, id string, isAlarms bool) (match []map[string]string, ok bool) {
	for _, i := range s.Incidents {
		if i.Source == id && i.Alarms == isAlarms {
			match, ok = append(match, i.Match), true
		}
	}
	return match, ok
}

// matchesAny reports whether labels have one of some matches. An empty one, and none at all, is had by everything.
func matchesAny(match []map[string]string, labels map[string]string) bool {
	return len(match) == 0 || slices.ContainsFunc(match, func(m map[string]string) bool { return len(m) == 0 || alarms.Match(m, labels) })
}

// openPages asks a source of responses which pages are open.
func openPages(ctx context.Context, src responders.Source, match []map[string]string, now time.Time) ([]string, error) {
	if _, only := src.(responders.Server); only {
		return nil, fmt.Errorf("it listens only while a run is in progress, and cannot tell what is open before")
	}
	if e, ok := src.(responders.Expecter); ok {
		e.Expect([]map[string]string{{}})
	}
	if _, err := src.Preflight(ctx); err != nil {
		return nil, err
	}
	span := clock.Span{Start: now.Add(-incidentsBack), End: now}
	events, coverage, err := src.History(ctx, span)
	if err != nil {
		return nil, err
	}
	if err := gapless(coverage.Spans, coverage.Why, span); err != nil {
		return nil, err
	}
	slices.SortStableFunc(events, func(a, b responders.Event) int { return a.At.Lo.Compare(b.At.Lo) })
	var pages []string
	labels, isOpen := map[string]map[string]string{}, map[string]bool{}
	for _, e := range events {
		if e.Page == "" || !e.Kind.OfPage() {
			continue
		}
		if _, seen := isOpen[e.Page]; !seen {
			pages = append(pages, e.Page)
		}
		isOpen[e.Page] = e.Kind != responders.Resolved
		if len(e.Labels) > 0 {
			labels[e.Page] = e.Labels
		}
	}
	var out []string
	for _, p := range pages {
		if isOpen[p] && matchesAny(match, labels[p]) {
			out = append(out, strings.TrimSuffix(fmt.Sprintf("page %s is open (%s)", p, labels[p]["alertname"]), " ()"))
		}
	}
	return out, nil
}

// firing asks a source of alarms which of those that would be an incident fire now.
func firing(ctx context.Context, d scenarios.AlarmSource, match []map[string]string, now time.Time) ([]string, error) {
	if d.Kind.Open == nil {
		return nil, fmt.Errorf("its rules are the scenario's own, and nobody evaluates them before a run")
	}
	span := clock.Span{Start: now.Add(-time.Hour), End: now}
	var out []string
	for _, m := range match {
		src, err := d.Kind.Open(d.ID(), d.Config, m)
		if err != nil {
			return nil, err
		}
		some, err := firingOf(ctx, src, m, span)
		_ = release(src) // it has answered
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

func firingOf(ctx context.Context, src alarms.Source, match map[string]string, span clock.Span) ([]string, error) {
	if _, err := src.Preflight(ctx, nil); err != nil {
		return nil, err
	}
	episodes, coverage, err := src.History(ctx, span)
	if err != nil {
		return nil, err
	}
	if err := gapless(coverage.Spans, coverage.Why, span); err != nil {
		return nil, err
	}
	var out []string
	for _, e := range episodes {
		if !e.Firing.Lo.IsZero() && e.Ended.Lo.IsZero() && (len(match) == 0 || alarms.Match(match, e.Labels)) {
			out = append(out, fmt.Sprintf("alarm %s fires", e.Labels["alertname"]))
		}
	}
	return out, nil
}

// gapless says what a source could not see of a span, but for the last minutes, which it may not have yet.
func gapless(spans []clock.Span, why []string, need clock.Span) error {
	need.End = need.End.Add(-incidentsLag)
	if share := clock.Share(spans, need); share < 1 {
		text := "it could not see everything"
		if len(why) > 0 {
			text = strings.Join(why, "; ")
		}
		return fmt.Errorf("its account has a gap: %s", text)
	}
	return nil
}

// BudgetLeft asks an alarm source of a scenario for one number: how much of an error budget is left. No number is an error.
func BudgetLeft(ctx context.Context, s *scenarios.Scenario, source, query string) (float64, error) {
	for _, d := range s.AlarmSources {
		if d.ID() != source {
			continue
		}
		if d.Kind.Open == nil {
			return 0, fmt.Errorf("%s answers no queries", source)
		}
		src, err := d.Kind.Open(d.ID(), d.Config, nil)
		if err != nil {
			return 0, fmt.Errorf("%s", s.Redact(err.Error()))
		}
		defer release(src)
		q, ok := src.(alarms.Querier)
		if !ok {
			return 0, fmt.Errorf("%s answers no queries", source)
		}
		v, ok, err := q.Query(ctx, query)
		if err != nil {
			return 0, fmt.Errorf("%s", s.Redact(err.Error()))
		}
		if !ok || v != v {
			return 0, fmt.Errorf("%s has no value for %q", source, query)
		}
		return v, nil
	}
	return 0, fmt.Errorf("no source %s in scenario %s", source, s.Name)
}

// HeldBy says what a run in progress on this machine has for itself, in the words of a schedule: its scenario, its hosts, and,
// unless it has a lab, this machine, whatever it does there.
func HeldBy(r Running, thisMachine string) []string {
	out := []string{"scenario " + r.Scenario}
	for _, h := range r.Hosts {
		out = append(out, "host "+h)
	}
	if !r.InLab() {
		out = append(out, thisMachine)
	}
	return out
}
