package truth

import (
	"slices"
	"time"

	"gameday/report"
	"gameday/responders"
)

// call is what was done about the pages of one alarm that its fault raised.
type call struct {
	story
	plan   *report.ResponsePlan
	first  time.Duration // the first delivery; forever without one
	events []happening   // of the pages, from the first delivery on, in order
	page   *page         // of the first delivery
	sent   time.Duration // the first notification, delivered or not
	all    []happening   // from then on
	whole  []happening   // all of the pages; what was done before anybody was reached counts as done then
	plain  bool
	margin time.Duration
}

func (w *World) call(r *report.ResponsePlan) call {
	i := slices.IndexFunc(w.alarms, func(a *alarm) bool { return a.plan.Name == r.To })
	s := w.story(w.alarms[i])
	c := call{story: s, plan: r, first: forever, sent: forever, margin: 2*w.desk.blur() + 50*time.Millisecond}
	c.plain = w.desk.whole() && w.delivery(s.alarm)
	if s.f.fate == refused {
		return c
	}
	// A page that was opened after the onset is to be answered, whatever raised it.
	reach := w.reach(s.alarm, s.f)
	var pages []*page
	c.open = false
	for _, p := range w.pages {
		if p.alarm != s.alarm || len(p.events) == 0 {
			continue
		}
		opened := p.events[0].at
		near := w.desk.blur() + max(s.f.told.to-s.f.told.from, s.f.over.to-s.f.over.from) + 50*time.Millisecond
		c.open = c.open || !apartBy(opened, s.f.onset, near)
		c.plain = c.plain && apartBy(opened, reach, near)
		// A page that is still open takes up what comes later: what people would have done about a new one nobody can tell.
		c.plain = c.plain && (opened >= s.f.onset || p.events[len(p.events)-1].at < s.f.onset-near)
		if opened >= s.f.onset && opened <= reach {
			pages = append(pages, p)
		}
	}
	for _, p := range pages {
		if at := p.delivered(); at < c.first {
			c.first, c.page = at, p
		}
	}
	c.moot = s.moot && len(pages) == 0
	c.open = c.open || s.open && len(pages) == 0
	for _, p := range pages {
		for _, h := range p.events {
			if h.at >= c.first {
				c.events = append(c.events, h)
			}
			if h.Kind == responders.Notified {
				c.sent = min(c.sent, h.at)
			}
			c.all = append(c.all, h)
			c.plain = c.plain && (c.first == forever || h.at == c.first || apartBy(h.at, c.first, c.margin))
		}
	}
	slices.SortStableFunc(c.events, byTime)
	slices.SortStableFunc(c.all, byTime)
	for _, h := range c.all {
		h.at = max(h.at, c.first)
		c.whole = append(c.whole, h)
	}
	c.all = slices.DeleteFunc(c.all, func(h happening) bool { return h.at < c.sent })
	return c
}

// within is a promise about the first of the events that will do.
func (c call) within(w *World, d report.DeadlinePlan, does func(happening) bool) Fact {
	f := Fact{}
	switch {
	case c.moot:
	case c.first == forever:
		f = Fact{Answer: Broken, Plain: c.plain && c.paging(w)}
		f = c.shortened(f)
	default:
		at := forever
		if i := slices.IndexFunc(c.events, does); i >= 0 {
			at = c.events[i].at
		}
		s := c.story
		s.plain = c.plain
		f = s.fact(c.first, at, d.Within, w.ended, c.margin)
	}
	return f
}

// paging reports whether the record can tell that nobody was paged: the alarm had its time.
func (c call) paging(w *World) bool {
	limit := max(c.alarm.plan.FiresWithin, c.alarm.plan.PagesWithin)
	if len(c.own) > 0 {
		fired := c.bouts[c.own[0]].fired
		if !apartBy(fired-c.f.onset, c.alarm.plan.FiresWithin, c.story.margin) {
			return false
		}
	}
	return c.f.onset+limit+c.story.margin < w.ended
}

func (w *World) responseFacts(r *report.ResponsePlan, out map[string]Fact) {
	c := w.call(r)
	set := func(what string, d report.DeadlinePlan, f Fact) {
		f.Part, f.Weight, f.Required, f.Open = report.Response, d.Weight, d.Required, c.open
		if f.Answer == Moot {
			f.Plain, f.Value = false, 0
		}
		out["response."+r.Name+"."+what] = f
	}
	if a := r.Acknowledge; a != nil {
		f := c.graded(w, a.DeadlinePlan, func(h happening) bool {
			return h.Kind == responders.Acknowledged && h.Actor.Kind == responders.Human &&
				(a.Level == 0 || h.Actor.ID == onCall[a.Level-1]) && (!a.OnCall || !w.rostered || onDuty(h.Actor.ID))
		})
		if a.OnCall && !w.rostered && f.Answer == Kept { // by whom it should have been nobody knows
			f = Fact{}
		}
		if a.Level != 0 && slices.ContainsFunc(c.events, func(h happening) bool { return h.Kind == responders.Acknowledged && h.Actor == eve }) {
			f.Plain = false // of eve nobody can tell the level
		}
		set("acknowledge", a.DeadlinePlan, f)
	}
	if e := r.Escalate; e != nil {
		set("escalate", e.DeadlinePlan, c.escalated(w, e))
	}
	marks := c
	marks.events = c.whole
	for _, m := range r.Marks {
		set("mark."+m.Name, m.DeadlinePlan, marks.within(w, m.DeadlinePlan, func(h happening) bool {
			return h.Kind == responders.Marked && h.Text == m.Name
		}))
	}
	w.besideFacts(c, set)
	if d := r.Resolve; d != nil {
		if c.page != nil {
			c.events = slices.Clone(c.page.events)
			for i := range c.events { // one that was closed before anybody was reached is closed
				c.events[i].at = max(c.events[i].at, c.first)
			}
		}
		set("resolve", d.DeadlinePlan, c.within(w, d.DeadlinePlan, func(h happening) bool { return h.Kind == responders.Resolved }))
	}
}

// escalated: the level is reached in time, not too early, and need not be when somebody answered before. Its time runs
// from the first notification that was sent, whether it reached anybody or not.
func (c call) escalated(w *World, e *report.EscalatePlan) Fact {
	if c.sent != forever {
		c.first, c.events = c.sent, c.all
	}
	up := func(h happening) bool {
		return h.Kind == responders.Escalated && h.Level >= e.ToLevel && enough(e.MinEvidence, h.Grade)
	}
	return c.untried(c.climbed(w, e, up), up)
}

// climbed is escalated, whoever was asked to answer.
func (c call) climbed(w *World, e *report.EscalatePlan, up func(happening) bool) Fact {
	f := c.within(w, e.DeadlinePlan, up)
	if c.moot || c.first == forever || e.OnlyAfter == 0 {
		return f
	}
	if i := slices.IndexFunc(c.events, up); i >= 0 {
		at := c.events[i].at - c.first
		near := !apartBy(at, e.OnlyAfter, c.margin)
		if at < e.OnlyAfter {
			return c.shortened(Fact{Answer: Broken, Plain: c.plain && !near})
		}
		f.Plain = f.Plain && !near
	}
	i := slices.IndexFunc(c.events, func(h happening) bool {
		return h.Kind == responders.Acknowledged && h.Actor.Kind == responders.Human
	})
	if i < 0 {
		return f
	}
	at := c.events[i].at - c.first
	near := !apartBy(at, e.OnlyAfter, c.margin)
	if at < e.OnlyAfter {
		return Fact{Answer: Kept, Value: 1, Plain: c.plain && !near}
	}
	f.Plain = f.Plain && !near
	return f
}
