package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"time"

	"gameday/faults"
	"gameday/targets/lab/power"
)

// labGone is said of a fault whose revert command has nowhere to run any more.
const labGone = "its lab is gone, and what ran in it; its revert command was not run, and what its commands left on this machine's " +
	"own disk was not undone"

// revert works from the entry alone: it ends commands of the injection that still run without their guard, runs the revert
// command, and waits until the effect command fails.
func revert(ctx context.Context, e faults.Entry) error {
	r, err := fromEntry(e)
	if err != nil || r.undo.CannotRevert {
		return err
	}
	gone, err := r.findNode(ctx)
	if err != nil {
		return err
	}
	if err := sweep(ctx, e.ID); err != nil {
		return err
	}
	if gone {
		faults.Note(ctx, labGone)
		return nil
	}
	if _, err := r.job("revert", r.config.Revert).do(ctx); err != nil {
		return err
	}
	faults.Reach(ctx, faults.MidRevert)
	return r.awaitAbsence(ctx)
}

func fromEntry(e faults.Entry) (*rig, error) {
	r := &rig{config: &Command{}, place: e.Place, owner: faults.Owner{Run: e.Run, Injection: e.ID, Fault: e.Fault}}
	if err := json.Unmarshal(e.Config, r.config); err != nil {
		return nil, fmt.Errorf("reading the ledger's parameters: %w", err)
	}
	if err := json.Unmarshal(e.Undo, &r.undo); err != nil {
		return nil, fmt.Errorf("reading the ledger's undo: %w", err)
	}
	if err := r.config.Validate(); err != nil {
		return nil, fmt.Errorf("reading the ledger's parameters: %w", err)
	}
	var err error
	r.timeout, err = r.config.timeout()
	return r, err
}

// findNode finds the node as it is now: it may have booted since, with another first process. Gone says that its lab is gone,
// and everything that ran in it.
func (r *rig) findNode(ctx context.Context) (gone bool, err error) {
	if faults.LabGone(ctx) {
		return true, nil
	}
	n := r.place.Node
	if n == nil || n.Init.PID == 0 || alive(n.Init) {
		return false, nil
	}
	if n.Control == "" {
		return false, fmt.Errorf("node %s is not what it was: its first process (pid %d) is gone; the revert command must run there, "+
			"and not here: run it by hand", n.Name, n.Init.PID)
	}
	lab := power.New(n.Control)
	again := time.NewTicker(pollStep)
	defer again.Stop()
	for {
		s, err := lab.Node(ctx, n.Name)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, power.ErrUnknownNode):
			return true, nil
		case err != nil:
			return false, fmt.Errorf("finding node %s: %w", n.Name, err)
		case s.On:
			present := *n
			present.Init, present.BootID = s.Init, s.BootID
			r.place.Node = &present
			return false, nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return false, fmt.Errorf("node %s is off, and the revert command must run on it: %w", n.Name, ctx.Err())
		}
	}
}

// awaitAbsence runs the effect command until it fails.
func (r *rig) awaitAbsence(ctx context.Context) error {
	if len(r.config.Effect) == 0 {
		return nil
	}
	again := time.NewTicker(pollStep)
	defer again.Stop()
	for end := time.Now().Add(r.timeout); ; {
		run := r.job("effect", r.config.Effect).start(ctx)
		<-run.done
		switch {
		case run.err != nil:
			return fmt.Errorf("the revert command succeeded, and whether the fault is gone is not known: %w", run.err)
		case run.result.cut != nil:
			return fmt.Errorf("the revert command succeeded, and whether the fault is gone is not known: %w", run.result.problem())
		case run.result.code != 0:
			return nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
		}
		if ctx.Err() != nil || time.Now().After(end) {
			return fmt.Errorf("the revert command succeeded, and the fault still stands: %s goes on succeeding (%q)",
				run.result.job.name(), run.result.evidence())
		}
	}
}
