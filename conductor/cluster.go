package conductor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gameday/faults"
	"gameday/faults/cluster"
	"gameday/loadgen/collector"
	"gameday/report"
	"gameday/scenarios"
	"gameday/targets"
	near "gameday/targets/cluster"
)

const (
	// clusterPoll is how often a cluster is asked whether pods are back: its API server serves others too.
	clusterPoll = 500 * time.Millisecond
	// clusterResolve bounds finding places in a cluster.
	clusterResolve = 15 * time.Second
	// clusterLook is that for somebody who only looks.
	clusterLook = 5 * time.Second
	// clusterInject and clusterProof are how long at least a cluster's controllers may take to take up a fault, and to say that it is
	// in place everywhere.
	clusterInject, clusterProof = 15 * time.Second, 30 * time.Second
	// clusterRevert is how much longer than elsewhere reverting may take: the fault is lifted on every node before its object goes, by
	// controllers that look again up to a minute after their API server was away.
	clusterRevert = 85 * time.Second
	// clusterSee bounds looking for what is left of a run at its end, and clusterLift that and lifting it.
	clusterSee, clusterLift = time.Minute, 150 * time.Second
)

// inCluster reports whether a place is in a cluster.
func inCluster(p targets.Place) bool { return p.Where().Cluster != nil }

// patienceAt is patience for a fault at a place.
func patienceAt(c faults.Config, p targets.Place) (inject, proof time.Duration) {
	inject, proof = patience(c)
	if inCluster(p) {
		inject, proof = max(inject, clusterInject), max(proof, clusterProof)
	}
	return inject, proof
}

// overdueAt is endMargin for a fault at a place. In a cluster the deadline is also how long the fault stands when nobody of ours is left
// to lift it, so that one that does not end by itself gets no more than it needs.
func overdueAt(c faults.Config, p targets.Place) time.Duration {
	if inCluster(p) && !selfEnding(c) {
		return 0
	}
	return endMargin(c)
}

// settleCluster finds out which cluster a scenario means that leaves it to the kubeconfig, and holds the run to that one: its faults are
// aimed when they are due, and by then somebody may have made another context the current one. What cannot be found out is said by
// whoever asks the cluster next.
func (r *run) settleCluster() bool {
	loads := slices.ContainsFunc(r.Scenario.Traffic, func(t scenarios.Traffic) bool { return t.RunOn.InCluster() })
	if !r.Scenario.TouchesCluster() && !loads {
		return true
	}
	ctx, cancel := context.WithTimeout(r.ctx, askLimit)
	defer cancel()
	if whole, err := r.Machine.Whole(ctx, r.Scenario.Kubernetes); err == nil {
		r.Scenario.Reach(whole.Where().Cluster.Access)
	}
	return true
}

// reachCluster looks whether the cluster answers, and what game days have left or stand there. Those block nothing: what would be in
// the way of this one is refused where it lands.
func (r *run) reachCluster() bool {
	if !r.Scenario.TouchesCluster() {
		return true
	}
	ctx, cancel := context.WithTimeout(r.ctx, askLimit)
	defer cancel()
	if f := r.reaches(ctx); f != nil {
		r.found("kubernetes: "+f.What, true, f.Summary, cmp.Or(f.Detail, "Nothing was touched."))
		return false
	}
	objects, err := r.Machine.Cluster.Ours(ctx, r.Scenario.Kubernetes, "", r.namespaces()...)
	if err != nil {
		r.found("kubernetes", false, "whether other game days stand there cannot be seen: "+err.Error(), "")
		return true
	}
	byRun := map[string][]string{}
	for _, o := range objects {
		byRun[o.Run] = append(byRun[o.Run], fmt.Sprintf("%s (%s)", objectName(o), o.Stands))
	}
	for _, run := range sortedKeys(byRun) {
		r.found("kubernetes", false, fmt.Sprintf("run %s has %s in the cluster: %s", run, counted(len(byRun[run]), "object"), strings.Join(byRun[run], ", ")),
			fmt.Sprintf("If that game day is over, `gameday revert %s` lifts what it left.", kubernetesFlags(r.Scenario.Kubernetes, run)))
	}
	return true
}

// namespaces returns where what the run puts into the cluster is, so that it is found also by somebody who may not look into all of it;
// nothing when that is not known.
func (o Options) namespaces() []string {
	names, all := o.Scenario.Namespaces()
	if !all {
		return nil
	}
	return names
}

// reaches asks whether the cluster answers, and returns what it is when it does not.
func (o Options) reaches(ctx context.Context) *cluster.Finding {
	if o.Machine.Cluster == nil {
		return &cluster.Finding{What: "cluster", Blocks: true, Summary: "no cluster can be reached from here"}
	}
	findings, err := o.Machine.Cluster.Preflight(ctx, o.Scenario.Kubernetes, cluster.Preflight{})
	if err != nil {
		return &cluster.Finding{What: "cluster", Blocks: true, Summary: err.Error()}
	}
	for _, f := range findings {
		if f.Blocks {
			return &f
		}
	}
	return nil
}

// without returns the options of a run without a cluster: whatever is asked of one fails at once.
func (o Options) without() Options {
	m := *o.Machine
	m.Cluster = nil
	o.Machine = &m
	return o
}

// objectName returns "PodChaos shop/gameday-crash-7f of fault crash".
func objectName(o cluster.Object) string {
	name := fmt.Sprintf("%s %s/%s", o.Kind, o.Namespace, o.Name)
	if o.Fault != "" {
		name += " of fault " + o.Fault
	}
	return name
}

// clusterText says which cluster is meant: "context stage of /home/ops/.kube/config".
func clusterText(a faults.Access) string {
	text := "the current context"
	if a.Context != "" {
		text = "context " + a.Context
	}
	if a.Kubeconfig != "" {
		return text + " of " + a.Kubeconfig
	}
	return text + ", as kubectl finds it"
}

// sentence ends a text with a full stop, unless it ends as a sentence does.
func sentence(text string) string {
	if strings.HasSuffix(text, ".") || strings.HasSuffix(text, "?") || strings.HasSuffix(text, "!") {
		return text
	}
	return text + "."
}

// kubernetesFlags returns the flags with which `gameday revert` looks into the same cluster.
func kubernetesFlags(a faults.Access, run string) string {
	text := "--kubernetes"
	for _, f := range []struct{ flag, value string }{{"--kubeconfig", a.Kubeconfig}, {"--context", a.Context}, {"--run", run}} {
		if f.value != "" {
			text += " " + f.flag + " " + f.value
		}
	}
	return text
}

// checkCluster has the cluster looked at for what the faults need: whether Chaos Mesh is there, what may be done, what the targets can
// bear.
func (r *run) checkCluster() bool {
	if !r.Scenario.TouchesCluster() {
		return true
	}
	a := r.aim(r.resolve)
	r.foundNowhere(a)
	ctx, cancel := context.WithTimeout(r.ctx, askLimit)
	defer cancel()
	findings, err := r.Machine.Cluster.Preflight(ctx, r.Scenario.Kubernetes, a.preflight())
	if err != nil {
		r.found("kubernetes", true, "what the cluster can bear cannot be told: "+err.Error(), "Nothing was touched.")
		return false
	}
	ok := len(a.errs) == 0
	for _, f := range findings {
		r.rec.add(report.PreflightFound, foundOf("kubernetes: ", f))
		ok = ok && !f.Blocks
	}
	return ok
}

// foundNowhere says why it is not known where faults land, once: what was found of their targets is said of those, and a cluster may
// have answered then and not now.
func (r *run) foundNowhere(a aims) {
	for _, name := range sortedKeys(a.errs) {
		if f := r.Scenario.Fault(name); !slices.ContainsFunc(f.Targets, func(target string) bool { return r.lost[target] }) {
			r.found("fault "+name, true, a.errs[name].Error(), "Nothing was touched.")
		}
	}
}

// residueInCluster lifts what has the run's label in the cluster, whatever the ledger says, and lists what stays. What stands in the
// ledger is listed there, and its guard's to lift. Unseen says that the cluster could not be looked into, and why.
func (r *run) residueInCluster() (left []string, unseen string) {
	if !r.intoCluster.Load() {
		return nil, ""
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), clusterLift)
	defer cancel()
	seeing, enough := context.WithTimeout(ctx, clusterSee)
	defer enough()
	objects, err := r.Machine.Cluster.Ours(seeing, r.Scenario.Kubernetes, r.Run, r.namespaces()...)
	if err != nil {
		return r.unseenInCluster(err)
	}
	var listed []string
	standing, err := r.Ledger.Standing()
	for _, s := range standing {
		listed = append(listed, s.ID)
	}
	objects = slices.DeleteFunc(objects, func(o cluster.Object) bool { return slices.Contains(listed, o.ID) })
	if len(objects) == 0 || err != nil { // a ledger that cannot be read is residue already
		return nil, ""
	}
	lifted, err := r.Machine.Cluster.Lift(ctx, r.Scenario.Kubernetes, cluster.Lift{Run: r.Run, Namespaces: r.namespaces(), But: listed})
	if err != nil {
		for _, o := range objects {
			left = append(left, fmt.Sprintf("%s in the cluster, which could not be lifted: %v", objectName(o), err))
		}
		return left, ""
	}
	for _, l := range lifted {
		if !l.Gone {
			left = append(left, fmt.Sprintf("%s in the cluster: %s", objectName(l.Object), cmp.Or(l.Blocks, l.Stands)))
			continue
		}
		r.rec.add(report.Noted, report.Note{Fault: l.Fault, Text: fmt.Sprintf("%s was left in the cluster and had the run's label: it was lifted", objectName(l.Object))})
	}
	return left, ""
}

// unseenInCluster is residueInCluster where the cluster does not tell what it has. What was put there and not seen to be gone may be
// left, and counts as if it were: faults are in the ledger, and what was made for runners is named here. When all of it was seen to go,
// nothing is known to be left, and nobody knows whether that is all.
func (r *run) unseenInCluster(err error) (left []string, unseen string) {
	r.mu.Lock()
	streams := slices.Clone(r.mayBeLeft)
	r.mu.Unlock()
	for _, s := range streams {
		left = append(left, fmt.Sprintf("perhaps what was made in the cluster for the runners of traffic %s, which was not seen to go", s))
	}
	return left, fmt.Sprintf("whether the cluster has more of this run than the ledger says cannot be seen: %s; `gameday revert %s` looks again",
		strings.TrimSuffix(err.Error(), "."), kubernetesFlags(r.Scenario.Kubernetes, r.Run))
}

// mayLeave notes a stream for whose runners something may be left in the cluster.
func (r *run) mayLeave(stream string, err error) {
	if !errors.Is(err, collector.ErrLeft) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mayBeLeft = append(r.mayBeLeft, stream)
}

// planObjects adds to a plan what its faults would put into the cluster.
func planObjects(ctx context.Context, o Options, speaks *near.Program, a aims, p *report.Plan) {
	if len(a.requests) == 0 || speaks == nil {
		return
	}
	all, err := speaks.Render(ctx, o.Scenario.Kubernetes, a.requests)
	if err != nil {
		p.Warnings = append(p.Warnings, sentence("What would be put into the cluster cannot be told: "+err.Error()))
		return
	}
	for _, m := range all {
		p.Objects = append(p.Objects, report.ObjectPlan{Fault: m.Fault, Place: m.Place, Object: objectKind(m.YAML), YAML: m.YAML, Lapses: m.Lapses, Note: m.Note})
	}
	for i := range p.Faults {
		lapses(&p.Faults[i], p, o.Scenario)
	}
}

// plannedRun stands for the run's id in what is planned: each run has its own.
const plannedRun = "planned"

// silence bounds what is asked of clusters one thing after the other by somebody who only looks: a cluster that did not answer is not
// asked again.
type silence struct {
	kept  bool
	limit time.Duration // of one question; 0 is clusterLook
}

// ask calls f with a limit where it asks a cluster, and reports whether it was called.
func (s *silence) ask(ctx context.Context, asksCluster bool, f func(context.Context)) bool {
	if !asksCluster {
		f(ctx)
		return true
	}
	if s.kept {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(s.limit, clusterLook))
	defer cancel()
	f(ctx)
	s.kept = ctx.Err() != nil
	return true
}

// lands returns the places of a fault in a cluster; the plan says elsewhere why they cannot be told. The cluster itself needs nobody
// who answers.
func (o Options) lands(ctx context.Context, f *scenarios.Fault) ([]targets.Place, error) {
	if f.Kind.Needs == faults.NeedCluster {
		return []targets.Place{targets.Unasked(o.Scenario.Kubernetes)}, nil
	}
	return o.resolve(ctx, f)
}

// lapses says of a fault in the cluster how it goes away, and warns of one that goes only if somebody of ours is there.
func lapses(plan *report.FaultPlan, p *report.Plan, s *scenarios.Scenario) {
	all := true
	for _, m := range p.Objects {
		if m.Fault != plan.Name {
			continue
		}
		if !slices.Contains(plan.Objects, m.Object) {
			plan.Objects = append(plan.Objects, m.Object)
		}
		all = all && m.Lapses
		note := fmt.Sprintf("Fault %s: %s.", plan.Name, strings.TrimSuffix(m.Note, "."))
		if m.Note != "" && !slices.Contains(p.Warnings, note) {
			p.Warnings = append(p.Warnings, note)
		}
	}
	switch {
	case len(plan.Objects) == 0 || !plan.Reversible:
	case all:
		plan.Undoing = inClusterUndoing + "; without one, Chaos Mesh lifts it when its duration is over"
	default:
		plan.Undoing = inClusterUndoing + "; CANNOT LAPSE"
		p.Warnings = append(p.Warnings, fmt.Sprintf("Fault %s cannot lapse: nothing in the cluster lifts it if gameday and its guard are both gone. `gameday revert %s` does.",
			plan.Name, kubernetesFlags(s.Kubernetes, "")))
	}
}

// inClusterUndoing is how a fault in a cluster goes away.
const inClusterUndoing = "undone by guard, which deletes its object"

// objectKind reads the kind of the object out of its YAML.
func objectKind(yaml string) string {
	for line := range strings.Lines(yaml) {
		if kind, ok := strings.CutPrefix(line, "kind:"); ok {
			return strings.Trim(strings.TrimSpace(kind), `"'`)
		}
	}
	return "object"
}
