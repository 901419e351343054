package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"gameday/audit"
	"gameday/faults"
	"gameday/faults/cluster"
	"gameday/faults/kinds"
	"gameday/report"
	near "gameday/targets/cluster"
)

const (
	// checkLimit bounds what is asked of gameday-kubernetes without a cluster.
	checkLimit = 30 * time.Second
	// lookLimit bounds looking what there is.
	lookLimit = 20 * time.Second
	// liftLimit bounds lifting what is left in a cluster: the faults are undone on every node first.
	liftLimit = 3 * time.Minute
)

// looks is the program that speaks to clusters for whoever only looks. It is started when it is first needed, and closed by closeLooks.
var looks near.Program

// closeLooks ends it; it is started again when it is needed again.
func closeLooks() { _ = looks.Close(context.Background()) } // it holds nothing

// abandonLimit bounds removing what it has when gameday is interrupted.
const abandonLimit = 2 * time.Second

// ownSignals is set by verbs that take signals themselves, and end as any other does.
var ownSignals atomic.Bool

// watchLooks lets a signal that ends gameday first remove what looks has, unless the verb sees to that.
func watchLooks() (stop func()) {
	c := make(chan os.Signal, 1)
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) { // as under nohup
			signal.Notify(c, s)
		}
	}
	if ownSignals.Load() {
		signal.Stop(c)
	}
	go func() {
		got, open := <-c
		if !open || ownSignals.Load() {
			return
		}
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			looks.Abandon()
		}()
		select {
		case <-gone:
		case <-time.After(abandonLimit): // it was just being started; the next gameday removes its folder
		}
		signal.Reset(got)
		_ = syscall.Kill(os.Getpid(), got.(syscall.Signal))
	}()
	return sync.OnceFunc(func() {
		signal.Stop(c)
		close(c)
	})
}

// allKinds are the fault kinds of this build, with a way to revert them in clusters.
func allKinds() []faults.Kind { return near.Kinds(kinds.All()) }

// checkInCluster asks what of some faults cannot be done in a cluster.
func checkInCluster(access faults.Access, all []cluster.Fault) ([]cluster.Mistake, error) {
	ctx, cancel := context.WithTimeout(context.Background(), checkLimit)
	defer cancel()
	return looks.Validate(ctx, access, all)
}

// writeObjects writes what a plan puts into the cluster, one file each, and says which files of the folder it did not write.
func (a *app) writeObjects(dir string, all []report.ObjectPlan) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return usage("writing the objects: %w", err)
	}
	written := map[string]bool{}
	for _, m := range all {
		base := folderName(m.Fault + "-" + m.Place)
		name := base + ".yaml"
		for n := 2; written[name]; n++ {
			name = fmt.Sprintf("%s-%d.yaml", base, n)
		}
		written[name] = true
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.TrimRight(m.YAML, "\n")+"\n"), 0o644); err != nil {
			return usage("writing the objects: %w", err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return usage("writing the objects: %w", err)
	}
	var others []string
	for _, e := range entries {
		if !written[e.Name()] && strings.HasSuffix(e.Name(), ".yaml") {
			others = append(others, e.Name())
		}
	}
	if a.say("%s written to %s", counted(len(written), "object"), dir); len(others) > 0 {
		a.say("%s in %s are none of this plan's, and were left", strings.Join(others, ", "), dir)
	}
	return nil
}

// counted returns "1 object" or "3 objects".
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func isOrAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// liftFlags say what `gameday revert --kubernetes` lifts, and where.
type liftFlags struct {
	faults.Access
	run   string
	all   bool
	force bool
}

// lift removes what gameday has left in a cluster, by its labels, and says what became of each object.
func (a *app) lift(f liftFlags, quiet bool) error {
	if f.Kubeconfig != "" {
		paths := filepath.SplitList(f.Kubeconfig)
		for i, p := range paths {
			abs, err := filepath.Abs(p)
			if err != nil {
				return usage("--kubeconfig: %w", err)
			}
			paths[i] = abs
		}
		f.Kubeconfig = strings.Join(paths, string(filepath.ListSeparator))
	}
	ledger, err := machineLedger()
	if err != nil {
		return usage("%w", err)
	}
	held, err := heldIn(ledger)
	if err != nil {
		return &codeError{code: exitResidue, err: err}
	}
	live, err := running()
	if err != nil {
		return &codeError{code: exitResidue, err: err}
	}
	var runs []string
	for _, r := range live {
		runs = append(runs, r.Run)
	}
	ctx, cancel := context.WithTimeout(context.Background(), liftLimit)
	defer cancel()
	failed := func(err error) error {
		return &codeError{code: exitResidue, err: fmt.Errorf("what is left in the cluster is not known: %w", err)}
	}
	looking, enough := context.WithTimeout(ctx, lookLimit)
	defer enough()
	objects, err := looks.Ours(looking, f.Access, f.run)
	if err != nil {
		return failed(err)
	}
	host, err := os.Hostname()
	if err != nil {
		return failed(err)
	}
	var lifted []cluster.Lifted
	if only := a.toLift(objects, f, held, runs, host, time.Now()); len(only) > 0 {
		lifted, err = looks.Lift(ctx, f.Access, cluster.Lift{Run: f.run, Only: only, Force: f.force, But: held, ButRuns: runs})
		if err != nil {
			return failed(err)
		}
	}
	unseen := looks.SeesAll(ctx, f.Access, f.run)
	gone := goneIDs(lifted)
	closing, err := faults.RevertOrphans(ctx, ledger, allKinds(), func(e faults.Entry) bool { return slices.Contains(gone, e.ID) })
	left := a.tellLifted(withNotes(lifted, closing))
	if err != nil {
		return &codeError{code: exitResidue, err: err}
	}
	inLedger := a.tell(a.out, slices.DeleteFunc(closing, func(r faults.RevertResult) bool { return r.Err == nil })) // the others are told as lifted
	switch {
	case left > 0:
		advice := "; `--force` takes their finalizers off, and leaves whatever Chaos Mesh did not undo (docs/kubernetes.md)"
		if f.force {
			advice = ""
		}
		return &codeError{code: exitResidue, err: fmt.Errorf("%d of %s %s left in the cluster; what stands in the way is said above%s", left, counted(len(lifted), "object"), isOrAre(left), advice)}
	case unseen != nil:
		return failed(unseen)
	case inLedger > 0:
		return &codeError{code: exitResidue, err: errors.New("what stands in the way is said above, and `gameday revert` may be repeated")}
	case len(lifted) == 0 && !quiet:
		a.say("nothing%s is left in the cluster that could be lifted%s", whose(f.run), reached(looking, f.Access))
	}
	return nil
}

// toLift returns the runs whose objects are to be lifted, and says what is left alone: what guards and runs in progress here have, and
// without --run or --all what may be of a run in progress on another machine, host being this one.
func (a *app) toLift(objects []cluster.Object, f liftFlags, held, runs []string, host string, now time.Time) []string {
	var only, told []string
	for _, o := range objects {
		switch {
		case slices.Contains(held, o.ID):
			a.say("%s stands, and its guard lives: it is left alone", namingObject(o))
		case slices.Contains(runs, o.Run):
			a.say("%s is of a run in progress here, and left alone: `gameday stop %s` ends that", namingObject(o), o.Run)
		case f.run == "" && !f.all && elsewhere(o, host, now):
			if !slices.Contains(told, o.Run) {
				told = append(told, o.Run)
				a.say("%s is %s's, whose run may be in progress there until %s: it is left alone, with all that the run has; --run %s lifts it, and "+
					"--all everything", namingObject(o), o.Owner, o.Until, o.Run)
			}
		case !slices.Contains(only, o.Run):
			only = append(only, o.Run)
		}
	}
	return slices.DeleteFunc(only, func(run string) bool { return slices.Contains(told, run) })
}

// elsewhere reports whether an object was made on another machine than host, and should not be gone yet: its game day may go on.
func elsewhere(o cluster.Object, host string, now time.Time) bool {
	at := strings.LastIndexByte(o.Owner, '@')
	until, err := time.Parse(time.RFC3339, o.Until)
	return at >= 0 && o.Owner[at+1:] != host && (err != nil || now.Before(until))
}

// whose names what was looked for: all of gameday's, or what one run made.
func whose(run string) string {
	if run == "" {
		return " of gameday's"
	}
	return " of gameday's run " + run
}

// reached says which cluster was looked into, since a kubeconfig that leads elsewhere has nothing in it either.
func reached(ctx context.Context, access faults.Access) string {
	all, err := looks.Preflight(ctx, access, cluster.Preflight{})
	if err != nil || len(all) == 0 {
		return ""
	}
	return "; " + all[0].Summary
}

// goneIDs returns the ledger's ids of objects that are gone.
func goneIDs(all []cluster.Lifted) []string {
	var out []string
	for _, l := range all {
		if l.Gone && l.ID != "" {
			out = append(out, l.ID)
		}
	}
	return out
}

// withNotes adds to objects that are gone what was noted when their entries in the ledger were closed.
func withNotes(all []cluster.Lifted, closed []faults.RevertResult) []cluster.Lifted {
	out := slices.Clone(all)
	for _, r := range closed {
		i := slices.IndexFunc(out, func(l cluster.Lifted) bool { return l.ID == r.ID && l.Gone })
		if i < 0 || r.Note == "" || r.Err != nil || strings.Contains(out[i].Note, r.Note) {
			continue
		}
		if out[i].Note != "" {
			out[i].Note += "; "
		}
		out[i].Note += r.Note
	}
	return out
}

// tellLifted says what became of objects, here and in the audit log, and counts those that are left.
func (a *app) tellLifted(all []cluster.Lifted) (left int) {
	var lines []audit.Line
	for _, l := range all {
		line := audit.Line{What: audit.OrphanGone, ID: l.ID, Run: l.Run, Scenario: l.Scenario, Fault: l.Fault, Kind: l.Kind,
			Place: l.Namespace + "/" + l.Name, Why: l.Note}
		switch {
		case !l.Gone:
			left++
			line.What, line.Why = audit.OrphanStands, l.Blocks
			a.say("%s is left standing: %s", namingObject(l.Object), l.Blocks)
		case l.Note != "":
			fmt.Fprintf(a.out, "lifted %s: %s\n", namingObject(l.Object), l.Note)
		default:
			fmt.Fprintln(a.out, "lifted", namingObject(l.Object))
		}
		lines = append(lines, line)
	}
	a.auditOne(lines...)
	return left
}

// namingObject returns "cut (NetworkChaos shop/gameday-cut-4k2), of run old".
func namingObject(o cluster.Object) string {
	what := fmt.Sprintf("%s %s/%s", o.Kind, o.Namespace, o.Name)
	if o.Fault != "" {
		what = fmt.Sprintf("%s (%s)", o.Fault, what)
	}
	if o.Run != "" {
		what += ", of run " + o.Run
	}
	return what
}

// heldIn returns the ids of the entries in a ledger whose guards live.
func heldIn(ledger *faults.Ledger) ([]string, error) {
	standing, err := ledger.Standing()
	var out []string
	for _, s := range standing {
		if !s.Orphaned {
			out = append(out, s.ID)
		}
	}
	return out, err
}
