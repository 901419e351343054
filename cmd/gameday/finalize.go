package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"gameday/conductor"
	"gameday/report"
)

func (a *app) finalizeCmd() *cobra.Command {
	l, o := &loading{pickedBy: "--name", unsent: true}, &output{}
	var file string
	c := &cobra.Command{
		Use:   "finalize [RECORD]",
		Short: "Ask the sources of a run that is over once more, and score it again",
		Long: "For deadlines that lie after the end of a run, and for sources that did not answer at its end: asks every source of alarms\n" +
			"and responses again, adds what they tell to the record, and prints the scorecard. An answer that covers less of the run\n" +
			"than the record does is left out. It takes the scenario file that was run; give --scenario when it lies elsewhere now,\n" +
			"and the same variables as then. Without a folder it takes the newest in runs/.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			dir, err := recordDir(args)
			if err != nil {
				return err
			}
			if err := o.check(); err != nil {
				return err
			}
			if err := a.finalize(c.Context(), dir, file, l); err != nil {
				return err
			}
			return a.score(dir, o)
		},
	}
	l.flags(c)
	c.Flags().StringVar(&file, "scenario", "", "the scenario file that was run (default: as the record names it)")
	c.Flags().StringVar(&l.scenario, "name", "", "which scenario of the file, when it has several")
	o.flags(c)
	return c
}

// finalize asks the sources again.
func (a *app) finalize(ctx context.Context, dir, file string, l *loading) error {
	if _, err := conductor.Ask(ctx, dir, conductor.Request{Do: "status"}); err == nil {
		return usage("the run in %s is still in progress; wait for its end, or stop it with `gameday stop %s`", dir, dir)
	}
	rec, err := report.Read(dir)
	if err != nil {
		return usage("%w", err)
	}
	if file == "" {
		file = rec.Plan.File
		if _, err := os.Stat(file); err != nil {
			return usage("the scenario %s that was run is not here; name it with --scenario FILE", file)
		}
	}
	if l.scenario == "" {
		l.scenario = rec.Plan.Scenario
	}
	_, s, err := l.one(a, file, false)
	if err != nil {
		return err
	}
	for _, secret := range s.Secrets {
		if !secret.Set {
			return usage("the secret %s is not set: set the environment variable of that name", secret.Name)
		}
	}
	asked, err := conductor.Finalize(ctx, dir, s)
	if err != nil {
		return usage("%w", err)
	}
	for _, one := range asked {
		a.say("%s", s.Redact(one.String()))
	}
	if len(asked) == 0 {
		a.say("no source of the scenario can be asked again: all of them ended with the run")
	}
	return nil
}
