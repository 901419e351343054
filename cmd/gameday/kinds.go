package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gameday/faults"
	"gameday/faults/cluster"
	"gameday/targets"
)

// kindShown is a kind of fault as `gameday kinds --json` has it.
type kindShown struct {
	Name       string `json:"name"`
	Summary    string `json:"summary"`
	Undoing    string `json:"undoing"` // on machines
	Reversible bool   `json:"reversible"`
	Between    bool   `json:"between,omitempty"` // it may stand between two targets
	// Targets are the blocks of targets outside of clusters that it can land on.
	Targets []string `json:"targets,omitempty"`
	// Cluster is where it lands in a cluster, or on what a cluster reaches, and how it is held there.
	Cluster []cluster.Landing `json:"cluster,omitempty"`
}

// sourceShown is a kind of source.
type sourceShown struct {
	Name    string `json:"name"`
	Summary string `json:"summary"`
}

// kindsShown is all that this build can do.
type kindsShown struct {
	Faults     []kindShown   `json:"faults"`
	Alarms     []sourceShown `json:"alarms"`
	Responders []sourceShown `json:"responders"`
}

func (a *app) kindsCmd() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "kinds",
		Short: "List the kinds of fault, alarm source and responder source in this build",
		Long: "Lists the kinds of fault, alarm source and responder source in this build: of each fault what it can land on, by the names of\n" +
			"target blocks, how it is undone there, and what it becomes in a Kubernetes cluster. A fault there lapses when Chaos Mesh lifts it by\n" +
			"itself after its duration, also when gameday and its guard are gone.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			all := allShown()
			if asJSON {
				e := json.NewEncoder(a.out)
				e.SetIndent("", "  ")
				e.SetEscapeHTML(false)
				return e.Encode(all)
			}
			a.listKinds(all)
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the kinds as JSON")
	return c
}

func allShown() kindsShown {
	c := catalogue()
	var out kindsShown
	for _, k := range c.Faults {
		out.Faults = append(out.Faults, kindShown{Name: k.Name, Summary: k.Summary, Undoing: k.Undoing, Reversible: k.Reversible, Between: k.Between,
			Targets: landsOn(k.Needs), Cluster: cluster.Landings(k.Name)})
	}
	for _, k := range c.Alarms {
		out.Alarms = append(out.Alarms, sourceShown{k.Name, k.Summary})
	}
	for _, k := range c.Responders {
		out.Responders = append(out.Responders, sourceShown{k.Name, k.Summary})
	}
	return out
}

// landsOn returns the blocks of targets outside of clusters that have a part, in order.
func landsOn(need faults.Need) []string {
	var out []string
	for name, f := range targets.Selectors() {
		s := f()
		if _, in := s.(targets.InCluster); !in && slices.Contains(s.Provides(), need) {
			out = append(out, name)
		}
	}
	if need == faults.NeedProcess {
		out = append(out, "host with a process")
	}
	slices.Sort(out)
	return out
}

func (a *app) listKinds(all kindsShown) {
	line := func(name, text string) { fmt.Fprintf(a.out, "  %-20s %s\n", name, text) }
	fmt.Fprintln(a.out, "faults")
	for _, k := range all.Faults {
		line(k.Name, k.Summary)
		if len(k.Targets) > 0 {
			line("", "on "+strings.Join(k.Targets, ", ")+": "+k.Undoing)
		}
		for _, text := range landingTexts(k.Cluster) {
			line("", text)
		}
	}
	for _, part := range []struct {
		title string
		kinds []sourceShown
	}{{"alarms", all.Alarms}, {"responders", all.Responders}} {
		fmt.Fprintf(a.out, "\n%s\n", part.title)
		for _, k := range part.kinds {
			line(k.Name, k.Summary)
		}
	}
}

// landingTexts returns a line for all that lands in one place, is held alike and has one condition: "on pods: PodChaos pod-failure, lapses
// by itself".
func landingTexts(all []cluster.Landing) []string {
	var out []string
	for i := 0; i < len(all); {
		first, what := all[i], []string(nil)
		for i < len(all) && all[i].Where == first.Where && all[i].Held == first.Held && all[i].When == first.When {
			what = append(what, all[i].Text())
			i++
		}
		where := "on " + first.Where
		if first.Where == targets.ClusterPlace {
			where = "in a cluster"
		}
		if first.When != "" {
			where += ", when " + first.When
		}
		out = append(out, fmt.Sprintf("%s: %s, %s", where, strings.Join(what, ", "), first.Held.Text()))
	}
	return out
}
