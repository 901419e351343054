// Package conductor runs one scenario: phases, injections, watchers, aborts and unwinding, and writes the record. It is
// the only place that knows time passes.
//
//	prepare ─▶ baseline ─▶ ramp ─▶ (control) ─▶ load ─▶ recovery ─▶ finish
//	               │                              │ faults come and go
//	               └── not steady ────────────────┴── abort, stop, error ──▶ unwind in reverse order ──▶ finish
//
// It judges nothing but what it needs to go on: whether the steady state holds, and whether to abort. The verdict is
// report's, from the record alone.
package conductor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/hcl/v2"

	"gameday/audit"
	"gameday/faults"
	"gameday/faults/guard"
	"gameday/loadgen"
	"gameday/loadgen/collector"
	"gameday/policy"
	"gameday/report"
	"gameday/scenarios"
	"gameday/targets"
	remote "gameday/targets/hosts"
	"gameday/targets/lab"
)

// Options say what to run, with what, and where to keep the record.
type Options struct {
	Scenario *scenarios.Scenario
	Sources  map[string]*hcl.File // the scenario's files, for the record and for snippets
	Dir      string               // the record's folder; it is there, and empty but for logs
	Run      string               // the run's id, a valid ledger id
	Version  string
	// Seed decides which places are picked out of those that a target finds. 0 is a seed made of the scenario's name, so
	// that plan and run agree, and one run with the next.
	Seed int64
	// Search makes the run look for the capacity; nil is a game day. The scenario is then what ForSearch returns.
	Search *Search
	// Generator sends the traffic.
	Generator loadgen.Generator
	// Runners start those that share a stream, by what its run_on names.
	Runners map[string]collector.Starter
	// Series asks for the rates that are replayed; nil asks the scenario's sources themselves.
	Series Series
	// Machine resolves targets and brings the guard.
	Machine *targets.Machine
	// Lab is set when the scenario has a lab and this process stands in it.
	Lab *lab.Client
	// Ledger is where the guard writes what stands.
	Ledger *faults.Ledger
	// Kinds are the fault kinds linked in, for reverting what a dead guard left.
	Kinds []faults.Kind
	// Policies must all allow the run, and each injection.
	Policies []*policy.Policy
	// ApprovedBy is who approved the run; empty when nobody did.
	ApprovedBy string
	// Halts are files; when one of them comes up, the run ends. See faults.Halt.
	Halts []string
	// Audit is the log of what is done to targets; nil keeps none.
	Audit *audit.Log
	// At is when a plan's run would begin, for its policies; zero is now. Only Plan reads it.
	At time.Time
	// Observe sees every event as it is recorded. It must not block.
	Observe func(report.Event)
	// Stop ends the run before its time when it yields.
	Stop <-chan report.Stop

	// listen opens the control socket in the record's folder; nil opens a real one.
	listen func(dir string) (net.Listener, error)
}

// endError is the cause with which a run's context is cancelled.
type endError struct {
	reason report.EndReason
	err    error
}

func (e *endError) Error() string {
	if e.err != nil {
		return e.err.Error()
	}
	return string(e.reason)
}

func (e *endError) Unwrap() error { return e.err }

// run is one execution of a scenario.
type run struct {
	Options
	rec     *recorder
	traffic *traffic
	faults  []*faultRun
	sources *sources
	checks  *checks
	control *control
	audit   *auditor
	// collectors are where the runners of its streams report.
	collectors collectors
	// enforced are the guards that have the run's policies; enforcing is held while one is given them.
	enforcing sync.Mutex
	enforced  map[*guard.Client]bool

	// over says that the phases have ended, so that what opens from now on ends nothing any more.
	over atomic.Bool
	// intoCluster says that something was to be put into the cluster.
	intoCluster atomic.Bool
	// lost are the targets of which the preflight has said what is wrong with them.
	lost map[string]bool
	// mayBeLeft are the streams for which something was put into the cluster that was not seen to be gone. It is guarded by mu.
	mayBeLeft []string

	unknown error // why the series of a replay is not known
	// ctx ends when the run must unwind; its cause is an *endError.
	ctx    context.Context
	cancel context.CancelCauseFunc
	// loadBegan is closed when the load phase begins.
	loadBegan chan struct{}
	pace      pace

	mu       sync.Mutex
	standing []*injection // in order of injection
	touched  time.Time    // when something was injected first
	followed map[*guard.Client]bool
	used     []*remote.Host // on which something was injected
	amounts  amounts
	work     sync.WaitGroup
}

// Run executes the scenario and writes its record. It returns an error only when there is no record to judge: whatever
// happens afterwards is in the record. When ctx ends, the run unwinds as if it had been stopped.
func Run(ctx context.Context, o Options) error {
	start := time.Now()
	auditor := newAuditor(o)
	observe := func(e report.Event) {
		auditor.observe(e)
		if o.Observe != nil {
			o.Observe(e)
		}
	}
	rec, err := newRecorder(o.Dir, start, o.Scenario.Redact, observe)
	if err != nil {
		return err
	}
	r := &run{Options: o, rec: rec, audit: auditor, loadBegan: make(chan struct{}), enforced: map[*guard.Client]bool{},
		followed: map[*guard.Client]bool{}}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	machine := *o.Machine
	machine.Stand = r.guards()
	r.Machine = &machine
	defer r.cancel(nil)
	r.unknown = o.replays(r.ctx)
	if err := r.writePlan(); err != nil {
		return errors.Join(err, rec.close(), auditor.close())
	}
	host, _ := os.Hostname()
	rec.add(report.RunStarted, report.Started{Run: o.Run, Version: o.Version, At: start.UTC().Round(0), Host: host,
		Seed: o.seed(), Lab: o.Lab != nil, Policies: o.policyFiles(), ApprovedBy: o.ApprovedBy})
	go r.listen()
	if len(o.Halts) > 0 {
		go r.watchHalt()
	}

	reason, err := r.conduct()
	r.over.Store(true)
	r.letGo()
	ended := report.Ended{Reason: reason}
	ended.Residue, ended.Unseen = r.finish()
	if err != nil {
		ended.Error = err.Error()
	}
	rec.add(report.RunEnded, ended)
	r.shut()
	r.closeAudit()
	return rec.close()
}

// listen turns a request to stop into the end of the run.
func (r *run) listen() {
	select {
	case s, ok := <-r.Stop:
		if ok {
			r.rec.add(report.StopAsked, s)
			if s.Abandoned {
				r.end(report.EndError, errors.New("gameday was killed"))
				return
			}
			r.end(report.EndStopped, nil)
		}
	case <-r.ctx.Done():
	}
}

// end makes the run unwind. The first reason stands.
func (r *run) end(reason report.EndReason, err error) { r.cancel(&endError{reason: reason, err: err}) }

// why returns the reason for which the run's context ended.
func (r *run) why() (report.EndReason, error) {
	var e *endError
	if errors.As(context.Cause(r.ctx), &e) {
		return e.reason, e.err
	}
	return report.EndStopped, nil
}

// conduct goes through the phases and returns when nothing more is to happen but unwinding.
func (r *run) conduct() (report.EndReason, error) {
	if ok := r.prepare(); !ok {
		if r.ctx.Err() != nil {
			return r.why()
		}
		return report.EndPreflight, nil
	}
	r.work.Go(r.tick)
	steps := []func() error{r.baseline, r.ramp, r.withoutFaults, r.load, r.recovery}
	if r.Search != nil {
		steps = []func() error{r.baseline, r.search}
	}
	for _, step := range steps {
		if err := step(); err != nil {
			var e *endError
			if errors.As(err, &e) {
				return e.reason, e.err
			}
			return r.why()
		}
	}
	return report.EndComplete, nil
}

// baseline holds 1x and goes on only when the steady state held.
func (r *run) baseline() error {
	r.phase(report.PhaseStarted, report.Baseline)
	r.pace.open()
	err := r.pass()
	// Of one that was held the last part counts, as long as is planned: it must hold when faults may come, not only before.
	from, end := r.pace.planned()
	if err == nil {
		// The last second's window comes a moment after it.
		err = r.traffic.waitFor(r.ctx, end, 3*time.Second)
	}
	r.phase(report.PhaseEnded, report.Baseline)
	if err != nil {
		return err
	}
	if missing := untold(r.traffic.inside(from, r.rec.now())); missing != "" {
		return &endError{reason: report.EndUnsteady, err: fmt.Errorf("whether the steady state held in the baseline phase is not known: %s", missing)}
	}
	if failing := r.checks.steady(from, r.rec.now()); len(failing) > 0 {
		return &endError{reason: report.EndUnsteady, err: fmt.Errorf("the steady state did not hold in the baseline phase: %s",
			joinNames(failing))}
	}
	return nil
}

func (r *run) ramp() error {
	length := r.Scenario.Timeline.Ramp
	r.phase(report.PhaseStarted, report.Ramp)
	r.traffic.ramp(length)
	err := r.before(length, func() { r.traffic.load(true) })
	r.phase(report.PhaseEnded, report.Ramp)
	return err
}

// withoutFaults sends the load phase's traffic from its begin, and does nothing else: what fires in it fires without a fault.
// The load phase then begins again.
func (r *run) withoutFaults() error {
	length := r.Scenario.Timeline.Control
	if length == 0 {
		return nil
	}
	r.phase(report.PhaseStarted, report.Control)
	r.traffic.load(false)
	err := r.before(length, func() {
		r.traffic.again(true)
		r.traffic.load(true)
	})
	r.phase(report.PhaseEnded, report.Control)
	if err == nil {
		r.traffic.again(false)
	}
	return err
}

// load lasts its planned time, and longer while a fault that has begun is not over.
func (r *run) load() error {
	r.phase(report.PhaseStarted, report.Load) // first, so that no fault of the phase stands before it in the record
	close(r.loadBegan)
	r.traffic.load(false)
	r.pace.open()
	err := r.arrive(r.Scenario.Timeline.Load, nil, nil)
	for _, f := range r.faults {
		if err != nil {
			break
		}
		err = f.wait(r.ctx)
	}
	if err == nil {
		err = r.pass() // somebody may hold it meanwhile
	}
	r.phase(report.PhaseEnded, report.Load)
	return err
}

func (r *run) recovery() error {
	since := r.position()
	r.phase(report.PhaseStarted, report.Recovery)
	r.traffic.hold(since)
	r.pace.open()
	err := r.pass()
	r.phase(report.PhaseEnded, report.Recovery)
	return err
}

func (r *run) phase(kind report.EventKind, p report.Phase) {
	if kind == report.PhaseStarted {
		r.pace.enter(p, phaseLength(r.Scenario, p), r.rec.now())
	}
	r.rec.add(kind, report.PhaseChange{Phase: p})
}

// sleep waits, or returns the reason for which the run must unwind.
func (r *run) sleep(d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
}

// tick evaluates what is evaluated each second, until the run ends.
func (r *run) tick() {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-r.checks.done:
			return
		case <-t.C:
		}
		r.checks.second(r.rec.now())
		if err := r.rec.failed(); err != nil {
			r.end(report.EndError, err)
		}
	}
}

func joinNames(names []string) string {
	out := ""
	for i, n := range names {
		if i > 0 {
			out += ", "
		}
		out += n
	}
	return out
}
