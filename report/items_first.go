package report

import (
	"fmt"

	"gameday/clock"
	"gameday/responders"
)

// otherPage is a page that is not about an alarm, and when it reached somebody.
type otherPage struct {
	name string
	at   clock.Interval
	sure bool // that it is about something which began after the onset, and reached somebody
	show func(*Item)
}

// firstToPage judges that no other alarm paged before this one, once its cause took effect: whoever is woken is told first what is
// wrong, not what follows from it. Only what the source tells that pages about the alarm counts.
func (j *judge) firstToPage(f *alarmFinding) (it Item) {
	p := f.plan
	it = f.item("first", "paged first", 0)
	it.Limit, it.absence = "–", true
	it.Expected = fmt.Sprintf("of all that begins once %s took effect, %s pages first in %s", p.Cause, p.Name, p.PagesVia)
	if j.barred(f, &it) {
		return it
	}
	if f.first == nil && f.class == ClassUnobserved {
		j.sourceOfAlarms(&it, f.account)
		it.unknown("whether it was there before " + p.Cause + " cannot be told: " + f.gap(p.PagesWithin))
		return it
	}
	via := j.route(f)
	via.evidence(&it)
	if via.page == nil {
		need := f.need(p.PagesWithin)
		need.End = laterOf(need.End, earlierOf(f.window.End, via.end)) // one that is late may still be the first
		switch {
		case via.doubt != "":
			it.unknown(via.doubt)
		case !via.all(need):
			it.unknown(via.gap(need))
		default:
			it.Measured = "never"
			it.missed("no page about it left " + p.PagesVia)
			it.Hint = fmt.Sprintf("%s did not page at all: see that item first.", p.Name)
		}
		return it
	}
	it.Measured = "first"
	for _, o := range j.otherPages(f) {
		switch {
		case via.at.Before(o.at):
			continue
		case o.sure && o.at.Before(via.at):
			o.show(&it)
			if need := (clock.Span{Start: f.t0.Lo, End: o.at.Hi}); !via.all(need) {
				it.Measured = "not known"
				it.unknown(o.name + " paged, but whether " + p.Name + " did before it may have gone unseen: " + via.gap(need))
				return it
			}
			it.Measured = "after " + o.name
			it.missed(fmt.Sprintf("%s paged %s before it", o.name, latency(via.at.Sub(o.at))))
			it.Hint = fmt.Sprintf("The first page of %s points at %s: have it wait longer, or inhibit it by %s.", p.Cause, o.name, p.Name)
			return it
		case it.Outcome != clock.Unknown || it.Why == "":
			o.show(&it)
			it.Measured = "not known"
			it.unknown("whether " + o.name + " paged before it cannot be told")
		}
	}
	need := clock.Span{Start: f.t0.Lo, End: via.at.Hi}
	switch e, ok := via.page.(*episode); {
	case it.Why != "":
		return it
	case via.doubt != "":
		it.unknown(via.doubt)
		return it
	case ok && e.begin().Hi.After(f.surely):
		it.unknown("it paged so late that nobody can tell whether " + p.Cause + " is why")
		return it
	case !via.all(need):
		it.unknown("a page before it may have gone unseen: " + via.gap(need))
		return it
	}
	it.met()
	j.attribute(f, &it, via.tainted(f))
	return it
}

// otherPages returns the pages about other alarms, in the source that pages about this one, which may have begun after the onset.
func (j *judge) otherPages(f *alarmFinding) []otherPage {
	var out []otherPage
	if a := j.tl.alarmSource(f.plan.PagesVia); a != nil {
		for i := range a.Episodes {
			e := &a.Episodes[i]
			if matches(f.plan.Match, e.Labels) || e.Paged.IsZero() || e.Paged.Before(f.t0) || e.begin().Before(f.t0) {
				continue
			}
			out = append(out, otherPage{e.name(), e.Paged, !e.begin().Lo.Before(f.t0.Hi), func(it *Item) { j.episodeSeen(it, e) }})
		}
		return out
	}
	a := j.tl.responseSource(f.plan.PagesVia)
	if a == nil {
		return nil
	}
	opened := map[string]clock.Outcome{}
	for i := range a.Events {
		e := a.Events[i]
		if matches(f.plan.Match, e.Labels) {
			continue
		}
		if _, known := opened[e.Page]; !known {
			opened[e.Page] = j.opened(a, &a.Events[i], f)
			if e.At.Lo.After(f.window.End) { // too late to be the fault's, and to matter
				opened[e.Page] = clock.Missed
			}
		}
		if e.Kind != responders.Notified || e.Delivered == "no" || opened[e.Page] == clock.Missed || e.At.Before(f.t0) {
			continue
		}
		name := e.Labels["alertname"]
		if name == "" {
			name = "page " + e.Page
		}
		out = append(out, otherPage{name, e.At, e.Delivered == "yes" && opened[e.Page] == clock.Met, func(it *Item) { j.responseSeen(it, e) }})
	}
	return out
}
