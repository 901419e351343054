package compare

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"gameday/report"
)

// warn names what is not the same in all runs, and what else the verdicts must be taken with.
func (c *Comparison) warn(twice [2][]string) {
	for i, names := range twice {
		for _, name := range names {
			c.Warnings = append(c.Warnings, fmt.Sprintf("%s is in %s twice; it counts once", name, sideNames[i]))
		}
	}
	for _, r := range c.Base {
		if r.ID != "" && slices.ContainsFunc(c.Head, func(h *Run) bool { return h.ID == r.ID }) {
			c.Warnings = append(c.Warnings, fmt.Sprintf("%s is on both sides", r.Name))
		}
	}
	for _, a := range c.aspects() {
		base, head := values(c.Base, a.of), values(c.Head, a.of)
		if len(base) == 1 && slices.Equal(base, head) {
			continue
		}
		if slices.Equal(base, head) {
			c.Warnings = append(c.Warnings, fmt.Sprintf("not every run has the same %s: %s", a.what, strings.Join(base, "; ")))
			continue
		}
		c.Warnings = append(c.Warnings, fmt.Sprintf("another %s: %s in base, %s in head", a.what, strings.Join(base, "; "),
			strings.Join(head, "; ")))
	}
	for i, side := range [][]*Run{c.Base, c.Head} {
		for _, r := range side {
			if r.End != report.EndComplete {
				c.Warnings = append(c.Warnings, fmt.Sprintf("%s of %s did not come to its planned end", r.Name, sideNames[i]))
			}
			if len(r.Steered) > 0 {
				var words []string
				for _, s := range r.Steered {
					words = append(words, s.Brief())
				}
				c.Warnings = append(c.Warnings, fmt.Sprintf("%s of %s did not go by its plan alone, somebody facilitated it: %s", r.Name,
					sideNames[i], strings.Join(words, ", ")))
			}
			if r.Residue {
				c.Warnings = append(c.Warnings, fmt.Sprintf("%s of %s left a fault standing: what ran after it may have run with "+
					"it", r.Name, sideNames[i]))
			}
		}
	}
	if len(c.Base) >= MinRuns && len(c.Head) >= MinRuns && (apart(c.Base, c.Head) || apart(c.Head, c.Base)) {
		c.Warnings = append(c.Warnings, "all runs of one side are older than all of the other: what changed on the machine "+
			"between them counts as a difference of the builds. Run them in turn, as `gameday regress` does")
	}
}

// apart reports whether the runs of a were over before the first of b began.
func apart(a, b []*Run) bool {
	first := b[0].Started
	return !slices.ContainsFunc(a, func(r *Run) bool { return r.ended.After(first) })
}

// warnBlocks says what is not in rows that were compared by blocks.
func (c *Comparison) warnBlocks() {
	for _, r := range c.Rows {
		if strings.HasPrefix(string(r.Method), string(ByBlocks)) {
			c.Warnings = append(c.Warnings, fmt.Sprintf("with fewer than %d runs on a side, service levels were compared by "+
				"blocks of seconds within the runs: variation from run to run is not in it, and what differs may be the day "+
				"rather than the build", MinRuns))
			return
		}
	}
}

// aspect is something in which runs may differ that are compared.
type aspect struct {
	what string
	of   func(*Run) string
}

func (c *Comparison) aspects() []aspect {
	out := []aspect{
		{"scenario", func(r *Run) string { return r.Plan.Scenario }},
		{"machine", func(r *Run) string { return r.Host }},
		{"version of gameday", func(r *Run) string { return r.Version }},
		{"timeline", func(r *Run) string { return timelineWords(r.Plan) }},
		{"set of faults", func(r *Run) string { return faultWords(r.Plan) }},
		{"set of alarms", func(r *Run) string { return alarmWords(r.Plan) }},
		{"set of tolerances", func(r *Run) string { return toleranceWords(r.Plan) }},
	}
	var streams []string
	for _, r := range slices.Concat(c.Base, c.Head) {
		for _, t := range r.Plan.Traffic {
			if !slices.Contains(streams, t.Name) {
				streams = append(streams, t.Name)
			}
		}
	}
	slices.Sort(streams)
	for _, name := range streams {
		out = append(out, aspect{"traffic " + name, func(r *Run) string { return trafficWords(r.Plan, name) }})
	}
	return out
}

// values returns the different answers of runs, sorted.
func values(runs []*Run, of func(*Run) string) []string {
	var out []string
	for _, r := range runs {
		out = append(out, of(r))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func timelineWords(p *report.Plan) string {
	var words []string
	for _, ph := range p.Phases {
		words = append(words, fmt.Sprintf("%s %s", ph.Phase, ph.Length))
	}
	return strings.Join(words, ", ")
}

func trafficWords(p *report.Plan, name string) string {
	for _, t := range p.Traffic {
		if t.Name != name {
			continue
		}
		words := fmt.Sprintf("%g times %g/s", t.Multiple, t.Rate)
		if t.KeepExecutors {
			words = fmt.Sprintf("%g times the script's own rates", t.Multiple)
		}
		words += fmt.Sprintf(" by %s %s", t.Engine, cmp.Or(t.Script, t.Mix))
		if how := t.Manner(); how != "" {
			words += ", " + how
		}
		if t.Start != nil {
			words += fmt.Sprintf(", from %s", *t.Start)
		}
		if t.RunOn != "" {
			words += ", sent from " + t.RunOn
		} else if len(t.Generators) > 0 {
			words += ", sent from " + strings.Join(t.Generators, ", ")
		}
		return words
	}
	return "none"
}

func faultWords(p *report.Plan) string {
	var words []string
	for _, f := range p.Faults {
		words = append(words, fmt.Sprintf("%s (%s on %s at %s for %s)", f.Name, f.Kind, strings.Join(f.Targets, " and "),
			f.At, f.Duration))
	}
	return orNone(words)
}

func alarmWords(p *report.Plan) string {
	var words []string
	for _, a := range p.Alarms {
		words = append(words, fmt.Sprintf("%s of %s", a.Name, a.Source))
	}
	return orNone(words)
}

func toleranceWords(p *report.Plan) string {
	g := p.Regression
	if g == nil {
		return "the defaults"
	}
	var words []string
	for _, y := range report.Yardsticks() {
		t, given := g.Tolerances[y.Name]
		switch {
		case given && t.Counts:
			words = append(words, y.Name+" "+y.Words(t))
		case given:
			words = append(words, y.Name+" ignored")
		}
	}
	for _, ph := range g.Phases {
		words = append(words, "phase "+string(ph))
	}
	if g.EachTraffic {
		words = append(words, "each traffic")
	}
	return orNone(words)
}

func orNone(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}
