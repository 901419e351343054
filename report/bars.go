package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"gameday/clock"
)

// clockOrder is the order in which clocks are drawn. Those that are not in it come after mark.
var clockOrder = []ClockName{ClockDetect, ClockPage, ClockAcknowledge, ClockEscalate, ClockMark, "", ClockMitigate,
	ClockRestart, ClockRecover, ClockClear, ClockResolve}

func (n ClockName) rank() int {
	if i := slices.Index(clockOrder, n); i >= 0 {
		return i
	}
	return slices.Index(clockOrder, "")
}

// clockGroup is what was timed about one fault, as bars on axes that begin at its onset.
type clockGroup struct {
	Fault, About, State string
	Axes                []clockAxis
}

// clockAxis is bars that share one axis. A fault has two when some of its clocks run for much longer than the rest.
type clockAxis struct {
	Name   string // what the axis is of
	Longer bool   // it is on a longer scale than the one before
	Ticks  []axisTick
	Bars   []clockBar
}

type axisTick struct {
	X      place
	Label  string
	Anchor string
}

// place is a share of an axis, in percent.
type place float64

func (p place) String() string { return fmt.Sprintf("%.2f%%", float64(p)) }

// piece is a part of an axis.
type piece struct{ From, To place }

// Wide returns how long the piece is.
func (s piece) Wide() place { return s.To - s.From }

// barForm says how a bar is drawn.
type barForm string

// The forms. Only what is known is solid, and only what is uncertain is striped.
const (
	formSolid  barForm = "solid"  // it happened, and is judged
	formHollow barForm = "hollow" // it did not happen: open at its end
	formDashed barForm = "dashed" // nobody knows
	formNone   barForm = "none"   // there is nothing to draw, and a note says why
)

// clockBar is one item on its axis.
type clockBar struct {
	*Item
	Form     barForm
	Body     piece // from the clock's zero on: what certainly passed
	Doubt    piece // from the shortest to the longest reading; nothing when they are the same
	Lead     piece // from the onset to the clock's zero
	Stood    piece // the fault stood
	Perhaps  piece // it may have stood still
	Note     string
	LimitAt  place
	Limited  bool // it has a limit on the axis
	Beyond   bool // it has a limit that lies beyond the axis
	Earliest place
	Early    bool // it has an earliest time
}

// reach is an item with where its parts lie, in time since the onset.
type reach struct {
	it          *Item
	zero        time.Duration // of its clock
	ran         bool          // its clock ran
	end, within time.Duration // what must be on the axis; its limit, 0 without one
}

func reachOf(it *Item, onset clock.Interval) reach {
	r := reach{it: it}
	if z := it.Clock.Zero; !z.IsZero() && !onset.IsZero() {
		r.zero, r.ran = max(0, z.Sub(onset).Mid()), true
	}
	r.end = r.zero
	if it.Within > 0 {
		r.within = r.zero + it.Within
	}
	switch {
	case it.Latency != nil:
		r.end += max(0, it.Latency.Hi)
	case it.Outcome != clock.Met && r.ran:
		r.end = max(r.end, r.within)
	}
	return r
}

// clockGroups returns the bars of every fault that something was timed about.
func (c *Scorecard) clockGroups() []clockGroup {
	var out []clockGroup
	for _, f := range c.tl.Faults {
		var all []reach
		for _, it := range c.Items() {
			if it.Clock != nil && it.Clock.Fault == f.Name {
				all = append(all, reachOf(it, f.Onset()))
			}
		}
		if len(all) == 0 {
			continue
		}
		slices.SortStableFunc(all, func(a, b reach) int {
			return cmp.Compare(a.it.Clock.Name.rank(), b.it.Clock.Name.rank())
		})
		out = append(out, c.clockGroup(f, all))
	}
	return out
}

func (c *Scorecard) clockGroup(f *FaultLife, all []reach) clockGroup {
	g := clockGroup{Fault: f.Name, About: f.Kind}
	for _, in := range f.Injections {
		g.About += ", " + in.Place
		if len(f.Injections) > 3 {
			g.About = fmt.Sprintf("%s at %d places", f.Kind, len(f.Injections))
			break
		}
	}
	gone, open := time.Duration(-1), false
	switch {
	case f.Onset().IsZero():
		g.State = "never injected: " + c.people.scrub(f.failure(c.by.complete()))
	case f.Gone().IsZero():
		g.State = "not proven to be gone"
		gone = c.tl.End.Sub(f.Onset().Lo)
		open = true
	default:
		stood := f.Gone().Sub(f.Onset())
		gone = max(0, stood.Mid())
		g.State = "stood " + latency(stood)
		if !f.Reversible() {
			g.State = "back after " + latency(stood)
		}
	}
	for i, rs := range scales(all) {
		a := newAxis(rs, gone)
		for n := range a.Bars {
			if open {
				a.Bars[n].Perhaps = piece{a.Bars[n].Stood.To, 100}
			}
		}
		a.Name = "from the onset of " + f.Name
		if a.Longer = i > 0; a.Longer {
			a.Name += ", on a longer scale"
		}
		g.Axes = append(g.Axes, a)
	}
	return g
}

// scales sorts clocks into those that are drawn on one axis, the shortest first: what takes a minute, half an hour and
// days cannot be seen together.
func scales(all []reach) [][]reach {
	near, far := apart(all)
	if len(far) == 0 || len(near) == 0 {
		return [][]reach{all}
	}
	return append(scales(near), scales(far)...)
}

// apart takes the clocks that run for much longer than the rest away from them, lest those be too short to see.
func apart(all []reach) (near, far []reach) {
	const much = 5
	ends := make([]time.Duration, 0, len(all))
	for _, r := range all {
		if r.end > 0 {
			ends = append(ends, r.end)
		}
	}
	slices.Sort(ends)
	cut, widest := time.Duration(0), float64(much)
	for i := 1; i < len(ends); i++ {
		if ratio := float64(ends[i]) / float64(max(second, ends[i-1])); ratio >= widest {
			cut, widest = ends[i], ratio
		}
	}
	for _, r := range all {
		if cut > 0 && r.end >= cut {
			far = append(far, r)
		} else {
			near = append(near, r)
		}
	}
	return near, far
}

// newAxis lays bars out. Limits that lie far beyond everything that happened are told in words only.
func newAxis(all []reach, gone time.Duration) clockAxis {
	var length time.Duration
	for _, r := range all {
		length = max(length, r.end)
	}
	most := 4 * length
	for _, r := range all {
		if r.ran && (r.within <= most || length == 0) {
			length = max(length, r.within)
		}
	}
	length = max(second, length+length/16)
	at := func(d time.Duration) place { return place(100 * clamp(float64(d)/float64(length))) }
	a := clockAxis{}
	step := timeTicks(length, 6)
	ran := slices.ContainsFunc(all, func(r reach) bool { return r.ran })
	for d := time.Duration(0); d <= length && ran; d += step {
		t := axisTick{X: at(d), Label: span(d), Anchor: "middle"}
		if d == 0 {
			t.Label, t.Anchor = "0", "start"
		} else if t.X > 94 {
			t.Anchor = "end"
		}
		a.Ticks = append(a.Ticks, t)
	}
	for _, r := range all {
		a.Bars = append(a.Bars, newBar(r, gone, length, at))
	}
	return a
}

func newBar(r reach, gone, length time.Duration, at func(time.Duration) place) clockBar {
	it := r.it
	b := clockBar{Item: it, Form: formNone, Lead: piece{0, at(r.zero)}}
	if gone >= 0 {
		b.Stood = piece{0, at(gone)}
	}
	if !r.ran {
		b.Note = map[clock.Outcome]string{clock.Unknown: "? from when on is not known",
			clock.Missed: "✗ its clock never began to run", clock.Met: "nothing to time"}[it.Outcome]
		if gone < 0 && it.Outcome == clock.Unknown {
			b.Note = "? the fault never took effect"
		}
		return b
	}
	if r.within > 0 {
		b.LimitAt, b.Limited, b.Beyond = at(r.within), r.within <= length, r.within > length
	}
	if d := it.Clock.NotBefore; d > 0 {
		b.Earliest, b.Early = at(r.zero+d), r.zero+d <= length
	}
	switch l := it.Latency; {
	case l != nil && l.Hi < 0: // before its clock began: the alarm was quiet before the fault was gone
		b.Form, b.Body = formSolid, piece{at(r.zero + l.Hi), at(r.zero)}
		b.Doubt = piece{at(r.zero + l.Lo), at(r.zero + l.Hi)}
	case l != nil:
		lo := max(0, l.Lo)
		b.Form, b.Body, b.Doubt = formSolid, piece{at(r.zero), at(r.zero + lo)}, piece{at(r.zero + lo), at(r.zero + l.Hi)}
	case it.Outcome == clock.Met:
		b.Note = it.Measured
	case it.Outcome == clock.Missed:
		b.Form, b.Body = formHollow, piece{at(r.zero), at(max(r.within, r.zero))}
	case it.Outcome == clock.Unknown:
		to := r.within
		if to == 0 || to > length {
			to = length
		}
		b.Form, b.Body = formDashed, piece{at(r.zero), at(to)}
	}
	if it.Outcome == clock.Unknown && b.Form == formSolid {
		b.Form = formDashed
	}
	return b
}

// Words returns all that a bar shows.
func (b clockBar) Words() string {
	words := []string{fmt.Sprintf("%s: %s", b.Clock.Name, b.Title), b.Measured}
	if b.Form == formNone && b.Clock.Zero.IsZero() {
		words[1] = "its clock never began to run"
	} else if b.Latency != nil {
		words[1] += " from " + b.Clock.From
	}
	if b.Within > 0 {
		words = append(words, "limit "+b.Limit)
	}
	if b.Clock.NotBefore > 0 {
		words = append(words, "not before "+span(b.Clock.NotBefore))
	}
	return PlainText(strings.Join(append(words, outcomeWord(b.Item)), ", "))
}

// outcomeWord says what became of an item: met, late, missed or unknown.
func outcomeWord(i *Item) string {
	if i.Outcome == clock.Missed && i.Value > 0 && i.Class != ClassFalseAlarm {
		return "late"
	}
	return i.Outcome.String()
}
