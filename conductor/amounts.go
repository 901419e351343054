package conductor

import (
	"context"
	"slices"
	"sync"
	"time"

	"gameday/faults"
	"gameday/policy"
	"gameday/scenarios"
	"gameday/targets"
)

// amounts is what a run tells policies of its faults taken together. What was told of a fault is told the same at each of
// its places.
type amounts struct {
	mu      sync.Mutex
	places  map[string][]targets.Place // of all faults, as they are at the preflight
	asked   map[string]*asked          // by fault, since the load began
	watched map[string]bool            // faults without an undo whose targets were seen back
}

// asked is what was told of one fault.
type asked struct {
	sides    []policy.Side
	ids      []string
	standing []policy.Standing
	back     []string
}

// claims are those of the fault alone, and what stands at the same time: before the load as planned, since then as it is.
func (r *run) claims(f *scenarios.Fault, p targets.Place) policy.Claims {
	c := r.Options.claims(f, p)
	c.Run += r.heldFor()
	a := &r.amounts
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(r.Policies) == 0 && targets.HostOf(p) == nil { // nobody asks
		return c
	}
	select {
	case <-r.loadBegan:
	default:
		if len(r.Policies) == 0 {
			return c
		}
		if a.places == nil {
			a.places = r.places(r.ctx)
		}
		c.Standing = r.planned(f, a.places)
		return c
	}
	if a.asked[f.Name] == nil {
		now := &asked{sides: c.Sides}
		if len(c.Sides) > 0 {
			for n := range c.Sides[0].Touched {
				now.ids = append(now.ids, r.idOf(f, n))
			}
		}
		now.standing, now.back = r.beside(f)
		if a.asked == nil {
			a.asked = map[string]*asked{}
		}
		a.asked[f.Name] = now
	}
	c.Standing, c.Back = a.asked[f.Name].standing, a.asked[f.Name].back
	return c
}

// idOf is the ledger's id of the n-th injection of a fault, from 0.
func (r *run) idOf(f *scenarios.Fault, n int) string {
	return injectionID(r.Run, f.Name, n)
}

// beside returns what stands beside a fault now, and the injections without an undo that do not count any more. It needs
// the lock of the amounts.
func (r *run) beside(f *scenarios.Fault) (standing []policy.Standing, back []string) {
	for _, g := range r.faults {
		was := r.amounts.asked[g.Name]
		switch {
		case was == nil || g.Name == f.Name:
		case g.Kind.Reversible:
			if !g.isOver() || r.standsYet(g) {
				standing = append(standing, policy.Standing{Fault: g.Name, Sides: was.sides})
			}
		case r.isBack(g, was):
			back = append(back, was.ids...)
		default:
			standing = append(standing, policy.Standing{Fault: g.Name, Ends: true, Sides: was.sides})
		}
	}
	return standing, back
}

// isOver reports whether a fault has come to its end.
func (f *faultRun) isOver() bool {
	select {
	case <-f.over:
		return true
	default:
		return false
	}
}

// standsYet reports whether a fault stands somewhere, if only because it could not be reverted.
func (r *run) standsYet(f *faultRun) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.standing, func(in *injection) bool { return in.fault == f })
}

// isBack reports whether a fault that cannot be undone counts no more: it came to nothing, or its target finds as many
// places as before, none of them one that was hit. It needs the lock of the amounts.
func (r *run) isBack(g *faultRun, was *asked) bool {
	a := &r.amounts
	if a.watched[g.Name] {
		return true
	}
	if !g.injected.Load() {
		return g.isOver() // else it is on its way
	}
	if g.Kind.Needs == faults.NeedCluster { // whom it hit of those that its manifest selects, nobody looks for
		return false
	}
	ctx, cancel := context.WithTimeout(r.ctx, resolveAhead)
	defer cancel()
	for i, name := range g.Targets {
		if i >= len(was.sides) {
			return false
		}
		now, err := r.all(name).Resolve(ctx)
		if err != nil {
			return false
		}
		found := individuals(alive(now.Found))
		if len(found) < len(was.sides[i].Found) ||
			slices.ContainsFunc(was.sides[i].Touched, func(p string) bool { return slices.Contains(found, p) }) {
			return false
		}
	}
	if a.watched == nil {
		a.watched = map[string]bool{}
	}
	a.watched[g.Name] = true
	return true
}

// places resolves every fault now; those that cannot be resolved, or whose lab is not up, are left out.
func (o Options) places(ctx context.Context) map[string][]targets.Place {
	out := map[string][]targets.Place{}
	quiet := silence{}
	if o.Scenario.Lab != nil && (o.Machine == nil || o.Machine.Lab == nil) {
		return out
	}
	for i := range o.Scenario.Faults {
		f := &o.Scenario.Faults[i]
		quiet.ask(ctx, o.Scenario.InCluster(f), func(ctx context.Context) {
			if places, err := o.resolve(ctx, f); err == nil {
				out[f.Name] = places
			}
		})
	}
	return out
}

// planned returns the other faults that stand at the same time as one, if all goes as planned.
func (o Options) planned(f *scenarios.Fault, all map[string][]targets.Place) []policy.Standing {
	var out []policy.Standing
	for i := range o.Scenario.Faults {
		g := &o.Scenario.Faults[i]
		if g.Name != f.Name && len(all[g.Name]) > 0 && o.together(f, g) {
			out = append(out, policy.Standing{Fault: g.Name, Ends: !g.Kind.Reversible, Sides: sidesOf(all[g.Name][0])})
		}
	}
	return out
}

// together reports whether two faults stand at the same time by the plan. One that cannot be undone counts until its target
// must be back, and when nothing says when that is to the end of the run.
func (o Options) together(f, g *scenarios.Fault) bool {
	if o.follows(f, g) {
		return lasts(g) < 0
	}
	if o.follows(g, f) {
		return lasts(f) < 0
	}
	a, b := beginsAt(o.Scenario, f.Name), beginsAt(o.Scenario, g.Name)
	return (lasts(g) < 0 || a <= b+lasts(g)) && (lasts(f) < 0 || b <= a+lasts(f))
}

// lasts is for how long a fault counts by the plan; less than 0 is to the end of the run.
func lasts(f *scenarios.Fault) time.Duration {
	switch {
	case f.Kind.Reversible:
		return f.Lasts()
	case f.Kind.Needs == faults.NeedProcess && f.RestartsWithin > 0:
		return f.RestartsWithin
	}
	return -1
}

// follows reports whether one fault waits for another's end, or for that of one that does.
func (o Options) follows(f, g *scenarios.Fault) bool {
	for range o.Scenario.Faults {
		if f == nil || f.After == "" {
			return false
		}
		if f.After == g.Name {
			return true
		}
		f = o.Scenario.Fault(f.After)
	}
	return false
}
