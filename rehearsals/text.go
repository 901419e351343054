package rehearsals

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"gameday/report"
)

// Text writes the scorecard over all for a terminal.
func Text(w io.Writer, c *Scorecard) error {
	var b strings.Builder
	head := strings.ToUpper(c.State.String())
	if c.Residue {
		head += ", RESIDUE"
	}
	fmt.Fprintf(&b, " %s   rehearsal %s   %s\n\n", head, report.PlainText(c.Rehearsal), c.Now.Format("2006-01-02 15:04:05 UTC"))
	for _, why := range c.Why {
		report.Paragraph(&b, "  –  ", report.PlainText(why))
	}
	if len(c.Why) > 0 {
		b.WriteByte('\n')
	}
	columns := []report.Column{{Head: "SCENARIO"}, {Head: "IS"}, {Head: "RUN"}, {Head: "SCORE", Right: true}, {Head: "COVERAGE", Right: true}, {Head: "AGO", Right: true}, {Head: "RECORD"}}
	var rows [][]string
	for i := range c.Steps {
		rows = append(rows, c.cells(&c.Steps[i]))
	}
	if err := report.Table(&b, columns, rows); err != nil {
		return fmt.Errorf("drawing the rehearsal: %w", err)
	}
	for _, s := range c.Steps {
		if n := len(s.Earlier); n > 0 {
			report.Paragraph(&b, "  –  ", report.PlainText(fmt.Sprintf("%s was run %s before: %s.", s.Scenario, times(n), earlier(s.Earlier))))
		}
		if s.Run != nil && s.Run.Overridden > 0 {
			report.Paragraph(&b, "  –  ", report.PlainText(fmt.Sprintf("%s: people decided about %d of its items in gameday's place.", s.Scenario, s.Run.Overridden)))
		}
	}
	if len(c.SignOffs) > 0 {
		b.WriteByte('\n')
		rows = nil
		for _, s := range c.SignOffs {
			rows = append(rows, []string{report.PlainText(s.Role), s.State.String(), report.PlainText(s.Text)})
		}
		if err := report.Table(&b, []report.Column{{Head: "SIGN-OFF"}, {Head: "IS"}, {Head: "", Width: 70}}, rows); err != nil {
			return fmt.Errorf("drawing the rehearsal: %w", err)
		}
	}
	if err := c.Compared.text(&b); err != nil {
		return err
	}
	fmt.Fprintf(&b, "\n what was seen  %s\n", c.Digest)
	_, err := io.WriteString(w, b.String())
	return err
}

func (c *Scorecard) cells(s *StepResult) []string {
	cells := []string{report.PlainText(s.Scenario), s.State.String(), "–", "–", "–", "–", "–"}
	r := s.Run
	if r == nil {
		return cells
	}
	cells[6] = report.PlainText(r.Record)
	switch {
	case r.Running:
		cells[2] = "goes on"
		return cells
	case r.Unread != "":
		cells[2] = "cannot be read"
		return cells
	}
	cells[2] = r.Verdict.String()
	if r.Residue {
		cells[2] += ", residue"
	}
	cells[3] = strings.ReplaceAll(span(r.Low, r.High), " and ", "–")
	cells[4] = fmt.Sprintf("%.0f %%", math.Floor(100*r.Coverage+rounding))
	if age := c.Now.Sub(r.Started); age >= 0 {
		cells[5] = days(age)
	}
	return cells
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// mostEarlier bounds how many earlier runs are told of one by one.
const mostEarlier = 5

func earlier(runs []RunRef) string {
	var words []string
	for i, r := range runs {
		if i == mostEarlier {
			words = append(words, fmt.Sprintf("and %d more", len(runs)-i))
			break
		}
		text := r.Record + " " + ended(r.Verdict)
		if r.Residue {
			text += " and left residue"
		}
		if r.Changed {
			text += ", before a change"
		}
		words = append(words, text)
	}
	return strings.Join(words, "; ")
}

// last returns when the newest run of the other rehearsal began.
func (c *Comparison) last() time.Time {
	var t time.Time
	for _, x := range c.Scenarios {
		if x.There.Started.After(t) {
			t = x.There.Started
		}
	}
	return t
}

// summary counts how scores differ.
func (c *Comparison) summary() string {
	n := map[Difference]int{}
	for _, x := range c.Scenarios {
		n[x.Score]++
	}
	var words []string
	for _, d := range []Difference{Better, Same, Worse, Unclear} {
		if n[d] > 0 {
			words = append(words, fmt.Sprintf("%d %s", n[d], d))
		}
	}
	return fmt.Sprintf("of %d scores here, %s", len(c.Scenarios), strings.Join(words, ", "))
}

func (c *Comparison) text(b *strings.Builder) error {
	if c == nil {
		return nil
	}
	b.WriteByte('\n')
	report.Paragraph(b, " ", report.PlainText(fmt.Sprintf("beside rehearsal %s, last run %s: %s", c.With, c.last().UTC().Format(time.DateOnly), c.summary())))
	var rows [][]string
	score := func(low, high float64) string { return strings.ReplaceAll(span(low, high), " and ", "–") }
	for _, x := range c.Scenarios {
		rows = append(rows, []string{report.PlainText(x.Scenario), "score", score(x.Here.Low, x.Here.High) + " " + x.Here.Verdict.String(),
			score(x.There.Low, x.There.High) + " " + x.There.Verdict.String(), string(x.Score)})
		for _, p := range x.Parts {
			if p.Is != Same {
				rows = append(rows, []string{"", string(p.Part), score(p.Here[0], p.Here[1]) + " %", score(p.There[0], p.There[1]) + " %", string(p.Is)})
			}
		}
	}
	if err := report.Table(b, []report.Column{{Head: "SCENARIO"}, {}, {Head: "HERE", Right: true}, {Head: "THERE", Right: true}, {Head: "HERE IS"}}, rows); err != nil {
		return fmt.Errorf("drawing the comparison: %w", err)
	}
	for _, x := range []struct {
		names []string
		where string
	}{{c.OnlyHere, "here alone"}, {c.OnlyThere, "there alone"}} {
		if len(x.names) > 0 {
			report.Paragraph(b, "  –  ", report.PlainText("run "+x.where+": "+strings.Join(x.names, ", ")+"."))
		}
	}
	return nil
}
