package conductor

import (
	"fmt"
	"hash/fnv"

	"gameday/faults"
	"gameday/report"
	"gameday/scenarios"
	"gameday/targets"
)

// target returns a target of the scenario, with the choice that this run makes of what it finds.
func (o Options) target(name string) targets.Target {
	t := o.Scenario.Target(name)
	return o.Machine.Target(name, t.Selector, targets.Choice{Pick: t.Pick, AtMost: t.AtMost, Seed: o.seed()})
}

// all returns everything that a target finds, however much.
func (o Options) all(name string) targets.Target {
	return o.Machine.Target(name, o.Scenario.Target(name).Selector, targets.Choice{})
}

// original returns what the target of a fault finds, processes or pods, for telling later which of them are new. Where nothing is
// picked they are the places themselves, and only a fault that somebody else must mend asks.
func (r *run) original(f *scenarios.Fault, places []targets.Place) (map[individual]bool, error) {
	if f.Kind.Reversible || f.Kind.Needs != faults.NeedProcess {
		return nil, nil
	}
	if !r.Scenario.Target(f.Targets[0]).Pick.All() || r.Scenario.InCluster(f) {
		var err error
		if places, err = r.all(f.Targets[0]).Places(r.ctx); err != nil {
			return nil, err
		}
	}
	out := map[individual]bool{}
	for _, p := range alive(places) {
		out[identity(p)] = true
	}
	return out, nil
}

// individual is what tells one life of a process or a pod from all others, those of other hosts included.
type individual string

// identity differs from the place's own where that outlives its process, as a container's does.
func identity(p targets.Place) individual {
	w := p.Where()
	if w.Process != nil {
		return individual(fmt.Sprintf("%s %d %d", w.Host, w.Process.PID, w.Process.Start))
	}
	return individual(w.Individual())
}

// seed returns the seed that is given, or one made of the scenario's name.
func (o Options) seed() int64 {
	if o.Seed != 0 {
		return o.Seed
	}
	h := fnv.New64a()
	h.Write([]byte(o.Scenario.Name))
	return int64(h.Sum64()>>1) | 1
}

// pickText is empty where all are taken, as they are unless a target says otherwise.
func pickText(a targets.Amount) string {
	if a.All() {
		return ""
	}
	return a.String()
}

// choiceText returns "at most 3", or "picks 50%, at most 3".
func choiceText(t report.TargetPlan) string {
	text := fmt.Sprintf("at most %d", t.AtMost)
	if t.AtMostPercent != 0 {
		text = "at most " + targets.Amount{Percent: t.AtMostPercent}.String()
	}
	if t.Pick != "" {
		text = "picks " + t.Pick + ", " + text
	}
	return text
}
