package trends

import (
	"fmt"
	"io"
	"strings"

	"gameday/report"
)

// Text writes the trends for a terminal, at most 100 columns wide but for names that are longer than most.
func Text(w io.Writer, t *Trends) error {
	var b strings.Builder
	for _, draw := range []func(*strings.Builder, *Trends) error{drawScenarios, drawSeries, drawAlarms} {
		if err := draw(&b, t); err != nil {
			return fmt.Errorf("drawing the trends: %w", err)
		}
	}
	if len(t.Skipped) > 0 {
		b.WriteString("\n Left out\n")
		for _, s := range t.Skipped {
			report.Paragraph(&b, "  –  ", s.Folder+": "+s.Why)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func drawScenarios(b *strings.Builder, t *Trends) error {
	if len(t.Scenarios) == 0 {
		b.WriteString(" There is no run.\n")
		return nil
	}
	columns := []report.Column{{Head: "SCENARIO", Width: 26}, {Head: "RUNS", Right: true}, {Head: "PASSED", Right: true},
		{Head: "LAST RUN"}, {Head: "VERDICT"}, {Head: "LAST PASSED"}, {Head: "THAT WAS"}}
	var rows [][]string
	for i := range t.Scenarios {
		s := &t.Scenarios[i]
		rows = append(rows, []string{report.PlainText(s.nameWords()), fmt.Sprint(s.Runs), fmt.Sprint(s.Passed), s.Last.dateWords(),
			s.Last.verdictWords(), s.LastPassed.dateWords(), s.sinceWords()})
	}
	return report.Table(b, columns, rows)
}

func drawSeries(b *strings.Builder, t *Trends) error {
	if len(t.Series) == 0 {
		return nil
	}
	columns := []report.Column{{Head: "TIMES", Width: 26}, {Head: "N", Width: 12}, {Head: "MEDIAN", Right: true},
		{Head: "LEAST", Right: true}, {Head: "MOST", Right: true}, {Head: "NEWER RUNS", Width: 19}}
	var rows [][]string
	scenario := ""
	for i := range t.Series {
		s := &t.Series[i]
		if s.Scenario != scenario || i == 0 {
			scenario = s.Scenario
			rows = append(rows, []string{report.PlainText(scenario), "", "", "", "", ""})
		}
		rows = append(rows, []string{"  " + report.PlainText(s.Of) + " " + s.Kind.verb(), s.ofWords(), s.Median.words(),
			s.Min.words(), s.Max.words(), s.wayWords()})
	}
	b.WriteByte('\n')
	return report.Table(b, columns, rows)
}

// verb is what became of the thing that a series is of; its name stands before it.
func (k Kind) verb() string {
	switch k {
	case DetectFault:
		return "(fault) detected"
	case DetectAlarm:
		return "fired"
	case AckFault:
		return "(fault) acknowledged"
	}
	return "acknowledged"
}

func drawAlarms(b *strings.Builder, t *Trends) error {
	b.WriteString("\n " + t.exercisedWords() + "\n")
	if len(t.Alarms) == 0 {
		return nil
	}
	b.WriteByte('\n')
	columns := []report.Column{{Head: "ALARM", Width: 28}, {Head: "SOURCE", Width: 20}, {Head: "EXPECTED", Right: true},
		{Head: "FIRED", Right: true}, {Head: "NOT", Right: true}, {Head: "UNKNOWN", Right: true}, {Head: "LAST FIRED"}}
	var rows [][]string
	for i := range t.Alarms {
		a := &t.Alarms[i]
		rows = append(rows, []string{report.PlainText(a.Name), report.PlainText(a.Source), fmt.Sprint(a.Expected),
			fmt.Sprint(a.Fired), fmt.Sprint(a.Never), fmt.Sprint(a.Unknown), a.lastWords()})
	}
	return report.Table(b, columns, rows)
}
