package truth

import (
	"cmp"
	"slices"
	"time"

	"gameday/report"
	"gameday/responders"
)

// eve is on nobody's list of those who are on call.
var eve = responders.Actor{ID: "eve", Kind: responders.Human}

// told are the kinds of event that the desk tells of beside those of pages, when it tells of any.
var told = []responders.Kind{responders.Joined, responders.BridgeOpened, responders.RoomOpened, responders.RunbookOpened, responders.Told, responders.Filed}

// stepKinds are the events that steps are seen by.
var stepKinds = map[report.StepName]responders.Kind{report.StepBridge: responders.BridgeOpened, report.StepChannel: responders.RoomOpened,
	report.StepRunbook: responders.RunbookOpened, report.StepCustomers: responders.Told, report.StepPostMortem: responders.Filed}

// besides has people do what they do beside answering a page that reached somebody: by evidence of all grades, now and then by a
// machine in their place.
func (w *World) besides(p *page, reached time.Duration) {
	if reached == forever {
		return
	}
	who := []responders.Actor{human(1), human(2), eve}
	for _, k := range told {
		if !w.chance(0.4) {
			continue
		}
		e := responders.Event{Kind: k, Actor: who[w.IntN(len(who))], Text: []string{"lead", "comms", ""}[w.IntN(3)], Grade: w.grade()}
		if w.chance(0.1) {
			e.Actor = responders.Actor{ID: "autopilot", Kind: responders.Bot}
		}
		for at := reached + w.between(-5, 150); at > p.events[0].at && len(p.events) < 40; at += w.between(1, 60) {
			p.add(at, e)
			if e.Kind != responders.Joined || w.chance(0.6) {
				break
			}
			e.Actor, e.Text, e.Grade = who[w.IntN(len(who))], []string{"lead", "Lead", ""}[w.IntN(3)], w.grade()
		}
	}
	if w.chance(0.1) {
		p.add(reached+w.between(1, 100), responders.Event{Kind: responders.Acknowledged, Actor: eve, Grade: w.grade()})
	}
}

// grade draws a grade of evidence, mostly a good one; none is somebody's word.
func (w *World) grade() string {
	if w.chance(0.6) {
		return "A"
	}
	return []string{"B", "C", "D", ""}[w.IntN(4)]
}

// least draws what is asked of evidence.
func (w *World) least() string {
	if w.chance(0.7) {
		return ""
	}
	return []string{"A", "B", "C", "D"}[w.IntN(4)]
}

// ask asks of people what they do beside answering a page.
func (w *World) ask(r *report.ResponsePlan, deadline func(lo, hi float64) report.DeadlinePlan) {
	graded := func(lo, hi float64) report.DeadlinePlan {
		d := deadline(lo, hi)
		d.MinEvidence = w.least()
		return d
	}
	if a := r.Acknowledge; a != nil {
		a.MinEvidence, a.OnCall = w.least(), a.Level == 0 && w.chance(0.4)
	}
	if r.Escalate != nil {
		r.Escalate.MinEvidence = w.least()
		if r.Withhold = w.chance(0.2); r.Withhold && r.Acknowledge != nil && r.Acknowledge.Level < 2 {
			r.Acknowledge = nil
		}
	}
	if w.chance(0.3) {
		r.Engage = &report.EngagePlan{DeadlinePlan: graded(20, 150), People: w.IntN(4)}
		if r.Engage.People == 0 || w.chance(0.4) {
			r.Engage.Roles = []string{"lead"}
		}
	}
	for _, s := range report.StepNames() {
		if w.chance(0.2) {
			d := graded(20, 150)
			if s == report.StepPostMortem && w.chance(0.5) {
				d.Within = time.Hour
			}
			r.Steps = append(r.Steps, report.StepPlan{Step: s, DeadlinePlan: d})
		}
	}
}

// roster is what the desk says of who is on call when a fault has taken effect.
func (w *World) roster() report.OnCallRecord {
	r := report.OnCallRecord{Source: w.desk.name, Duties: []responders.Duty{}}
	for i, who := range onCall {
		r.Duties = append(r.Duties, responders.Duty{Who: who, Level: i + 1})
	}
	return r
}

// enough reports whether evidence of a grade will do; what has none is the weakest.
func enough(least, grade string) bool { return least == "" || cmp.Or(grade, "D") <= least }

// graded is a promise that is kept by evidence that is good enough. By lesser evidence it is neither kept nor broken.
func (c call) graded(w *World, d report.DeadlinePlan, does func(happening) bool) Fact {
	f := c.within(w, d, func(h happening) bool { return does(h) && enough(d.MinEvidence, h.Grade) })
	if f.Answer == Broken && c.first < forever {
		for _, h := range c.events {
			if !does(h) || enough(d.MinEvidence, h.Grade) {
				continue
			}
			if h.at-c.first <= d.Within {
				return Fact{}
			}
			f.Plain = f.Plain && apartBy(h.at-c.first, d.Within, c.margin)
		}
	}
	return f
}

// besideFacts are the facts of what people do beside answering a page.
func (w *World) besideFacts(c call, set func(string, report.DeadlinePlan, Fact)) {
	c.events = c.whole
	for _, s := range c.plan.Steps {
		kind := stepKinds[s.Step]
		set(string(s.Step), s.DeadlinePlan, w.known(c.graded(w, s.DeadlinePlan, func(h happening) bool {
			return h.Actor.Kind != responders.Bot && (h.Kind == kind || kind == responders.BridgeOpened && h.Kind == responders.Marked)
		})))
	}
	if e := c.plan.Engage; e != nil {
		set("engage", e.DeadlinePlan, w.known(c.engaged(w, e)))
	}
}

// known takes from a fact that anybody could tell, where the desk tells of nothing beside pages and something was not done in time.
func (w *World) known(f Fact) Fact {
	f.Plain = f.Plain && (w.tells || f.Answer == Kept)
	return f
}

// engaged is whether so many people take part, and somebody in each role.
func (c call) engaged(w *World, e *report.EngagePlan) Fact {
	f := c.within(w, e.DeadlinePlan, func(happening) bool { return false })
	if f.Answer == Moot && c.moot || c.first == forever {
		return f
	}
	at := func(least string) time.Duration {
		since := map[string]time.Duration{}
		role := forever
		for _, h := range c.events {
			if h.Actor.Kind != responders.Human || !enough(least, h.Grade) {
				continue
			}
			if _, there := since[h.Actor.ID]; !there {
				since[h.Actor.ID] = h.at
			}
			if h.Kind == responders.Joined && (h.Text == "lead" || h.Text == "Lead") {
				role = min(role, h.at)
			}
		}
		all := time.Duration(0)
		if e.People > 0 {
			if len(since) < e.People {
				return forever
			}
			var times []time.Duration
			for _, t := range since {
				times = append(times, t)
			}
			slices.Sort(times)
			all = times[e.People-1]
		}
		if len(e.Roles) > 0 {
			all = max(all, role)
		}
		return all
	}
	s := c.story
	s.plain = c.plain
	good := at(e.MinEvidence)
	f = s.fact(c.first, good, e.Within, w.ended, c.margin)
	if any := at(""); f.Answer == Broken && any != good {
		// With what was seen by lesser evidence it may have been in time: how much of it must be good nobody said.
		f.Plain = false
		if any-c.first <= e.Within {
			return Fact{}
		}
	}
	return f
}

// onDuty reports whether somebody is on call.
func onDuty(who string) bool { return slices.Contains(onCall, who) }

// untried is an escalation in a drill in which nobody was to answer first: it was put to the test when nobody did.
func (c call) untried(f Fact, up func(happening) bool) Fact {
	if !c.plan.Withhold || c.sent == forever {
		return f
	}
	ack, reached := forever, forever
	for _, h := range c.all {
		switch {
		case h.Kind == responders.Acknowledged && h.Actor.Kind == responders.Human:
			ack = min(ack, h.at)
		case up(h):
			reached = min(reached, h.at)
		}
	}
	if ack < forever && ack < reached {
		return Fact{}
	}
	if ack < forever && !apartBy(ack, reached, c.margin) {
		f.Plain = false
	}
	return f
}
