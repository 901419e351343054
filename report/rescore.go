package report

import (
	"fmt"
	"slices"
	"strings"
)

// Under returns the record under the promises of another plan: its expectations, alarms, responses, noise, limits of
// recovery, pass mark and weights. What happened stays what it was: phases, traffic, targets and faults are those of the
// record. What the record's run did not ask a source about stays unknown. It is an error when the plan's faults are not the record's, for then its promises are about other things. The record
// itself is not changed.
func (rec *Record) Under(p *Plan) (*Record, error) {
	if err := sameFaults(rec.Plan.Faults, p.Faults); err != nil {
		return nil, err
	}
	was := *rec.Plan
	was.Scenario, was.File, was.Summary, was.Owner, was.Named = p.Scenario, p.File, p.Summary, p.Owner, p.Named
	was.Expects, was.Alarms, was.Noise, was.Responses, was.Score = p.Expects, p.Alarms, p.Noise, p.Responses, p.Score
	was.Faults = slices.Clone(was.Faults)
	for i := range was.Faults {
		f := &was.Faults[i]
		of := p.Faults[slices.IndexFunc(p.Faults, func(o FaultPlan) bool { return o.Name == f.Name })]
		f.RestartsWithin, f.SteadyWithin = of.RestartsWithin, of.SteadyWithin
	}
	was.Alarms = slices.Clone(was.Alarms)
	for i := range was.Alarms {
		a := &was.Alarms[i]
		a.unasked = !rec.Plan.asked(a.Source, a.Match) || a.PagesVia != "" && !rec.Plan.asked(a.PagesVia, a.Match)
	}
	if n := was.Noise; n != nil && (rec.Plan.Noise == nil || !implies(n.Watch, rec.Plan.Noise.Watch)) {
		unasked := *n
		unasked.unasked = true
		was.Noise = &unasked
	}
	other := *rec
	other.Plan = &was
	return &other, nil
}

// asked reports whether a run under the plan kept what a source told of alarms with these labels: sources keep what is
// expected of them and what is noise, and everything where neither is said.
func (p *Plan) asked(source string, match map[string]string) bool {
	any := p.Noise != nil
	if any && implies(match, p.Noise.Watch) {
		return true
	}
	for _, a := range p.Alarms {
		if a.Source != source && a.PagesVia != source {
			continue
		}
		if any = true; implies(match, a.Match) {
			return true
		}
	}
	return !any || strings.HasPrefix(source, "builtin.")
}

// implies reports whether whatever has the labels of one has those of the other.
func implies(one, other map[string]string) bool {
	for k, v := range other {
		if one[k] != v {
			return false
		}
	}
	return len(other) > 0
}

// sameFaults complains when two plans do not have the same faults by name and kind.
func sameFaults(was, now []FaultPlan) error {
	names := func(faults []FaultPlan) []string {
		var out []string
		for _, f := range faults {
			out = append(out, f.Kind+" "+f.Name)
		}
		slices.Sort(out)
		return out
	}
	had, have := names(was), names(now)
	if slices.Equal(had, have) {
		return nil
	}
	say := func(names []string) string {
		if len(names) == 0 {
			return "none"
		}
		return strings.Join(names, ", ")
	}
	return fmt.Errorf("the record has other faults (%s) than the scenario (%s): what happened cannot be changed, only what was "+
		"expected of it; give the faults their old names", say(had), say(have))
}
