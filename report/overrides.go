package report

import (
	"fmt"
	"slices"
	"time"

	"gameday/clock"
)

// Override is what somebody says of an item in place of what the record shows. The last one of an item counts.
type Override struct {
	Item    string        `json:"item"` // its id
	Outcome clock.Outcome `json:"outcome"`
	// Withdrawn takes back the one before; the outcome is then the record's again.
	Withdrawn bool   `json:"withdrawn,omitempty"`
	By        string `json:"by"`
	Reason    string `json:"reason"`
}

// Decide sets the outcome by its word: met, missed or unknown.
func (o *Override) Decide(word string) error { return o.Outcome.UnmarshalText([]byte(word)) }

// Overridden is what stands beside an item whose outcome somebody else than gameday decided.
type Overridden struct {
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
	// Outcome, Value and Why are gameday's own.
	Outcome clock.Outcome `json:"machine_outcome"`
	Value   float64       `json:"machine_value"`
	Why     string        `json:"machine_why,omitempty"`
	Lines   []int         `json:"lines"`
}

// Machine is the judgement as it would be without overrides.
type Machine struct {
	Verdict  Verdict `json:"verdict"`
	Low      float64 `json:"low"`
	High     float64 `json:"high"`
	Coverage float64 `json:"coverage"`
}

// overrides returns what counts of the record's overrides, by item, and those of items that are not judged here.
func (j *judge) overrides(parts []PartScore) (by map[string]seen[Override], lost []string) {
	by = map[string]seen[Override]{}
	for _, o := range all[Override](j.rec, Overrode) {
		by[o.V.Item] = o
		if o.V.Withdrawn {
			delete(by, o.V.Item)
		}
	}
	for _, id := range sortedKeys(by) {
		if !slices.ContainsFunc(parts, func(p PartScore) bool {
			return slices.ContainsFunc(p.Items, func(i Item) bool { return i.ID == id })
		}) {
			lost = append(lost, id)
			delete(by, id)
		}
	}
	return by, lost
}

// override puts what people decided in the place of what the record shows, and keeps that beside it. The safety gate is no
// item: nobody can decide that nothing is left.
func (j *judge) override(c *Scorecard, parts []PartScore) []PartScore {
	by, lost := j.overrides(parts)
	for _, id := range lost {
		c.Remarks = append(c.Remarks, "An override of "+id+" is in the record, and there is no such item here.")
	}
	if len(by) == 0 {
		return parts
	}
	machine := *c
	machine.Parts = tally(cloned(parts), j.plan.Score.Weights)
	machine.sum()
	machine.judge()
	c.Machine = &Machine{machine.Verdict, machine.Low, machine.High, machine.Coverage}
	for i := range parts {
		for k := range parts[i].Items {
			it := &parts[i].Items[k]
			if o, ok := by[it.ID]; ok {
				j.overridden(it, o)
			}
		}
	}
	return parts
}

func cloned(parts []PartScore) []PartScore {
	out := slices.Clone(parts)
	for i := range out {
		out[i].Items = slices.Clone(out[i].Items)
	}
	return out
}

func (j *judge) overridden(it *Item, o seen[Override]) {
	v := o.V
	it.Override = &Overridden{By: v.By, Reason: j.people.scrub(v.Reason), At: o.At.UTC(), Outcome: it.Outcome, Value: it.Value, Why: it.Why,
		Lines: []int{o.line()}}
	was := "gameday: " + it.Outcome.String()
	if it.Why != "" {
		was += ", for " + it.Why
	}
	why := fmt.Sprintf("%s decided so: %s (%s)", v.By, it.Override.Reason, was)
	switch v.Outcome {
	case clock.Met:
		it.met()
		it.Why = why
	case clock.Missed:
		it.missed(why)
	default:
		it.unknown(why)
	}
	it.sawAs("D", "gameday override", fmt.Sprintf("%s by %s at %s: %s", v.Outcome, v.By, j.tl.stamp(o.At), it.Override.Reason), o.line())
}

// words say what gameday itself makes of the item.
func (o *Overridden) words() string {
	text := o.Outcome.String()
	if o.Outcome == clock.Missed && o.Value > 0 {
		text += ", late"
	}
	if o.Why != "" {
		text += ": " + o.Why
	}
	return text
}

// restsOn says what of the verdict people decided.
func (c *Scorecard) restsOn() string {
	var titles, names []string
	for _, it := range c.Items() {
		if o := it.Override; o != nil {
			titles = append(titles, it.Title)
			if !slices.Contains(names, o.By) {
				names = append(names, o.By)
			}
		}
	}
	if len(titles) == 0 {
		return ""
	}
	machine := *c
	machine.Low, machine.High = c.Machine.Low, c.Machine.High
	n := len(titles)
	if n > 3 {
		titles = append(titles[:2:2], fmt.Sprintf("%d more", n-2))
	}
	return fmt.Sprintf("this rests on %s by %s (%s); by the record alone it is %s, %s.", count(n, "override"), list(names), list(titles), c.Machine.Verdict,
		scoreWords(&machine))
}
