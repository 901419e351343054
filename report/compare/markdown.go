package compare

import (
	"fmt"
	"io"
	"strings"

	"gameday/report"
)

// marks stand before a verdict in Markdown.
var marks = map[Verdict]string{Worse: "❌", Better: "✅", Same: "✅", Unknown: "❔"}

// Markdown writes the comparison for a comment on a pull request: the verdict, what counts, and the rest folded away.
func Markdown(w io.Writer, c *Comparison) error {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s %s: %s\n\n", marks[c.Verdict], report.Markdown(c.Scenario), c.Verdict)
	fmt.Fprintf(&b, "%s\n\n", c.sizeWords())
	MarkdownReasons(&b, c.Why)
	var count, rest []Row
	for _, r := range c.Rows {
		if r.Counts {
			count = append(count, r)
		} else {
			rest = append(rest, r)
		}
	}
	MarkdownRows(&b, count)
	Folded(&b, fmt.Sprintf("%d more that do not count", len(rest)), rest, c.Warnings)
	_, err := io.WriteString(w, b.String())
	return err
}

// MarkdownReasons writes reasons as a list.
func MarkdownReasons(b *strings.Builder, why []string) {
	for _, s := range why {
		fmt.Fprintf(b, "- %s\n", report.Markdown(s))
	}
	if len(why) > 0 {
		b.WriteByte('\n')
	}
}

// MarkdownRows writes a table of rows, with the reasons of what is unknown below it.
func MarkdownRows(b *strings.Builder, rows []Row) {
	if len(rows) == 0 {
		return
	}
	b.WriteString("| | | base | head | difference | tolerated | |\n|---|---|---:|---:|---|---|---|\n")
	var notes []string
	for i := range rows {
		r := &rows[i]
		verdict := marks[r.Verdict] + " " + r.verdictWords()
		if r.Why != "" && r.Verdict == Unknown {
			verdict += fmt.Sprintf(" [%d]", noteNumber(&notes, r.Why))
		}
		for _, cell := range []string{r.where(), r.what(), r.Base.words(*r), r.Head.words(*r), r.differenceWords(),
			r.yardstick().Words(r.Tolerance), verdict} {
			fmt.Fprintf(b, "| %s ", report.Markdown(cell))
		}
		b.WriteString("|\n")
	}
	b.WriteByte('\n')
	for i, n := range notes {
		fmt.Fprintf(b, "[%d] %s\n", i+1, report.Markdown(n))
	}
	if len(notes) > 0 {
		b.WriteByte('\n')
	}
}

// Folded writes rows and warnings that are only seen when somebody opens them, and nothing when there are none.
func Folded(b *strings.Builder, title string, rows []Row, warnings []string) {
	if len(rows) > 0 {
		fmt.Fprintf(b, "<details><summary>%s</summary>\n\n", title)
		MarkdownRows(b, rows)
		b.WriteString("</details>\n\n")
	}
	if len(warnings) > 0 {
		b.WriteString("**Beware**\n\n")
		MarkdownReasons(b, warnings)
	}
}
