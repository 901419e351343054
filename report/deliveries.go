package report

import (
	"gameday/clock"
	"gameday/responders"
)

// delivered is how the pages about an alarm that its fault raised came to people.
type delivered struct {
	events []responseEvent // of those pages, by time
	// sure is the first notification that is known to have reached somebody, perhaps the first of which nobody knows.
	sure, perhaps *responseEvent
	// at is when the first page reached somebody. It begins where an earlier delivery may lie that is not known to have
	// reached anybody, or that was not seen.
	at clock.Interval
	// sent is when the first notification was sent, whether it reached anybody or not.
	sent clock.Interval
	// tried is that notification; nil without one.
	tried *responseEvent
	// several says that another page than the first may have reached somebody before it.
	several bool
	// unseen says that an earlier page may have gone unseen.
	unseen bool
	doubt  string         // why nobody may have been reached
	older  string         // a page from before, about which something was done or sent after the onset
	age    string         // why there may be a page more: one of which nobody can tell when it was opened
	aged   *responseEvent // what was seen of it last
}

// first is the notification that starts the clock of those who answer; nil without one.
func (d *delivered) first() *responseEvent {
	if d.sure != nil {
		return d.sure
	}
	return d.perhaps
}

// deliveries picks the pages that were opened after the onset, and finds out when the first of them reached somebody.
func (j *judge) deliveries(a *responseAccount, f *alarmFinding) *delivered {
	d := &delivered{}
	pages := map[string]clock.Outcome{}
	for i := range a.Events {
		e := &a.Events[i]
		if !matches(f.plan.Match, e.Labels) {
			continue
		}
		if _, known := pages[e.Page]; !known {
			pages[e.Page] = j.opened(a, e, f)
		}
		switch pages[e.Page] {
		case clock.Met:
			d.events = append(d.events, *e)
		case clock.Missed:
			if !e.At.Before(f.t0) && !e.At.Lo.After(f.window.End) {
				d.older = e.Page
			}
		case clock.Unknown:
			d.aged = e
			d.age = "whether page " + e.Page + " was opened because of " + f.plan.Cause + ", or before or after it, cannot be told"
		}
	}
	last := clock.Interval{}
	for i := range d.events {
		e := &d.events[i]
		if e.Kind == responders.Notified && !e.At.Before(f.t0) && d.sent.IsZero() {
			d.sent, d.tried = e.At, e
		}
		if e.Kind != responders.Notified || e.Delivered == "no" || e.At.Before(f.t0) || d.sure != nil {
			continue
		}
		last = e.At
		if e.Delivered == "yes" {
			d.sure = e
		} else if d.perhaps == nil {
			d.perhaps = e
		}
	}
	if d.first() == nil {
		d.reached(f)
	}
	if d.first() == nil {
		return d
	}
	if d.at.IsZero() {
		d.at = clock.Interval{Lo: d.first().At.Lo, Hi: last.Hi}
	}
	if d.perhaps != nil {
		d.at.Lo = earlierOf(d.at.Lo, d.perhaps.At.Lo)
	}
	if d.sure == nil {
		if by := d.answered(); by != nil { // by then at the latest
			d.at.Hi = laterOf(d.at.Hi, by.At.Hi)
		} else {
			d.doubt = "it was sent, and whether it reached anybody is not known"
			// If it did not, one that was not seen may have, later.
			if _, gap := a.watch().gap(clock.Span{Start: d.at.Lo, End: laterOf(d.at.Lo, a.End)}); gap {
				d.at.Hi = laterOf(d.at.Hi, a.End)
			}
		}
	}
	for i := range d.events {
		e := &d.events[i]
		d.several = d.several || e.Kind == responders.Notified && e.Delivered != "no" && e.Page != d.first().Page &&
			!e.At.Before(f.t0) && !e.At.Lo.After(d.at.Hi)
	}
	if from, gap := a.watch().gap(clock.Span{Start: f.t0.Lo, End: d.at.Lo}); gap {
		d.unseen, d.at.Lo = true, laterOf(f.t0.Lo, from)
		d.sent.Lo = earlierOf(d.sent.Lo, d.at.Lo)
	}
	return d
}

// reached looks for a person who did something about a page of which no delivery is known: whoever answers was reached,
// between the first that was seen of the page and the answer.
func (d *delivered) reached(f *alarmFinding) {
	begun := map[string]*responseEvent{}
	for i := range d.events {
		e := &d.events[i]
		if begun[e.Page] == nil {
			begun[e.Page] = e
		}
		if first := begun[e.Page]; e.Actor.Kind == responders.Human && answers(e.Kind) && first != e && !e.At.Before(f.t0) {
			d.perhaps, d.at = first, clock.Interval{Lo: first.At.Lo, Hi: e.At.Hi}
			return
		}
	}
}

// answers reports whether something is done by who has the page: others may open a channel, or join one, for what they saw
// themselves.
func answers(k responders.Kind) bool {
	return k.OfPage() || k == responders.Marked || k == responders.Noted
}

// answered returns what a person did first about a page whose delivery is not known; nil when nobody did anything.
func (d *delivered) answered() *responseEvent {
	for i := range d.events {
		if e := &d.events[i]; e.Actor.Kind == responders.Human && answers(e.Kind) && !e.At.Before(d.perhaps.At) {
			return e
		}
	}
	return nil
}

// opened answers whether a page was opened after the onset, and while an alarm still counts for the fault, by the first that was seen of it. What only goes on with a
// page is no sign that it is new.
func (j *judge) opened(a *responseAccount, first *responseEvent, f *alarmFinding) clock.Outcome {
	_, gap := a.watch().gap(clock.Span{Start: earlierOf(j.tl.Start, f.t0.Lo), End: first.At.Lo})
	switch {
	case first.At.Before(f.t0), first.At.Lo.After(f.window.End):
		return clock.Missed
	case first.At.Hi.After(f.surely):
		return clock.Unknown
	case first.Kind == responders.Opened, first.Kind == responders.Notified && first.Level <= 1 && !gap:
		return clock.Met
	case gap:
		return clock.Unknown
	}
	return clock.Missed // it was opened before anybody watched
}
