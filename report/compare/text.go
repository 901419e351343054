package compare

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"gameday/report"
)

// TextOptions say how a comparison for the terminal looks.
type TextOptions struct {
	Color bool // adds ANSI colours; nothing needs them to be understood
	All   bool // prints every row, and not only those that count or differ
}

// Text writes the comparison for a terminal, at most 100 columns wide.
func Text(w io.Writer, c *Comparison, o TextOptions) error {
	var b strings.Builder
	fmt.Fprintf(&b, " %s   %s   %s\n\n", paint(o.Color, c.Verdict), report.PlainText(c.Scenario), c.sizeWords())
	for i, why := range c.Why {
		head := " Why: "
		if i > 0 {
			head = "      "
		}
		report.Paragraph(&b, head, why)
	}
	b.WriteByte('\n')
	shown, hidden := c.shown(o.All)
	if err := Rows(&b, shown, o.Color); err != nil {
		return fmt.Errorf("drawing the comparison: %w", err)
	}
	if hidden != "" {
		report.Paragraph(&b, " ", hidden)
	}
	if len(c.Warnings) > 0 {
		b.WriteString("\n Beware\n")
		for _, warning := range c.Warnings {
			report.Paragraph(&b, "  –  ", warning)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// sizeWords says how much was compared.
func (c *Comparison) sizeWords() string {
	if c.Pairs > 0 {
		return fmt.Sprintf("%d of at most %d pairs of runs", c.Pairs, c.MostPairs)
	}
	return fmt.Sprintf("base %s, head %s", runsWords(len(c.Base)), runsWords(len(c.Head)))
}

func runsWords(n int) string {
	if n == 1 {
		return "1 run"
	}
	return fmt.Sprintf("%d runs", n)
}

// shown returns the rows to print: all, or those that count, those that differ, and what a run tells once; with what is
// to be said of the rest.
func (c *Comparison) shown(all bool) (rows []Row, hidden string) {
	left := map[Verdict]int{}
	for _, r := range c.Rows {
		if all || r.Counts || r.Verdict == Worse || r.Verdict == Better || r.Stretch == "" {
			rows = append(rows, r)
			continue
		}
		left[r.Verdict]++
	}
	if n := left[Same] + left[Unknown]; n > 0 {
		hidden = fmt.Sprintf("%d more that do not count: %d the same, %d unknown. --all shows them.", n, left[Same],
			left[Unknown])
	}
	return rows, hidden
}

// Rows draws a table of rows, with the reasons of what is unknown below it.
func Rows(b *strings.Builder, rows []Row, color bool) error {
	columns := []report.Column{{Width: 26}, {Head: "BASE", Right: true}, {Head: "HEAD", Right: true},
		{Head: "DIFFERENCE", Width: 26}, {Head: "TOLERATED", Width: 14}, {}}
	var cells [][]string
	where := ""
	var notes []string
	for i := range rows {
		r := &rows[i]
		if r.where() != where {
			where = r.where()
			cells = append(cells, []string{report.PlainText(where), "", "", "", "", ""})
		}
		verdict := r.verdictWords()
		if r.Why != "" && r.Verdict == Unknown {
			n := noteNumber(&notes, r.Why)
			verdict = fmt.Sprintf("%s [%d]", verdict, n)
		}
		cells = append(cells, []string{"  " + report.PlainText(r.what()), r.Base.words(*r), r.Head.words(*r),
			r.differenceWords(),
			strings.ReplaceAll(r.yardstick().Words(r.Tolerance), " and ", ", "), paintWords(color, r.Verdict, verdict)})
	}
	if err := report.Table(b, columns, cells); err != nil {
		return err
	}
	for i, n := range notes {
		report.Paragraph(b, fmt.Sprintf(" [%d] ", i+1), n)
	}
	return nil
}

// noteNumber returns the number of a note, from 1. The same words share one.
func noteNumber(notes *[]string, words string) int {
	for i, n := range *notes {
		if n == words {
			return i + 1
		}
	}
	*notes = append(*notes, words)
	return len(*notes)
}

func paint(color bool, v Verdict) string { return paintWords(color, v, strings.ToUpper(v.String())) }

func paintWords(color bool, v Verdict, s string) string {
	code := map[Verdict]string{Worse: "1;31", Better: "1;32", Unknown: "33"}[v]
	if !color || code == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// JSON writes a comparison, or what else has a JSON form, as one indented document.
func JSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("writing the comparison as JSON: %w", err)
	}
	return nil
}
