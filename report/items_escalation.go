package report

import (
	"fmt"
	"strings"
	"time"

	"gameday/clock"
	"gameday/responders"
)

// escalated judges that the next level was reached, when it was needed and not before.
func (j *judge) escalated(p *paging) Item {
	esc := p.plan.Escalate
	it := p.item("escalate", fmt.Sprintf("escalated to level %d", esc.ToLevel), esc.DeadlinePlan)
	it.Clock.NotBefore = esc.OnlyAfter
	it.Expected = fmt.Sprintf("the page about %s reaches level %d%s within %s", p.plan.To, esc.ToLevel, esc.team(), it.Limit) + esc.evidence()
	if esc.OnlyAfter > 0 {
		it.Expected += fmt.Sprintf(", but not before %s, and need not when it was acknowledged by then",
			span(esc.OnlyAfter))
	}
	if p.pages != nil && p.pages.tried != nil && p.skip == "" {
		// The policy's time runs whether it reached anybody or not.
		sent := *p
		p = &sent
		p.none, p.first, p.since = "", p.pages.tried, p.pages.sent
		it.runs(p.since)
	}
	if !j.begin(p, &it) {
		return it
	}
	p = p.seeing(responders.Escalated)
	s := j.climb(p, &it, esc)
	if done := p.early(&it, s.ack, s.up, esc.OnlyAfter); done {
		if it.Outcome == clock.Met && s.back != nil {
			it.unknown("it was acknowledged, and that was taken back or ran out: whether an escalation was needed cannot be told")
		}
		j.sourceOfResponses(&it, p.account)
		p.notEarlier(&it, esc.OnlyAfter)
		p.untried(&it, s)
		return it
	}
	j.finish(p, &it, s.up, "escalated")
	p.notEarlier(&it, esc.OnlyAfter)
	s.weak.mind(p, &it, esc.DeadlinePlan)
	if s.unplaced && it.Outcome != clock.Met {
		it.Measured = "team unknown"
		it.unknown("it was escalated, but to which team cannot be told")
	}
	p.untried(&it, s)
	if it.Outcome == clock.Missed {
		it.Hint = fmt.Sprintf("The page did not reach level %d in time: look at the delay of the escalation policy.",
			esc.ToLevel)
	}
	return it
}

// climb is what happened to a page that was to be escalated.
type climb struct {
	ack, up  *clock.Interval
	acked    string          // the page that was acknowledged
	back     *clock.Interval // when that was taken back, or ran out
	weak     *weak
	unplaced bool // it reached a level, and of which team is not known
}

// climb collects the first acknowledgement by a person, and the first escalation that counts.
func (j *judge) climb(p *paging, it *Item, esc *EscalatePlan) climb {
	var s climb
	for _, e := range p.events {
		if e.At.Before(p.since) {
			continue
		}
		switch {
		case e.Kind == responders.Acknowledged && e.Actor.Kind == responders.Human && s.ack == nil:
			j.responseSeen(it, e)
			s.ack, s.acked, s.back = &e.At, e.Page, nil
		case e.Kind == responders.Unacknowledged && s.ack != nil && e.Page == s.acked && s.back == nil:
			j.responseSeen(it, e)
			s.back = &e.At
		case e.Kind == responders.Escalated && e.Level >= esc.ToLevel && s.up == nil:
			j.responseSeen(it, e)
			switch {
			case esc.Team != "" && e.Team == "":
				s.unplaced = true
			case esc.Team != "" && !strings.EqualFold(e.Team, esc.Team):
			case enough(esc.MinEvidence, e.Grade):
				s.up = &e.At
			case s.weak == nil:
				s.weak = &weak{at: e.At, grade: e.Grade}
			}
		}
	}
	return s
}

// untried takes an answer back in a drill in which the first level was not to acknowledge, and did, or may have: nobody needed to
// escalate.
func (p *paging) untried(it *Item, s climb) {
	if !p.plan.Withhold {
		return
	}
	if s.ack != nil && (s.up == nil || !s.up.Before(*s.ack)) {
		it.Measured = "not tried"
		it.unknown("somebody acknowledged before it was escalated, and was asked not to: the escalation was not put to the test")
		it.Hint = "Tell the first level again that this drill is about what happens when nobody answers."
		return
	}
	need := clock.Span{Start: p.since.Lo, End: p.since.Hi.Add(it.Within)}
	if s.up != nil {
		need.End = s.up.Hi
	}
	if acks := p.seeing(responders.Acknowledged); it.Outcome != clock.Unknown && !acks.account.watch().all(need) {
		it.unknown("somebody may have acknowledged unseen, and then the escalation was not put to the test: " + acks.gap(need))
	}
}

// team and evidence are what an expectation asks for beside the time, in words.
func (e EscalatePlan) team() string {
	if e.Team == "" {
		return ""
	}
	return " of " + e.Team
}

// notEarlier takes back that an escalation was kept, when one that was too early may have gone unseen.
func (p *paging) notEarlier(it *Item, after time.Duration) {
	need := clock.Span{Start: p.since.Lo, End: p.since.Hi.Add(after)}
	if it.Outcome == clock.Met && after > 0 && !p.account.watch().all(need) {
		it.unknown("an escalation that was too early may have gone unseen: " + p.gap(need))
	}
}

// early judges what happened before an escalation was due: an escalation was too early, an acknowledgement made it
// needless.
func (p *paging) early(it *Item, ack, up *clock.Interval, after time.Duration) (done bool) {
	if after == 0 {
		return false
	}
	if up != nil {
		l := up.Sub(p.since)
		switch {
		case l.Hi < after:
			it.Latency, it.Measured = &l, latency(l)
			it.missed("too early: the policy may escalate only after " + span(after))
			it.Hint = "The page was escalated before its first level had its time: lengthen the policy's delay."
			return true
		case l.Lo < after:
			it.Latency, it.Measured = &l, latency(l)
			it.unknown("it was escalated too close to " + span(after) + " to tell whether that was too early")
			return true
		}
	}
	if ack == nil {
		return false
	}
	switch l := ack.Sub(p.since); {
	case l.Hi < after:
		it.Measured = "not needed"
		it.met()
		it.Why = "it was acknowledged after " + latency(l)
		return true
	case l.Lo < after && (up == nil || up.Sub(p.since).Within(it.Within) != clock.Met):
		it.Measured = "not seen"
		it.unknown("it was acknowledged too close to " + span(after) + " to tell whether an escalation was needed")
		return true
	}
	return false
}
