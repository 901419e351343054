package scenarios

import (
	"slices"
	"strings"

	"gameday/faults"
	"gameday/schedules"
	"gameday/targets"
)

// holds returns what a run of a scenario has for itself: its name, and of what lies outside of a lab of its own the machines
// and the cluster that its faults may touch. A machine counts as a whole: what one game day does to it, another one sees.
func holds(s *Scenario) []string {
	out := []string{"scenario " + s.Name}
	if s.Lab != nil {
		return out
	}
	inCluster := slices.ContainsFunc(s.Faults, func(f Fault) bool { return f.Kind.Needs == faults.NeedCluster })
	for _, t := range s.Targets {
		switch x := t.Selector.(type) {
		case *targets.Host:
			for _, h := range x.SSH {
				out = append(out, "host "+h)
			}
		case targets.InCluster:
			inCluster = true
		default:
			out = append(out, schedules.ThisMachine)
		}
	}
	if inCluster {
		out = append(out, strings.TrimSpace("cluster "+s.Kubernetes.Context))
	}
	slices.Sort(out)
	return slices.Compact(out)
}
