package conductor

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"gameday/faults"
	"gameday/faults/guard"
	"gameday/report"
	"gameday/scenarios"
	"gameday/targets"
	"gameday/targets/lab"
)

const (
	// stopPatience is how long traffic may take to stop: the engine's grace for iterations, and teardown.
	stopPatience = 15 * time.Second
	// askLimit bounds the questions put to each source before the run, and in it.
	askLimit = 30 * time.Second
	// tellLimit bounds what each source takes to tell of the whole run: one that limits how often it is asked may ask to wait.
	tellLimit = 2 * time.Minute
)

// writePlan keeps what is about to happen in the record: the plan, and copies of the scenario's files.
func (r *run) writePlan() error {
	plan := MakePlan(r.Scenario)
	if s := r.Search; s != nil {
		plan.Search = &report.SearchPlan{Start: s.Bounds.Start, Max: s.Bounds.Max, Precision: s.Bounds.Precision, Step: s.Step, Confirm: s.Confirm,
			Settle: s.Settle, MaxDuration: s.MaxDuration, Fault: s.Standing}
	}
	b, err := json.MarshalIndent(plan, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the plan: %w", err)
	}
	b = redactStrings(b, r.Scenario.Redact)
	if err := os.WriteFile(filepath.Join(r.Dir, report.PlanFile), append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing the plan: %w", err)
	}
	dir := filepath.Join(r.Dir, report.SourceDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("keeping the scenario: %w", err)
	}
	for _, name := range sortedKeys(r.Sources) {
		to := filepath.Join(dir, keptAs(r.Scenario.File, name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return fmt.Errorf("keeping the scenario: %w", err)
		}
		if err := os.WriteFile(to, []byte(r.Scenario.Redact(string(r.Sources[name].Bytes))), 0o644); err != nil {
			return fmt.Errorf("keeping the scenario: %w", err)
		}
	}
	return nil
}

// keptAs is where in the record a file of the scenario is kept: as it lies below the scenario's folder, or by its name alone.
func keptAs(scenario, name string) string {
	if rel, err := filepath.Rel(filepath.Dir(scenario), name); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return filepath.Base(name)
}

// prepare checks everything that can be checked before the first request and brings up what the run needs. It returns
// false when something blocks; what it was is in the record.
func (r *run) prepare() bool {
	r.traffic, r.checks, r.sources = newTraffic(r), newChecks(r), newSources(r)
	var err error
	if r.control, err = openControl(r); err != nil {
		r.found("record", true, "the control socket cannot be opened", err.Error())
		return false
	}
	steps := []func() bool{r.checkSecrets, r.checkReplays, r.checkOthers,
		r.startLab, r.settleCluster, r.checkGenerators, r.checkHosts, r.reachCluster, r.checkPlaces, r.checkFaults, r.sources.open, r.sources.preflight}
	for _, step := range steps {
		if r.ctx.Err() != nil || !step() {
			return false
		}
	}
	r.sources.watch()
	if err := r.traffic.start(); err != nil {
		if r.ctx.Err() == nil {
			r.end(report.EndError, err)
		}
		return false
	}
	for _, o := range r.Scenario.SLIs {
		r.work.Go(func() { r.checks.follow(o) })
	}
	r.startFaults()
	return true
}

// found records one result of the preflight.
func (r *run) found(what string, blocks bool, summary, detail string) {
	r.rec.add(report.PreflightFound, report.Found{What: what, Blocks: blocks, Summary: summary, Detail: detail})
}

func (r *run) checkSecrets() bool {
	ok := true
	for _, s := range r.Scenario.Secrets {
		if !s.Set {
			r.found("secret "+s.Name, true, "not set", "The scenario reads it with secret(). Set the environment variable "+s.Name+".")
			ok = false
		}
	}
	return ok
}

// checkReplays refuses to run without the rates that are to be replayed.
func (r *run) checkReplays() bool {
	if r.unknown != nil {
		r.found("traffic", true, "what is to be replayed is not known", r.unknown.Error())
	}
	return r.unknown == nil
}

func (r *run) startLab() bool {
	if r.Lab == nil {
		return true
	}
	logs := filepath.Join(r.Dir, "logs")
	if err := os.MkdirAll(logs, 0o755); err != nil {
		r.found("lab", true, "no room for logs", err.Error())
		return false
	}
	if err := r.Lab.Start(r.ctx, *r.Scenario.Lab, lab.StartOptions{Folder: r.Scenario.Dir, Logs: logs}); err != nil {
		r.found("lab "+r.Scenario.Lab.Name, true, "the lab does not come up", err.Error())
		return false
	}
	return true
}

// checkPlaces looks at where the faults land, on machines and in the cluster, and at who is to send traffic there: who lacks something
// for several should hear of all of it.
func (r *run) checkPlaces() bool {
	ok := r.checkRunners()
	ok = r.ctx.Err() == nil && r.checkTargets() && ok
	return r.ctx.Err() == nil && r.checkCluster() && ok
}

// checkTargets resolves every target that a fault lands on, and asks its guard whether it can stand there.
func (r *run) checkTargets() bool {
	ok := true
	checked := map[string]bool{}
	r.lost = map[string]bool{}
	for _, f := range r.Scenario.Faults {
		for _, name := range f.Targets {
			if checked[name] {
				continue
			}
			checked[name] = true
			if err := r.checkTarget(name); err != nil {
				r.found("target "+name, true, err.Error(), "Nothing was touched. `gameday plan` shows what each target selects.")
				r.lost[name], ok = true, false
			}
		}
	}
	return ok
}

func (r *run) checkTarget(name string) error {
	places, err := r.target(name).Places(r.ctx)
	if err != nil {
		return err
	}
	for _, p := range places {
		c, err := r.guardOf(p)
		if err != nil {
			return fmt.Errorf("no guard can stand on %s: %w", name, err)
		}
		ctx, cancel := context.WithTimeout(r.ctx, askLimit)
		welcome, err := c.Hello(ctx)
		cancel()
		if err != nil {
			return fmt.Errorf("the guard on %s does not answer: %w", name, err)
		}
		for _, f := range r.Scenario.Faults {
			if slices.Contains(f.Targets, name) && !slices.Contains(welcome.Kinds, f.Kind.Name) {
				return fmt.Errorf("the guard on %s cannot inject %s", name, f.Kind.Name)
			}
		}
	}
	return nil
}

// checkFaults asks the guards whether each fault could be injected now: what a place lacks, and what is in the way, is
// better known before the first request than in the middle of the load.
func (r *run) checkFaults() bool {
	ok := true
	for i := range r.Scenario.Faults {
		f := &r.Scenario.Faults[i]
		places, err := r.resolve(f)
		for n := 0; err == nil && n < len(places); n++ {
			err = r.checkFault(f, places[n], n)
		}
		if err != nil {
			r.found("fault "+f.Name, true, err.Error(), cmp.Or(injectHint(err), "Nothing was touched."))
			ok = false
		}
	}
	return ok
}

func (r *run) checkFault(f *scenarios.Fault, p targets.Place, n int) error {
	request, err := r.request(f, p, n)
	if err == nil {
		err = r.forbidden(f, request)
	}
	if err != nil {
		return err
	}
	c, err := r.guardOf(p)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.ctx, askLimit)
	defer cancel()
	return c.Check(ctx, request)
}

// guards follows every guard that the machine hands out, once each.
func (r *run) guards() func(context.Context) (*guard.Client, error) {
	start := r.Options.Machine.Stand
	return func(ctx context.Context) (*guard.Client, error) {
		c, err := start(ctx)
		if err != nil {
			return nil, err
		}
		r.follow(c)
		return c, nil
	}
}

// finish reverts what stands, stops the traffic, asks the sources for their accounts, and returns what is left standing, and what could
// not be looked into.
func (r *run) finish() (residue []string, unseen string) {
	r.unwind()
	r.cancel(&endError{reason: report.EndComplete})
	if r.checks != nil {
		close(r.checks.done)
	}
	r.work.Wait()
	r.unwind() // what was being injected when the run ended
	r.traffic.stop(r.patience())
	if r.sources != nil {
		r.sources.accounts()
	}
	return r.residue()
}

// residue lists what this run left in the ledger, on hosts and in the cluster, and says when the cluster could not be looked into.
func (r *run) residue() (left []string, unseen string) {
	standing, err := r.Ledger.Standing()
	if err != nil {
		return []string{"the ledger cannot be read: " + err.Error()}, ""
	}
	for _, s := range standing {
		if s.Entry.Run == r.Run {
			left = append(left, s.Entry.Fault+" on "+s.Entry.Place.Name)
		}
	}
	inCluster, unseen := r.residueInCluster()
	return slices.Concat(left, r.residueOnHosts(), inCluster), unseen
}

// shut closes what listens. The lab, if there is one, goes with the process.
func (r *run) shut() {
	if r.sources != nil {
		r.sources.close()
	}
	r.control.close()
}

// Plan resolves a scenario's targets now and returns what would happen. It touches nothing. Targets that cannot be
// resolved are warnings: what is not there now may be there at the run.
func Plan(ctx context.Context, o Options) *report.Plan {
	unknown := o.replays(ctx)
	p := MakePlan(o.Scenario)
	if unknown != nil {
		p.Warnings = append(p.Warnings, "A run would not begin, as what is to be replayed is not known: "+unknown.Error()+".")
	}
	speaks := o.Machine.Cluster
	if o.Scenario.TouchesCluster() {
		looking, cancel := context.WithTimeout(ctx, clusterResolve)
		if f := o.reaches(looking); f != nil {
			planFinding(p, report.FindingPlan{Found: report.Found{What: f.What, Blocks: true, Summary: "what is in the cluster is not known: " + f.Summary, Detail: f.Detail}})
			o = o.without()
		}
		cancel()
	}
	for i := range p.Targets {
		resolvePlan(ctx, o, p, &p.Targets[i])
	}
	planned := o
	planned.Run = plannedRun
	aims := planned.aim(func(f *scenarios.Fault) ([]targets.Place, error) { return o.lands(ctx, f) })
	planObjects(ctx, o, speaks, aims, p)
	planCluster(ctx, o, aims, p)
	planRadius(ctx, o, p)
	planGenerators(ctx, o, p)
	planRunners(ctx, o, p)
	weighFindings(o.Scenario, p)
	if h := faults.Halted(o.Halts...); h != nil {
		p.Warnings = append(p.Warnings, "Game days are "+h.Error()+".")
	}
	p.Policy = policyPlan(ctx, o)
	return redacted(o.Scenario, p)
}

func resolvePlan(ctx context.Context, o Options, p *report.Plan, t *report.TargetPlan) {
	if o.Scenario.Lab != nil {
		t.Pending = true
		return
	}
	_, inCluster := o.Scenario.Target(t.Name).Selector.(targets.InCluster)
	if inCluster && o.Machine.Cluster == nil {
		t.Unknown = true // and why is said already
		return
	}
	places, err := o.target(t.Name).Places(ctx)
	if err != nil {
		t.Unknown = !answered(err)
		if inCluster {
			planTarget(o.Scenario, p, t.Name, err)
			return
		}
		p.Warnings = append(p.Warnings, sentence(err.Error()))
		return
	}
	for _, place := range places {
		t.Places = append(t.Places, place.Describe())
		if c := place.Where().Cluster; c != nil {
			p.Cluster = clusterText(faults.Access{Kubeconfig: o.Scenario.Kubernetes.Kubeconfig, Context: c.Context})
		}
		previews(o.Scenario, p, t.Name, place.Where())
	}
}

// errNoScenario is for callers that forget one.
var errNoScenario = errors.New("no scenario to run")

// Check reports options that cannot work.
func (o Options) Check() error {
	if o.Scenario == nil {
		return errNoScenario
	}
	if (o.Scenario.Lab != nil) != (o.Lab != nil) {
		return fmt.Errorf("scenario %q needs its lab around it", o.Scenario.Name)
	}
	if streams := unmeasured(o.Scenario); len(streams) > 0 {
		return fmt.Errorf("1x was not measured of traffic %s", joinNames(streams))
	}
	return nil
}

// beginsAt returns a fault's planned instant on the run's clock.
func beginsAt(s *scenarios.Scenario, name string) time.Duration {
	return s.Timeline.Start(report.Load) + s.Begins(name)
}
