package conductor

import (
	"fmt"
	"strings"

	"gameday/report"
)

// objects prints what each fault puts into the cluster: whole for its first place, and for the others that there are more like it.
func (t *planText) objects(p *report.Plan) {
	if len(p.Objects) == 0 {
		return
	}
	if !strings.HasSuffix(t.b.String(), "\n\n") {
		t.line("")
	}
	t.wrapped("  Objects    ", "             ", "what is put into the cluster; their names, and the run in their labels, differ from run to run. "+
		"`gameday plan --manifests DIR` writes them all.")
	shown := map[string]string{} // by fault, the place that is
	for i, m := range p.Objects {
		if first, known := shown[m.Fault]; known && first != m.Place {
			continue
		}
		shown[m.Fault] = m.Place
		var more []string
		for _, o := range p.Objects[i+1:] {
			if o.Fault == m.Fault && o.Place != m.Place && o.Object == m.Object {
				more = append(more, o.Place)
			}
		}
		head := fmt.Sprintf("%s on %s", m.Fault, m.Place)
		if len(more) > 0 {
			head += ", and one like it each for " + strings.Join(more, ", ")
		}
		t.line("")
		t.wrapped("  ", "    ", head+":")
		t.line("")
		for line := range strings.Lines(strings.TrimRight(m.YAML, "\n")) {
			t.line("      %s", strings.TrimRight(line, "\n"))
		}
	}
}

// findings prints what the preflight of a run would find, what blocks first, each with what to do about it.
func (t *planText) findings(p *report.Plan) {
	for _, f := range p.Findings {
		head := "  Warning: "
		if f.Blocks {
			head = "  Blocks a run: "
		}
		indent := strings.Repeat(" ", len("  Warning: "))
		first, rest, _ := strings.Cut(strings.TrimRight(f.Detail, "\n"), "\n")
		t.wrapped(head, indent, strings.TrimRight(f.Text()+" "+first, " "))
		if rest == "" {
			continue
		}
		t.line("")
		for line := range strings.Lines(rest) {
			t.line("%s  %s", indent, strings.TrimRight(line, "\n"))
		}
		t.line("")
	}
}

// blockedText marks a fault or a stream that a run would not come to.
func blockedText(by []string) string {
	if len(by) == 0 {
		return ""
	}
	return "✗ blocked: " + strings.Join(by, ", ") + " (below)"
}
