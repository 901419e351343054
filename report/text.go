package report

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"gameday/clock"
)

// textWidth is how many columns a report for the terminal takes at most.
const textWidth = 100

// TextOptions say how a report for the terminal looks.
type TextOptions struct {
	// Color adds ANSI colours. Nothing needs them to be understood.
	Color bool
	// Record is the folder to name in the last line; without it there is no such line.
	Record string
	// Page says that the report's page was written to the record's folder, as report.html; the last line then names it.
	Page bool
	// Raw has Explain print the lines of the record that evidence comes from.
	Raw bool
}

// Text writes the scorecard for a terminal, at most 100 columns wide.
func Text(w io.Writer, c *Scorecard, o TextOptions) error {
	var b strings.Builder
	p := paint(o.Color)
	fmt.Fprintf(&b, " %s   %s   coverage %s   %s   %s   %s\n\n", p.verdict(c), scoreWords(c), share(c.Coverage),
		PlainText(c.Scenario),
		c.Started.In(c.tl.zone()).Format("2006-01-02 15:04"), span(c.Length.Round(second)))
	for i, why := range c.Why {
		head := " Why: "
		if i > 0 {
			head = "      "
		}
		Paragraph(&b, head, capital(why, i > 0))
	}
	remedies(&b, c)
	b.WriteByte('\n')
	if err := table(&b, c, p); err != nil {
		return fmt.Errorf("drawing the scorecard: %w", err)
	}
	detections(&b, c)
	suggestions(&b, c)
	if len(c.Next) > 0 {
		b.WriteString("\n Do next\n")
		for i, a := range c.Next {
			Paragraph(&b, fmt.Sprintf("  %d  ", i+1), a.Text)
		}
	}
	if said := c.RuleWords(); len(said) > 0 {
		b.WriteString("\n Rules\n")
		for _, s := range said {
			Paragraph(&b, "  –  ", s)
		}
	}
	if len(c.Remarks) > 0 {
		b.WriteString("\n Notes\n")
		for _, r := range c.Remarks {
			Paragraph(&b, "  –  ", r)
		}
	}
	if o.Record != "" {
		whereabouts(&b, o)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// whereabouts writes the last line: where the record and the page are, and how to ask on. What does not fit into the
// width goes to a line of its own.
func whereabouts(b *strings.Builder, o TextOptions) {
	dir := PlainText(o.Record)
	words := []string{"record " + dir}
	if o.Page {
		words = append(words, "report "+strings.TrimSuffix(dir, "/")+"/report.html")
	}
	words = append(words, "explain: gameday explain "+dir+" <item>")
	at := 0
	for _, w := range words {
		n := utf8.RuneCountInString(w)
		switch {
		case at == 0, at+3+n > textWidth:
			b.WriteString("\n ")
			at = 1
		default:
			b.WriteString("   ")
			at += 3
		}
		b.WriteString(w)
		at += n
	}
	b.WriteByte('\n')
}

// paint adds colours, or nothing.
type paint bool

func (p paint) color(code, s string) string {
	if !p {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p paint) verdict(c *Scorecard) string {
	code := map[Verdict]string{Passed: "1;32", Failed: "1;31", Aborted: "1;35", Inconclusive: "1;33"}[c.Verdict]
	return p.color(code, verdictWords(c))
}

func (p paint) points(i *Item) string {
	switch i.Outcome {
	case clock.Missed:
		return p.color("31", pointWords(i))
	case clock.Unknown:
		return p.color("33", pointWords(i))
	}
	return pointWords(i)
}

func verdictWords(c *Scorecard) string {
	s := strings.ToUpper(c.Verdict.String())
	if c.Residue {
		s += ", RESIDUE"
	}
	return s
}

// scoreWords prints the score as an interval, or as one number when nothing is unknown.
func scoreWords(c *Scorecard) string {
	lo, hi := points(c.Low), points(c.High)
	if lo == hi {
		return lo + " of 100"
	}
	return lo + "–" + hi + " of 100"
}

// share prints a share in whole percent, cut off so that only everything is 100 %.
func share(v float64) string { return fmt.Sprintf("%.0f %%", math.Floor(v*100+1e-6)) }

// tenth prints points with at most one decimal, cut off.
func tenth(v float64) string { return strconv.FormatFloat(math.Floor(v*10+1e-6)/10, 'f', -1, 64) }

// nearTenth prints what something is worth with at most one decimal.
func nearTenth(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }

func pointWords(i *Item) string {
	switch {
	case i.Points == 0:
		return "–"
	case i.Outcome == clock.Unknown:
		return "?/" + nearTenth(i.Points)
	case i.Value == 1:
		return nearTenth(i.Points) + "/" + nearTenth(i.Points)
	}
	return tenth(i.Points*i.Value) + "/" + nearTenth(i.Points)
}

func partWords(p *PartScore) string {
	worth := "/" + nearTenth(p.Points)
	switch {
	case p.Points == 0:
		return "–"
	case p.Coverage == 0:
		return "unknown"
	case p.High-p.Low > 0.05:
		return points(p.Low) + "–" + points(p.High) + worth
	case p.Points-p.Low < 0.05:
		return nearTenth(p.Points) + worth
	}
	return tenth(p.Low) + worth
}

// noteWords are what stands behind the points of an item.
func noteWords(i *Item) string {
	var words []string
	if i.Override != nil {
		words = append(words, "overridden")
	}
	if i.Required {
		words = append(words, "required")
	}
	if a := i.Attribution; a != nil && a.Strength == Weak && i.Outcome == clock.Met {
		words = append(words, string(Weak))
	}
	switch {
	case i.Outcome == clock.Missed && i.Value > 0 && i.Class != ClassFalseAlarm:
		words = append(words, "late")
	case i.Outcome == clock.Unknown && i.Class != "" && i.Class != ClassHit:
		words = append(words, string(i.Class))
	case i.Outcome == clock.Missed && (i.Class == ClassSuppressed || i.Class == ClassStuck || i.Class == ClassFlapping):
		words = append(words, string(i.Class))
	}
	return strings.Join(words, ", ")
}

// table draws the scorecard's table.
func table(b *strings.Builder, c *Scorecard, p paint) error {
	columns := []Column{{Head: "PART"}, {Head: "SCORE", Right: true}, {Head: "ITEM", Width: 26}, {Head: "MEASURED", Width: 20},
		{Head: "LIMIT", Width: 10}, {Head: "POINTS", Right: true}, {Width: 13}}
	var rows [][]string
	for i := range c.Parts {
		part := &c.Parts[i]
		for n := range part.Items {
			it := &part.Items[n]
			name, score := "", ""
			if n == 0 {
				name, score = string(part.Part), partWords(part)
			}
			rows = append(rows, []string{name, score, cell(it.Title), stacked(it.Measured), stacked(it.Limit), p.points(it), noteWords(it)})
		}
	}
	if err := Table(b, columns, rows); err != nil {
		return err
	}
	state := "clean"
	switch {
	case c.Residue:
		state = p.color("1;31", "RESIDUE")
	case !c.Safety.Clean:
		state = p.color("33", "unproven")
	}
	Paragraph(b, fmt.Sprintf(" safety    %s   ", state), c.Safety.Text)
	return nil
}

// cell makes a text fit for a cell: on one line, and not so long that it fills the screen.
func cell(s string) string {
	const most = 160
	s = PlainText(s)
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most-1]) + "…"
	}
	return s
}

// stacked puts each of several values on a line of its own.
func stacked(s string) string { return strings.ReplaceAll(cell(s), ", ", ",\n") }

// PlainText makes a text that others wrote fit for a terminal: control characters, which could redraw the screen, are
// blanks.
func PlainText(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// Paragraph writes a text behind a head, wrapped to the width, with the further lines under the first word.
func Paragraph(b *strings.Builder, head, text string) {
	indent := visible(head)
	b.WriteString(head)
	at := indent
	for i, word := range strings.Fields(PlainText(text)) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case at+1+n > textWidth:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	b.WriteByte('\n')
}

// visible counts the characters of a text that are not part of a colour.
func visible(s string) int {
	n, inside := 0, false
	for _, r := range s {
		switch {
		case r == '\x1b':
			inside = true
		case inside:
			inside = r != 'm'
		default:
			n++
		}
	}
	return n
}

// capital begins a sentence with a capital letter when it stands alone.
func capital(s string, do bool) string {
	if !do {
		return s
	}
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}
