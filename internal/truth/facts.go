package truth

import (
	"slices"
	"time"

	"gameday/report"
	"gameday/responders"
)

// Answer is what is true of a promise.
type Answer int

// The answers.
const (
	Moot Answer = iota // the game day put nothing to the test: nobody may say that it was kept, or broken
	Kept
	Broken
)

func (a Answer) String() string { return [...]string{"moot", "kept", "broken"}[a] }

// Fact is the truth about one promise.
type Fact struct {
	Answer Answer
	// Plain says that whoever reads the record with care can tell: every source that matters saw all the time, and no
	// instant is so close to a limit or to another instant that the clocks cannot tell them apart.
	Plain bool
	// Open says that nobody's clock can tell whether the alarm was there before its fault: what is said of it is not
	// compared, for docs/scoring.md gives it the benefit of the doubt.
	Open  bool
	Value float64 // what it is worth, from 0 to 1
	// Decided says that people decided it, and that is all there is to know.
	Decided bool
	// Part, Weight and Required are those of the promise.
	Part     report.Part
	Weight   float64
	Required bool
}

// facts returns the truth about every promise of the plan, by the id of its item.
func (w *World) facts() map[string]Fact {
	out := map[string]Fact{}
	if len(w.faults) > 0 {
		for _, a := range w.alarms {
			w.alarmFacts(a, out)
		}
		for _, r := range w.responses {
			w.responseFacts(r, out)
		}
	}
	if f, ok := w.noiseFact(); ok {
		out["noise"] = f
	}
	if w.noise != nil && w.noise.PerPerson != nil {
		out["noise.per_person"] = w.perPersonFact(*w.noise.PerPerson)
	}
	for _, a := range w.strangers {
		if a.quiet() {
			out["alarm."+a.plan.Name+".quiet"] = w.quietFact(a)
		}
	}
	return out
}

// first is when the first fault took effect, 0 in a control run, forever when none did; and how closely that is known.
func (w *World) first() (at, told time.Duration) {
	if len(w.faults) == 0 {
		return 0, 0
	}
	at = forever
	for _, f := range w.faults {
		if f.fate != refused && f.onset < at {
			at, told = f.onset, f.told.to-f.told.from
		}
	}
	return at, told
}

// quietFact is about an alarm that must not fire once something was done.
func (w *World) quietFact(a *alarm) Fact {
	from, told := w.first()
	f := Fact{Part: report.Detection, Weight: a.plan.Weight, Required: a.plan.Required, Plain: w.rules.whole(), Answer: Kept, Value: 1}
	if from == forever {
		return Fact{Part: f.Part, Weight: f.Weight, Required: f.Required}
	}
	margin := w.rules.blur() + told + 50*time.Millisecond
	for _, b := range a.bouts {
		if !b.firing() || b.fired >= w.ended {
			continue
		}
		near := !apartBy(b.fired, from, margin) || !apartBy(b.ended, from, margin+w.rules.every)
		f.Plain = f.Plain && !near
		f.Open = f.Open || near || b.fired > w.ended-w.rules.every
		switch {
		case b.fired >= from:
			f.Answer, f.Value = Broken, 0
		case b.ended >= from && f.Answer == Kept:
			f.Answer, f.Value = Moot, 0
		}
	}
	f.Plain = f.Plain && f.Answer != Moot
	return f
}

func (w *World) fault(name string) *fault {
	i := slices.IndexFunc(w.faults, func(f *fault) bool { return f.name == name })
	return w.faults[i]
}

// margin is how far two instants must be apart for anybody to tell which was first.
func (w *World) margin(f *fault, s *source) time.Duration {
	return s.blur() + max(f.told.to-f.told.from, f.over.to-f.over.from) + 50*time.Millisecond
}

// story is an alarm as its fault's: the bouts that the fault can have raised.
type story struct {
	*alarm
	f      *fault
	moot   bool  // nothing of it can be told of the fault
	open   bool  // whether it is moot nobody's clock can tell
	own    []int // bouts that began after the onset and fired, in order
	plain  bool  // which bouts those are can be told from the record
	margin time.Duration
}

func (w *World) story(a *alarm) story {
	f := w.fault(a.plan.Cause)
	s := story{alarm: a, f: f, plain: w.rules.whole(), margin: w.margin(f, w.rules)}
	if f.fate == refused {
		s.moot, s.plain = true, false
		return s
	}
	reach := w.reach(a, f)
	for i, b := range a.bouts {
		clear := apartBy(b.pending, f.onset, s.margin) && (b.ended == forever || apartBy(b.ended, f.onset, s.margin+w.rules.every))
		s.plain = s.plain && clear && apartBy(b.pending, reach, s.margin)
		s.open = s.open || !clear
		switch {
		case b.pending > reach: // too late to be the fault's
		case b.pending >= f.onset:
			if b.firing() && b.fired < w.ended {
				s.own = append(s.own, i)
			}
		case b.ended >= f.onset && b.firing():
			s.moot = true // it was there already: nobody can tell what it would have done
		}
	}
	return s
}

// reach is until when an alarm that begins counts as the fault's: twice its limits, and until it should be quiet again.
func (w *World) reach(a *alarm, f *fault) time.Duration {
	limit := max(a.plan.FiresWithin, a.plan.PagesWithin)
	gone := min(f.gone, w.ended)
	return max(f.onset+2*limit, gone+max(limit, a.plan.ClearsWithin))
}

func apartBy(a, b, margin time.Duration) bool { return a-b > margin || b-a > margin }

// fact is a promise kept within a limit from an instant, or not; at is forever when it never was.
func (s story) fact(since, at, limit time.Duration, end time.Duration, margin time.Duration) Fact {
	f := Fact{Plain: s.plain}
	switch {
	case s.moot:
		return Fact{}
	case at-since <= limit:
		f.Answer, f.Value = Kept, 1
	default:
		f.Answer = Broken
		if at < forever {
			f.Value = max(0, 1-float64(at-since-limit)/float64(limit))
		}
		f.Plain = f.Plain && end > since+limit+margin
		if at >= end && end < since+limit {
			f.Answer = Moot // it was over before the time was, and nobody knows what would have come
		}
	}
	if at < forever && !apartBy(at-since, limit, margin) {
		f.Plain = false
	}
	return s.shortened(f)
}

// shortened is what is left of a fact when its fault was gone before its time: what was kept was kept.
func (s story) shortened(f Fact) Fact {
	if (s.f.fate == lapsed || s.f.fate == interrupt) && f.Answer == Broken {
		return Fact{}
	}
	return f
}

func (w *World) alarmFacts(a *alarm, out map[string]Fact) {
	s := w.story(a)
	set := func(what string, f Fact) {
		f.Part, f.Weight, f.Required, f.Open = report.Detection, a.plan.Weight, a.plan.Required, f.Open || s.open
		if f.Answer == Moot {
			f.Plain, f.Value = false, 0
		}
		out["alarm."+a.plan.Name+"."+what] = f
	}
	fired := forever
	if len(s.own) > 0 {
		fired = a.bouts[s.own[0]].fired
	}
	bg := w.without(a, s.margin)
	set("fired", s.fact(s.f.onset, fired, a.plan.FiresWithin, w.ended, s.margin).unproven(bg))
	if a.plan.PagesVia != "" {
		set("paged", w.pagedFact(s).unproven(bg))
	}
	if a.plan.First {
		set("first", w.firstFact(s).unproven(bg))
	}
	if a.plan.ClearsWithin > 0 {
		set("cleared", w.clearedFact(s).unlooked(w, s))
	}
	if a.plan.MaxFlaps != nil {
		set("flaps", w.flapsFact(s).unlooked(w, s))
	}
}

// pagedFact is about the first page of the alarm that the fault raised, at the router or at the desk.
func (w *World) pagedFact(s story) Fact {
	via, at := w.router, forever
	if s.plan.PagesVia == w.desk.name {
		via = w.desk
	}
	for _, p := range w.pages {
		if p.alarm != s.alarm || !slices.Contains(s.own, p.bout) {
			continue
		}
		if via == w.router {
			at = min(at, p.left)
			continue
		}
		at = min(at, p.delivered())
	}
	margin := s.margin + w.margin(s.f, via)
	f := s.fact(s.f.onset, at, s.plan.PagesWithin, w.ended, margin)
	f.Plain = f.Plain && via.whole() && w.delivery(s.alarm)
	return f
}

// delivered is when a page first reached somebody.
func (p *page) delivered() time.Duration {
	for _, h := range p.events {
		if h.Kind == responders.Notified && h.truly {
			return h.at
		}
	}
	return forever
}

// delivery reports whether the desk knows of every page about the alarm whether it was delivered.
func (w *World) delivery(a *alarm) bool {
	for _, p := range w.pages {
		for _, h := range p.events {
			if p.alarm == a && h.Kind == responders.Notified && h.Delivered == "unknown" {
				return false
			}
		}
	}
	return true
}

func (w *World) clearedFact(s story) Fact {
	if len(s.own) == 0 || s.moot || s.f.gone == forever {
		return Fact{} // nothing could clear
	}
	// Quiet for good, as far as the run goes: the last bout that the fault can have raised.
	last := s.bouts[s.own[len(s.own)-1]].ended
	if last >= w.ended {
		last = forever
	}
	return s.fact(s.f.gone, last, s.plan.ClearsWithin, w.ended, s.margin+w.rules.every) // an end is seen by looks
}

// unlooked is a fact about the quiet of an alarm that came after the last look of its source: nobody could see it.
func (f Fact) unlooked(w *World, s story) Fact {
	for _, i := range s.own {
		f.Open = f.Open || s.bouts[i].fired > w.ended-w.rules.every
	}
	return f
}

func (w *World) flapsFact(s story) Fact {
	if s.moot || len(s.own) == 0 {
		return Fact{}
	}
	f := Fact{Answer: Kept, Value: 1, Plain: s.plain}
	if len(s.own)-1 > *s.plan.MaxFlaps {
		f = Fact{Answer: Broken, Plain: s.plain}
	}
	if s.f.fate == lapsed || s.f.fate == interrupt {
		return Fact{} // it could not have come and gone as often as it would have
	}
	return f
}

// noiseFact is about alarms that nobody expected.
func (w *World) noiseFact() (Fact, bool) {
	plan := w.noise
	null := len(w.faults) == 0
	if plan == nil {
		if !null {
			return Fact{}, false
		}
		plan = &report.NoisePlan{}
	}
	from, told := w.first()
	f := Fact{Part: report.Detection, Weight: 1, Plain: w.rules.whole() && w.router.whole()}
	if from == forever { // nothing was put to the test, and to say so is right
		f.Plain = false
		return f, true
	}
	margin := w.rules.blur() + w.router.blur() + told
	n := 0 // in fifths of a page
	count := func(a *alarm) {
		each := 5
		if plan.Pages != nil && a.labels["severity"] != "page" {
			each = 1
		}
		for _, b := range a.bouts {
			if !b.firing() || b.fired >= w.ended {
				continue
			}
			f.Open = f.Open || b.fired > w.ended-max(w.rules.every, w.router.every) // after the last look
			f.Plain = f.Plain && apartBy(b.fired, from, margin)
			if b.fired >= from {
				f.Plain = f.Plain && len(a.hushed) == 0
				if !w.unheard(a, b) {
					n += each
				}
			}
		}
	}
	for _, a := range w.strangers {
		watched := plan.Watch != nil && (a.labels["severity"] == "page" || plan.Pages != nil)
		if !a.quiet() && watched && a.labels["alertname"] != "Watchdog" {
			count(a)
		}
	}
	if null {
		for _, a := range w.alarms {
			count(a)
		}
	}
	f.Answer, f.Value = Kept, 1
	if n > 5*plan.AtMost {
		f.Answer, f.Value = Broken, 0
		if !null {
			f.Value = max(0, 1-(float64(n)/5-float64(plan.AtMost))/float64(1+len(w.alarms)))
		}
	} else if null {
		f.Weight = 0
	}
	return f, true
}

// unheard reports whether a bout was silenced and paged nobody.
func (w *World) unheard(a *alarm, b bout) bool {
	for _, p := range w.pages {
		if p.alarm == a && a.bouts[p.bout] == b {
			return false
		}
	}
	return in(a.hushed, b.fired)
}
