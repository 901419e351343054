package history

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"gameday/report"
)

// Rules are the alerting rules that a source had in a run, by whether they fired.
type Rules struct {
	Source string   `json:"source"`
	Server string   `json:"server,omitempty"`
	Fired  []string `json:"fired"`
	Quiet  []string `json:"quiet"`
}

// rules takes from a scorecard what is known of its sources' rules.
func rules(c *report.Scorecard) (out []Rules) {
	for _, l := range c.RuleLists {
		if l.Why == "" {
			out = append(out, Rules{l.Source, l.Server, l.Fired, l.Quiet})
		}
	}
	return out
}

// Unexercised are the rules that a source had in the newest run that tells of it, and that fired in none.
type Unexercised struct {
	Source string   `json:"source"`
	Server string   `json:"server,omitempty"`
	Rules  []string `json:"rules"`
	Of     int      `json:"of"`   // how many rules it had in that run
	Runs   int      `json:"runs"` // how many runs tell of them
}

// NeverFired lists, for each source, the rules that no run made fire. The entries are the newest first, as List returns
// them. A source is the same when its name and its server are.
func NeverFired(entries []Entry) []Unexercised {
	var out []Unexercised
	fired := map[string]map[string]bool{}
	of := func(r Rules) string { return r.Source + "\n" + r.Server }
	at := map[string]int{}
	for i := range entries {
		for _, r := range entries[i].Rules {
			key := of(r)
			if fired[key] == nil {
				fired[key], at[key] = map[string]bool{}, len(out)
				out = append(out, Unexercised{Source: r.Source, Server: r.Server, Rules: slices.Clone(r.Quiet), Of: len(r.Fired) + len(r.Quiet)})
			}
			out[at[key]].Runs++
			for _, name := range r.Fired {
				fired[key][name] = true
			}
		}
	}
	for i := range out {
		u := &out[i]
		u.Rules = slices.DeleteFunc(u.Rules, func(name string) bool { return fired[u.Source+"\n"+u.Server][name] })
	}
	slices.SortFunc(out, func(a, b Unexercised) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Server, b.Server))
	})
	return out
}

// mostNamed bounds how many rules are named of one source.
const mostNamed = 30

// neverFired writes which rules no run made fire.
func neverFired(b *strings.Builder, entries []Entry) {
	for i, u := range NeverFired(entries) {
		if i == 0 {
			b.WriteString("\n Rules that none of these runs made fire\n")
		}
		names := strings.Join(u.Rules[:min(len(u.Rules), mostNamed)], ", ")
		if more := len(u.Rules) - mostNamed; more > 0 {
			names += fmt.Sprintf(" and %d more", more)
		}
		runs := fmt.Sprintf("by %d runs", u.Runs)
		if u.Runs == 1 {
			runs = "by 1 run"
		}
		text := fmt.Sprintf("%s at %s: %d of %d, %s: %s", u.Source, cmp.Or(u.Server, "an unknown address"), len(u.Rules), u.Of, runs, cmp.Or(names, "none"))
		report.Paragraph(b, "  –  ", text)
	}
}
