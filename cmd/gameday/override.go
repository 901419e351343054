package main

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"gameday/audit"
	"gameday/conductor"
	"gameday/report"
)

func (a *app) overrideCmd() *cobra.Command {
	o := &output{}
	var by, reason, outcome string
	var withdraw bool
	c := &cobra.Command{
		Use:   "override RECORD ITEM --outcome met|missed|unknown --by NAME --reason TEXT",
		Short: "Decide about an item of a scorecard in gameday's place, with name and reason",
		Long: "For what a facilitator knows and the record does not: adds to the record that an item is met, missed or unknown, by whom and why,\n" +
			"and prints the scorecard, which shows gameday's own value beside it. The last override of an item counts; --withdraw takes it\n" +
			"back. Nothing in the record is changed or lost. That a fault was left standing cannot be overridden. It is written to the\n" +
			"audit log. The item is named as for `gameday explain`.",
		Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := o.check(); err != nil {
				return err
			}
			v := report.Override{Item: args[1], By: by, Reason: reason, Withdrawn: withdraw}
			switch {
			case withdraw && outcome != "":
				return usage("--withdraw takes the outcome back, so there is none to give")
			case !withdraw && outcome == "":
				return usage("say what the item is: --outcome met, missed or unknown; or --withdraw")
			}
			if err := v.Decide(outcome); err != nil && !withdraw {
				return usage("--outcome %q: it is met, missed or unknown", outcome)
			}
			if err := a.override(args[0], v); err != nil {
				return err
			}
			return a.score(args[0], o)
		},
	}
	c.Flags().StringVar(&outcome, "outcome", "", "what the item is: met, missed or unknown")
	c.Flags().StringVar(&by, "by", "", "who decided it")
	c.Flags().StringVar(&reason, "reason", "", "why")
	c.Flags().BoolVar(&withdraw, "withdraw", false, "take back the override that counts")
	o.flags(c)
	return c
}

// override writes an override to the record and to the audit log.
func (a *app) override(dir string, v report.Override) error {
	it, err := conductor.Override(dir, v)
	if err != nil {
		return usage("%w", err)
	}
	rec, err := report.Read(dir)
	if err != nil {
		return usage("%w", err)
	}
	l := audit.Line{What: audit.Overrode, Run: report.NewTimeline(rec).Started.Run, Scenario: rec.Plan.Scenario, File: rec.Plan.File, Record: dir,
		Item: it.ID, Verdict: v.Outcome.String(), Why: "by " + v.By + ": " + v.Reason}
	if abs, err := filepath.Abs(dir); err == nil {
		l.Record = abs
	}
	if v.Withdrawn {
		l.Verdict = "withdrawn"
	}
	a.auditOne(l)
	return nil
}
