package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"gameday/audit"
	"gameday/faults"
	"gameday/faults/kinds"
)

func (a *app) revertCmd() *cobra.Command {
	var quiet bool
	var on []string
	f := &hostFlags{}
	c := &cobra.Command{
		Use:   "revert",
		Short: "Revert faults that a killed run left standing",
		Long: "Reverts every fault in this machine's ledger whose guard is dead, newest first, and says so. Faults of runs in progress are left\n" +
			"alone. It works from the ledger alone, and may be repeated. Exits 0 when nothing is left, 5 when something is.\n\n" +
			"`gameday install-guard` has it run by itself. With --host it does the same on a machine that is reached by SSH, from the ledger\n" +
			"over there.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if len(on) > 0 {
				return a.revertOnHosts(f.settings(on), quiet)
			}
			dir, err := faults.DefaultLedgerDir()
			if err != nil {
				return usage("%w", err)
			}
			ledger, err := faults.OpenLedger(dir)
			if err != nil {
				return usage("%w", err)
			}
			return a.revertAll(ledger, quiet)
		},
	}
	c.Flags().StringArrayVar(&on, "host", nil, "revert on this machine, as one writes it after ssh; may be repeated")
	f.flags(c)
	c.Flags().BoolVarP(&quiet, "quiet", "q", false, "say nothing when there is nothing to revert")
	return c
}

// clean refuses to start over faults that an earlier run left, or reverts them first.
func (a *app) clean(ledger *faults.Ledger, heal bool) error {
	standing, err := ledger.Standing()
	if err != nil {
		return usage("%w", err)
	}
	standing = slices.DeleteFunc(standing, func(s faults.Standing) bool { return !s.Orphaned })
	if len(standing) == 0 {
		return nil
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

// revertAll reverts every orphan in a ledger and says what became of each.
func (a *app) revertAll(ledger *faults.Ledger, quiet bool) error {
	results, err := faults.RevertOrphans(context.Background(), ledger, kinds.All(), nil)
	if err != nil {
		return &codeError{code: exitResidue, err: err}
	}
	left := 0
	a.auditOne(orphanLines(results)...)
	for _, r := range results {
		switch {
		case r.Err != nil && r.Entry.ID == "":
			left++
			a.say("%v", r.Err)
		case r.Err != nil:
			left++
			a.say("%s is left standing: %v", naming(r.Entry), r.Err)
		case reversible(r.Entry.Kind):
			fmt.Fprintln(a.out, "reverted", naming(r.Entry))
		default:
			fmt.Fprintf(a.out, "closed %s: it has no undo, and must recover by itself\n", naming(r.Entry))
		}
	}
	switch {
	case left > 0:
		return &codeError{code: exitResidue, err: fmt.Errorf("%d of %d fault(s) could not be reverted; what stands in the way is said "+
			"above, and `gameday revert` may be repeated", left, len(results))}
	case len(results) == 0 && !quiet:
		a.say("nothing is left standing")
	}
	return nil
}

// orphanLines are what the audit log has of orphans.
func orphanLines(results []faults.RevertResult) []audit.Line {
	var out []audit.Line
	for _, r := range results {
		l := audit.Line{What: audit.OrphanGone, ID: r.Entry.ID, Run: r.Entry.Run, Scenario: r.Entry.Scenario, Fault: r.Entry.Fault,
			Kind: r.Entry.Kind, Place: r.Entry.Place.Name}
		if r.Err != nil {
			l.What, l.Why = audit.OrphanStands, r.Err.Error()
		}
		out = append(out, l)
	}
	return out
}

// naming returns "cut (network_partition) on web, of run old".
func naming(e faults.Entry) string {
	if e.Place.Host != "" {
		return fmt.Sprintf("%s (%s) on %s (host %s), of run %s", e.Fault, e.Kind, e.Place.Name, e.Place.Host, e.Run)
	}
	return fmt.Sprintf("%s (%s) on %s, of run %s", e.Fault, e.Kind, e.Place.Name, e.Run)
}

func reversible(kind string) bool {
	return slices.ContainsFunc(kinds.All(), func(k faults.Kind) bool { return k.Name == kind && k.Reversible })
}
