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
	columns := []report.Column{{Head: "BEGAN (UTC)"}, {Head: "SCENARIO", Width: 22}, {Head: "VERDICT"}, {Head: "SCORE", Right: true},
		{Head: "CAPACITY", Right: true}, {Head: "TTD", Right: true}, {Head: "TTR", Right: true}, {Head: "RECORD"}}
	var rows [][]string
	for i := range entries {
		e := &entries[i]
		rows = append(rows, []string{e.Started.UTC().Format("2006-01-02 15:04"), report.PlainText(e.Scenario), e.verdictWords(), e.scoreWords(),
			e.capacityWords(), longest(e.TTD), longest(e.TTR), report.PlainText(e.Folder)})
	}
	if err := report.Table(&b, columns, rows); err != nil {
		return fmt.Errorf("drawing the history: %w", err)
	}
	if err := trends(&b, entries); err != nil {
		return fmt.Errorf("drawing the history: %w", err)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (e *Entry) verdictWords() string {
	s := e.Verdict.String()
	if e.Residue {
		s += ", residue"
	}
	if e.End == report.EndInterrupted {
		s = "no end"
	}
	return s
}

func (e *Entry) scoreWords() string {
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
	y, _ := report.YardstickOf(report.TimeToDetect)
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
	return y.Amount(most)
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
		runs = runs[max(0, len(runs)-trendLength):]
		var scores, p95s []float64
		for i := range runs {
			scores, p95s = append(scores, runs[i].Low), append(p95s, orNaN(runs[i].P95))
		}
		p95 := ""
		if newest := runs[len(runs)-1].P95; newest != nil {
			y, _ := report.YardstickOf("p95")
			p95 = y.Amount(*newest)
		}
		rows = append(rows, []string{report.PlainText(name), report.Spark(scores), runs[len(runs)-1].scoreWords(), report.Spark(p95s), p95})
	}
	columns := []report.Column{{Head: "OLDEST TO NEWEST"}, {Head: "SCORE"}, {Right: true}, {Head: "P95"}, {Right: true}}
	return report.Table(b, columns, rows)
}

func orNaN(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}
