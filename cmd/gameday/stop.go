package main

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"gameday/audit"
	"gameday/conductor"
	"gameday/faults"
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

--all stops every run of yours on this machine, and for root the runs of all users. New runs are refused and guards inject nothing
until somebody lifts it with --lift. It waits until nothing of your runs stands, also of one that does not answer: that is counted in
its ledger. Exits 0 then, 5 when something is left, 3 when nothing is but the stop could not be written, so that new runs go on.`,
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

// listed is a run in progress, and the ledger that its faults are in if they are not in its lab's.
type listed struct {
	conductor.Running
	ledger string
}

// running lists the runs in progress on this machine that are this user's. Root's are also those of the machine's own ledger,
// whichever other one is named.
func running() ([]listed, error) {
	dir, err := faults.DefaultLedgerDir()
	if err != nil {
		return nil, usage("%w", err)
	}
	ledgers := []string{dir}
	if own := filepath.Join(filepath.Dir(machineHalt), filepath.Base(faults.MachineLedgerDir)); isRoot() && machineHalt != "" && own != filepath.Clean(dir) {
		ledgers = append(ledgers, own)
	}
	var out []listed
	var errs []error
	for i, ledger := range ledgers {
		if i > 0 && conductor.RegistryDir(ledger) == conductor.RegistryDir(dir) {
			continue
		}
		runs, err := conductor.Runs(conductor.RegistryDir(ledger))
		for _, r := range runs {
			out = append(out, listed{r, ledger})
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return out, usage("%w", err)
	}
	return out, nil
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
