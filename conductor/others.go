package conductor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"gameday/faults"
)

// otherRun is a game day that goes on beside this one: what it has standing on this machine.
type otherRun struct {
	run, scenario string
	faults        []string // "cut on payments"
}

// otherRuns returns the runs but this one that hold faults, in order of their names. What a dead guard left is no run.
func otherRuns(standing []faults.Standing, run string) []otherRun {
	byRun := map[string]*otherRun{}
	for _, s := range standing {
		if s.Err != nil || s.Orphaned || s.Entry.Run == run {
			continue
		}
		o := byRun[s.Entry.Run]
		if o == nil {
			o = &otherRun{run: s.Entry.Run, scenario: s.Entry.Scenario}
			byRun[o.run] = o
		}
		o.faults = append(o.faults, s.Entry.Fault+" on "+s.Entry.Place.Name)
	}
	out := make([]otherRun, 0, len(byRun))
	for _, o := range byRun {
		out = append(out, *o)
	}
	slices.SortFunc(out, func(a, b otherRun) int { return cmp.Compare(a.run, b.run) })
	return out
}

// checkOthers tells of game days that have faults on this machine now. They block nothing: a guard refuses the places that
// they hold, and what they do to the rest will be seen in the measures.
func (r *run) checkOthers() bool {
	standing, err := r.Ledger.Standing()
	if err != nil {
		return true // the guard cannot read it either, and says so
	}
	for _, o := range otherRuns(standing, r.Run) {
		r.found("ledger", false, fmt.Sprintf("another game day stands here: run %s, %s", o.run, counted(len(o.faults), "fault")),
			fmt.Sprintf("Scenario %s has %s. Faults on the same places are refused while it does.", o.scenario, strings.Join(o.faults, ", ")))
	}
	return true
}
