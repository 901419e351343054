package main

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"gameday/conductor"
	"gameday/scenarios"
)

func (a *app) planCmd() *cobra.Command {
	l, f := &loading{}, &fence{}
	var asJSON bool
	var manifests string
	var seed int64
	var at string
	c := &cobra.Command{
		Use:   "plan FILE",
		Short: "Show what a run would do, to whom, and how it would be undone; touches nothing",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			file, s, err := l.one(a, args[0], false)
			if err != nil {
				return err
			}
			o := conductor.Options{Scenario: s, Sources: file.Sources, Seed: seed, Machine: onlooker(), Generator: engine(),
				Version: versionText(), ApprovedBy: f.approvedBy}
			if o.Policies, err = f.load(a); err != nil {
				return err
			}
			if o.Halts, err = halts(); err != nil {
				return err
			}
			if at != "" {
				if o.At, err = time.Parse(time.RFC3339, at); err != nil {
					return usage("--at %q is not an instant such as 2026-12-21T10:00:00Z", at)
				}
			}
			unknown := measure(context.Background(), s, o.At)
			p := conductor.Plan(context.Background(), o)
			if asJSON {
				e := json.NewEncoder(a.out)
				e.SetIndent("", "  ")
				e.SetEscapeHTML(false)
				err = e.Encode(p)
			} else {
				err = conductor.WritePlan(a.out, p)
			}
			if err == nil && manifests != "" {
				err = a.writeObjects(manifests, p.Objects)
			}
			if err == nil && p.Policy != nil && len(p.Policy.Violations) > 0 {
				err = usage("the policy forbids this run (%d violations)", len(p.Policy.Violations))
			}
			if err == nil && unknown != nil {
				err = errUnmeasured
			}
			if err == nil && slices.ContainsFunc(s.Traffic, scenarios.Traffic.Pending) {
				err = errUnasked
			}
			return err
		},
	}
	l.flags(c)
	l.pick(c)
	f.flags(c)
	c.Flags().StringVar(&at, "at", "", "ask the policies about a run that begins then, as 2026-12-21T10:00:00Z (default: now)")
	c.Flags().Int64Var(&seed, "seed", 0, "decides which places a pick takes, and what arrivals come by chance (default made of the scenario's name)")
	c.Flags().BoolVar(&asJSON, "json", false, "print the plan as JSON")
	c.Flags().StringVar(&manifests, "manifests", "", "write what the faults would put into a Kubernetes cluster to this folder, one file each")
	return c
}
