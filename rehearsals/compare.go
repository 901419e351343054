package rehearsals

import (
	"math"
	"slices"
	"strings"
	"time"

	"gameday/report"
)

// Comparison says how a rehearsal went beside another one, scenario by scenario. It decides nothing.
type Comparison struct {
	With      string     `json:"with"`
	Scenarios []Compared `json:"scenarios"`
	// OnlyHere and OnlyThere are scenarios that were run for one of the two alone.
	OnlyHere  []string `json:"only_here,omitempty"`
	OnlyThere []string `json:"only_there,omitempty"`
}

// Compared is one scenario of both.
type Compared struct {
	Scenario string     `json:"scenario"`
	Here     Standing   `json:"here"`
	There    Standing   `json:"there"`
	Score    Difference `json:"score"`
	Parts    []PartDiff `json:"parts"`
}

// Standing is how the newest run of a scenario ended.
type Standing struct {
	Record  string         `json:"record"`
	Started time.Time      `json:"started"`
	Verdict report.Verdict `json:"verdict"`
	Residue bool           `json:"residue,omitempty"`
	Low     float64        `json:"low"`
	High    float64        `json:"high"`
}

// PartDiff is the difference in one part that both have, in percent of what the part is worth.
type PartDiff struct {
	Part  report.Part `json:"part"`
	Here  [2]float64  `json:"here"`
	There [2]float64  `json:"there"`
	Is    Difference  `json:"is"`
}

// Difference is better, same, worse or unknown. A single run of each shows no more than what came of these two.
type Difference string

// The differences. Scores are intervals: better and worse are those that do not touch, and the same are two that are known to the point.
const (
	Better  Difference = "better"
	Same    Difference = "same"
	Worse   Difference = "worse"
	Unclear Difference = "unknown"
)

func differ(low, high, otherLow, otherHigh float64) Difference {
	switch {
	case !(low <= high) || !(otherLow <= otherHigh):
		return Unclear
	case low > otherHigh+rounding:
		return Better
	case high < otherLow-rounding:
		return Worse
	case math.Abs(high-low) < rounding && math.Abs(otherHigh-otherLow) < rounding:
		return Same
	}
	return Unclear
}

// Compare compares what records show of two rehearsals, the newest run of each scenario that ended and can be read. It returns nil when
// they have no scenario in common.
func Compare(with string, here, there Shown) *Comparison {
	c := &Comparison{With: with, Scenarios: []Compared{}}
	for _, name := range names(here, there) {
		a, b := judged(here[name]), judged(there[name])
		switch {
		case a != nil && b != nil:
			c.Scenarios = append(c.Scenarios, compared(name, a, b))
		case a != nil:
			c.OnlyHere = append(c.OnlyHere, name)
		case b != nil:
			c.OnlyThere = append(c.OnlyThere, name)
		}
	}
	if len(c.Scenarios) == 0 {
		return nil
	}
	return c
}

func compared(name string, a, b *Run) Compared {
	x := Compared{Scenario: name, Here: standing(a), There: standing(b), Score: differ(a.Low, a.High, b.Low, b.High), Parts: []PartDiff{}}
	for _, p := range a.Parts {
		i := slices.IndexFunc(b.Parts, func(o Part) bool { return o.Part == p.Part })
		if i < 0 || p.Points <= 0 || b.Parts[i].Points <= 0 {
			continue
		}
		o := b.Parts[i]
		d := PartDiff{Part: p.Part, Here: [2]float64{100 * p.Low / p.Points, 100 * p.High / p.Points},
			There: [2]float64{100 * o.Low / o.Points, 100 * o.High / o.Points}}
		d.Is = differ(d.Here[0], d.Here[1], d.There[0], d.There[1])
		x.Parts = append(x.Parts, d)
	}
	return x
}

func standing(r *Run) Standing {
	return Standing{r.Record, r.Started, r.Verdict, r.Residue, r.Low, r.High}
}

// judged returns the newest run that is over and can be read, or nil.
func judged(runs []Run) *Run {
	for _, r := range newestFirst(runs) {
		if !r.Running && r.Unread == "" {
			return &r
		}
	}
	return nil
}

func names(all ...Shown) []string {
	var out []string
	for _, s := range all {
		for name := range s {
			if !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	slices.SortFunc(out, strings.Compare)
	return out
}

// Before returns the name of the rehearsal that one is compared with: the one it names, else of all others the one whose last run began
// last, among those with a scenario in common. It is empty when there is none.
func Before(r *Rehearsal, all map[string]Shown) string {
	if r.CompareWith != "" {
		return r.CompareWith
	}
	best, when := "", time.Time{}
	for name, shown := range all {
		if name == r.Name {
			continue
		}
		var last time.Time
		for _, s := range r.Steps {
			for _, run := range shown[s.Name()] {
				if run.Started.After(last) {
					last = run.Started
				}
			}
		}
		if !last.IsZero() && (best == "" || last.After(when) || last.Equal(when) && name < best) {
			best, when = name, last
		}
	}
	return best
}
