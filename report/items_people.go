package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"gameday/clock"
	"gameday/responders"
)

// doing is something that somebody did beside answering the page, from a source of responses or `gameday mark`.
type doing = responseEvent

// doings returns what people did since the fault took effect, or may have, that is about the pages of a response, or about
// none: from its own source, from the others that it names, and marks; by time. Who noticed before the page need not wait for it.
func (j *judge) doings(p *paging) []doing {
	pages := map[string]bool{"": true}
	for _, e := range p.events {
		pages[e.Page] = true
	}
	var out []doing
	for _, a := range j.accountsOf(p) {
		for _, e := range a.Events {
			// Other sources number their pages in their own way.
			if e.Page == "" || a == p.account && pages[e.Page] || a != p.account && matches(j.alarms[p.plan.To].plan.Match, e.Labels) {
				out = append(out, e)
			}
		}
	}
	for _, m := range j.tl.Marks {
		by, _ := signed(m.V.By)
		out = append(out, doing{Event: responders.Event{Source: markSource, Kind: responders.Marked, At: clock.At(m.At), Text: m.V.Name, Grade: gradeWord,
			Actor: responders.Actor{ID: by, Kind: responders.Human}}, line: m.line(), said: m.V.Text})
	}
	t0 := j.alarms[p.plan.To].t0
	out = slices.DeleteFunc(out, func(e doing) bool { return e.At.Before(t0) })
	slices.SortStableFunc(out, func(a, b doing) int { return a.At.Lo.Compare(b.At.Lo) })
	return out
}

// early reports whether something may have been done before the fault took effect.
func (j *judge) early(p *paging, e doing) bool { return !j.alarms[p.plan.To].t0.Before(e.At) }

const (
	markSource = "gameday mark"
	gradeWord  = "D" // somebody's word
)

// accountsOf returns the accounts that a response is judged by: of its own source first.
func (j *judge) accountsOf(p *paging) []*responseAccount {
	out := []*responseAccount{p.account}
	for _, name := range p.plan.Also {
		if a := j.tl.responseSource(name); a != nil {
			out = append(out, a)
		}
	}
	return out
}

// sourcesOf names the sources that a response is judged by.
func (p *paging) sourcesOf() []string { return append([]string{p.plan.Source}, p.plan.Also...) }

// enough reports whether evidence of a grade will do. What has no grade is somebody's word.
func enough(least, grade string) bool {
	return least == "" || cmp.Or(grade, gradeWord) <= least
}

// weak is something seen that would have kept a promise, were its evidence good enough, or were it known to be no older than
// the fault.
type weak struct {
	at    clock.Interval
	grade string
	early bool
	why   string // another reason for which it may not count
}

// mind takes a miss back when a promise was kept by evidence that is too weak to count, and not too weak to be true.
func (w *weak) mind(p *paging, it *Item, d DeadlinePlan) {
	if w == nil || it.Outcome == clock.Met || w.at.Sub(p.since).Within(it.Within) == clock.Missed {
		return
	}
	if w.early {
		it.Measured = "before, or after"
		it.unknown("it was done just when " + p.cause + " took effect: whether before or after cannot be told")
		return
	}
	if w.why != "" {
		it.Measured = "not proven"
		it.unknown(w.why)
		return
	}
	it.Measured = "grade " + cmp.Or(w.grade, gradeWord)
	it.unknown(fmt.Sprintf("it was seen by evidence of grade %s only, and %s is asked for", cmp.Or(w.grade, gradeWord), d.MinEvidence))
	it.Hint = "Let a system of record tell of it, or ask for less: min_evidence."
}

// stepped judges that a step was taken, by the events of its kind or its mark.
func (j *judge) stepped(p *paging, s StepPlan) Item {
	of := steps[s.Step]
	it := p.item(string(s.Step), of.title, s.DeadlinePlan)
	it.Expected = fmt.Sprintf("%s within %s of the page about %s", of.wants, it.Limit, p.plan.To)
	if !j.begin(p, &it) {
		return it
	}
	at, w := j.firstDoing(p, &it, s.MinEvidence, func(e doing) bool { return e.Kind == of.kind || e.isMark(of.mark) })
	j.finishSteps(p, &it, at, of.kind, of.done, of.mark)
	w.mind(p, &it, s.DeadlinePlan)
	if s.Step == StepPostMortem {
		j.pending(p, &it)
	}
	if it.Outcome == clock.Missed {
		it.Hint = fmt.Sprintf("%s was not seen in time: is it in the runbook, and does everybody know who does it?", capital(of.title, true))
	}
	return it
}

// pending says of a promise that may still be kept until when.
func (j *judge) pending(p *paging, it *Item) {
	due := p.since.Hi.Add(it.Within)
	if it.Outcome != clock.Unknown || !j.lastAsked(p).Before(due) {
		return
	}
	it.Measured = pendingUntil(due)
	it.Hint = "It may still be filed: run `gameday finalize` once it is, or when its time is over."
}

// lastAsked returns until when the sources of a response were asked about.
func (j *judge) lastAsked(p *paging) time.Time {
	var last time.Time
	for _, a := range j.accountsOf(p) {
		last = laterOf(last, a.End)
	}
	return last
}

// isMark reports whether something is a mark of a name.
func (e doing) isMark(name string) bool {
	return e.Kind == responders.Marked && strings.EqualFold(strings.TrimSpace(e.Text), name)
}

// firstDoing finds the first thing of a sort that a person, or the system for one, did after the page: what counts, and what
// would if its evidence were better.
func (j *judge) firstDoing(p *paging, it *Item, least string, is func(doing) bool) (at *clock.Interval, w *weak) {
	for _, e := range j.doings(p) {
		if !is(e) {
			continue
		}
		j.responseSeen(it, e)
		switch {
		case e.Actor.Kind == responders.Bot || e.Actor.Kind == responders.Timeout:
		case enough(least, e.Grade) && j.early(p, e):
			w = &weak{at: e.At, early: true}
		case enough(least, e.Grade):
			if at == nil || e.At.Hi.Before(at.Hi) {
				at = &e.At
			}
		case w == nil:
			w = &weak{at: e.At, grade: e.Grade}
		}
	}
	return at, w
}

// finishSteps judges a step by what was seen. That it was not seen is proof only where a source tells of such things, and was
// watched.
func (j *judge) finishSteps(p *paging, it *Item, at *clock.Interval, kind responders.Kind, done, mark string) {
	defer j.sourcesOfResponses(it, p)
	if at != nil {
		l := at.Sub(p.since)
		l.Lo = max(0, l.Lo)
		it.within(l)
		if it.Outcome != clock.Missed {
			return
		}
	}
	need := clock.Span{Start: p.since.Lo, End: p.since.Hi.Add(it.Within)}
	why := ""
	for _, name := range p.sourcesOf() {
		// One that told of it now could have told of it before.
		if at == nil && !j.plan.tells(kind, name) {
			continue
		}
		switch a := j.tl.responseSource(name); {
		case a == nil:
			why = cmp.Or(why, "the record has nothing from "+name)
		case !a.watch().all(need):
			other := paging{account: a}
			why = cmp.Or(why, other.gap(need))
		}
	}
	switch {
	case why != "" && at != nil:
		it.unknown("somebody " + done + " late, but " + why + ": an earlier one may have gone unseen")
	case why != "":
		it.Measured = "not seen"
		it.unknown(why)
	case at != nil: // late, and nobody knows better
	case j.plan.tells(kind, p.sourcesOf()...):
		it.Measured = "never"
		it.missed("nobody " + done + " within " + it.Limit)
		for _, a := range j.accountsOf(p) {
			it.lateUnseen(a.watch(), p.since)
		}
	default:
		it.Measured = "not seen"
		it.unknown("no source of this scenario tells whether somebody " + done + ", and nobody marked it")
		it.Hint = fmt.Sprintf("Mark it when it happens: gameday mark %q. Or name a source that tells of it: also = [responders.…].", mark)
	}
}

// sourcesOfResponses adds how well each source of a response could be read.
func (j *judge) sourcesOfResponses(it *Item, p *paging) {
	for _, a := range j.accountsOf(p) {
		j.sourceOfResponses(it, a)
	}
}

// engaged judges that enough people took part, and took the roles that are needed.
func (j *judge) engaged(p *paging) Item {
	plan := p.plan.Engage
	it := p.item("engage", "enough people engaged", plan.DeadlinePlan)
	var wants []string
	if plan.People > 0 {
		wants = append(wants, count(plan.People, "person")+" taking part")
	}
	if len(plan.Roles) > 0 {
		wants = append(wants, "somebody as "+list(plan.Roles))
	}
	it.Expected = fmt.Sprintf("%s within %s of the page about %s", strings.Join(wants, ", "), it.Limit, p.plan.To)
	if !j.begin(p, &it) {
		return it
	}
	there, any := j.present(p, &it, plan)
	at, lacks := there.all(plan)
	j.finishSteps(p, &it, at, responders.Joined, "joined", "joined")
	if it.Outcome == clock.Missed && lacks != "" {
		it.missed("not within " + it.Limit + ": " + lacks)
	}
	if all, _ := any.all(plan); all != nil && it.Outcome == clock.Missed && all.Sub(p.since).Within(it.Within) != clock.Missed {
		it.Measured = "not proven"
		it.unknown("enough were there in time only if those count of whom there is no evidence of grade " + cmp.Or(plan.MinEvidence, gradeWord) +
			", or who may have been there before " + p.cause)
	}
	if it.Outcome == clock.Missed {
		it.Hint = "Too few were there in time: do people know whom to call, and that they are meant?"
	}
	return it
}

// presence is who took part since when, as each source knows people.
type presence struct {
	people map[string]map[string]clock.Interval // by source and person
	roles  map[string]clock.Interval            // in lower case
}

// present collects who took part since the fault took effect: those of whom the evidence will do, and all of them. Whoever does
// something about an incident takes part in it.
func (j *judge) present(p *paging, it *Item, plan *EngagePlan) (sure, any presence) {
	sure = presence{map[string]map[string]clock.Interval{}, map[string]clock.Interval{}}
	any = presence{map[string]map[string]clock.Interval{}, map[string]clock.Interval{}}
	for _, e := range j.doings(p) {
		if e.Actor.Kind != responders.Human || e.Actor.ID == "" || facilitating(e) {
			continue
		}
		any.add(e)
		if enough(plan.MinEvidence, e.Grade) && !j.early(p, e) && sure.add(e) {
			j.responseSeen(it, e)
		}
	}
	return sure, any
}

// add enters somebody, and the role they took, from when it was seen first. It reports whether that says anything new.
func (t presence) add(e doing) (news bool) {
	first := func(in map[string]clock.Interval, key string) {
		was, known := in[key]
		in[key] = e.At
		if known {
			in[key] = clock.Interval{Lo: earlierOf(was.Lo, e.At.Lo), Hi: earlierOf(was.Hi, e.At.Hi)}
		}
		news = news || !known
	}
	if t.people[e.Source] == nil {
		t.people[e.Source] = map[string]clock.Interval{}
	}
	first(t.people[e.Source], e.Actor.ID)
	if role := strings.ToLower(strings.TrimSpace(e.Text)); e.Kind == responders.Joined && role != "" {
		first(t.roles, role)
	}
	return news
}

// facilitating reports whether something is the facilitator's, who takes part in the exercise and not in the response.
func facilitating(e doing) bool {
	return e.isMark(DiagnosisRight) || e.isMark(DiagnosisPartly) || e.isMark(DiagnosisWrong)
}

// all returns since when everybody was there who must be; nil, with what lacks, when they never were. Persons are counted
// source by source: two systems call one person by two names.
func (t presence) all(plan *EngagePlan) (at *clock.Interval, lacks string) {
	latest := clock.Interval{}
	take := func(i clock.Interval) {
		latest.Lo, latest.Hi = laterOf(latest.Lo, i.Lo), laterOf(latest.Hi, i.Hi)
	}
	var missing []string
	if plan.People > 0 {
		most, best := 0, clock.Interval{}
		for _, source := range sortedKeys(t.people) {
			var los, his []time.Time
			for _, i := range t.people[source] {
				los, his = append(los, i.Lo), append(his, i.Hi)
			}
			most = max(most, len(los))
			if len(los) < plan.People {
				continue
			}
			slices.SortFunc(los, time.Time.Compare)
			slices.SortFunc(his, time.Time.Compare)
			if k := (clock.Interval{Lo: los[plan.People-1], Hi: his[plan.People-1]}); best.IsZero() || k.Hi.Before(best.Hi) {
				best = k
			}
		}
		if best.IsZero() {
			missing = append(missing, fmt.Sprintf("%d of %s", most, count(plan.People, "person")))
		} else {
			take(best)
		}
	}
	for _, role := range plan.Roles {
		i, ok := t.roles[strings.ToLower(role)]
		if !ok {
			missing = append(missing, "nobody as "+role)
			continue
		}
		take(i)
	}
	if len(missing) > 0 {
		return nil, strings.Join(missing, ", ")
	}
	return &latest, ""
}

// diagnosed judges whether the responders found out what is wrong: what they said, and what the facilitator says of it.
func (j *judge) diagnosed(p *paging) Item {
	plan := p.plan.Diagnose
	it := p.item("diagnose", "found what is wrong", plan.DeadlinePlan)
	it.Expected = fmt.Sprintf("responders say %q, or what means the same, within %s of the page about %s", plan.Expect, it.Limit, p.plan.To)
	if !j.begin(p, &it) {
		return it
	}
	defer j.sourcesOfResponses(&it, p)
	if f := j.tl.Fault(p.cause); f != nil && f.Plan != nil {
		it.saw("plan", fmt.Sprintf("injected: %s, %s on %s", f.Name, f.Plan.Kind, list(f.Plan.Targets)))
	}
	var said []statement
	own := j.doings(p)
	for _, e := range j.statements(p, own) {
		said = j.hear(&it, said, e, slices.ContainsFunc(own, func(o doing) bool { return o.line == e.line && o.ID == e.ID && o.Source == e.Source }))
	}
	j.weigh(p, &it, slices.DeleteFunc(said, func(s statement) bool { return s.foreign }))
	return it
}

// statement is a diagnosis, with what the facilitator says of it; "" when nobody judged it yet.
type statement struct {
	doing
	judged  string
	foreign bool // about another page: the facilitator's word about it is not about this one
}

// statements returns what was done about the pages of a response, and every diagnosis of another page beside it, by time.
func (j *judge) statements(p *paging, own []doing) []doing {
	out := slices.Clone(own)
	for _, a := range j.tl.Responses {
		for _, e := range a.Events {
			same := func(o doing) bool { return o.line == e.line && o.ID == e.ID && o.Source == e.Source }
			if (e.Kind == responders.Diagnosed || e.isMark(DiagnosisMark)) && !slices.ContainsFunc(own, same) {
				out = append(out, e)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b doing) int { return a.At.Lo.Compare(b.At.Lo) })
	return out
}

// hear takes a diagnosis, or the facilitator's word about the last one. Nobody judges himself.
func (j *judge) hear(it *Item, said []statement, e doing, own bool) []statement {
	switch {
	case e.Kind == responders.Diagnosed || e.isMark(DiagnosisMark):
		if e.Actor.Kind == responders.Human {
			if own {
				j.responseSeen(it, e)
			}
			return append(said, statement{doing: e, foreign: !own})
		}
	case facilitating(e):
		n := len(said) - 1
		for e.Page != "" && n >= 0 && said[n].Page != "" && said[n].Page != e.Page {
			n-- // the facilitator says which page is meant
		}
		if n >= 0 && said[n].foreign {
			return said
		}
		j.responseSeen(it, e)
		if n >= 0 && !strings.EqualFold(strings.TrimSpace(said[n].Actor.ID), strings.TrimSpace(e.Actor.ID)) { // who thinks better of it says so again
			said[n].judged = strings.ToLower(strings.TrimSpace(e.Text))
		}
	}
	return said
}

// weigh judges the diagnoses: the first right one counts, else the last that is partly right, for half.
func (j *judge) weigh(p *paging, it *Item, said []statement) {
	var right, partly *statement
	open := false
	for i := range said {
		switch s := &said[i]; s.judged {
		case DiagnosisRight:
			right = cmp.Or(right, s)
		case DiagnosisPartly:
			partly = s
		case "":
			open = true
		}
	}
	over := !j.tl.End.Before(p.since.Hi.Add(it.Within))
	switch {
	case right != nil:
		l := right.At.Sub(p.since)
		l.Lo = max(0, l.Lo)
		it.within(l)
		if j.early(p, right.doing) {
			it.unknown("it was said just when " + p.cause + " took effect: whether before or after cannot be told")
		}
		if it.Outcome == clock.Missed && open {
			it.unknown("the first diagnosis that was judged right is late, and an earlier one was not judged")
		}
	case open:
		it.Measured = "not judged"
		it.unknown("responders said what is wrong, and the facilitator did not say whether they are right")
		it.Hint = fmt.Sprintf("The facilitator says so: gameday mark %q (or %q, %q) --by NAME, or gameday override afterwards.", DiagnosisRight, DiagnosisPartly, DiagnosisWrong)
	case !over:
		it.Measured = "not seen"
		it.unknown(tooSoon)
	case partly != nil:
		it.Measured = "partly right"
		it.missed("the diagnosis is only partly right")
		it.Value, it.best = 0.5, 0.5
		it.Hint = "They came half the way: which graph or log would have shown the rest?"
	case len(said) > 0:
		it.Measured = "wrong"
		it.missed("the diagnosis is wrong")
		it.Hint = "They looked in the wrong place: which graph or log would have shown where it was?"
	default:
		it.Measured = "not seen"
		it.unknown("nobody marked a diagnosis")
		it.Hint = fmt.Sprintf("Somebody writes down what the responders say is wrong: gameday mark %s \"…\" --by NAME.", DiagnosisMark)
	}
}

// without judges that people managed without a channel that counts as down: by the other one, and not by it.
func (j *judge) without(p *paging, w WithoutPlan) Item {
	it := p.item("without."+w.Down, fmt.Sprintf("%s without %s", w.Use, w.Down), w.DeadlinePlan)
	it.Expected = fmt.Sprintf("%s counts as down: %s is used in its place within %s of the page about %s, and nobody is seen to use %s", w.Down, w.Use, it.Limit,
		p.plan.To, w.Down)
	if !j.begin(p, &it) {
		return it
	}
	of, known := steps[StepName(w.Use)]
	kind := responders.Marked
	mark := w.Use
	if known {
		kind, mark = of.kind, of.mark
	}
	used, perhaps := 0, 0
	down := clock.Span{Start: p.since.Hi, End: j.tl.End} // it counts as down from the page to the end of the game day
	for _, e := range j.doings(p) {
		if e.At.Before(p.since) || e.At.Lo.After(down.End) || e.Actor.Kind != responders.Human || !e.over(w.Down) {
			continue
		}
		j.responseSeen(&it, e)
		if e.At.Lo.Before(down.Start) || e.At.Hi.After(down.End) {
			perhaps++
		} else {
			used++
		}
	}
	at, weaker := j.firstDoing(p, &it, w.MinEvidence, func(e doing) bool {
		return known && e.Kind == kind || e.isMark(mark) || e.Actor.Kind == responders.Human && strings.EqualFold(e.Channel, w.Use)
	})
	j.finishSteps(p, &it, at, kind, "used "+w.Use, mark)
	weaker.mind(p, &it, w.DeadlinePlan)
	if used == 0 && perhaps > 0 && it.Outcome == clock.Met {
		it.unknown(w.Down + " was used just when it began to count as down, or ceased to")
	}
	if used > 0 {
		it.Measured = count(used, "time")
		it.missed(w.Down + " counts as down, and was used all the same")
		it.Value, it.best = 0, 0
		it.Hint = fmt.Sprintf("Does everybody know where to go when %s is gone? Announce it at the page, and put the alternative in the runbook.", w.Down)
	}
	return it
}

// over reports whether something was done by a channel.
func (e doing) over(channel string) bool {
	if strings.EqualFold(e.Channel, channel) {
		return true
	}
	switch StepName(channel) {
	case StepBridge:
		return e.Kind == responders.BridgeOpened
	case StepChannel:
		return e.Kind == responders.RoomOpened
	}
	return false
}
