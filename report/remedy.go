package report

import (
	"fmt"
	"strings"
)

// Remedy is what somebody can do about what stopped a run before it began.
type Remedy struct {
	What string `json:"what"` // what the preflight was about: "kubernetes: permissions"
	// Detail is whole sentences, and after a line break perhaps lines to be copied as they are, such as a Role.
	Detail string `json:"detail"`
}

// untouched is all that some findings have to say beside what they found, and no remedy.
const untouched = "Nothing was touched."

// remedies are those of what blocked a run.
func (j *judge) remedies(c *Scorecard) []Remedy {
	if c.End != EndPreflight {
		return nil
	}
	var out []Remedy
	for _, f := range j.tl.Findings {
		if f.V.Blocks && f.V.Detail != "" && f.V.Detail != untouched {
			out = append(out, Remedy{What: f.V.What, Detail: j.people.scrub(strings.TrimRight(f.V.Detail, "\n"))})
		}
	}
	return out
}

// Words returns the sentences.
func (r Remedy) Words() string {
	first, _, _ := strings.Cut(r.Detail, "\n")
	return first
}

// Lines returns the lines to be copied, safe to print; none when there are only sentences.
func (r Remedy) Lines() []string {
	_, rest, _ := strings.Cut(r.Detail, "\n")
	if rest == "" {
		return nil
	}
	lines := strings.Split(rest, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(PlainText(lines[i]), " ")
	}
	return lines
}

// remedies writes what can be done, for a terminal: the lines to be copied are neither wrapped nor marked.
func remedies(b *strings.Builder, c *Scorecard) {
	if len(c.Remedies) == 0 {
		return
	}
	b.WriteString("\n What to do\n")
	for _, r := range c.Remedies {
		Paragraph(b, "  –  ", capital(r.What, true)+": "+r.Words())
		lines := r.Lines()
		if len(lines) > 0 {
			b.WriteByte('\n')
		}
		for _, l := range lines {
			fmt.Fprintf(b, "       %s\n", l)
		}
		if len(lines) > 0 {
			b.WriteByte('\n')
		}
	}
}
