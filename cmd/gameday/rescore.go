package main

import (
	"errors"

	"github.com/spf13/cobra"

	"gameday/conductor"
	"gameday/report"
)

func (a *app) rescoreCmd() *cobra.Command {
	l, o := &loading{pickedBy: "--name", unsent: true}, &output{}
	var file string
	c := &cobra.Command{
		Use:   "rescore [RECORD] --scenario FILE",
		Short: "Score a record under the expectations of another scenario",
		Long: "Judges what happened in a run by what another scenario file expects: its expectations, alarms, responses, noise, limits and\n" +
			"pass mark. Traffic, targets and faults are those of the record; the faults of the file must be the same by name. Nothing is\n" +
			"contacted, and nothing is written but the files that are asked for. Without a folder it takes the newest in runs/.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if file == "" {
				return usage("name the scenario whose expectations the record is to be judged by: --scenario FILE")
			}
			dir, err := recordDir(args)
			if err != nil {
				return err
			}
			if err := o.check(); err != nil {
				return err
			}
			_, s, err := l.one(a, file, false)
			if err != nil {
				return err
			}
			return a.rescore(dir, conductor.MakePlan(s), o)
		},
	}
	l.flags(c)
	c.Flags().StringVar(&file, "scenario", "", "the scenario file whose expectations count")
	c.Flags().StringVar(&l.scenario, "name", "", "which scenario of the file, when it has several")
	o.flags(c)
	return c
}

// rescore prints a record's scorecard under another plan, and ends with its verdict.
func (a *app) rescore(dir string, plan *report.Plan, o *output) error {
	rec, err := report.Read(dir)
	if err != nil {
		return usage("%w", err)
	}
	if rec.Plan.Search != nil {
		return usage("%s is the record of a search for the capacity, which no expectation judges", dir)
	}
	if rec, err = rec.Under(plan); err != nil {
		return usage("%w", err)
	}
	card := report.Score(rec)
	if err := errors.Join(o.print(a, dir, card, false), o.files(card)); err != nil {
		return err
	}
	if code := card.ExitCode(); code != 0 {
		return &codeError{code: code}
	}
	return nil
}
