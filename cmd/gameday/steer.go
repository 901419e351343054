package main

import (
	"os"
	"time"

	"github.com/spf13/cobra"

	"gameday/conductor"
)

// steering is what the verbs have in common by which a facilitator leads a run in progress.
type steering struct {
	run, by, why string
	limit        time.Duration
}

// steerCmds are the verbs of a facilitator beside stop and mark.
func (a *app) steerCmds() []*cobra.Command {
	return []*cobra.Command{
		a.steerCmd("hold", &cobra.Command{
			Use:   "hold",
			Short: "Make the timeline of a run stand still: no phase ends and no fault begins until `gameday release`",
			Long: `Makes the timeline of a run in progress stand still: no phase ends, and no fault begins by itself. Traffic goes on at the rate that it
has. Faults that stand go on and end in their own time, aborts and stops work as always, and ` + "`gameday inject`" + ` injects a fault meanwhile.

A hold ends by ` + "`gameday release`" + `, by whoever it is, or by itself after --for. A run can be held for an hour in all. While somebody holds
it, hold changes nothing, unless --for says how long it is to last from now.`,
			Args: cobra.NoArgs,
		}),
		a.steerCmd("release", &cobra.Command{
			Use:   "release",
			Short: "Let the timeline of a run go on after `gameday hold`",
			Long: `Lets the timeline of a run in progress go on where it was held. Whoever is there may do it, not only who held it. When nobody holds it, nothing
changes.`,
			Args: cobra.NoArgs,
		}),
		a.steerCmd("skip", &cobra.Command{
			Use:   "skip",
			Short: "End the present wait of a run: the next fault, or the phase's end, comes now",
			Long: `Ends the present wait of a run in progress: its timeline jumps to the next fault, or to the end of the phase when none is left. The streams' shapes
jump along. What a phase needs to be judged is not skipped, nor how long a fault stands; what is left out of the load phase counts as not
tested.`,
			Args: cobra.NoArgs,
		}),
		a.steerCmd("inject", &cobra.Command{
			Use:   "inject [FAULT]",
			Short: "Inject a fault of the scenario now, before its time",
			Long: `Injects the next fault of a run in progress, or FAULT, before its time: once, in the load phase only, and only what the scenario declares. Policies, the
halt, the blast radius and the guards are asked as always; when they refuse, the fault stays planned.`,
			Args: cobra.MaximumNArgs(1),
		}),
	}
}

func (a *app) steerCmd(do string, c *cobra.Command) *cobra.Command {
	s := &steering{}
	c.RunE = func(_ *cobra.Command, args []string) error {
		if s.by == "" {
			s.by = whoami()
		}
		req := conductor.Request{Do: do, By: s.by, Why: s.why, For: s.limit}
		if len(args) > 0 {
			req.Fault = args[0]
		}
		dir, err := runDir(s.run)
		if err != nil {
			return err
		}
		return a.ask(dir, req)
	}
	c.Flags().StringVar(&s.run, "run", "", "the run's record folder, or its id (default: the newest run in progress in runs/, or the only one on this machine)")
	c.Flags().StringVar(&s.by, "by", "", "who does it (default: your user name)")
	c.Flags().StringVar(&s.why, "why", "", "the reason, for the record")
	if do == "hold" {
		c.Flags().DurationVar(&s.limit, "for", 0, "when the hold ends by itself, such as 5m (default: 15m)")
	}
	return c
}

// runDir returns the folder of the run that is named by its folder or its id, or that is meant; empty is the newest one in runs/.
func runDir(named string) (string, error) {
	if named != "" {
		if _, err := os.Stat(named); err == nil {
			return named, nil
		}
	} else if _, err := os.Stat(runsDir); err == nil {
		return "", nil
	}
	runs, err := running()
	if err != nil {
		return "", err
	}
	for _, r := range runs {
		if named == r.Run || named == "" && len(runs) == 1 {
			return r.Dir, nil
		}
	}
	return named, nil
}
