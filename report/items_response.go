package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"gameday/clock"
	"gameday/responders"
)

// response returns the items of the response part: what people did about each page. All deadlines count from the
// delivery of the first page about the alarm. A scenario without a fault pages nobody, so nothing is asked of people.
func (j *judge) response() []Item {
	var out []Item
	for i := range j.plan.Responses {
		if j.null() {
			break
		}
		r := &j.plan.Responses[i]
		p := j.pageOf(r)
		if r.Acknowledge != nil {
			out = append(out, j.acknowledged(p))
		}
		if r.Escalate != nil {
			out = append(out, j.escalated(p))
		}
		for _, m := range r.Marks {
			out = append(out, j.marked(p, m))
		}
		out = append(out, j.beside(p)...)
		if r.Resolve != nil {
			out = append(out, j.resolved(p))
		}
	}
	return out
}

// beside judges what people do beside answering the page.
func (j *judge) beside(p *paging) []Item {
	var out []Item
	r := p.plan
	if r.Engage != nil {
		out = append(out, j.engaged(p))
	}
	for _, s := range r.Steps {
		out = append(out, j.stepped(p, s))
	}
	for _, w := range r.Without {
		out = append(out, j.without(p, w))
	}
	if r.Diagnose != nil {
		out = append(out, j.diagnosed(p))
	}
	if r.Mitigate != nil {
		out = append(out, j.mitigated(p))
	}
	return out
}

// paging is the page that one response is about, and all that happened to it.
type paging struct {
	plan    *ResponsePlan
	cause   string // the fault behind the alarm
	skip    string // why nothing can be judged
	none    string // why it is missed that there was no page
	account *responseAccount
	pages   *delivered
	first   *responseEvent  // the delivery that starts the clock
	since   clock.Interval  // when that was, and from when on it may have been
	events  []responseEvent // of the pages, by time
}

// pageOf finds the page of a response.
func (j *judge) pageOf(r *ResponsePlan) *paging {
	p := &paging{plan: r, account: j.tl.responseSource(r.Source)}
	f := j.alarms[r.To]
	if f == nil {
		p.skip = r.To + " is not an alarm of the plan"
		return p
	}
	p.cause = f.plan.Cause
	switch {
	case f.skip != "":
		p.skip = f.skip
	case p.account == nil:
		p.skip = "the record has nothing from " + r.Source
	}
	if p.skip != "" {
		return p
	}
	p.pages = j.deliveries(p.account, f)
	p.events, p.first, p.since = p.pages.events, p.pages.first(), p.pages.at
	if p.pages.age != "" {
		p.skip = p.pages.age
		return p
	}
	if p.first != nil {
		return p
	}
	need := f.need(max(f.plan.FiresWithin, f.plan.PagesWithin))
	need.End = laterOf(need.End, earlierOf(f.window.End, p.account.End))
	told := p.account
	if len(p.events) > 0 {
		need.End = laterOf(need.End, p.account.End) // a page was opened, and of whom it told nothing was seen yet
		told = p.account.seeing(responders.Notified)
	}
	switch {
	case p.pages.older != "":
		p.skip = "page " + p.pages.older + " was open from before " + p.cause + ": what would have been done about a new one cannot be told"
	case f.masked != nil:
		p.skip = "the alarm cannot be judged: " + f.maskedWhy()
	case f.fired == clock.Unknown:
		p.skip = "nobody was paged, and whether the alarm should have is unknown"
	case !told.watch().all(need) && len(p.events) > 0:
		p.skip = "a page was opened, and whom it reached is not known: " + told.gap(need)
	case !told.watch().all(need):
		p.skip = "no page was seen, but " + p.gap(need)
	default:
		p.none = "nobody was paged"
	}
	return p
}

func (p *paging) gap(need clock.Span) string { return p.account.gap(need) }

// gap says why what an account has nothing of in a span does not count.
func (a *responseAccount) gap(need clock.Span) string {
	why := a.Coverage.Why
	if len(why) == 0 && a.Error != "" {
		why = []string{a.Error}
	}
	return gap(a.Source, a.Coverage.Spans, why, a.End, need, true)
}

// seeing returns the page as its source sees one kind of event.
func (p *paging) seeing(k responders.Kind) *paging {
	c := *p
	c.account = p.account.seeing(k)
	return &c
}

// item begins an item of a response.
func (p *paging) item(what, title string, d DeadlinePlan) Item {
	it := Item{ID: "response." + p.plan.Name + "." + what, Title: title, Weight: weight(d.Weight), Required: d.Required,
		cause: p.cause, Within: d.Within, Limit: span(d.Within), Measured: "unknown"}
	it.timed(clockOf(what), p.plan.Name, "the first page about "+p.plan.To)
	if p.skip == "" {
		it.runs(p.since)
	}
	return it
}

// begin adds the page to the item's evidence. It returns false when there is none, and the item is judged already.
func (j *judge) begin(p *paging, it *Item) bool {
	switch {
	case p.skip != "":
		it.unknown(p.skip)
		if p.pages != nil && p.pages.aged != nil {
			j.responseSeen(it, *p.pages.aged)
			it.Hint = fmt.Sprintf("%s was not seen all through the run: mend the way to it, then run `gameday finalize`.",
				p.plan.Source)
		}
	case p.none != "":
		it.Measured = "never"
		it.missed(p.none)
	default:
		text := fmt.Sprintf("page %s delivered %s", p.first.Page, j.tl.around(p.first.At))
		switch p.first.Delivered {
		case "yes":
		case "no":
			text = fmt.Sprintf("page %s sent %s (not delivered)", p.first.Page, j.tl.around(p.first.At))
		default:
			text = fmt.Sprintf("page %s sent %s (delivery not confirmed)", p.first.Page, j.tl.around(p.first.At))
		}
		if len(p.first.Targets) > 0 {
			text += " to " + list(j.names(p.first.Targets))
		}
		it.saw(p.plan.Source, text+levelWords(p.first.Level), p.first.line)
		return true
	}
	j.sourceOfResponses(it, p.account)
	return false
}

func levelWords(level int) string {
	if level == 0 {
		return ""
	}
	return fmt.Sprintf(" (level %d)", level)
}

func (j *judge) names(ids []string) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = j.people.name(id)
	}
	return out
}

// responseSeen adds an event to an item's evidence.
func (j *judge) responseSeen(it *Item, e responseEvent) {
	text := fmt.Sprintf("%s %s by %s", j.tl.around(e.At), e.Kind, j.people.actor(e.Actor))
	if e.Kind == responders.Notified || e.Kind == responders.Escalated {
		text = fmt.Sprintf("%s %s%s", j.tl.around(e.At), e.Kind, levelWords(e.Level))
		if len(e.Targets) > 0 {
			text += ": " + list(j.names(e.Targets))
		}
	}
	switch words, doing := deeds[e.Kind]; {
	case e.Kind == responders.Marked:
		text += fmt.Sprintf(": %q", j.people.scrub(e.Text))
	case doing && e.Kind != responders.Opened:
		text = fmt.Sprintf("%s %s %s", j.tl.around(e.At), j.people.actor(e.Actor), words.bare)
		if e.Text != "" {
			text += fmt.Sprintf(": %q", j.people.scrub(e.Text))
		}
	}
	said := e.said
	if e.Kind == responders.Diagnosed {
		said = cmp.Or(said, e.Text)
	}
	if said != "" {
		text += fmt.Sprintf(": %q", j.people.scrub(said))
	}
	if e.Grade != "" {
		text += ", grade " + e.Grade
	}
	it.sawAs(e.Grade, e.Source, text, e.line)
}

// sourceOfResponses adds how well a source could be read.
func (j *judge) sourceOfResponses(it *Item, a *responseAccount) {
	if a == nil {
		return
	}
	text := fmt.Sprintf("%s, %s, clock offset %s", count(len(a.Events), "event"), j.coverageWords(a.Coverage.Spans),
		offsetWords(a.Coverage.Offset))
	it.saw(a.Source, text, a.Line)
}

// finish judges an item by the event that kept the promise, or by its absence. What was seen is proof, however well the
// source was watched; that something was not seen, or not seen earlier, is proof only where the source was watched.
func (j *judge) finish(p *paging, it *Item, at *clock.Interval, what string) {
	defer j.sourceOfResponses(it, p.account)
	need := clock.Span{Start: p.since.Lo, End: p.since.Hi.Add(it.Within)}
	watched := p.account.watch().all(need)
	if at != nil {
		l := at.Sub(p.since)
		l.Lo = max(0, l.Lo)
		it.within(l)
		if it.Outcome == clock.Missed && !watched {
			it.unknown(what + " late, but " + p.gap(need) + ": an earlier one may have gone unseen")
		}
		return
	}
	it.Measured = "never"
	if watched {
		it.missed("nobody " + what + " within " + it.Limit)
		it.lateUnseen(p.account.watch(), p.since)
		return
	}
	it.Measured = "not seen"
	why := p.gap(need)
	if strings.HasPrefix(why, tooSoon) {
		why = tooSoon + " (" + j.tl.stamp(need.End) + ")" + strings.TrimPrefix(why, tooSoon)
		it.Hint = fmt.Sprintf("Deadlines of the response to %s lie after the end of the run: run `gameday finalize` "+
			"once they are over, "+
			"or lengthen the recovery phase.", p.plan.To)
	}
	it.unknown(why)
}

// acknowledged judges that a human being said "mine".
func (j *judge) acknowledged(p *paging) Item {
	ack := p.plan.Acknowledge
	it := p.item("acknowledge", "acknowledged by a human", ack.DeadlinePlan)
	who := "a human being"
	if ack.Level != 0 {
		it.Title += fmt.Sprintf(" at level %d", ack.Level)
	}
	if ack.OnCall {
		who += " on call"
	}
	if ack.Level != 0 {
		who += fmt.Sprintf(" at level %d", ack.Level)
	}
	it.Expected = fmt.Sprintf("%s acknowledges the page about %s within %s", who, p.plan.To, it.Limit) + ack.evidence()
	if !j.begin(p, &it) {
		return it
	}
	p = p.seeing(responders.Acknowledged)
	var at *clock.Interval
	var others []string
	var w *weak
	duties, known := j.onCall(p, &it)
	unplaced := false
	var perhaps *weak // it may have been somebody who counts
	for _, e := range p.events {
		if e.Kind == responders.Unacknowledged {
			j.responseSeen(&it, e)
		}
		if e.Kind != responders.Acknowledged || e.At.Before(p.since) {
			continue
		}
		j.responseSeen(&it, e)
		level := p.levelOf(e)
		switch {
		case e.Actor.Kind == responders.UnknownKind, e.Actor.Kind == responders.Human && ack.OnCall && known && e.Actor.ID == "":
			if perhaps == nil {
				perhaps = &weak{at: e.At, why: "it was acknowledged by " + j.people.actor(e.Actor) + ", and who that was cannot be told"}
			}
		case e.Actor.Kind != responders.Human:
			others = append(others, "the acknowledgement by "+j.people.actor(e.Actor)+" does not count: not a person")
		case ack.Level != 0 && level == 0:
			unplaced = true
		case ack.Level != 0 && level != ack.Level:
			others = append(others, fmt.Sprintf("the acknowledgement at level %d does not count", level))
		case ack.OnCall && known && !onDuty(duties, e.Actor.ID, ack.Level):
			others = append(others, "the acknowledgement by "+j.people.actor(e.Actor)+" does not count: not on call")
		case !enough(ack.MinEvidence, e.Grade):
			if w == nil {
				w = &weak{at: e.At, grade: e.Grade}
			}
		default:
			at = sooner(at, e.At)
		}
	}
	j.finish(p, &it, at, "acknowledged")
	w.mind(p, &it, ack.DeadlinePlan)
	perhaps.mind(p, &it, ack.DeadlinePlan)
	if ack.OnCall && !known && it.Outcome == clock.Met {
		it.unknown("a human being acknowledged, but who was on call is not known")
		it.Hint = fmt.Sprintf("%s did not say who is on call: may gameday read that, and does it know?", p.plan.Source)
	}
	if it.Outcome != clock.Met && unplaced {
		it.Measured = "level unknown"
		it.unknown("a human being acknowledged, but at which level cannot be told")
	}
	if it.Outcome != clock.Met && len(others) > 0 {
		slices.Sort(others)
		it.Why += "; " + strings.Join(slices.Compact(others), "; ")
	}
	it.Hint = cmp.Or(it.Hint, p.ackHint(&it))
	return it
}

// sooner returns when the first of two things happened, whichever it is.
func sooner(first *clock.Interval, other clock.Interval) *clock.Interval {
	if first == nil {
		return &other
	}
	return &clock.Interval{Lo: earlierOf(first.Lo, other.Lo), Hi: earlierOf(first.Hi, other.Hi)}
}

func (p *paging) ackHint(it *Item) string {
	switch it.Outcome {
	case clock.Missed:
		if esc := p.plan.Escalate; esc != nil && esc.OnlyAfter > it.Within {
			return fmt.Sprintf("Nobody answered within %s and the policy escalates only after %s: shorten the policy or "+
				"the deadline.",
				it.Limit, span(esc.OnlyAfter))
		}
		if it.Value > 0 {
			return "The page was acknowledged late: look at how it reaches people (push, call, or only mail)."
		}
		if strings.Contains(it.Why, "does not count") {
			return "Somebody acknowledged it whose acknowledgement does not count: did those who were to answer know that it was theirs?"
		}
		return "Nobody acknowledged the page: did it reach a phone, and was somebody on call?"
	case clock.Unknown:
		return "Whether the page was acknowledged could not be seen: mend the way to " + p.plan.Source + ", then run " +
			"`gameday finalize`."
	}
	return ""
}

// levelOf returns the escalation level of an acknowledgement: its own, or the one at which its actor was notified.
func (p *paging) levelOf(e responseEvent) int {
	if e.Level != 0 {
		return e.Level
	}
	level := 0
	for _, n := range p.events {
		if n.Kind == responders.Notified && n.Page == e.Page && slices.Contains(n.Targets, e.Actor.ID) && !e.At.Before(n.At) {
			level = cmp.Or(n.Level, level)
		}
	}
	return level
}

func (d DeadlinePlan) evidence() string {
	if d.MinEvidence == "" {
		return ""
	}
	return ", by evidence of grade " + d.MinEvidence + " at least"
}

// onCall returns who was on call when the page was sent, by the last that the source said of it until then.
func (j *judge) onCall(p *paging, it *Item) (duties []responders.Duty, known bool) {
	line := 0
	for _, r := range j.tl.OnCall {
		if r.V.Source == p.plan.Source && r.V.Error == "" && !r.At.After(p.since.Hi) {
			duties, known, line = r.V.Duties, true, r.line()
		}
	}
	if known && p.plan.Acknowledge.OnCall {
		var words []string
		for _, d := range duties {
			words = append(words, fmt.Sprintf("%s at level %d", j.people.name(d.Who), d.Level))
		}
		it.saw(p.plan.Source, "on call: "+list(words), line)
	}
	return duties, known
}

// onDuty reports whether somebody is on call, at a level when it is not 0.
func onDuty(duties []responders.Duty, who string, level int) bool {
	return slices.ContainsFunc(duties, func(d responders.Duty) bool { return d.Who == who && (level == 0 || d.Level == level) })
}

// marked judges that somebody set a named mark, on the page or with `gameday mark`.
func (j *judge) marked(p *paging, m MarkPlan) Item {
	it := p.item("mark."+m.Name, m.Name, m.DeadlinePlan)
	it.Expected = fmt.Sprintf("%q is marked within %s of the page about %s", m.Name, it.Limit, p.plan.To)
	if !j.begin(p, &it) {
		return it
	}
	at, w := j.firstDoing(p, &it, m.MinEvidence, func(e doing) bool { return e.isMark(m.Name) })
	j.finish(p, &it, at, "marked it")
	j.elsewhere(p, &it, responders.Marked)
	w.mind(p, &it, m.DeadlinePlan)
	if it.Outcome == clock.Missed {
		it.Hint = fmt.Sprintf("%q was not marked in time: is it in the runbook, and does everybody know how to mark it?",
			m.Name)
	}
	return it
}

// elsewhere takes a miss back when another source of the response may have told of it, and was not watched.
func (j *judge) elsewhere(p *paging, it *Item, kind responders.Kind) {
	need := clock.Span{Start: p.since.Lo, End: p.since.Hi.Add(it.Within)}
	for _, name := range p.plan.Also {
		if it.Outcome != clock.Missed || !j.plan.tells(kind, name) {
			continue
		}
		switch a := j.tl.responseSource(name); {
		case a == nil:
			it.unknown("the record has nothing from " + name)
		case !a.watch().all(need):
			it.unknown(a.gap(need))
		}
	}
}

// resolved judges that the page was closed.
func (j *judge) resolved(p *paging) Item {
	plan := p.plan.Resolve
	it := p.item("resolve", "resolved", plan.DeadlinePlan)
	it.Expected = fmt.Sprintf("the page about %s is resolved within %s", p.plan.To, it.Limit) + plan.evidence()
	if plan.AfterService {
		it.Expected += ", and not before the service is back"
	}
	if !j.begin(p, &it) {
		return it
	}
	p = p.seeing(responders.Resolved)
	var at *clock.Interval
	var w *weak
	for _, e := range p.events {
		if e.Kind == responders.Resolved && e.Page == p.first.Page && at == nil {
			j.responseSeen(&it, e)
			if !enough(plan.MinEvidence, e.Grade) {
				w = cmp.Or(w, &weak{at: e.At, grade: e.Grade})
				continue
			}
			at = &e.At
		}
	}
	j.finish(p, &it, at, "resolved it")
	w.mind(p, &it, plan.DeadlinePlan)
	if plan.AfterService && at != nil {
		j.premature(p, &it, *at)
	}
	if it.Outcome == clock.Met && p.pages.doubt != "" {
		it.unknown(p.pages.doubt)
	}
	if p.pages.unseen || p.pages.several {
		it.unknown("another page may have been the first to reach somebody, and whether that was resolved is not known")
	}
	if it.Outcome == clock.Missed && at == nil {
		it.Hint = "The page stayed open: close it when the service is back, or let the alarm's own end resolve it."
	}
	return it
}
