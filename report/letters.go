package report

import (
	"fmt"
	"strings"

	"gameday/clock"
)

// The letters by which exercises are rated after HSEEP, the Homeland Security Exercise and Evaluation Program.
const (
	Performed   = "P"   // without challenges: all was met, and nothing paged that nobody expected
	Some        = "S"   // with some challenges: what had to be was met, and something else was not, or paged
	Major       = "M"   // with major challenges: what had to be was met too late, or a stop condition held
	Unable      = "U"   // unable to be performed: what had to be was missed
	NotObserved = "N/O" // what had to be is unknown
)

// Objective is what one letter is suggested for: a fault, with all that is promised about it; or what is promised in a part of no
// fault: the service under load, the capacity. It is for whoever facilitates to confirm or change, and no part of the score or the verdict.
type Objective struct {
	Name   string   `json:"name"`   // the fault's, or that of a part of which something is promised of no fault
	Letter string   `json:"letter"` // "P/S" when what is unknown decides between the two
	Why    string   `json:"why"`
	Items  []string `json:"items"`
}

// objectives suggests a letter for each fault, and for the parts in which something is promised of none.
func (j *judge) objectives(c *Scorecard) []Objective {
	var names []string
	for _, f := range j.plan.Faults {
		names = append(names, f.Name)
	}
	var noise []*Item
	by := map[string][]*Item{}
	for _, it := range c.Items() {
		if it.ID == "noise" || it.ID == "noise.per_person" {
			noise = append(noise, it)
			continue
		}
		name := it.cause
		if name == "" {
			name = " " + string(it.Part)
		}
		by[name] = append(by[name], it)
	}
	out := []Objective{}
	for _, p := range []Part{Service, Recover, Detection, Response, Capacity} {
		names = append(names, " "+string(p))
	}
	for i, name := range names {
		items := by[name]
		if len(items) == 0 {
			continue
		}
		o, of := Objective{Name: strings.TrimPrefix(name, " ")}, i < len(j.plan.Faults)
		for _, it := range items {
			o.Items = append(o.Items, it.ID)
		}
		var also []*Item
		if of || name == " "+string(Detection) {
			also = noise
		}
		for _, it := range also {
			o.Items = append(o.Items, it.ID)
		}
		o.Letter, o.Why = letter(items, also, j.stoppedDuring(name))
		out = append(out, o)
	}
	return out
}

// stoppedDuring names a stop condition that held from a fault's onset on until the next fault; empty when none did.
func (j *judge) stoppedDuring(fault string) string {
	f := j.tl.Fault(fault)
	if f == nil || f.Onset().IsZero() {
		return ""
	}
	for _, a := range j.tl.Aborts {
		last := !a.At.Before(f.Onset().Lo)
		for _, o := range j.tl.Faults {
			begins := o.Onset()
			last = last && (begins.IsZero() || !begins.Lo.After(f.Onset().Lo) || begins.Lo.After(a.At))
		}
		if last {
			return a.V.Name
		}
	}
	return ""
}

// came reports whether what was promised came after all, too late.
func (i *Item) came() bool {
	return i.Outcome == clock.Missed && i.Within > 0 && i.Latency != nil && i.Latency.Lo > i.Within
}

// letter rates an objective. What had to be are its required items; all, where none is.
func letter(items, noise []*Item, stopped string) (name, why string) {
	var must, other []*Item
	for _, it := range items {
		if it.Required {
			must = append(must, it)
		} else {
			other = append(other, it)
		}
	}
	if len(must) == 0 {
		must, other = other, nil
	}
	other = append(other, noise...)
	of := func(items []*Item, is func(*Item) bool) string {
		var titles []string
		for _, it := range items {
			if is(it) {
				titles = append(titles, it.Title)
			}
		}
		if n := len(titles); n > 3 {
			titles = append(titles[:2:2], fmt.Sprintf("%d more", n-2))
		}
		return list(titles)
	}
	never := of(must, func(i *Item) bool { return i.Outcome == clock.Missed && !i.came() })
	unknown := of(must, func(i *Item) bool { return i.Outcome == clock.Unknown })
	late := of(must, (*Item).came)
	less := of(other, func(i *Item) bool { return i.Outcome == clock.Missed })
	untold := of(other, func(i *Item) bool { return i.Outcome == clock.Unknown })
	switch {
	case never != "":
		return Unable, "missed: " + never
	case unknown != "":
		return NotObserved, "unknown: " + unknown
	case late != "":
		return Major, "too late: " + late
	case stopped != "":
		return Major, "a stop condition held: " + stopped
	case less != "":
		return Some, "missed, and not required: " + less
	case untold != "":
		return Performed + "/" + Some, "unknown, and not required: " + untold
	}
	return Performed, "everything was met"
}

// suggestions prints what is suggested.
func suggestions(b *strings.Builder, c *Scorecard) {
	if len(c.Objectives) == 0 {
		return
	}
	b.WriteString("\n Letters, suggested for whoever facilitates; they change nothing\n")
	wide := 0
	for _, o := range c.Objectives {
		wide = max(wide, len([]rune(o.Name)))
	}
	for _, o := range c.Objectives {
		Paragraph(b, fmt.Sprintf("  %-*s  %-4s ", wide, cell(o.Name), o.Letter), o.Why)
	}
}
