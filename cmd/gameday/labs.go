package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gameday/faults"
	"gameday/targets/lab"
)

// dyingLimit bounds the wait for guards of a lab whose first process has ended: the kernel kills them just then.
const dyingLimit = 5 * time.Second

// machineLedger opens the ledger of this machine, or of this user.
func machineLedger() (*faults.Ledger, error) {
	dir, err := faults.DefaultLedgerDir()
	if err != nil {
		return nil, err
	}
	return faults.OpenLedger(dir)
}

// labLedger is where a lab's faults are written down, in the folder of the record.
func labLedger(dir string) string { return filepath.Join(dir, "ledger") }

// errNoLedger says that somebody has removed the record of a lab that was killed.
var errNoLedger = errors.New("its ledger is not there any more")

// openLabLedger opens the ledger of a lab that is gone. One that somebody has removed is not made anew.
func openLabLedger(n *lab.Notice) (*faults.Ledger, error) {
	if _, err := os.Stat(n.Ledger); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("a lab was killed, and %w (%s): whether one of these control groups is left of it, nobody can tell: %s; "+
			"look at them, then remove %s", errNoLedger, n.Ledger, strings.Join(ownGroups(), ", "), n.Path())
	}
	return faults.OpenLedger(n.Ledger)
}

// groupsFolder is where control groups are mounted. Only tests set another.
var groupsFolder = "/sys/fs/cgroup"

// ownGroups lists the control groups of faults that are on this machine now, whoever made them.
func ownGroups() []string {
	var found []string
	_ = filepath.WalkDir(groupsFolder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), "gameday-") {
			found = append(found, path)
		}
		return nil
	})
	return found
}

// leftNothing reports whether a lab whose ledger is gone can have left nothing: there is no control group of a fault.
func leftNothing(err error) bool { return errors.Is(err, errNoLedger) && len(ownGroups()) == 0 }

// orphansOfLabs returns what stands in the ledgers of labs that are gone, and leaves all as it is. Notices of labs that left
// nothing are withdrawn.
func orphansOfLabs(machine string) ([]faults.Standing, error) {
	gone, err := lab.Gone(machine)
	errs := []error{err}
	var out []faults.Standing
	for _, n := range gone {
		standing, err := standingIn(n)
		if leftNothing(err) {
			err = nil
		}
		if err == nil && len(standing) == 0 {
			err = n.Withdraw()
		} else {
			err = errors.Join(err, n.Release())
		}
		errs = append(errs, err)
		out = append(out, slices.DeleteFunc(standing, func(s faults.Standing) bool { return !s.Orphaned })...)
	}
	return out, errors.Join(errs...)
}

func standingIn(n *lab.Notice) ([]faults.Standing, error) {
	ledger, err := openLabLedger(n)
	if err != nil {
		return nil, err
	}
	return ledger.Standing()
}

// revertLabs reverts what labs that are gone have left on this machine, and withdraws the notices of those that left nothing more.
func revertLabs(machine string) ([]faults.RevertResult, error) {
	gone, err := lab.Gone(machine)
	errs := []error{err}
	var out []faults.RevertResult
	for _, n := range gone {
		results, clean, err := revertLab(n)
		if leftNothing(err) {
			clean, err = true, nil
		}
		if err == nil && clean {
			err = n.Withdraw()
		} else {
			err = errors.Join(err, n.Release())
		}
		errs = append(errs, err)
		out = append(out, results...)
	}
	return out, errors.Join(errs...)
}

// revertLab reverts what stands in the ledger of one lab that is gone. Its guards may be dying just now, so entries that are still
// held are waited for. Clean says that nothing stands there any more.
func revertLab(n *lab.Notice) (results []faults.RevertResult, clean bool, err error) {
	ledger, err := openLabLedger(n)
	if err != nil {
		return nil, false, err
	}
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	tried := map[string]bool{}
	for end := time.Now().Add(dyingLimit); ; {
		more, err := faults.RevertOrphans(faults.WithLabGone(context.Background()), ledger, allKinds(), func(e faults.Entry) bool { return !tried[e.ID] })
		if err != nil {
			return results, false, err
		}
		for _, r := range more {
			if !tried[r.ID] {
				results = append(results, r)
			}
			tried[r.ID] = true
		}
		standing, err := ledger.Standing()
		if err != nil {
			return results, false, err
		}
		held := slices.ContainsFunc(standing, func(s faults.Standing) bool { return !s.Orphaned })
		if !held && !slices.ContainsFunc(standing, func(s faults.Standing) bool { return !tried[s.ID] }) || time.Now().After(end) {
			return results, len(standing) == 0, nil
		}
		<-again.C
	}
}

// afterLab reverts what a lab has left that has just ended, before its last processes are waited for, and reports whether something
// still stands. It says so on standard error: standard output may be a report.
func (a *app) afterLab(machine string) (left bool) {
	results, err := revertLabs(machine)
	left = a.tell(a.errw, results) > 0 || err != nil
	if err != nil {
		a.say("%v", err)
	}
	return left
}

// labResidue is the end of a run whose lab has left something on this machine, whatever else it ended with.
func labResidue(err error) error {
	return &codeError{code: exitResidue, err: errors.Join(err, errors.New("the lab has left something on this machine; `gameday revert` "+
		"may be repeated"))}
}
