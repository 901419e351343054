package conductor

import (
	"cmp"
	"context"
	"slices"

	"gameday/faults"
	"gameday/faults/cluster"
	"gameday/faults/guard"
	"gameday/report"
	"gameday/scenarios"
	"gameday/targets"
)

// aims are the injections of a scenario's faults in its cluster, as far as is known where they land.
type aims struct {
	requests []guard.InjectRequest
	// unaimed are of faults whose places are not known, each with one that stands for them, and errs says why, by fault.
	unaimed []guard.InjectRequest
	errs    map[string]error
}

// aim finds where the faults in the cluster land.
func (o Options) aim(resolve func(*scenarios.Fault) ([]targets.Place, error)) aims {
	a := aims{errs: map[string]error{}}
	for i := range o.Scenario.Faults {
		f := &o.Scenario.Faults[i]
		if !o.Scenario.InCluster(f) {
			continue
		}
		places, err := resolve(f)
		if err != nil {
			a.errs[f.Name] = err
			if request, err := o.bareRequest(f, o.unseen(f), 0); err == nil {
				a.unaimed = append(a.unaimed, request)
			}
			continue
		}
		for n, place := range places {
			request, err := o.bareRequest(f, place, n)
			if err != nil {
				a.errs[f.Name] = err
				break
			}
			a.requests = append(a.requests, request)
		}
	}
	return a
}

// preflight is what the cluster is asked about them.
func (a aims) preflight() cluster.Preflight {
	return cluster.Preflight{Requests: a.requests, Unaimed: a.unaimed}
}

// unseen stands for the places of a fault that are not known.
func (o Options) unseen(f *scenarios.Fault) targets.Place {
	var sides []targets.Place
	for _, name := range f.Targets {
		if in, is := o.Scenario.Target(name).Selector.(targets.InCluster); is {
			sides = append(sides, targets.Unseen(name, in))
		}
	}
	switch {
	case len(sides) == 0:
		return targets.Unasked(o.Scenario.Kubernetes)
	case f.Between && len(sides) == 2:
		return withPeers{Place: sides[0], peers: []faults.Peer{sides[1].Where().Peer()}}
	}
	return sides[0]
}

// planCluster adds to a plan what the preflight of a run would find in the cluster about its faults.
func planCluster(ctx context.Context, o Options, a aims, p *report.Plan) {
	if !o.Scenario.TouchesCluster() || o.Machine.Cluster == nil {
		return // and why is said already
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	findings, err := o.Machine.Cluster.Preflight(ctx, o.Scenario.Kubernetes, a.preflight())
	if err != nil {
		findings = []cluster.Finding{{What: "cluster", Summary: "what the preflight of a run would find in the cluster is not known: " + err.Error()}}
	}
	for _, f := range findings {
		if !f.Fine {
			planFinding(p, report.FindingPlan{Faults: f.Faults, Found: foundOf("", f)})
		} else if f.Cluster != "" {
			p.ClusterUID = f.Cluster
		}
	}
}

// foundOf is a finding of the cluster as records and plans have it, with something in front of what it is about.
func foundOf(before string, f cluster.Finding) report.Found {
	return report.Found{What: before + f.What, Blocks: f.Blocks, Summary: f.Summary, Detail: f.Detail, Cluster: f.Cluster}
}

// planTarget adds to a plan why the places of a target in the cluster are not known, which would keep a run from its faults.
func planTarget(s *scenarios.Scenario, p *report.Plan, target string, err error) {
	var names []string
	for _, f := range s.Faults {
		if slices.Contains(f.Targets, target) {
			names = append(names, f.Name)
		}
	}
	if len(names) == 0 {
		p.Warnings = append(p.Warnings, sentence(err.Error()))
		return
	}
	planFinding(p, report.FindingPlan{Faults: names, Found: report.Found{What: "target " + target, Blocks: true, Summary: err.Error()}})
}

// planFinding adds one finding to a plan, or to the same of other faults or streams that is there.
func planFinding(p *report.Plan, f report.FindingPlan) {
	i := slices.IndexFunc(p.Findings, func(o report.FindingPlan) bool {
		return o.Found == f.Found && (len(o.Faults) == 0) == (len(f.Faults) == 0) && (len(o.Traffic) == 0) == (len(f.Traffic) == 0)
	})
	if i < 0 {
		p.Findings = append(p.Findings, f)
		return
	}
	p.Findings[i].Faults = union(p.Findings[i].Faults, f.Faults)
	p.Findings[i].Traffic = union(p.Findings[i].Traffic, f.Traffic)
}

// union returns what is in one of two lists, in order.
func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}

// weighFindings puts what blocks a run first, says it at the faults and streams that it is about, and in the plan's warnings.
func weighFindings(s *scenarios.Scenario, p *report.Plan) {
	slices.SortStableFunc(p.Findings, func(a, b report.FindingPlan) int { return cmp.Compare(rank(a), rank(b)) })
	var texts []string
	for _, f := range p.Findings {
		slices.SortFunc(f.Faults, func(a, b string) int { return cmp.Compare(place(p, a), place(p, b)) })
		texts = append(texts, f.Text())
		if !f.Blocks {
			continue
		}
		for i := range p.Faults {
			plan := &p.Faults[i]
			if slices.Contains(f.Faults, plan.Name) || f.AboutAll() && s.InCluster(s.Fault(plan.Name)) {
				plan.BlockedBy = union(plan.BlockedBy, []string{f.What})
			}
		}
		for i := range p.Traffic {
			if plan := &p.Traffic[i]; slices.Contains(f.Traffic, plan.Name) || f.AboutAll() && s.Traffic[i].RunOn.InCluster() {
				plan.BlockedBy = union(plan.BlockedBy, []string{f.What})
			}
		}
	}
	p.Warnings = append(texts, p.Warnings...)
}

// place is where a fault stands in a plan.
func place(p *report.Plan, fault string) int {
	return slices.IndexFunc(p.Faults, func(f report.FaultPlan) bool { return f.Name == fault })
}

func rank(f report.FindingPlan) int {
	if f.Blocks {
		return 0
	}
	return 1
}
