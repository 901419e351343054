package conductor

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"

	"gameday/faults"
	"gameday/targets"
)

// Touched returns what identifies each place that a run may touch, for the audit log: "payments: pid 4127 shop (process listening
// on port 9102)". Of a process that is its pid, the base name of its program and what selected it. The arguments are left out,
// for there may be passwords in them. Targets that select nothing now have no place. It touches nothing.
func Touched(ctx context.Context, o Options) []string {
	var out []string
	quiet := silence{}
	for i := range o.Scenario.Targets {
		t := &o.Scenario.Targets[i]
		if o.Scenario.Lab != nil {
			for _, h := range hosts(o.Scenario.Lab, t.Selector) {
				out = append(out, o.Scenario.Redact(t.Name+": "+h.String()))
			}
			continue
		}
		var places []targets.Place
		_, asks := t.Selector.(targets.InCluster)
		quiet.ask(ctx, asks, func(ctx context.Context) {
			places, _ = o.target(t.Name).Places(ctx) // the plan says why not, and at the injection it is an error
		})
		for _, p := range places {
			out = append(out, o.Scenario.Redact(identified(p, t.Selector)))
		}
	}
	for _, f := range o.Scenario.Faults {
		if f.Kind.Needs == faults.NeedCluster {
			out = append(out, o.Scenario.Redact(fmt.Sprintf("%s: %s, where fault %s says", targets.ClusterPlace, clusterText(o.Scenario.Kubernetes), f.Name)))
			out = append(out, o.manifestTouches(ctx, &f, &quiet)...)
		}
	}
	return out
}

// identified names a place without what a process was started with.
func identified(p targets.Place, by targets.Selector) string {
	where := p.Where()
	if where.Process == nil {
		return fmt.Sprintf("%s: %s", where.Name, p.Describe())
	}
	program := ""
	if where.Process.Exe != "" {
		program = " " + filepath.Base(where.Process.Exe)
	}
	inside := ""
	if where.Host != "" {
		inside = where.Host + ": "
	}
	if where.Node != nil && where.Node.Container != "" {
		inside += "container " + where.Node.Name + ", "
	}
	return fmt.Sprintf("%s: %spid %d%s (%s)", where.Name, inside, where.Process.PID, program, by)
}

// Errors that quote command lines: that of a target which selects too many processes, and that of a denied process.
var (
	argsListed = regexp.MustCompile(`(?s)( and may touch \d+ \(.*?\)): .*(; (?:narrow the selector|pick fewer) or raise at_most)`)
	argsQuoted = regexp.MustCompile(`(command line) "(?:[^"\\]|\\.)*"`)
)

// withoutArguments takes command lines out of an error's text.
func withoutArguments(text string) string {
	return argsQuoted.ReplaceAllString(argsListed.ReplaceAllString(text, "$1$2"), "$1")
}
