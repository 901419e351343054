package truth

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"gameday/report"
	"gameday/responders"
)

// page is one page: what the router sent about one bout of an alarm, and what people did about it.
type page struct {
	id     string
	alarm  *alarm
	bout   int
	left   time.Duration // when it left the router
	events []happening   // at the desk; none when it was lost on the way
}

// happening is one thing that happened to a page at the desk.
type happening struct {
	responders.Event
	at    time.Duration
	truly bool // of a notification: it reached somebody
}

// The people on call, by level.
var onCall = []string{"ann", "bob"}

// page sends the pages and has people answer them.
func (w *World) page() {
	for _, a := range slices.Concat(w.alarms, w.strangers) {
		if a.labels["severity"] != "page" {
			continue
		}
		for i, b := range a.bouts {
			if !b.firing() || w.chance(0.05) { // now and then a route ends nowhere
				continue
			}
			left := b.fired + w.between(0, 5)
			for _, s := range a.hushed {
				if s.holds(left) {
					left = s.to + w.between(0, 5)
				}
			}
			// A look of the router that comes after all is over does not see that it paged.
			if left+w.router.every*5/4 >= b.ended || left >= w.ended || left > forever/2 {
				continue
			}
			p := &page{id: fmt.Sprintf("P%d", len(w.pages)+1), alarm: a, bout: i, left: left}
			if !w.chance(0.05) {
				w.answer(p, b)
			}
			w.pages = append(w.pages, p)
		}
	}
}

// answer has people answer a page: late, too early, not at all, or a machine in their place.
func (w *World) answer(p *page, b bout) {
	p.add(p.left+w.between(0, 1), responders.Event{Kind: responders.Opened, Actor: machine})
	told := p.events[0].at + w.between(0, 3)
	w.notify(p, told, 1)
	if w.chance(0.15) {
		w.notify(p, told+w.between(5, 40), 1)
	}
	up := told + w.between(20, 120)
	ack := forever
	if at := p.delivered(); at < forever && w.chance(0.7) { // who was not reached does not answer
		ack = at + w.between(2, 150)
		p.add(ack, responders.Event{Kind: responders.Acknowledged, Actor: human(1), Level: w.level(1)})
	}
	if w.chance(0.1) {
		p.add(told+w.between(0, 60), responders.Event{Kind: responders.Acknowledged, Actor: responders.Actor{ID: "autoack",
			Kind: responders.Integration}})
	}
	if w.chance(0.07) { // by hand, whatever the policy says
		up = told + w.between(1, 60)
	}
	if ack > up || w.chance(0.1) {
		p.add(up, responders.Event{Kind: responders.Escalated, Level: 2, Actor: responders.Actor{ID: "policy", Kind: responders.Timeout}})
		reached := up + w.between(0, 3)
		w.notify(p, reached, 2)
		if p.events[len(p.events)-1].truly && w.chance(0.5) {
			p.add(reached+w.between(1, 100), responders.Event{Kind: responders.Acknowledged, Actor: human(2), Level: w.level(2)})
		}
	}
	slices.SortStableFunc(p.events, byTime)
	reached := p.delivered()
	if reached < forever && w.chance(0.6) {
		p.add(reached+w.between(1, 200), responders.Event{Kind: responders.Marked, Text: "bridge opened", Actor: human(1)})
	}
	switch end := b.ended; {
	case end == forever:
	case w.chance(0.35) && reached < forever:
		p.add(max(reached, end)+w.between(0, 60), responders.Event{Kind: responders.Resolved, Actor: human(1)})
	case w.chance(0.5):
		p.add(end+w.between(0, 5), responders.Event{Kind: responders.Resolved, Actor: machine})
	}
	w.besides(p, reached)
	p.events = slices.DeleteFunc(p.events, func(h happening) bool { return h.at >= w.ended })
	slices.SortStableFunc(p.events, byTime)
	for i := range p.events {
		p.events[i].ID = fmt.Sprintf("%s.%d", p.id, i+1)
	}
}

func byTime(a, b happening) int { return cmp.Compare(a.at, b.at) }

var machine = responders.Actor{ID: "desk", Kind: responders.Integration}

func human(level int) responders.Actor {
	return responders.Actor{ID: onCall[level-1], Kind: responders.Human}
}

// level is what the desk says of the level of an acknowledgement: not every one says it.
func (w *World) level(l int) int {
	if w.chance(0.5) {
		return 0
	}
	return l
}

func (p *page) add(at time.Duration, e responders.Event) {
	e.Page, e.Labels = p.id, p.alarm.labels
	if !slices.Contains(told, e.Kind) && e.Actor.ID != eve.ID {
		e.Grade = "A"
	}
	p.events = append(p.events, happening{Event: e, at: at, truly: e.Delivered == "yes"})
}

// notify tells a level's people, which may fail, and of which the desk may not know whether it did.
func (w *World) notify(p *page, at time.Duration, level int) {
	e := responders.Event{Kind: responders.Notified, Level: level, Targets: onCall[level-1 : level], Actor: machine}
	r := w.Float64()
	switch {
	case r < 0.8:
		e.Delivered = "yes"
	case r < 0.87:
		e.Delivered = "no"
	default:
		e.Delivered = "unknown"
	}
	p.add(at, e)
	if e.Delivered == "unknown" {
		p.events[len(p.events)-1].truly = w.chance(0.5)
	}
}

// promise asks something of the people for some of the alarms.
func (w *World) promise() {
	for i, a := range w.alarms {
		if w.chance(0.4) {
			continue
		}
		r := &report.ResponsePlan{Name: fmt.Sprintf("on-call-%d", i+1), Source: w.desk.name, To: a.plan.Name}
		deadline := func(lo, hi float64) report.DeadlinePlan {
			return report.DeadlinePlan{Within: w.between(lo, hi), Weight: float64(1 + w.IntN(2)), Required: w.chance(0.3)}
		}
		if w.chance(0.8) {
			r.Acknowledge = &report.AckPlan{DeadlinePlan: deadline(15, 120), Level: w.IntN(3)}
		}
		if w.chance(0.5) {
			r.Escalate = &report.EscalatePlan{DeadlinePlan: deadline(40, 150), ToLevel: 2}
			if w.chance(0.6) {
				r.Escalate.OnlyAfter = w.between(15, 40)
			}
		}
		if w.chance(0.4) {
			r.Marks = []report.MarkPlan{{Name: "bridge opened", DeadlinePlan: deadline(20, 150)}}
		}
		if w.chance(0.4) {
			r.Resolve = &report.ResolvePlan{DeadlinePlan: deadline(60, 300)}
		}
		w.ask(r, deadline)
		w.responses = append(w.responses, r)
	}
}
