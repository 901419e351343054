package truth

import (
	"slices"
	"time"
)

// firstFact is about the order of pages: no other alarm that began after the onset may have paged before this one.
func (w *World) firstFact(s story) Fact {
	via := w.router
	if s.plan.PagesVia == w.desk.name {
		via = w.desk
	}
	// when a page was there for those who are paged, and when what it is about began as they see it
	times := func(p *page) (at, began time.Duration) {
		if via == w.router {
			return p.left, p.alarm.bouts[p.bout].fired
		}
		if len(p.events) == 0 {
			return forever, forever
		}
		return p.delivered(), p.events[0].at
	}
	own, reach := forever, w.reach(s.alarm, s.f)
	f := Fact{Answer: Kept, Value: 1, Plain: s.plain && via.whole() && w.delivery(s.alarm)}
	for _, p := range w.pages {
		at, began := times(p)
		if p.alarm != s.alarm || !slices.Contains(s.own, p.bout) || at == forever {
			continue
		}
		f.Plain = f.Plain && apartBy(began, reach, s.margin+via.blur())
		if via == w.router || began <= reach { // a page that is opened later is not the fault's
			own = min(own, at)
		}
	}
	switch {
	case s.moot:
		return Fact{}
	case own == forever && w.ended < s.f.onset+s.plan.PagesWithin:
		return Fact{}
	case own == forever:
		f.Answer, f.Value = Broken, 0
		f.Plain = f.Plain && w.ended > s.f.onset+s.plan.PagesWithin+s.margin
		return s.shortened(f)
	}
	margin := s.margin + 2*via.blur() + via.every
	for _, p := range w.pages {
		at, began := times(p)
		if p.alarm == s.alarm || at == forever {
			continue
		}
		if at < own+margin {
			f.Plain = f.Plain && apartBy(began, s.f.onset, margin) && apartBy(at, own, margin) && w.delivery(p.alarm)
			f.Open = f.Open || !apartBy(began, s.f.onset, margin)
		}
		if at < own && began >= s.f.onset {
			f.Answer, f.Value = Broken, 0
		}
	}
	return s.shortened(f)
}
