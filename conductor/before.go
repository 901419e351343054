package conductor

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/report"
	"gameday/scenarios"
)

// aftermath is how long after a game day alarms may still be its doing.
const aftermath = 10 * time.Minute

// before asks the sources that keep a history about the time before the run, in which nobody broke anything: how often what is
// expected comes by itself.
func (s *sources) before() {
	if s.run.Scenario.History == 0 {
		return
	}
	span := clock.Span{Start: s.run.rec.start.Add(-s.run.Scenario.History), End: s.run.rec.start}
	runs := pastRuns(s.run.Dir, span)
	for _, src := range s.alarms {
		past := report.AlarmPast{Source: src.id, Span: span, Runs: runs, Coverage: alarms.Coverage{Spans: []clock.Span{}}}
		if !slices.ContainsFunc(s.run.Scenario.Alarms, func(a scenarios.Alarm) bool { return a.Source == src.id && !a.Quiet }) {
			continue // it only pages
		}
		keeps, ok := src.Source.(alarms.Remembering)
		if !ok {
			past.Error = "what it kept of the time before a run is not read"
		} else if episodes, coverage, err := s.past(keeps, span); err != nil {
			past.Error = err.Error()
		} else {
			past.Episodes, past.Coverage = episodes, coverage
		}
		if tooLong(past) {
			past.Episodes, past.Coverage, past.Error = nil, alarms.Coverage{}, errTooLong.Error()
		}
		s.run.rec.add(report.AlarmBefore, past)
	}
}

// past asks one source, which has a time of its own for it.
func (s *sources) past(keeps alarms.Remembering, span clock.Span) ([]alarms.Episode, alarms.Coverage, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.run.ctx), askLimit)
	defer cancel()
	return keeps.Past(ctx, span)
}

// pastRuns returns the game days whose records lie beside that in dir and that may have raised alarms in the span, in order.
func pastRuns(dir string, span clock.Span) []report.PastRun {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil
	}
	entries, err := os.ReadDir(filepath.Dir(dir))
	if err != nil {
		return nil
	}
	var out []report.PastRun
	for _, e := range entries {
		beside := filepath.Join(filepath.Dir(dir), e.Name())
		if beside == dir || !e.IsDir() {
			continue
		}
		records, _, err := report.Folders(beside)
		if err != nil {
			continue
		}
		for _, r := range records {
			if lasted, err := lasted(r); err == nil {
				lasted.End = lasted.End.Add(aftermath)
				if lasted.Overlap(span).Length() > 0 {
					out = append(out, report.PastRun{Run: filepath.Base(r), Span: lasted})
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b report.PastRun) int {
		return cmp.Or(a.Span.Start.Compare(b.Span.Start), cmp.Compare(a.Run, b.Run))
	})
	return out
}

// recordTail is how much of a record's end is looked through for when its run ended.
const recordTail = 1 << 20

var errNoBegin = errors.New("the record has no begin")

// lasted returns when a run began and ended, without reading all of its record. Of one whose end is not among the last of it,
// the planned end counts, or the last second of traffic when that is later: it may have been held.
func lasted(dir string) (clock.Span, error) {
	var span clock.Span
	text, err := os.ReadFile(filepath.Join(dir, report.PlanFile))
	if err != nil {
		return span, err
	}
	var plan report.Plan
	if err := json.Unmarshal(text, &plan); err != nil {
		return span, err
	}
	f, err := os.Open(filepath.Join(dir, report.EventsFile))
	if err != nil {
		return span, err
	}
	defer f.Close()
	var first report.Event
	if err := json.NewDecoder(io.LimitReader(f, recordTail)).Decode(&first); err != nil {
		return span, err
	}
	if span.Start = first.At; span.Start.IsZero() {
		return span, errNoBegin
	}
	planned := time.Duration(0)
	for _, p := range plan.Phases {
		planned = max(planned, p.At+p.Length)
	}
	span.End = span.Start.Add(planned)
	info, err := f.Stat()
	if err != nil {
		return span, err
	}
	tail := make([]byte, min(info.Size(), recordTail))
	if _, err := f.ReadAt(tail, info.Size()-int64(len(tail))); err != nil {
		return span, err
	}
	var window []byte
	for line := range bytes.Lines(tail) {
		var e report.Event
		if bytes.Contains(line, []byte(`"kind":"`+report.WindowClosed+`"`)) && bytes.HasSuffix(line, []byte("\n")) {
			window = line
		}
		if bytes.Contains(line, []byte(`"`+report.RunEnded+`"`)) && json.Unmarshal(line, &e) == nil && e.Kind == report.RunEnded {
			span.End, window = e.At, nil
		}
	}
	var last report.Event
	if window != nil && json.Unmarshal(window, &last) == nil && last.At.After(span.End) {
		span.End = last.At
	}
	return span, nil
}
