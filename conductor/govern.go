package conductor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"gameday/audit"
	"gameday/faults"
	"gameday/faults/guard"
	"gameday/policy"
	"gameday/report"
	"gameday/scenarios"
	"gameday/targets"
	remote "gameday/targets/hosts"
)

// haltPoll is how often a run looks whether all game days were stopped.
const haltPoll = 500 * time.Millisecond

// chosen is a place with all that a fault touches on each of its sides, and what its targets find.
type chosen struct {
	targets.Place
	sides []policy.Side
}

// Unwrap returns the place itself.
func (c chosen) Unwrap() targets.Place { return c.Place }

// resolve finds the places of a fault: those of its target, or for a fault between two targets those of the first, with
// the second's as peers.
func (o Options) resolve(ctx context.Context, f *scenarios.Fault) ([]targets.Place, error) {
	if f.Kind.Needs == faults.NeedCluster {
		p, err := o.Machine.Whole(ctx, o.Scenario.Kubernetes)
		if err != nil {
			return nil, err
		}
		return []targets.Place{o.landingOf(ctx, f, p)}, nil
	}
	var found []targets.Resolution
	var sides []policy.Side
	for _, name := range f.Targets {
		r, err := o.target(name).Resolve(ctx)
		if err != nil {
			return nil, err
		}
		if f.Kind.Needs == faults.NeedNode {
			for i, p := range r.Picked {
				r.Picked[i] = o.Machine.NodeOf(p)
			}
		}
		found = append(found, r)
		sides = append(sides, policy.Side{Touched: individuals(r.Picked), Found: individuals(r.Found)})
	}
	var peers []faults.Peer
	if f.Between {
		for _, p := range found[1].Picked {
			peers = append(peers, p.Where().Peer())
		}
	}
	out := make([]targets.Place, len(found[0].Picked))
	for i, p := range found[0].Picked {
		if f.Between {
			p = withPeers{Place: p, peers: peers}
		}
		out[i] = chosen{Place: p, sides: sides}
	}
	return out, nil
}

// individuals names places so that each can be told from all others.
func individuals(places []targets.Place) []string {
	out := make([]string, len(places))
	for i, p := range places {
		out[i] = p.Where().Individual()
	}
	return out
}

// sidesOf returns what the fault touches that a place was resolved for.
func sidesOf(p targets.Place) []policy.Side {
	if c, ok := p.(chosen); ok {
		return c.sides
	}
	return nil
}

// claims are what policies ask for and a guard cannot know.
func (o Options) claims(f *scenarios.Fault, p targets.Place) policy.Claims {
	c := policy.Claims{Labels: o.labels(f), Duration: f.Lasts(), Run: o.Scenario.Timeline.Length(), ApprovedBy: o.ApprovedBy, Sides: sidesOf(p)}
	c.Selected, c.Found = guard.Amounts(c.Sides)
	return c
}

// labels returns the labels that every target of a fault has: both sides of a cut must have opted in.
func (o Options) labels(f *scenarios.Fault) map[string]string {
	out := map[string]string{}
	for i, name := range f.Targets {
		own := o.Scenario.Target(name).Labels
		for key, value := range own {
			if i == 0 {
				out[key] = value
			}
		}
		for key, value := range out {
			if own[key] != value {
				delete(out, key)
			}
		}
	}
	return out
}

// question is what policies are asked about a fault at a place, with the nodes that the scenario's lab tells of.
func (o Options) question(f *scenarios.Fault, r guard.InjectRequest) (policy.Request, error) {
	q, err := guard.Question(f.Kind, r, "")
	if err != nil {
		return q, err
	}
	for _, name := range f.Targets {
		if h, ok := o.Scenario.Target(name).Selector.(*targets.Host); ok && r.Place.Name == "" { // not resolved
			for _, to := range h.SSH {
				q.Nodes = append(q.Nodes, to, guard.HostPart(to))
			}
		}
		if in, ok := o.Scenario.Target(name).Selector.(targets.InCluster); ok && r.Place.Name == "" {
			q.Nodes = append(q.Nodes, guard.ClusterNames(in.Known())...)
		}
		if o.Scenario.Lab == nil {
			continue
		}
		for _, h := range hosts(o.Scenario.Lab, o.Scenario.Target(name).Selector) {
			q.Nodes = append(q.Nodes, h.node)
		}
	}
	return q, nil
}

// forbidden asks the policies, and whether game days are stopped, about an injection that is about to be made. One on a host
// that is held from elsewhere is asked of the host's own guard as well.
func (r *run) forbidden(f *scenarios.Fault, request guard.InjectRequest) error {
	if h := faults.Halted(r.Halts...); h != nil {
		return h
	}
	if len(r.Policies) > 0 {
		q, err := r.question(f, request)
		if err != nil && request.Place.Host != "" {
			// A name that only the host can look up is judged by its guard, which has the same policies.
			q, err = r.vague(f), nil
		}
		if err == nil {
			err = guard.Forbidden(r.Policies, q, time.Now())
		}
		if err != nil {
			return err
		}
	}
	return r.askOwner(f, request)
}

// askOwner asks the guard on a host whether the host's owner allows a fault that this machine's guard is to inject, as one
// that takes the host down is. What that guard cannot be asked is not allowed.
func (r *run) askOwner(f *scenarios.Fault, request guard.InjectRequest) error {
	n := request.Place.Node
	if n == nil || n.SSH == nil {
		return nil
	}
	unasked := func(err error) error {
		return fmt.Errorf("%w: nobody can ask the guard on host %s what its owner allows: %w", guard.ErrForbidden, request.Place.Host, err)
	}
	at := r.hostOf(f, *n.SSH)
	if at == nil {
		return unasked(errors.New("it is no host of the fault's targets"))
	}
	c, err := r.ready(at.Guard)
	if err != nil {
		return unasked(err)
	}
	ctx, cancel := context.WithTimeout(r.ctx, askLimit)
	defer cancel()
	err = c.Judge(ctx, request)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, guard.ErrForbidden) || errors.Is(err, faults.ErrHalted):
		return fmt.Errorf("host %s: %w", request.Place.Host, err)
	}
	return unasked(err)
}

// hostOf returns the host that a fault's targets reach in a way.
func (r *run) hostOf(f *scenarios.Fault, way faults.SSH) *remote.Host {
	if r.Machine.Hosts == nil {
		return nil
	}
	for _, name := range f.Targets {
		h, ok := r.Scenario.Target(name).Selector.(*targets.Host)
		if !ok {
			continue
		}
		for _, s := range h.Settings() {
			if s.SSH == way {
				return r.Machine.Hosts.Host(s)
			}
		}
	}
	return nil
}

// guardOf returns the guard of a place. It has the run's policies before anything else is asked of it.
func (r *run) guardOf(p targets.Place) (*guard.Client, error) { return r.ready(p.Guard) }

// ready returns a guard that has the run's policies.
func (r *run) ready(stand func(context.Context) (*guard.Client, error)) (*guard.Client, error) {
	c, err := stand(r.ctx)
	if err == nil {
		r.follow(c)
	}
	if err != nil || len(r.Policies) == 0 {
		return c, err
	}
	r.enforcing.Lock()
	defer r.enforcing.Unlock()
	if r.enforced[c] {
		return c, nil
	}
	ctx, cancel := context.WithTimeout(r.ctx, askLimit)
	defer cancel()
	if err := c.Enforce(ctx, r.Policies); err != nil {
		return nil, fmt.Errorf("the guard does not enforce the policy: %w", err)
	}
	r.enforced[c] = true
	return c, nil
}

// auditRequired reports whether a policy forbids what is not in the audit log.
func (o Options) auditRequired() bool {
	return slices.ContainsFunc(o.Policies, func(p *policy.Policy) bool { return p.AuditRequired })
}

// auditFirst writes to the audit log what is about to be injected. An injection that cannot be written is forbidden, and
// ends the run, when a policy requires the log.
func (r *run) auditFirst(in report.Injection) error {
	err := r.audit.first(audit.Line{What: audit.Injecting, ID: in.ID, Fault: in.Fault, Kind: in.Kind, Place: in.Place})
	if err == nil || !r.auditRequired() {
		return nil
	}
	r.end(report.EndError, err)
	return fmt.Errorf("%w: %w", guard.ErrForbidden, err)
}

// closeAudit ends the audit log, and notes in the record when it is not whole.
func (r *run) closeAudit() {
	if err := r.audit.close(); err != nil {
		r.rec.add(report.Noted, report.Note{Text: "the audit log is not whole: " + err.Error()})
	}
}

// watchHalt ends the run when all game days are stopped.
func (r *run) watchHalt() {
	t := time.NewTicker(haltPoll)
	defer t.Stop()
	for {
		if h := faults.Halted(r.Halts...); h != nil {
			r.rec.add(report.StopAsked, report.Stop{By: h.By, Why: h.Why})
			r.end(report.EndStopped, nil)
			return
		}
		select {
		case <-t.C:
		case <-r.ctx.Done():
			return
		}
	}
}

// Violations asks every policy about a run that begins at an instant: about the whole of it, and about each fault at each
// of its places, as they are now. Places that are not known yet, as those of a lab that is not up, are judged by what is
// known; the engine and the guard judge them again. It touches nothing.
func Violations(ctx context.Context, o Options, at time.Time) []policy.Violation {
	if len(o.Policies) == 0 {
		return nil
	}
	var out []policy.Violation
	ask := func(q policy.Request, at time.Time, except ...string) {
		for _, p := range o.Policies {
			for _, v := range p.Check(q, at) {
				if !slices.Contains(except, v.Rule) && !slices.Contains(out, v) {
					out = append(out, v)
				}
			}
		}
	}
	ask(policy.Request{Claims: policy.Claims{Duration: o.Scenario.Timeline.Length(), ApprovedBy: o.ApprovedBy}}, at)
	all := o.places(ctx)
	for i := range o.Scenario.Faults {
		f := &o.Scenario.Faults[i]
		for _, q := range o.questions(f, all) {
			// What was asked of the run as a whole is not said again of each fault.
			q.Run = 0
			ask(q, at.Add(beginsAt(o.Scenario, f.Name)), policy.RuleHours, policy.RuleFreeze, policy.RuleApproval)
		}
	}
	return out
}

// questions returns what is to be asked of a fault before the run: at each of its places, or where those are not known at
// none.
func (o Options) questions(f *scenarios.Fault, all map[string][]targets.Place) []policy.Request {
	if len(all[f.Name]) == 0 {
		return []policy.Request{o.vague(f)}
	}
	var out []policy.Request
	for _, p := range all[f.Name] {
		config, err := json.Marshal(f.Config)
		if err != nil {
			continue // the run will say so
		}
		claims := o.claims(f, p)
		claims.Standing = o.planned(f, all)
		q, err := o.question(f, guard.InjectRequest{Fault: f.Name, Kind: f.Kind.Name, Config: config, Place: p.Where(), Claims: claims})
		if err != nil {
			q = o.vague(f)
		}
		out = append(out, q)
	}
	return out
}

// vague is what can be asked of a fault whose places are not known.
func (o Options) vague(f *scenarios.Fault) policy.Request {
	q := policy.Request{Kind: f.Kind.Name, Fault: f.Name, Claims: o.claims(f, nil), Unresolved: true}
	if config, err := json.Marshal(f.Config); err == nil {
		r := guard.InjectRequest{Fault: f.Name, Kind: f.Kind.Name, Config: config, Claims: q.Claims}
		if known, err := o.question(f, r); err == nil {
			q.Networks, q.Paths, q.Nodes, q.Anywhere = known.Networks, known.Paths, known.Nodes, known.Anywhere
		}
	}
	if f.Between { // its peers' addresses are not known, and it does not reach everything
		q.Networks = slices.DeleteFunc(q.Networks, func(p netip.Prefix) bool { return p.Bits() == 0 })
	}
	if o.Scenario.Lab == nil {
		return q
	}
	for _, name := range f.Targets {
		if t := o.Scenario.Target(name); t.Pick.All() {
			at := hosts(o.Scenario.Lab, t.Selector)
			q.Selected, q.Found = q.Selected+len(at), q.Found+len(at)
		}
	}
	return q
}

// policyPlan is what a plan says of policies.
func policyPlan(ctx context.Context, o Options) *report.PolicyPlan {
	if len(o.Policies) == 0 {
		return nil
	}
	at := o.At
	if at.IsZero() {
		at = time.Now()
	}
	out := &report.PolicyPlan{At: at.UTC().Round(0), ApprovedBy: o.ApprovedBy}
	for _, p := range o.Policies {
		out.Files = append(out.Files, report.PolicyFile{File: p.File, Digest: p.Digest})
	}
	for _, v := range Violations(ctx, o, at) {
		out.Violations = append(out.Violations, report.PolicyViolation{Policy: v.Policy, Rule: v.Rule, Fault: v.Fault, Place: v.Place, Text: v.Text})
	}
	return out
}

// policyFiles names the run's policies for its record.
func (o Options) policyFiles() []report.PolicyFile {
	var out []report.PolicyFile
	for _, p := range o.Policies {
		out = append(out, report.PolicyFile{File: p.File, Digest: p.Digest})
	}
	return out
}
