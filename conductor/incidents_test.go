package conductor

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gameday/alarms"
	"gameday/clock"
	"gameday/responders"
	"gameday/scenarios"
)

// past is a source that tells what it is given, of alarms and of pages.
type past struct {
	episodes []alarms.Episode
	spans    []clock.Span
	err      error
	value    float64
	none     bool
}

func (p past) Preflight(context.Context, []alarms.Expectation) ([]alarms.Finding, error) {
	return nil, nil
}
func (p past) Watch(context.Context, func(alarms.Observation)) error { return nil }
func (p past) History(context.Context, clock.Span) ([]alarms.Episode, alarms.Coverage, error) {
	return p.episodes, alarms.Coverage{Spans: p.spans, Why: []string{"unreachable for a while"}}, p.err
}
func (p past) Query(context.Context, string) (float64, bool, error) { return p.value, !p.none, p.err }

type pagesPast struct {
	events []responders.Event
	spans  []clock.Span
	err    error
}

func (p pagesPast) Preflight(context.Context) ([]responders.Finding, error) { return nil, p.err }
func (p pagesPast) Watch(context.Context, func(responders.Event)) error     { return nil }
func (p pagesPast) History(context.Context, clock.Span) ([]responders.Event, responders.Coverage, error) {
	return p.events, responders.Coverage{Spans: p.spans, Why: []string{"unreachable for a while"}}, p.err
}

// serving is a source that knows something only while it serves.
type serving struct{ pagesPast }

func (serving) Start(context.Context) (string, error) { return "", nil }
func (serving) Stop() error                           { return nil }

var incidentNow = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

func alarmsOf(name string, p past) scenarios.AlarmSource {
	return scenarios.AlarmSource{Name: name, Kind: alarms.SourceKind{Name: "prometheus",
		Open: func(string, alarms.Config, map[string]string) (alarms.Source, error) { return p, nil }}}
}

func pagesOf(name string, src responders.Source) scenarios.ResponderSource {
	return scenarios.ResponderSource{Name: name, Kind: responders.SourceKind{Name: "pagerduty",
		Open: func(string, responders.Config) (responders.Source, error) { return src, nil }}}
}

// TestOpenIncidents asks sources of all sorts, and sees that what nobody can tell is said.
func TestOpenIncidents(t *testing.T) {
	all := []clock.Span{{Start: incidentNow.Add(-30 * 24 * time.Hour), End: incidentNow.Add(-time.Minute)}}
	gap := []clock.Span{{Start: incidentNow.Add(-30 * 24 * time.Hour), End: incidentNow.Add(-time.Hour)}}
	ago := func(d time.Duration) clock.Interval { return clock.At(incidentNow.Add(-d)) }
	page := func(id string, kind responders.Kind, d time.Duration) responders.Event {
		return responders.Event{Page: id, Kind: kind, At: ago(d), Labels: map[string]string{"alertname": "Down", "team": "shop"}}
	}
	open := pagesPast{events: []responders.Event{page("1", responders.Opened, time.Hour), page("1", responders.Acknowledged, time.Minute)}, spans: all}
	closed := pagesPast{events: []responders.Event{page("1", responders.Resolved, time.Minute), page("1", responders.Opened, time.Hour)}, spans: all}
	fires := past{episodes: []alarms.Episode{{Labels: map[string]string{"alertname": "Down", "severity": "page"}, Firing: ago(time.Hour)}}, spans: all}
	over := past{episodes: []alarms.Episode{{Labels: map[string]string{"alertname": "Down", "severity": "page"}, Firing: ago(time.Hour), Ended: ago(time.Minute)}}, spans: all}
	watch := func(source string, isAlarms bool, match map[string]string) []scenarios.Incident {
		return []scenarios.Incident{{Source: source, Alarms: isAlarms, Match: match}}
	}
	severe := map[string]string{"severity": "page"}
	tests := []struct {
		name          string
		s             scenarios.Scenario
		open, unknown string
	}{
		{"nothing is open", scenarios.Scenario{Responders: []scenarios.ResponderSource{pagesOf("ops", closed)}}, "", ""},
		{"a page is open", scenarios.Scenario{Responders: []scenarios.ResponderSource{pagesOf("ops", open)}}, "pagerduty.ops: page 1 is open (Down)", ""},
		{"a page of another team", scenarios.Scenario{Responders: []scenarios.ResponderSource{pagesOf("ops", open)}, Incidents: watch("pagerduty.ops", false, map[string]string{"team": "search"})}, "", ""},
		{"a page of this team", scenarios.Scenario{Responders: []scenarios.ResponderSource{pagesOf("ops", open)}, Incidents: watch("pagerduty.ops", false, map[string]string{"team": "shop"})}, "pagerduty.ops: page 1 is open (Down)", ""},
		{"another source is watched", scenarios.Scenario{Responders: []scenarios.ResponderSource{pagesOf("ops", open), pagesOf("dev", closed)}, Incidents: watch("pagerduty.dev", false, nil)}, "", ""},
		{"an alarm fires", scenarios.Scenario{AlarmSources: []scenarios.AlarmSource{alarmsOf("main", fires)}, Incidents: watch("prometheus.main", true, severe)}, "prometheus.main: alarm Down fires", ""},
		{"another alarm fires", scenarios.Scenario{AlarmSources: []scenarios.AlarmSource{alarmsOf("main", fires)}, Incidents: watch("prometheus.main", true, map[string]string{"severity": "info"})}, "", ""},
		{"an alarm fired", scenarios.Scenario{AlarmSources: []scenarios.AlarmSource{alarmsOf("main", over)}, Incidents: watch("prometheus.main", true, severe)}, "", ""},
		{"an alarm alone is no incident", scenarios.Scenario{AlarmSources: []scenarios.AlarmSource{alarmsOf("main", fires)}}, "", "has no source that could tell"},
		{"a gap", scenarios.Scenario{Responders: []scenarios.ResponderSource{pagesOf("ops", pagesPast{spans: gap})}}, "", "pagerduty.ops: its account has a gap: unreachable for a while"},
		{"a gap in alarms", scenarios.Scenario{AlarmSources: []scenarios.AlarmSource{alarmsOf("main", past{spans: gap})}, Incidents: watch("prometheus.main", true, severe)}, "", "its account has a gap"},
		{"not reached", scenarios.Scenario{Responders: []scenarios.ResponderSource{pagesOf("ops", pagesPast{spans: all, err: errors.New("refused")})}}, "", "pagerduty.ops: refused"},
		{"serves during a run alone", scenarios.Scenario{Responders: []scenarios.ResponderSource{pagesOf("ops", serving{closed})}}, "", "has no source that could tell"},
		{"serves, and is watched", scenarios.Scenario{Responders: []scenarios.ResponderSource{pagesOf("ops", serving{closed})}, Incidents: watch("pagerduty.ops", false, nil)}, "", "listens only while a run is in progress"},
		{"nobody to ask", scenarios.Scenario{Name: "x"}, "", "scenario x has no source"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			opened, unknown := OpenIncidents(t.Context(), &test.s, incidentNow)
			if diff := cmp.Diff(test.open, strings.Join(opened, "; ")); diff != "" {
				t.Errorf("open: %s", diff)
			}
			got := strings.Join(unknown, "; ")
			if !strings.Contains(got, test.unknown) || (test.unknown == "") != (got == "") {
				t.Errorf("unknown is %q; want %q", got, test.unknown)
			}
		})
	}
}

// TestBudgetLeft takes a value, and nothing else, for a value.
func TestBudgetLeft(t *testing.T) {
	ask := func(p past, source string) (float64, error) {
		return BudgetLeft(t.Context(), &scenarios.Scenario{AlarmSources: []scenarios.AlarmSource{alarmsOf("main", p)}}, source, "x")
	}
	if v, err := ask(past{value: 0.25}, "prometheus.main"); err != nil || v != 0.25 {
		t.Errorf("%v, %v", v, err)
	}
	for name, p := range map[string]past{"no value": {none: true}, "an error": {err: errors.New("refused")}} {
		if v, err := ask(p, "prometheus.main"); err == nil {
			t.Errorf("%s is taken for %v", name, v)
		}
	}
	if v, err := ask(past{}, "prometheus.other"); err == nil {
		t.Errorf("another source answers %v", v)
	}
}
