package conductor

import (
	"context"
	"fmt"

	"gameday/faults"
	"gameday/faults/cluster"
	"gameday/faults/guard"
	"gameday/report"
	"gameday/scenarios"
	"gameday/targets"
)

// landing is the cluster as a place, with what a fault hits there that says by itself where it lands.
type landing struct {
	targets.Place
	radius *faults.Radius
}

// Unwrap returns the place itself.
func (p landing) Unwrap() targets.Place { return p.Place }

// Where returns the cluster with what is hit.
func (p landing) Where() faults.Place {
	w := p.Place.Where()
	if w.Cluster != nil {
		there := *w.Cluster
		there.Radius, w.Cluster = p.radius, &there
	}
	return w
}

// landingOf returns the cluster with what a fault's manifest hits there. What cannot be found out is unknown, and forbids the fault where
// a policy would have to know it.
func (o Options) landingOf(ctx context.Context, f *scenarios.Fault, p targets.Place) targets.Place {
	m, is := f.Config.(*cluster.ChaosMesh)
	if !is || o.Machine.Cluster == nil {
		return p
	}
	radius, err := o.Machine.Cluster.Radius(ctx, o.Scenario.Kubernetes, m)
	if err != nil {
		radius = &faults.Radius{Unknown: []string{err.Error()}}
	}
	return chosen{Place: landing{Place: p, radius: radius}, sides: guard.SidesOf(radius)}
}

// radiusOf returns what a fault hits that says by itself where it lands; nil for others, and where nobody looked.
func radiusOf(p targets.Place) *faults.Radius {
	if c := p.Where().Cluster; c != nil {
		return c.Radius
	}
	return nil
}

// planRadius adds to a plan what the manifests of its faults hit now.
func planRadius(ctx context.Context, o Options, p *report.Plan) {
	quiet := silence{}
	for i := range p.Faults {
		f := o.Scenario.Fault(p.Faults[i].Name)
		if f == nil || f.Kind.Needs != faults.NeedCluster || o.Machine.Cluster == nil {
			continue
		}
		quiet.ask(ctx, true, func(ctx context.Context) {
			places, err := o.resolve(ctx, f)
			if err != nil || len(places) != 1 {
				return // the plan says elsewhere that the cluster cannot be asked
			}
			if radius := radiusOf(places[0]); radius != nil {
				p.Faults[i].Hits, p.Faults[i].HitsUnknown = hits(radius)
			}
		})
	}
}

// hits says what a fault hits, and what of it is not known.
func hits(r *faults.Radius) (known, unknown []string) {
	for _, s := range r.Selections {
		known = append(known, s.String())
	}
	for _, why := range r.Unknown {
		unknown = append(unknown, fmt.Sprintf("not known: %s", why))
	}
	return known, unknown
}

// manifestTouches lists for the audit log what a fault's manifest may hit now.
func (o Options) manifestTouches(ctx context.Context, f *scenarios.Fault, quiet *silence) []string {
	var out []string
	quiet.ask(ctx, true, func(ctx context.Context) {
		places, err := o.resolve(ctx, f)
		if err != nil || len(places) != 1 {
			return
		}
		radius := radiusOf(places[0])
		if radius == nil {
			return
		}
		for _, p := range radius.Finds() {
			out = append(out, o.Scenario.Redact(fmt.Sprintf("%s: pod %s, which the manifest of fault %s may hit", targets.ClusterPlace, p.Name, f.Name)))
		}
		_, unknown := hits(radius)
		for _, why := range unknown {
			out = append(out, o.Scenario.Redact(fmt.Sprintf("%s: %s", targets.ClusterPlace, why)))
		}
	})
	return out
}
