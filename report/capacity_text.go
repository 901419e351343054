package report

import (
	"fmt"
	"io"
	"math"
	"strings"

	"gameday/loadgen"
)

// barWidth is how many columns the picture of the curve takes.
const barWidth = 24

// CurveText writes a search's answer for a terminal, at most 100 columns wide: the capacity, the curve as a table and a
// picture, and the knee.
func CurveText(w io.Writer, c *Curve, o TextOptions) error {
	var b strings.Builder
	p := paint(o.Color)
	head := c.Headline()
	code := "1;33"
	if c.Found.Confirmed {
		code = "1;32"
	}
	fmt.Fprintf(&b, " %s   %s   %s   %s\n\n", p.color(code, "CAPACITY "+head), PlainText(c.Scenario),
		c.Started.Format("2006-01-02 15:04"),
		span(c.Length.Round(second)))
	if c.Fault != "" {
		Paragraph(&b, " With  ", "fault "+c.Fault+" standing throughout.")
	}
	Paragraph(&b, " Why   ", capital(c.Found.Why, true)+".")
	if c.Ended != "" {
		Paragraph(&b, "       ", "The run ended before its end: "+c.Ended+".")
	}
	for _, r := range c.Residue {
		Paragraph(&b, "       ", p.color("1;31", "RESIDUE")+": "+r+" still stands; `gameday revert` removes it.")
	}
	if c.Unseen != "" {
		Paragraph(&b, "       ", "It is not known that nothing is left: "+c.Unseen+".")
	}
	b.WriteByte('\n')
	if err := curveTable(&b, byRate(c.Points), p); err != nil {
		return fmt.Errorf("drawing the curve: %w", err)
	}
	if k := c.Knee; k != nil {
		b.WriteByte('\n')
		Paragraph(&b, " Knee  ", kneeWords(k))
	}
	for i, broke := range brokenBy(c.Points) {
		lead := "       "
		if i == 0 {
			b.WriteByte('\n')
			lead = " Broke "
		}
		Paragraph(&b, lead, broke)
	}
	if len(c.Remarks) > 0 {
		b.WriteString("\n Notes\n")
		for _, r := range c.Remarks {
			Paragraph(&b, "  –  ", r)
		}
	}
	if o.Record != "" {
		fmt.Fprintf(&b, "\n record %s", PlainText(o.Record))
		if o.Page {
			fmt.Fprintf(&b, "   picture %s/capacity.html", strings.TrimSuffix(PlainText(o.Record), "/"))
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func kneeWords(k *Knee) string {
	return fmt.Sprintf("at %s/s response times begin to climb: up to there the p95 grew by %s for each 10/s "+
		"more, beyond it by %s.", number(round3(k.Rate)),
		slope(k.Before), slope(k.After))
}

// round3 keeps three digits of a measured value.
func round3(v float64) float64 {
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return v
	}
	unit := math.Pow(10, math.Floor(math.Log10(math.Abs(v)))-2)
	return math.Round(v/unit) * unit
}

// slope prints by how much ten arrivals a second more change the p95.
func slope(s float64) string { return millis(10 * s) }

// millis prints seconds as people read them.
func millis(s float64) string {
	switch {
	case math.Abs(s) >= 10:
		return fmt.Sprintf("%.0f s", s)
	case math.Abs(s) >= 1:
		return fmt.Sprintf("%.2f s", s)
	case math.Abs(s) >= 0.01:
		return fmt.Sprintf("%.0f ms", s*1000)
	}
	return fmt.Sprintf("%.2g ms", s*1000)
}

// brokenBy says which objectives broke, and at which rates.
func brokenBy(points []CurvePoint) []string {
	rates := map[string][]string{}
	var order []string
	for _, p := range byRate(points) {
		if p.Outcome == loadgen.Held || p.Why == "" {
			continue
		}
		if rates[p.Why] == nil {
			order = append(order, p.Why)
		}
		rates[p.Why] = append(rates[p.Why], number(round3(p.Rate)))
	}
	var out []string
	for _, why := range order {
		out = append(out, fmt.Sprintf("%s, at %s/s", why, strings.Join(rates[why], ", ")))
	}
	return out
}

// curveTable draws the measured points, with a bar for each p95 on a scale of logarithms.
func curveTable(b *strings.Builder, points []CurvePoint, p paint) error {
	if len(points) == 0 {
		b.WriteString(" Nothing was measured.\n")
		return nil
	}
	var columns []Column
	for _, head := range []string{"RATE", "REACHED", "P50", "P95", "P99", "ERRORS"} {
		columns = append(columns, Column{Head: head, Right: true})
	}
	columns = append(columns, Column{}, Column{Head: "P95"})
	var rows [][]string
	low, high := math.Inf(1), 0.0
	for _, q := range points {
		if q.P95 > 0 {
			low, high = min(low, q.P95), max(high, q.P95)
		}
	}
	for _, q := range points {
		row := []string{number(round3(q.Rate)) + "/s", number(round3(q.Reached)) + "/s", millis(q.P50),
			millis(q.P95), millis(q.P99), percent(q.Errors),
			outcomeMark(q, p), bar(q.P95, low, high)}
		if q.Seconds == 0 {
			row[1], row[2], row[3], row[4], row[5] = "–", "–", "–", "–", "–"
		}
		rows = append(rows, row)
	}
	return Table(b, columns, rows)
}

func outcomeMark(q CurvePoint, p paint) string {
	word := string(q.Outcome)
	if q.Outcome == loadgen.Held && q.Kind == loadgen.Confirm {
		word = "held, confirmed"
	}
	switch q.Outcome {
	case loadgen.Broke:
		return p.color("31", word)
	case loadgen.Held:
		return word
	}
	return p.color("33", word)
}

// wide is from which ratio on of the highest to the lowest value bars go by logarithms; closer values go from 0 on.
const wide = 8

// bar draws a value between the lowest and the highest.
func bar(v, low, high float64) string {
	if !(v > 0) || !(high > 0) {
		return ""
	}
	const eighths = "▏▎▍▌▋▊▉█"
	part := v / high
	if high >= wide*low {
		part = 0.04 + 0.96*math.Log(v/low)/math.Log(high/low)
	}
	n := int(math.Round(part * barWidth * 8))
	out := strings.Repeat("█", n/8)
	if rest := n % 8; rest > 0 {
		out += string([]rune(eighths)[rest-1])
	}
	return out
}
