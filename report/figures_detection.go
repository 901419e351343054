package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"gameday/clock"
)

// Detected are counts of how well alarms told what happened. They are no part of the score.
type Detected struct {
	// Recall is how many of the expected alarms came in time.
	Recall Of `json:"recall"`
	// Precision is how many of the alarms that fired once a fault stood were expected and told of it; nil where the scenario does not
	// say which others count. Alarms that fire without a fault too are left out of it.
	Precision *Of      `json:"precision,omitempty"`
	LeftOut   []string `json:"left_out,omitempty"` // of precision: background
	// Incidents are the pages that each fault caused.
	Incidents []Incident `json:"incidents,omitempty"`
	// People are the pages that each person got.
	People []PersonPages `json:"people,omitempty"`
}

// Of is so many of so many, with those of which it is not known.
type Of struct {
	Yes     int `json:"yes"`
	Unknown int `json:"unknown"`
	All     int `json:"of"`
}

// Incident is what one fault paged.
type Incident struct {
	Fault string `json:"fault"`
	// Order is in which order alarms fired, from its onset to the end of what counts for it. What a later fault was expected to raise,
	// and what began once that one stood, is counted there.
	Order []Firing `json:"order"`
	// Pages are how many pages it was, and Duplicates those beyond the first; nil where no source of responses tells.
	Pages      *int `json:"pages,omitempty"`
	Duplicates *int `json:"duplicates,omitempty"`
}

// Firing is an alarm that fired after a fault took effect.
type Firing struct {
	Alarm    string         `json:"alarm"`
	Expected bool           `json:"expected"` // of this fault
	Class    Class          `json:"class,omitempty"`
	After    clock.Latency  `json:"after"` // since the onset
	At       clock.Interval `json:"at"`
	// Tied says that it may have come before the one above it, or in the same instant.
	Tied bool `json:"tied,omitempty"`
}

// PersonPages is how many pages one person got: from Least to Most.
type PersonPages struct {
	Person string `json:"person"`
	Least  int    `json:"least"`
	Most   int    `json:"most"`
}

// leastPercent is of how many a share is printed in percent.
const leastPercent = 5

// String prints counts, "3 of 4", with bounds where something is unknown, and a share where there are enough of them.
func (o Of) String() string {
	text := fmt.Sprintf("%d of %d", o.Yes, o.All)
	if o.Unknown > 0 {
		text = fmt.Sprintf("%d to %d of %d", o.Yes, o.Yes+o.Unknown, o.All)
	}
	if o.All < leastPercent {
		return text
	}
	lo, hi := percent(float64(o.Yes)/float64(o.All)), percent(float64(o.Yes+o.Unknown)/float64(o.All))
	if lo == hi {
		return text + " (" + lo + ")"
	}
	return text + " (" + strings.TrimSuffix(lo, " %") + " to " + hi + ")"
}

// detected counts; nil in a scenario that has nothing to detect.
func (j *judge) detected(c *Scorecard) *Detected {
	if j.null() || j.mustFire() == 0 {
		return nil
	}
	d := &Detected{}
	hits := j.recall(c, d)
	if j.plan.Noise != nil {
		d.Precision = j.precision(hits, d)
	}
	for _, f := range j.tl.Faults {
		if !f.Onset().IsZero() {
			d.Incidents = append(d.Incidents, j.incident(f))
		}
	}
	by, _, _ := j.personPages()
	for _, id := range sortedKeys(by) {
		d.People = append(d.People, PersonPages{j.people.name(id), by[id].lo, by[id].hi})
	}
	return d
}

// recall counts the expected alarms that came in time, and returns by name what became of each.
func (j *judge) recall(c *Scorecard, d *Detected) map[string]*Item {
	hits := map[string]*Item{}
	for _, it := range c.Items() {
		for _, a := range j.plan.Alarms {
			if it.ID == "alarm."+a.Name+".fired" || hits[a.Name] == nil && it.ID == "alarm."+a.Name+".paged" {
				hits[a.Name] = it
			}
		}
	}
	for _, it := range hits {
		d.Recall.All++
		switch it.Outcome {
		case clock.Met:
			d.Recall.Yes++
		case clock.Unknown:
			d.Recall.Unknown++
		}
	}
	return hits
}

// precision counts by their names the alarms that fired once a fault stood. One that fired late told of it all the same.
func (j *judge) precision(hits map[string]*Item, d *Detected) *Of {
	p := &Of{}
	for _, name := range sortedKeys(hits) {
		it, f := hits[name], j.alarms[name]
		switch {
		case f.first == nil:
		case it.Class == ClassBackground:
			d.LeftOut = append(d.LeftOut, name)
		case it.Outcome == clock.Unknown:
			p.All, p.Unknown = p.All+1, p.Unknown+1
		default:
			p.All, p.Yes = p.All+1, p.Yes+1
		}
	}
	doubt, before := map[string]bool{}, map[string]bool{}
	for i := range j.tl.Alarms {
		for k := range j.tl.Alarms[i].Episodes {
			e := &j.tl.Alarms[i].Episodes[k]
			switch j.unexpected(e, j.plan.Noise) {
			case ClassBackground:
				before[e.name()] = true
			case ClassFalseAlarm:
				unsure, known := doubt[e.name()]
				doubt[e.name()] = j.perhapsNoise(e) && (unsure || !known)
			}
		}
	}
	for _, name := range sortedKeys(doubt) {
		switch {
		case before[name]:
			d.LeftOut = append(d.LeftOut, name)
		case !doubt[name]:
			p.All++
		default:
			p.All, p.Unknown = p.All+1, p.Unknown+1
		}
	}
	return p
}

// incident puts the alarms that fired once a fault took effect in their order, and counts its pages.
func (j *judge) incident(f *FaultLife) Incident {
	in := Incident{Fault: f.Name, Order: []Firing{}}
	from, to := f.Onset(), j.tl.End
	if g := f.Gone(); !g.IsZero() {
		to = earlierOf(to, g.Hi)
	}
	var expected []AlarmPlan
	for _, a := range j.plan.Alarms {
		if a.Cause == f.Name {
			expected = append(expected, a)
			to = laterOf(to, earlierOf(j.tl.End, j.alarms[a.Name].window.End))
		}
	}
	seen := map[string]bool{}
	for i := range j.tl.Alarms {
		for k := range j.tl.Alarms[i].Episodes {
			e := &j.tl.Alarms[i].Episodes[k]
			if !e.fired() || e.begin().Before(from) || e.Firing.Lo.After(to) || j.ofLater(f, e.Labels, e.begin()) {
				continue
			}
			x := Firing{Alarm: e.name(), Class: j.classes[e.id()], At: e.Firing, After: e.Firing.Sub(from)}
			for _, a := range expected {
				x.Expected = x.Expected || matches(a.Match, e.Labels)
			}
			in.Order = append(in.Order, x)
		}
	}
	slices.SortStableFunc(in.Order, func(a, b Firing) int {
		return cmp.Or(a.At.Lo.Compare(b.At.Lo), a.At.Hi.Compare(b.At.Hi), cmp.Compare(a.Alarm, b.Alarm))
	})
	// Several sources tell of one alarm, and one that comes again is no news.
	in.Order = slices.DeleteFunc(in.Order, func(x Firing) bool {
		again := seen[x.Alarm]
		seen[x.Alarm] = true
		return again
	})
	for i := 1; i < len(in.Order); i++ {
		in.Order[i].Tied = !in.Order[i-1].At.Before(in.Order[i].At)
	}
	j.countPages(&in, f, to)
	return in
}

// ofLater reports whether what began at an instant tells of a later fault: one that certainly stood by then, began after f,
// and whose expected alarm has these labels, while f's own have not.
func (j *judge) ofLater(f *FaultLife, labels map[string]string, began clock.Interval) bool {
	later := false
	for _, a := range j.plan.Alarms {
		if a.Quiet || !matches(a.Match, labels) {
			continue
		}
		if a.Cause == f.Name {
			return false
		}
		g := j.tl.Fault(a.Cause)
		later = later || g != nil && !g.Onset().IsZero() && f.Onset().Before(g.Onset()) && g.Onset().Before(began)
	}
	return later
}

// countPages counts the pages that were opened while a fault's alarms count.
func (j *judge) countPages(in *Incident, f *FaultLife, to time.Time) {
	from := f.Onset()
	pages := map[string]bool{}
	for _, a := range j.tl.Responses {
		opened := map[string]bool{}
		for _, e := range a.Events {
			if e.Page == "" || opened[e.Page] {
				continue
			}
			opened[e.Page] = true
			if !e.At.Before(from) && !e.At.Lo.After(to) && !j.ofLater(f, e.Labels, e.At) {
				pages[a.Source+" "+e.Page] = true
			}
		}
	}
	if len(j.tl.Responses) == 0 {
		return
	}
	n := len(pages)
	more := max(0, n-1)
	in.Pages, in.Duplicates = &n, &more
}

// words prints what a fault raised, in order: "PaymentsDown 9.2 s, then HighLatency 20.1 s".
func (in Incident) words() string {
	if len(in.Order) == 0 {
		return "no alarm was seen to fire"
	}
	var words []string
	for i, x := range in.Order {
		text := x.Alarm + " " + latency(x.After)
		switch {
		case !x.Expected && x.Class != "":
			text += " (" + strings.ReplaceAll(string(x.Class), "_", " ") + ")"
		case !x.Expected:
			text += " (not expected of it)"
		}
		switch {
		case i == 0:
		case x.Tied:
			text = "with or after it " + text
		default:
			text = "then " + text
		}
		words = append(words, text)
	}
	out := strings.Join(words, ", ")
	if in.Pages != nil {
		out += "; " + count(*in.Pages, "page")
		if *in.Duplicates > 0 {
			out += fmt.Sprintf(", %d beyond the first", *in.Duplicates)
		}
	}
	return out
}

// Fact is something said under a name.
type Fact struct{ Name, Text string }

// Facts are the counts in words, in the order in which they are printed.
func (d *Detected) Facts() []Fact {
	if d == nil {
		return nil
	}
	out := []Fact{{"recall", d.Recall.String() + " expected alarms in time"}}
	if d.Precision != nil && (d.Precision.All > 0 || len(d.LeftOut) > 0) {
		text := d.Precision.String() + " alarms that fired told of a fault"
		if len(d.LeftOut) > 0 {
			text += "; left out, for they fire without one too: " + list(d.LeftOut)
		}
		out = append(out, Fact{"precision", text})
	}
	for _, in := range d.Incidents {
		out = append(out, Fact{in.Fault, in.words()})
	}
	var people []string
	for _, p := range d.People {
		people = append(people, p.Person+" "+pagesOf{p.Least, p.Most}.words())
	}
	if len(people) > 0 {
		out = append(out, Fact{"pages", list(people)})
	}
	return out
}

// detections prints the counts.
func detections(b *strings.Builder, c *Scorecard) {
	if c.Detected == nil {
		return
	}
	b.WriteString("\n Alarms\n")
	for _, f := range c.Detected.Facts() {
		Paragraph(b, fmt.Sprintf("  %-9s  ", cell(f.Name)), f.Text)
	}
}
