package report

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/responders"
)

// paged judges that a notification about the alarm left for a human. Firing is not paging: silences, inhibitions and
// routes stand between the two.
func (j *judge) paged(f *alarmFinding) Item {
	p := f.plan
	it := f.item("paged", "paged", p.PagesWithin)
	it.timed(ClockPage, p.Name, "the onset of "+p.Cause)
	it.runs(f.t0)
	it.Expected = fmt.Sprintf("a page about %s leaves %s within %s of the onset of %s", p.Name, p.PagesVia, it.Limit,
		p.Cause)
	if j.barred(f, &it) {
		return it
	}
	if f.first == nil && f.class == ClassUnobserved {
		j.sourceOfAlarms(&it, f.account)
		it.unknown("whether it was there before " + p.Cause + " cannot be told: " + f.gap(p.PagesWithin))
		return it
	}
	via := j.route(f)
	if via.page != nil {
		via.evidence(&it)
		it.within(via.at.Sub(f.t0))
		if via.doubt != "" {
			it.unknown(via.doubt)
		}
		if it.Outcome == clock.Missed && !via.all(f.need(p.PagesWithin)) {
			it.unknown("it paged late, but an earlier page may have gone unseen: " + via.gap(f.need(p.PagesWithin)))
		}
		if it.Outcome == clock.Missed {
			it.Class = ClassLate
			it.Hint = fmt.Sprintf("The page about %s left late: look at group_wait, group_interval and the rule's `for`.",
				p.Name)
		} else if f.class == ClassLate {
			it.Class = ClassHit
		}
		j.attribute(f, &it, via.tainted(f))
		return it
	}
	via.evidence(&it)
	if via.doubt != "" {
		it.unknown(via.doubt)
		return it
	}
	if !via.all(f.need(p.PagesWithin)) {
		it.unknown(via.gap(f.need(p.PagesWithin)))
		return it
	}
	if held := j.heldBack(f, via); held != "" {
		it.Measured, it.Class = "held back", ClassSuppressed
		it.missed("it fired, but its page was held back by " + held)
		it.Hint = fmt.Sprintf("%s was held back by %s: remove it, or let the game day's alarms pass it.", p.Name, held)
		return it
	}
	it.Measured, it.Class = "never", ClassMissed
	it.missed("no page about it left " + p.PagesVia)
	it.lateUnseen(via.watch, f.t0)
	switch f.fired {
	case clock.Missed:
		it.Why += ", for it did not fire in time"
	default:
		it.Hint = fmt.Sprintf("%s fired and nobody was paged: does its route end at a receiver that pages?", p.Name)
	}
	return it
}

// route is what the source that pages about an alarm tells.
type route struct {
	source string
	asked  bool // the record has something from it
	watch
	why   []string
	end   time.Time
	page  any            // *episode or *responseEvent; nil without a page
	at    clock.Interval // of the page
	show  func(*Item)
	doubt string // why the page may not be one about the fault, or have reached nobody
}

func (r *route) evidence(it *Item) {
	if r.show != nil {
		r.show(it)
	}
}

func (r *route) gap(need clock.Span) string {
	return gap(r.source, r.spans, r.why, r.end, need, r.asked)
}

// tainted reports whether the page may be one about an instance of the alarm that fired before any fault too.
func (r *route) tainted(f *alarmFinding) bool {
	if e, ok := r.page.(*episode); ok && e.Source == f.plan.Source {
		return f.tainted(e.Key)
	}
	return len(f.own) == 0 && len(f.quiet) > 0 || slices.ContainsFunc(f.own, func(e episode) bool { return f.tainted(e.Key) })
}

// route finds the first page about an alarm after the onset, in a source of alarms or of responses.
func (j *judge) route(f *alarmFinding) *route {
	r := &route{source: f.plan.PagesVia}
	if a := j.tl.alarmSource(f.plan.PagesVia); a != nil {
		pages := a.seeing(alarms.StatePaged)
		r.asked, r.watch, r.why, r.end = true, pages.watch(), pages.Coverage.Why, a.End
		var first *episode
		for i := range a.Episodes {
			e := &a.Episodes[i]
			// A page that is sent after the onset about an alarm that was there before says nothing of the fault.
			if !matches(f.plan.Match, e.Labels) || e.Paged.IsZero() || e.Paged.Before(f.t0) || e.begin().Before(f.t0) {
				continue
			}
			if first == nil || e.Paged.Hi.Before(first.Paged.Hi) {
				first = e
			}
		}
		if first != nil {
			r.page, r.at = first, first.Paged
		}
		r.show = func(it *Item) {
			if first != nil {
				j.episodeSeen(it, first)
			}
			j.sourceOfAlarms(it, a)
		}
		return r
	}
	if a := j.tl.responseSource(f.plan.PagesVia); a != nil {
		r.asked, r.watch, r.why, r.end = true, a.watch(), a.Coverage.Why, a.End
		d := j.deliveries(a, f)
		page := d.first()
		if page == nil && len(d.events) > 0 { // there is a page, and whom it reached may be what the source does not tell
			told := a.seeing(responders.Notified)
			r.watch, r.why = told.watch(), told.Coverage.Why
		}
		if page != nil {
			r.page, r.at = page, d.at
		}
		r.doubt = cmp.Or(d.age, d.doubt)
		r.show = func(it *Item) {
			if page != nil {
				j.responseSeen(it, *page)
			}
			j.sourceOfResponses(it, a)
		}
	}
	return r
}

// heldBack names what held a page back, in the alarm's own source or in the one that pages.
func (j *judge) heldBack(f *alarmFinding, r *route) string {
	for _, a := range []*alarmAccount{j.tl.alarmSource(r.source), f.account} {
		if a == nil {
			continue
		}
		for _, e := range a.Episodes {
			if len(e.SuppressedBy) > 0 && matches(f.plan.Match, e.Labels) && e.fired() &&
				(e.Ended.IsZero() || !e.Ended.Before(f.t0)) {
				return j.people.scrub(list(e.SuppressedBy))
			}
		}
	}
	return ""
}
