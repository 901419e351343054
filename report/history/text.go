package history

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"gameday/report"
)

// trendLength is how many runs a row of bars shows at most, the newest.
const trendLength = 30

// Text writes the history for a terminal: a line a run, then each scenario's score and p95 over its runs.
func Text(w io.Writer, entries []Entry) error {
	var b strings.Builder
	columns := []report.Column{{Head: "BEGAN (UTC)"}, {Head: "SCENARIO", Width: 22}, {Head: "VERDICT"}, {Head: "SCORE",
		Right: true},
		{Head: "CAPACITY", Right: true}, {Head: "TTD", Right: true}, {Head: "TTR", Right: true}, {Head: "RECORD"}}
	var rows [][]string
	for i := range entries {
		e := &entries[i]
		rows = append(rows, []string{e.Started.UTC().Format("2006-01-02 15:04"), report.PlainText(e.Scenario),
			e.verdictWords(), e.scoreWords(),
			e.capacityWords(), longest(e.TTD), longest(e.TTR), report.PlainText(e.Folder)})
	}
	if err := report.Table(&b, columns, rows); err != nil {
		return fmt.Errorf("drawing the history: %w", err)
	}
	if err := trends(&b, entries); err != nil {
		return fmt.Errorf("drawing the history: %w", err)
	}
	neverFired(&b, entries)
	_, err := io.WriteString(w, b.String())
	return err
}

func (e *Entry) verdictWords() string {
	s := e.Verdict.String()
	if e.Search {
		s = "searched"
	}
	if e.Residue {
		s += ", residue"
	}
	if e.End == report.EndInterrupted {
		s = "no end"
	}
	return s
}

func (e *Entry) scoreWords() string {
	if e.Search {
		return "–"
	}
	lo, hi := math.Floor(e.Low+1e-6), math.Floor(e.High+1e-6)
	if lo == hi {
		return fmt.Sprintf("%.0f", lo)
	}
	return fmt.Sprintf("%.0f–%.0f", lo, hi)
}

func (e *Entry) capacityWords() string {
	if e.Capacity == nil {
		return "–"
	}
	s := fmt.Sprintf("%.0f/s", *e.Capacity)
	if e.AtLeast {
		return "≥ " + s
	}
	return s
}

// longest prints the longest of several times: what never came about, or is unknown, is longer than any.
func longest(ts []Time) string {
	if len(ts) == 0 {
		return "–"
	}
	most := 0.0
	unknown := false
	for _, t := range ts {
		switch {
		case t.Never:
			return "never"
		case t.Seconds == nil:
			unknown = true
		default:
			most = max(most, *t.Seconds)
		}
	}
	if unknown {
		return "?"
	}
	return amount(report.TimeToDetect, &most)
}

// trends writes each scenario's score and p95 over its runs, from the oldest to the newest.
func trends(b *strings.Builder, entries []Entry) error {
	by := map[string][]Entry{}
	var names []string
	for _, e := range slices.Backward(entries) {
		if by[e.Scenario] == nil {
			names = append(names, e.Scenario)
		}
		by[e.Scenario] = append(by[e.Scenario], e)
	}
	slices.Sort(names)
	if len(names) > 0 {
		b.WriteByte('\n')
	}
	var rows [][]string
	for _, name := range names {
		runs := by[name]
		var scores, p95s, capacities trend
		for i := range runs {
			e := &runs[i]
			if !e.Search {
				low := &e.Low
				if e.Low == 0 && e.High >= 100 { // nothing could be judged: that is no score of 0
					low = nil
				}
				scores.add(low, e.scoreWords())
				p95s.add(e.P95, amount("p95", e.P95))
			}
			if e.Search || e.Capacity != nil {
				capacities.add(e.Capacity, e.capacityWords())
			}
		}
		rows = append(rows, append([]string{report.PlainText(name)}, slices.Concat(scores.cells(), p95s.cells(),
			capacities.cells())...))
	}
	columns := []report.Column{{Head: "OLDEST TO NEWEST"}, {Head: "SCORE"}, {Right: true}, {Head: "P95"}, {Right: true},
		{Head: "CAPACITY"}, {Right: true}}
	return report.Table(b, columns, rows)
}

// trend is one figure over a scenario's runs.
type trend struct {
	values []float64
	newest string
}

// add adds the next run's figure; nil is unknown.
func (t *trend) add(v *float64, words string) {
	value := math.NaN()
	if v != nil {
		value = *v
	}
	t.values, t.newest = append(t.values, value), words
}

// cells draws the figures of the newest runs, and prints that of the newest.
func (t *trend) cells() []string {
	return []string{report.Spark(t.values[max(0, len(t.values)-trendLength):]), t.newest}
}

// amount prints a yardstick's value, if there is one.
func amount(yardstick string, v *float64) string {
	if v == nil {
		return "?"
	}
	y, _ := report.YardstickOf(yardstick)
	return y.Amount(*v)
}
