package conductor

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"gameday/loadgen"
	"gameday/report"
	"gameday/scenarios"
)

// AskReplays asks for the series that streams replay and that are not known yet, and keeps them in the scenario, as
// MeasureBaselines does with 1x. It touches nothing.
func AskReplays(ctx context.Context, s *scenarios.Scenario) error {
	return Options{Scenario: s}.replays(ctx)
}

// findings are what was found out about one stream before a run.
type findings struct {
	Stream   string               `json:"stream"`
	Baseline *report.BaselinePlan `json:"baseline,omitempty"`
	// Program is of a series that a source was asked for, in arrivals per second.
	Program *loadgen.Program `json:"program,omitempty"`
}

// Answers returns what was found out before a run, a text for each stream of which something was: for a process that goes on
// with the same scenario. Inside a lab nobody outside of it can be asked, and runs that are compared want the same answers.
func Answers(s *scenarios.Scenario) ([]string, error) {
	var out []string
	for _, t := range s.Traffic {
		a := findings{Stream: t.Name, Baseline: t.Measured}
		if t.Replay != nil && t.Replay.Source != "" && t.Absolute {
			a.Program = &t.Program
		}
		if a.Baseline == nil && a.Program == nil {
			continue
		}
		b, err := json.Marshal(a)
		if err != nil {
			return nil, fmt.Errorf("handing on what was asked: %w", err)
		}
		out = append(out, string(b))
	}
	return out, nil
}

// TakeAnswers takes what Answers returned.
func TakeAnswers(s *scenarios.Scenario, texts []string) error {
	for _, text := range texts {
		var a findings
		if err := json.Unmarshal([]byte(text), &a); err != nil {
			return fmt.Errorf("taking what was asked: %w", err)
		}
		i := slices.IndexFunc(s.Traffic, func(t scenarios.Traffic) bool { return t.Name == a.Stream })
		if i < 0 {
			continue
		}
		t := &s.Traffic[i]
		if t.Baseline != nil && a.Baseline != nil {
			t.Measured, t.Rate = a.Baseline, a.Baseline.Rate()
		}
		if t.Pending() && a.Program != nil {
			t.Program, t.Absolute = *a.Program, true
		}
	}
	return nil
}

// asksBefore reports whether a source is asked before a run: for 1x, or for what is replayed.
func asksBefore(s *scenarios.Scenario, id string) bool {
	return slices.ContainsFunc(s.Traffic, func(t scenarios.Traffic) bool {
		return t.Baseline != nil && t.Baseline.Source == id || t.Replay != nil && t.Replay.Source == id
	})
}

// asksMeanwhile reports whether a source is asked during a run: an alarm or an indicator comes from it.
func asksMeanwhile(s *scenarios.Scenario, id string) bool {
	return slices.ContainsFunc(s.Alarms, func(a scenarios.Alarm) bool { return a.Source == id || a.PagesVia == id }) ||
		slices.ContainsFunc(s.SLIs, func(o scenarios.OwnSLI) bool { return o.Source == id })
}

// onlyBefore reports whether a source is asked before a run and not during it.
func onlyBefore(s *scenarios.Scenario, id string) bool {
	return asksBefore(s, id) && !asksMeanwhile(s, id)
}

// outside adds to a source's error, when the scenario has a lab, from where it is asked.
func outside(s *scenarios.Scenario, err error) error {
	if err == nil || s.Lab == nil {
		return err
	}
	end := "."
	if strings.HasSuffix(err.Error(), "?") {
		end = ""
	}
	return fmt.Errorf("%w%s It is asked from outside of the lab: a server that the lab brings up has no past to tell", err, end)
}
