// Package judgerig scores, for tests of sources, what a source tells of a run that never ran: one fault, one alarm, one page.
package judgerig

import (
	"encoding/json"
	"testing"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/faults"
	"gameday/report"
	"gameday/responders"
)

// Run is a run with one fault, named fault.cut. Its alarm is told of by the source alarms.under, and is expected within a minute of
// the onset, to page within two, and to clear within two of the fault's end.
type Run struct {
	Start, Onset, Gone, End time.Time
	Alarm                   alarms.Expectation
}

// Around returns a run of twelve minutes with a fault in its second to sixth.
func Around(onset time.Time, e alarms.Expectation) Run {
	return Run{Start: onset.Add(-2 * time.Minute), Onset: onset, Gone: onset.Add(4 * time.Minute), End: onset.Add(10 * time.Minute), Alarm: e}
}

// Span is the whole run.
func (r Run) Span() clock.Span { return clock.Span{Start: r.Start, End: r.End} }

// The names of the sources, for a plan.
const (
	Under   = "alarms.under.test"
	PagedBy = "responders.under.test"
)

// plan is what is expected.
func (r Run) plan() *report.Plan {
	return &report.Plan{Scenario: "rig", Phases: []report.PhasePlan{{Phase: report.Load, Length: r.End.Sub(r.Start)}},
		Faults: []report.FaultPlan{{Name: "fault.cut", Kind: "network_partition"}},
		Alarms: []report.AlarmPlan{{Name: r.Alarm.Name, Source: Under, Match: r.Alarm.Match, Cause: "fault.cut", FiresWithin: time.Minute,
			PagesVia: Under, PagesWithin: 2 * time.Minute, ClearsWithin: 2 * time.Minute}}}
}

// record puts a record together.
func (r Run) record(t testing.TB, plan *report.Plan, more ...report.Event) *report.Record {
	t.Helper()
	rec := &report.Record{Plan: plan}
	add := func(at time.Time, kind report.EventKind, data any) {
		raw, err := json.Marshal(data)
		if err != nil {
			t.Fatal(err)
		}
		rec.Events = append(rec.Events, report.Event{Seq: uint64(len(rec.Events) + 1), At: at, T: at.Sub(r.Start), Kind: kind, Data: raw})
	}
	in := report.Injection{ID: "1", Fault: "fault.cut", Kind: "network_partition", Place: "a"}
	add(r.Start, report.RunStarted, report.Started{Run: "rig", At: r.Start})
	add(r.Onset.Add(-10*time.Millisecond), report.Injecting, in)
	in.Onset, in.Effect = clock.Between(r.Onset.Add(-10*time.Millisecond), r.Onset), &faults.Effect{Proven: true, Summary: "cut"}
	add(r.Onset, report.Injected, in)
	in.Onset, in.Effect = clock.Interval{}, nil
	add(r.Gone, report.Reverting, in)
	in.Gone = clock.Between(r.Gone, r.Gone.Add(10*time.Millisecond))
	add(r.Gone.Add(10*time.Millisecond), report.Reverted, in)
	for _, e := range more {
		add(r.End, e.Kind, e.Data)
	}
	add(r.End, report.RunEnded, report.Ended{Reason: report.EndComplete})
	return rec
}

func event(t testing.TB, kind report.EventKind, data any) report.Event {
	t.Helper()
	raw, err := json.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	return report.Event{Kind: kind, Data: raw}
}

// Alarms asks a source for the run and returns the items by what they are of the alarm: "fired", "paged", "cleared". findings are
// those of its preflight.
func (r Run) Alarms(t testing.TB, src alarms.Source, findings []alarms.Finding) map[string]*report.Item {
	t.Helper()
	var more []report.Event
	for _, f := range findings {
		more = append(more, event(t, report.PreflightFound, report.Found{What: Under, Blocks: f.Blocks, Summary: f.Summary, Detail: f.Detail, Absent: f.Absent}))
	}
	episodes, coverage, err := src.History(t.Context(), r.Span())
	told := report.AlarmRecord{Source: Under, Span: r.Span(), Episodes: episodes, Coverage: coverage}
	if err != nil {
		told.Error = err.Error()
	}
	return items(r.record(t, r.plan(), append(more, event(t, report.AlarmHistory, told))...), "alarm."+r.Alarm.Name+".")
}

// Responses asks a source of responses for the run, in which the alarm fired after ten seconds, and returns the items of a
// response: "acknowledge", "escalate", "resolve".
func (r Run) Responses(t testing.TB, src responders.Source, want report.ResponsePlan) map[string]*report.Item {
	t.Helper()
	plan := r.plan()
	plan.Alarms[0].PagesVia, plan.Alarms[0].PagesWithin = "", 0
	want.Name, want.Source, want.To = "rig", PagedBy, r.Alarm.Name
	plan.Responses = []report.ResponsePlan{want}
	fired := alarms.Episode{Source: Under, Key: "k", Labels: r.Alarm.Match, Firing: clock.At(r.Onset.Add(10 * time.Second)), Ended: clock.At(r.Gone.Add(10 * time.Second))}
	events, coverage, err := src.History(t.Context(), r.Span())
	told := report.ResponseAccount{Source: PagedBy, Span: r.Span(), Events: events, Coverage: coverage}
	if err != nil {
		told.Error = err.Error()
	}
	return items(r.record(t, plan,
		event(t, report.AlarmHistory, report.AlarmRecord{Source: Under, Span: r.Span(), Episodes: []alarms.Episode{fired},
			Coverage: alarms.Coverage{Spans: []clock.Span{r.Span()}, Resolution: time.Second}}),
		event(t, report.ResponseRecord, told)), "response.rig.")
}

// items scores a record and returns those of its items whose names begin so, by the rest of their names.
func items(rec *report.Record, prefix string) map[string]*report.Item {
	out := map[string]*report.Item{}
	for _, it := range report.Score(rec).Items() {
		if len(it.ID) > len(prefix) && it.ID[:len(prefix)] == prefix {
			out[it.ID[len(prefix):]] = it
		}
	}
	return out
}
