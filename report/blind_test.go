package report

import (
	"slices"
	"testing"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/responders"
)

// TestCompleteAlarms gives a later answer the pages that only somebody who watched could see, and finds out when it cannot.
func TestCompleteAlarms(t *testing.T) {
	zero := time.Date(2026, 11, 20, 14, 0, 0, 0, time.UTC)
	at := func(sec int) time.Time { return zero.Add(time.Duration(sec) * time.Second) }
	span := func(a, b int) clock.Span { return clock.Span{Start: at(a), End: at(b)} }
	blind := func(spans ...clock.Span) []alarms.Blind {
		return []alarms.Blind{{To: alarms.StatePaged, Spans: spans, Why: "nobody watched"}, {To: alarms.StatePaged, Spans: spans, Why: "for two reasons"}}
	}
	fired := func(key string, sec int) alarms.Episode {
		return alarms.Episode{Key: key, Labels: map[string]string{"alertname": key}, Firing: clock.At(at(sec))}
	}
	paged := fired("Down", 50)
	paged.Paged, paged.SuppressedBy = clock.At(at(55)), []string{"a downtime"}
	tl := &Timeline{Start: at(0), End: at(100), Alarms: []alarmAccount{{Source: "datadog.main", Episodes: []episode{{Episode: paged}},
		Coverage: alarms.Coverage{Spans: []clock.Span{span(0, 100)}, Blind: []alarms.Blind{{To: alarms.StatePaged, Spans: []clock.Span{span(90, 100)}, Why: "not complete yet"}}}}}}
	for name, c := range map[string]struct {
		source   string
		episodes []alarms.Episode
		blind    []alarms.Blind
		paged    bool
		lost     string
		left     []clock.Span
	}{
		"blind to all":              {"datadog.main", []alarms.Episode{fired("Down", 50), fired("Late", 120)}, blind(span(-60, 200)), true, "", []clock.Span{span(-60, 0), span(90, 200)}},
		"blind to nothing":          {"datadog.main", []alarms.Episode{fired("Down", 50)}, nil, false, "", nil},
		"of another time":           {"datadog.main", []alarms.Episode{fired("Down", 80)}, blind(span(-60, 200)), false, "paged", []clock.Span{span(-60, 200)}},
		"not told of any more":      {"datadog.main", nil, blind(span(-60, 200)), false, "paged", []clock.Span{span(-60, 200)}},
		"blind after the run":       {"datadog.main", []alarms.Episode{fired("Down", 50)}, blind(span(95, 200)), true, "", []clock.Span{span(95, 200)}},
		"of which nothing is known": {"datadog.other", []alarms.Episode{fired("Down", 50)}, blind(span(-60, 200)), false, "", []clock.Span{span(-60, 200)}},
	} {
		given := slices.Clone(c.episodes)
		got, lost := tl.CompleteAlarms(AlarmRecord{Source: c.source, Episodes: c.episodes, Coverage: alarms.Coverage{Spans: []clock.Span{span(-60, 200)}, Blind: c.blind}})
		if lost != c.lost {
			t.Errorf("%s: lost %q, want %q", name, lost, c.lost)
		}
		if len(got.Episodes) > 0 && (!got.Episodes[0].Paged.IsZero()) != c.paged {
			t.Errorf("%s: %+v", name, got.Episodes[0])
		}
		for _, b := range got.Coverage.Blind {
			if !slices.Equal(b.Spans, c.left) {
				t.Errorf("%s: blind at %v, want %v", name, b.Spans, c.left)
			}
		}
		if len(c.left) > 0 && len(got.Coverage.Blind) != 2 {
			t.Errorf("%s: %+v", name, got.Coverage.Blind)
		}
		for i := range given {
			if given[i].Paged != c.episodes[i].Paged {
				t.Errorf("%s: the answer itself was changed", name)
			}
		}
	}
}

// TestCompleteResponses does the same for what people did.
func TestCompleteResponses(t *testing.T) {
	zero := time.Date(2026, 11, 20, 14, 0, 0, 0, time.UTC)
	at := func(sec int) time.Time { return zero.Add(time.Duration(sec) * time.Second) }
	span := func(a, b int) clock.Span { return clock.Span{Start: at(a), End: at(b)} }
	event := func(kind responders.Kind, sec int) responders.Event {
		return responders.Event{ID: "I1/" + string(kind), Page: "I1", Kind: kind, At: clock.At(at(sec))}
	}
	tl := &Timeline{Start: at(0), End: at(100), Responses: []responseAccount{{Source: "grafana_irm.ops", Line: 7,
		Events:   []responseEvent{{Event: event(responders.Opened, 10), line: 5}, {Event: event(responders.Acknowledged, 20), line: 6}},
		Coverage: responders.Coverage{Spans: []clock.Span{span(0, 90)}}}}}
	whole := responders.Coverage{Spans: []clock.Span{span(0, 200)}, Blind: []responders.Blind{{To: responders.Acknowledged, Spans: []clock.Span{span(0, 200)}, Why: "nobody watched"}}}
	got, lost := tl.CompleteResponses(ResponseAccount{Source: "grafana_irm.ops", Events: []responders.Event{event(responders.Opened, 10)}, Coverage: whole})
	if lost != "" || len(got.Events) != 2 || got.Events[1].Kind != responders.Acknowledged || !slices.Equal(got.Coverage.Blind[0].Spans, []clock.Span{span(90, 200)}) {
		t.Errorf("%+v, lost %q", got, lost)
	}
	if whole.Blind[0].Spans[0] != span(0, 200) {
		t.Error("the answer itself was changed")
	}
	whole.Spans = []clock.Span{span(50, 200)}
	if _, lost := tl.CompleteResponses(ResponseAccount{Source: "grafana_irm.ops", Coverage: whole}); lost != "acknowledged" {
		t.Errorf("lost %q of what it covers less of", lost)
	}
	if got, lost := tl.CompleteResponses(ResponseAccount{Source: "other", Coverage: whole}); lost != "" || len(got.Coverage.Blind) != 1 {
		t.Errorf("%+v, lost %q", got, lost)
	}
}
