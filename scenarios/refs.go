package scenarios

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// reference reads an expression that names another block: target.payments, fault.cut, alarms.prometheus.main. It returns
// the words after the root joined by dots, or "" after reporting what is wrong. known are the names that exist.
func (l *loader) reference(e hcl.Expression, root, what string, known []string) string {
	e = bare(e)
	t, diags := hcl.AbsTraversalForExpr(e)
	example := root + ".<name>"
	if len(known) > 0 {
		example = root + "." + known[0]
	}
	if !given(e) {
		l.errorf(e.Range(), "Missing reference", "A reference to %s is missing here, such as %s, without quotes.", what, example)
		return ""
	}
	if diags.HasErrors() {
		l.errorf(e.Range(), "Not a reference", "Here goes a reference to %s, such as %s, without quotes.", what, example)
		return ""
	}
	words := make([]string, 0, len(t))
	for _, step := range t {
		switch s := step.(type) {
		case hcl.TraverseRoot:
			words = append(words, s.Name)
		case hcl.TraverseAttr:
			words = append(words, s.Name)
		case hcl.TraverseIndex:
			if s.Key.Type().FriendlyName() == "string" {
				words = append(words, s.Key.AsString())
				continue
			}
			words = append(words, "?")
		}
	}
	if words[0] == "scenario" {
		l.errorf(e.Range(), "Reference to another scenario", "A scenario stands alone, so that it can be run and judged alone. "+
			"Declare %s in this scenario and refer to it as %s.", what, example)
		return ""
	}
	if words[0] != root {
		l.errorf(e.Range(), "Wrong kind of reference", "Here goes a reference to %s, such as %s; this refers to %q.%s",
			what, example, words[0], suggest(words[0], []string{root}))
		return ""
	}
	name := strings.Join(words[1:], ".")
	for _, k := range known {
		if k == name {
			return name
		}
	}
	detail := fmt.Sprintf("There is no %s named %q here.%s", root, name, suggest(name, known))
	if len(known) > 0 {
		detail += fmt.Sprintf(" Declared: %s.", list(known))
	} else {
		detail += " None is declared; this refers to " + what + "."
	}
	l.errorf(e.Range(), "Unknown reference", "%s", detail)
	return ""
}

// sourceReference reads a reference to an alarm or responder source: alarms.prometheus.main or responders.desk.ops. It
// returns the source's id ("prometheus.main").
func (l *loader) sourceReference(e hcl.Expression, roots ...string) string {
	if t, diags := hcl.AbsTraversalForExpr(bare(e)); !diags.HasErrors() && len(roots) > 1 {
		for _, r := range roots {
			if t.RootName() == r {
				return l.reference(e, r, "a source in "+r, l.sourceIDs(r))
			}
		}
	}
	return l.reference(e, roots[0], "a source in "+roots[0], l.sourceIDs(roots[0]))
}

// sourceIDs lists the declared sources of a root, "alarms" or "responders".
func (l *loader) sourceIDs(root string) []string {
	out := slices.Clone(l.unknown[root]) // a reference to one of these is no second mistake
	if root == "alarms" {
		for _, s := range l.alarmSources {
			out = append(out, s.ID())
		}
		return out
	}
	for _, s := range l.responderSources {
		out = append(out, s.ID())
	}
	return out
}
