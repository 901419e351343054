package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"gameday/audit"
	"gameday/faults"
)

func (a *app) revertCmd() *cobra.Command {
	var quiet bool
	var on []string
	f := &hostFlags{}
	inCluster, l := false, liftFlags{}
	c := &cobra.Command{
		Use:   "revert",
		Short: "Revert faults that a killed run left standing",
		Long: "Reverts every fault in this machine's ledger whose guard is dead, newest first, and says so. Faults of runs in progress are left\n" +
			"alone. It works from the ledger alone, and may be repeated; what a lab left that was killed as a whole is in the lab's own ledger,\n" +
			"which is found. Exits 0 when nothing is left, 5 when something is or nobody can tell.\n\n" +
			"`gameday install-guard` has it run by itself. With --host it does the same on a machine that is reached by SSH, from the ledger\n" +
			"over there. With --kubernetes it lifts what has gameday's labels in a cluster, whatever any ledger says, and tells what became of each\n" +
			"object. Those of runs in progress on this machine are left alone, and so are those made on other machines until they should be gone:\n" +
			"--run lifts those of one run, and --all everybody's.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			switch {
			case inCluster && len(on) > 0:
				return usage("--kubernetes and --host are two places; say one at a time")
			case l.all && l.run != "":
				return usage("--run is one run, and --all are all: say one of them")
			case inCluster:
				return a.lift(l, quiet)
			case l != liftFlags{}:
				return usage("--kubeconfig, --context, --run, --all and --force go with --kubernetes")
			}
			if len(on) > 0 {
				return a.revertOnHosts(f.settings(on), quiet)
			}
			ledger, err := machineLedger()
			if err != nil {
				return usage("%w", err)
			}
			return a.revertAll(ledger, quiet)
		},
	}
	c.Flags().StringArrayVar(&on, "host", nil, "revert on this machine, as one writes it after ssh; may be repeated")
	f.flags(c)
	c.Flags().BoolVar(&inCluster, "kubernetes", false, "lift what has gameday's labels in a Kubernetes cluster")
	c.Flags().StringVar(&l.Kubeconfig, "kubeconfig", "", "with --kubernetes: file that says how the cluster is reached (default: as kubectl)")
	c.Flags().StringVar(&l.Context, "context", "", "with --kubernetes: context of that file (default: its current one)")
	c.Flags().StringVar(&l.run, "run", "", "with --kubernetes: only what this run left (default: all that are over)")
	c.Flags().BoolVar(&l.all, "all", false, "with --kubernetes: also what other machines' runs in progress may have")
	c.Flags().BoolVar(&l.force, "force", false, "with --kubernetes: take the finalizers off what hangs; whatever Chaos Mesh did not undo stays")
	c.Flags().BoolVarP(&quiet, "quiet", "q", false, "say nothing when there is nothing to revert")
	return c
}

// clean refuses to start over faults that an earlier run left on this machine, or reverts them first. A run in a lab of its own
// looks after those that other labs have left, and after no others: it cannot be in their way.
func (a *app) clean(ledger *faults.Ledger, heal, onlyLabs bool) error {
	var standing []faults.Standing
	var err error
	if !onlyLabs {
		if standing, err = ledger.Standing(); err != nil {
			return usage("%w", err)
		}
	}
	standing = slices.DeleteFunc(standing, func(s faults.Standing) bool { return !s.Orphaned })
	ofLabs, err := orphansOfLabs(ledger.Dir())
	standing = append(standing, ofLabs...)
	if errors.Is(err, errNoLedger) { // nothing that a run could do about it
		a.say("%v", err)
		err = nil
	}
	if err != nil {
		return &codeError{code: exitResidue, err: err}
	}
	if len(standing) == 0 {
		return nil
	}
	if heal && onlyLabs {
		return a.revertLeft(nil, ledger.Dir(), true)
	}
	if heal {
		return a.revertAll(ledger, true)
	}
	for _, s := range standing {
		if s.Err != nil {
			a.say("an entry that cannot be read: %s: %v", s.ID, s.Err)
			continue
		}
		a.say("left standing since %s: %s", s.Entry.Opened.Local().Format(time.DateTime), naming(s.Entry))
	}
	return &codeError{code: exitResidue, err: fmt.Errorf("%d fault(s) of an earlier run are left standing; "+
		"`gameday revert` removes them, and so does run --heal", len(standing))}
}

// revertAll reverts every orphan in a ledger, and those of labs that are gone, and says what became of each.
func (a *app) revertAll(ledger *faults.Ledger, quiet bool) error {
	results, err := faults.RevertOrphans(context.Background(), ledger, allKinds(), nil)
	if err != nil {
		return &codeError{code: exitResidue, err: err}
	}
	return a.revertLeft(results, ledger.Dir(), quiet)
}

// revertLeft reverts what labs that are gone have left, and says what became of that and of what was reverted before.
func (a *app) revertLeft(results []faults.RevertResult, machine string, quiet bool) error {
	more, err := revertLabs(machine)
	results = append(results, more...)
	left := a.tell(a.out, results)
	switch {
	case err != nil:
		return &codeError{code: exitResidue, err: err}
	case left > 0:
		return &codeError{code: exitResidue, err: fmt.Errorf("%d of %d fault(s) could not be reverted; what stands in the way is said "+
			"above, and `gameday revert` may be repeated", left, len(results))}
	case len(results) == 0 && !quiet:
		a.say("nothing is left standing")
	}
	return nil
}

// tell says what became of orphans, here and in the audit log, and counts those that are left.
func (a *app) tell(out io.Writer, results []faults.RevertResult) (left int) {
	a.auditOne(orphanLines(results)...)
	for _, r := range results {
		switch {
		case r.Err != nil && r.Entry.ID == "":
			left++
			a.say("%v", r.Err)
		case r.Err != nil:
			left++
			a.say("%s is left standing: %v", naming(r.Entry), r.Err)
		case r.Note != "":
			fmt.Fprintf(out, "closed %s: %s\n", naming(r.Entry), r.Note)
		case reversible(r.Entry.Kind):
			fmt.Fprintln(out, "reverted", naming(r.Entry))
		default:
			fmt.Fprintf(out, "closed %s: it has no undo, and must recover by itself\n", naming(r.Entry))
		}
	}
	return left
}

// orphanLines are what the audit log has of orphans.
func orphanLines(results []faults.RevertResult) []audit.Line {
	var out []audit.Line
	for _, r := range results {
		l := audit.Line{What: audit.OrphanGone, ID: r.Entry.ID, Run: r.Entry.Run, Scenario: r.Entry.Scenario, Fault: r.Entry.Fault,
			Kind: r.Entry.Kind, Place: r.Entry.Place.Name}
		if l.Why = r.Note; r.Err != nil {
			l.What, l.Why = audit.OrphanStands, r.Err.Error()
		}
		out = append(out, l)
	}
	return out
}

// naming returns "cut (network_partition) on web, of run old".
func naming(e faults.Entry) string {
	if c := e.Place.Cluster; c != nil {
		where := "in the cluster"
		if c.Pod != nil {
			where = fmt.Sprintf("pod %s/%s", c.Pod.Namespace, c.Pod.Name)
		}
		if c.Context != "" {
			where += ", context " + c.Context
		}
		return fmt.Sprintf("%s (%s) on %s (%s), of run %s", e.Fault, e.Kind, e.Place.Name, where, e.Run)
	}
	if e.Place.Host != "" {
		return fmt.Sprintf("%s (%s) on %s (host %s), of run %s", e.Fault, e.Kind, e.Place.Name, e.Place.Host, e.Run)
	}
	return fmt.Sprintf("%s (%s) on %s, of run %s", e.Fault, e.Kind, e.Place.Name, e.Run)
}

func reversible(kind string) bool {
	return slices.ContainsFunc(allKinds(), func(k faults.Kind) bool { return k.Name == kind && k.Reversible })
}
