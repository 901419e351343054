package main

import (
	"context"
	"encoding/json"

	"github.com/spf13/cobra"

	"gameday/conductor"
	"gameday/targets"
)

func (a *app) planCmd() *cobra.Command {
	l := &loading{}
	var asJSON bool
	c := &cobra.Command{
		Use:   "plan FILE",
		Short: "Show what a run would do, to whom, and how it would be undone; touches nothing",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			f, s, err := l.one(a, args[0], false)
			if err != nil {
				return err
			}
			p := conductor.Plan(context.Background(), conductor.Options{
				Scenario: s, Sources: f.Sources, Machine: &targets.Machine{Own: ownProcess},
			})
			if asJSON {
				e := json.NewEncoder(a.out)
				e.SetIndent("", "  ")
				e.SetEscapeHTML(false)
				return e.Encode(p)
			}
			return conductor.WritePlan(a.out, p)
		},
	}
	l.flags(c)
	l.pick(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print the plan as JSON")
	return c
}
