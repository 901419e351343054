package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"gameday/audit"
	"gameday/conductor"
	"gameday/faults"
)

// Limits of `stop --all`.
const (
	stopLimit = 20 * time.Second      // for the last fault to be reverted
	stopPoll  = 50 * time.Millisecond // between two looks at what stands
)

// stopFlags are the flags of `gameday stop`.
type stopFlags struct {
	why       string
	all, lift bool
}

func (a *app) stopCmd() *cobra.Command {
	f := &stopFlags{}
	c := &cobra.Command{
		Use:   "stop [RUN]",
		Short: "Stop a run in progress, or all of them: revert every fault, then report",
		Long: `Stops a run in progress: every fault is reverted, and what is known is reported. RUN is the folder of its record or its id; without
it, the newest run in runs/, or the only one on this machine.

--all stops every run of yours on this machine, and for root the runs of all users; it waits until nothing stands. New runs are
refused and guards inject nothing until somebody lifts it with --lift.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			switch {
			case f.all && f.lift:
				return usage("--all and --lift are opposites; give one of them")
			case (f.all || f.lift) && len(args) > 0:
				return usage("--all and --lift are for every run; leave %s out", args[0])
			case f.all:
				return a.stopAll(f.why)
			case f.lift:
				return a.liftStop(f.why)
			}
			return a.stopOne(args, f.why)
		},
	}
	c.Flags().StringVar(&f.why, "why", "", "the reason, for the record")
	c.Flags().BoolVar(&f.all, "all", false, "stop every run on this machine, and refuse new ones until --lift")
	c.Flags().BoolVar(&f.lift, "lift", false, "let game days run again after --all")
	return c
}

// running lists the runs on this machine.
func running() ([]conductor.Running, error) {
	dir, err := faults.DefaultLedgerDir()
	if err != nil {
		return nil, usage("%w", err)
	}
	runs, err := conductor.Runs(conductor.RegistryDir(dir))
	if err != nil {
		return nil, usage("%w", err)
	}
	return runs, nil
}

// stopOne stops the run that is named by its folder or its id, or the one that is meant.
func (a *app) stopOne(args []string, why string) error {
	req := conductor.Request{Do: "stop", By: "user " + whoami(), Why: why}
	runs, err := running()
	if err != nil {
		return err
	}
	if len(args) > 0 {
		if _, err := os.Stat(args[0]); err != nil {
			for _, r := range runs {
				if r.Run == args[0] {
					return a.ask(r.Dir, req)
				}
			}
		}
		return a.ask(args[0], req)
	}
	if _, err := os.Stat(runsDir); err != nil && len(runs) == 1 {
		return a.ask(runs[0].Dir, req)
	}
	return a.ask("", req)
}

// stopAll stops every run and forbids new ones. The halt comes first: a run that begins meanwhile sees it.
func (a *app) stopAll(why string) error {
	paths, err := halts()
	if err != nil {
		return err
	}
	who := audit.Me()
	h := faults.Halt{By: who.String(), Host: who.Host, At: time.Now().UTC().Round(0), Why: why}
	if err := faults.SetHalt(paths[0], h); err != nil {
		return usage("%w", err)
	}
	a.auditOne(audit.Line{What: audit.Halted, Why: why})
	runs, err := running()
	if err != nil {
		return err
	}
	var asked []conductor.Running
	for _, r := range runs {
		// One that does not answer sees the halt by itself.
		_, _ = conductor.Ask(context.Background(), r.Dir, conductor.Request{Do: "stop", By: "stop --all by " + h.By, Why: why})
		asked = append(asked, r)
	}
	began, limit := time.Now(), time.Now().Add(stopLimit)
	var left error
	for _, r := range asked {
		if n := a.untilNothingStands(r, limit); n > 0 {
			left = errors.Join(left, fmt.Errorf("%s: %d fault(s) still stand; see `gameday revert`", r.Run, n))
			continue
		}
		fmt.Fprintf(a.out, "stopped %s (%s), nothing of it stands after %.1f s\n", r.Run, r.Scenario, time.Since(began).Seconds())
	}
	fmt.Fprintf(a.out, "game days are %s\n", h.Error())
	if left != nil {
		return &codeError{code: exitResidue, err: left}
	}
	return nil
}

// untilNothingStands waits until a run has reverted everything, and returns how many faults stand in the end. A run that
// does not answer any more is over; what it may have left is in the ledger.
func (a *app) untilNothingStands(r conductor.Running, limit time.Time) int {
	poll := time.NewTicker(stopPoll)
	defer poll.Stop()
	for {
		text, err := conductor.Ask(context.Background(), r.Dir, conductor.Request{Do: "standing"})
		if err != nil {
			return 0
		}
		n, err := strconv.Atoi(text)
		if err != nil || n == 0 || time.Now().After(limit) {
			return n
		}
		<-poll.C
	}
}

// liftStop lets game days run again.
func (a *app) liftStop(why string) error {
	paths, err := halts()
	if err != nil {
		return err
	}
	lifted := false
	for _, path := range paths {
		h, err := faults.LiftHalt(path)
		if err != nil {
			return usage("%w; it was %w", err, h)
		}
		if h != nil {
			lifted = true
			fmt.Fprintf(a.out, "lifted: game days were stopped by %s at %s\n", h.By, h.At.UTC().Format("2006-01-02 15:04:05 MST"))
		}
	}
	if !lifted {
		fmt.Fprintln(a.out, "game days were not stopped")
		return nil
	}
	a.auditOne(audit.Line{What: audit.Lifted, Why: why})
	return nil
}

// auditOne writes a line that belongs to no run to the default log, or says why it cannot.
func (a *app) auditOne(lines ...audit.Line) {
	if len(lines) == 0 {
		return
	}
	dir, err := faults.DefaultLedgerDir()
	if err != nil {
		a.say("%v", err)
		return
	}
	log, err := audit.Open(audit.DefaultFile(dir))
	if err != nil {
		a.say("%v", err)
		return
	}
	defer log.Close()
	if err := log.Write(lines...); err != nil {
		a.say("%v", err)
	}
}
