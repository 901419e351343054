// Package callrig has records of runs that never took place, in which one alarm fired and a source of responses tells what a
// test has it tell: for tests that what a source says comes to the right score.
package callrig

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

// The times of a run, from its begin: when the fault takes effect, and when its alarm fires, known to half a second.
const (
	Onset = 20 * time.Second
	Fired = 30 * time.Second
)

// AlarmName is the label alertname of the alarm.
const AlarmName = "PaymentsDown"

// Run is a run with one fault and one alarm, which fired.
type Run struct {
	Began  time.Time
	Length time.Duration
	// Asks is what is asked of people. Its Source and To are set.
	Asks report.ResponsePlan
}

// Span is the time of the run, for which sources are asked at its end.
func (r Run) Span() clock.Span { return clock.Span{Start: r.Began, End: r.Began.Add(r.Length)} }

// Score scores the run, of which a source of that name gave an account.
func (r Run) Score(t testing.TB, source string, events []responders.Event, coverage responders.Coverage, failure error) *report.Scorecard {
	t.Helper()
	rec := &report.Record{Plan: r.plan(source)}
	add := func(at time.Duration, kind report.EventKind, data any) {
		raw, err := json.Marshal(data)
		if err != nil {
			t.Fatal(err)
		}
		rec.Events = append(rec.Events, report.Event{Seq: uint64(len(rec.Events) + 1), At: r.Began.Add(at), T: at, Kind: kind, Data: raw})
	}
	add(0, report.RunStarted, report.Started{Run: "call", Version: "1", At: r.Began})
	for _, p := range rec.Plan.Phases {
		add(p.At, report.PhaseStarted, report.PhaseChange{Phase: p.Phase})
		add(p.At+p.Length, report.PhaseEnded, report.PhaseChange{Phase: p.Phase})
	}
	in := report.Injection{ID: "cut.1", Fault: "cut", Kind: "network_partition", Place: "payments"}
	add(Onset, report.Injecting, in)
	in.Onset, in.Effect = clock.At(r.Began.Add(Onset)), &faults.Effect{Proven: true, Summary: "12 packets dropped"}
	add(Onset, report.Injected, in)
	in.Onset, in.Effect = clock.Interval{}, nil
	add(r.Length-10*time.Second, report.Reverting, in)
	in.Gone = clock.At(r.Began.Add(r.Length - 10*time.Second))
	add(r.Length-10*time.Second, report.Reverted, in)
	whole := r.Span()
	near := func(at time.Duration) clock.Interval { return clock.At(r.Began.Add(at)).Widen(time.Second / 2) }
	add(r.Length, report.AlarmHistory, report.AlarmRecord{Source: "prometheus.main", Span: whole,
		Coverage: alarms.Coverage{Spans: []clock.Span{whole}, Resolution: time.Second},
		Episodes: []alarms.Episode{{Source: "prometheus.main", Key: AlarmName, Labels: map[string]string{"alertname": AlarmName},
			Pending: near(Onset + 2*time.Second), Firing: near(Fired)}}})
	account := report.ResponseAccount{Source: source, Span: whole, Events: events, Coverage: coverage}
	if failure != nil {
		account.Events, account.Coverage, account.Error = nil, responders.Coverage{}, failure.Error()
	}
	add(r.Length, report.ResponseRecord, account)
	add(r.Length, report.RunEnded, report.Ended{Reason: report.EndComplete})
	return report.Score(rec)
}

func (r Run) plan(source string) *report.Plan {
	asks := r.Asks
	asks.Name, asks.Source, asks.To = "on-call", source, "Down"
	return &report.Plan{Scenario: "call", File: "call.hcl",
		Phases: []report.PhasePlan{{Phase: report.Baseline, Length: 10 * time.Second},
			{Phase: report.Load, At: 10 * time.Second, Length: r.Length - 10*time.Second}},
		Faults: []report.FaultPlan{{Name: "cut", Kind: "network_partition", Targets: []string{"payments"}, At: Onset,
			Duration: r.Length - 10*time.Second - Onset, Reversible: true, Lease: 10 * time.Second}},
		Alarms: []report.AlarmPlan{{Name: "Down", Source: "prometheus.main", Match: map[string]string{"alertname": AlarmName}, Cause: "cut",
			FiresWithin: time.Minute, Weight: 1}},
		Responses: []report.ResponsePlan{asks},
		Score:     report.ScorePlan{Pass: 80, Weights: report.DefaultWeights()}}
}

// Item returns the item of the response: "acknowledge", "mark.bridge opened".
func Item(t testing.TB, card *report.Scorecard, id string) report.Item {
	t.Helper()
	for _, p := range card.Parts {
		for _, it := range p.Items {
			if it.ID == "response.on-call."+id {
				return it
			}
		}
	}
	t.Fatalf("the scorecard has no item %s", id)
	return report.Item{}
}
