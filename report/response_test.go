package report

import (
	"strings"
	"testing"
	"time"

	"gameday/clock"
	"gameday/responders"
)

// responseCase is one course of events after an alarm, and what one item of the response must come to.
type responseCase struct {
	name    string
	fired   bool
	covered []clock.Span
	events  []responders.Event
	id      string
	want    clock.Outcome
	value   float64
	why     string
}

// acknowledgements, and what follows them, are about a page that is delivered at 30 s, to ann at level 1.
func acknowledgements() []responseCase {
	const human, bot = responders.Human, responders.Bot
	page := did(30, responders.Notified, human, "ann", 1)
	second := did(50, responders.Notified, human, "bob", 2)
	unconfirmed, undelivered, early := page, page, did(10, responders.Notified, human, "ann", 1)
	unconfirmed.Delivered, undelivered.Delivered = "", "no"
	early.Page, early.ID = "#0", "early"
	ack := func(sec float64, who responders.ActorKind, id string, level int) responders.Event {
		return did(sec, responders.Acknowledged, who, id, level)
	}
	return []responseCase{
		{"by a human", true, smallWhole, []responders.Event{page, ack(40, human, "ann", 1)}, "acknowledge", clock.Met, 1, ""},
		{"level told by who was notified", true, smallWhole, []responders.Event{page, ack(40, human, "ann", 0)},
			"acknowledge", clock.Met, 1, ""},
		{"level not told", true, smallWhole, []responders.Event{page, ack(40, human, "eve", 0)}, "acknowledge", clock.Unknown,
			0, "cannot be told"},
		{"by the wrong level", true, smallWhole, []responders.Event{page, second, ack(55, human, "bob", 0)}, "acknowledge",
			clock.Missed, 0,
			"at level 2 does not count"},
		{"by a bot", true, smallWhole, []responders.Event{page, ack(31, bot, "slackbot", 1)}, "acknowledge", clock.Missed, 0,
			"bot slackbot does not count"},
		{"by somebody of unknown kind", true, smallWhole, []responders.Event{page, ack(31, responders.UnknownKind, "key", 1)},
			"acknowledge",
			clock.Unknown, 0, "not known to be a person"},
		{"by a bot, then by a human", true, smallWhole, []responders.Event{page, ack(31, bot, "slackbot", 1), ack(40, human,
			"ann", 1)},
			"acknowledge", clock.Met, 1, ""},
		// Δ.hi = 70.5 − 29.5 = 41 s, and 1 − (41 − 30)/30
		{"late", true, smallWhole, []responders.Event{page, ack(70, human, "ann", 1)}, "acknowledge", clock.Missed,
			1 - 11.0/30, "limit is 30s"},
		{"an ack before the page is none", true, smallWhole, []responders.Event{did(22, responders.Opened, responders.Integration, "desk", 0),
			ack(25, human, "ann", 1), page},
			"acknowledge", clock.Missed, 0, ""},
		{"nobody", true, smallWhole, []responders.Event{page}, "acknowledge", clock.Missed, 0, "nobody acknowledged"},
		{"nobody seen", true, []clock.Span{during(0, 40)}, []responders.Event{page}, "acknowledge", clock.Unknown, 0,
			"watched for only"},
		{"seen is proof", true, []clock.Span{during(0, 35)}, []responders.Event{page, ack(40, human, "ann", 1)},
			"acknowledge", clock.Met, 1, ""},
		{"late, but unseen in between", true, []clock.Span{during(0, 40)}, []responders.Event{page, ack(70, human, "ann", 1)},
			"acknowledge",
			clock.Unknown, 0, "may have gone unseen"},
		{"delivery not confirmed", true, smallWhole, []responders.Event{unconfirmed, ack(40, human, "ann", 1)}, "acknowledge",
			clock.Met, 1, ""},
		{"not delivered", true, smallWhole, []responders.Event{undelivered}, "acknowledge", clock.Missed, 0,
			"nobody was paged"},
		{"a page before the onset is another's", true, smallWhole, []responders.Event{early, ack(40, human, "ann", 1)},
			"acknowledge",
			clock.Unknown, 0, "was open from before cut"},
		{"no page, alarm missed", false, smallWhole, nil, "acknowledge", clock.Missed, 0, "nobody was paged"},
	}
}

func escalationsAndMarks() []responseCase {
	const human, bot = responders.Human, responders.Bot
	page := did(30, responders.Notified, human, "ann", 1)
	ack := func(sec float64, who responders.ActorKind, id string, level int) responders.Event {
		return did(sec, responders.Acknowledged, who, id, level)
	}
	up := did(60, responders.Escalated, responders.Timeout, "policy", 2)
	return []responseCase{
		{"escalated in time", true, smallWhole, []responders.Event{page, up}, "escalate", clock.Met, 1, ""},
		{"never escalated", true, smallWhole, []responders.Event{page}, "escalate", clock.Missed, 0, "nobody escalated"},
		{"escalated too early", true, smallWhole, []responders.Event{page, did(40, responders.Escalated, responders.Timeout,
			"policy", 2)},
			"escalate", clock.Missed, 0, "too early"},
		{"perhaps too early", true, smallWhole, []responders.Event{page, did(50, responders.Escalated, responders.Timeout,
			"policy", 2)},
			"escalate", clock.Unknown, 0, "too close to 20s"},
		{"to too low a level", true, smallWhole, []responders.Event{page, did(60, responders.Escalated, responders.Timeout,
			"policy", 1)},
			"escalate", clock.Missed, 0, ""},
		{"not needed", true, smallWhole, []responders.Event{page, ack(40, human, "ann", 1)}, "escalate", clock.Met, 1,
			"acknowledged after"},
		{"a bot's ack does not make it needless", true, smallWhole, []responders.Event{page, ack(40, bot, "slackbot", 1)},
			"escalate",
			clock.Missed, 0, ""},
		{"acknowledged too late to make it needless", true, smallWhole, []responders.Event{page, ack(55, human, "ann", 1)},
			"escalate",
			clock.Missed, 0, ""},

		{"marked on the page, in any case", true, smallWhole, []responders.Event{page, marked(50, "BRIDGE opened ", "ann")},
			"mark.bridge opened",
			clock.Met, 1, ""},
		{"another mark", true, smallWhole, []responders.Event{page, marked(50, "customers told", "ann")},
			"mark.bridge opened", clock.Missed, 0, ""},
		{"resolved", true, smallWhole, []responders.Event{page, did(80, responders.Resolved, human, "ann", 0)}, "resolve",
			clock.Met, 1, ""},
		{"deadline after the end", true, smallWhole, []responders.Event{page}, "resolve", clock.Unknown, 0,
			"the run ended before the deadline (14:12:30)"},
		{"deadline after the end, finalized", true, []clock.Span{during(0, 900)}, []responders.Event{page}, "resolve",
			clock.Missed, 0, "nobody resolved"},
	}
}

func TestResponse(t *testing.T) {
	for _, c := range append(acknowledgements(), escalationsAndMarks()...) {
		t.Run(c.name, func(t *testing.T) {
			plan := smallPlan(func(p *Plan) {
				a := downAlarm
				a.Match = map[string]string{"alertname": "PaymentsDown"}
				p.Alarms = []AlarmPlan{a}
				p.Responses = []ResponsePlan{{Name: "on-call", Source: "desk.ops", To: "Down",
					Acknowledge: &AckPlan{DeadlinePlan: DeadlinePlan{Within: sec(30)}, Level: 1},
					Escalate:    &EscalatePlan{DeadlinePlan: DeadlinePlan{Within: sec(45)}, ToLevel: 2, OnlyAfter: sec(20)},
					Marks:       []MarkPlan{{"bridge opened", DeadlinePlan{Within: sec(30)}}},
					Resolve:     &ResolvePlan{DeadlinePlan: DeadlinePlan{Within: sec(600)}}}}
			})
			b := smallRun(t, plan, nil)
			if c.fired {
				b.alarms("prometheus.main", 100, smallWhole, alarm{name: "PaymentsDown", pending: 22, firing: 28})
			} else {
				b.alarms("prometheus.main", 100, smallWhole)
			}
			b.responses(max(100, c.covered[len(c.covered)-1].End.Sub(began).Seconds()), c.covered, c.events...)
			check(t, item(t, Score(b.record()), "response.on-call."+c.id), c.want, c.value, c.why)
		})
	}
}

func TestMarkOfTheRun(t *testing.T) {
	plan := checkoutPlan()
	b := checkout(t, plan, 700*time.Millisecond, nil).alarms("prometheus.main", 280, whole, alarm{name: "PaymentsDown",
		pending: 103, firing: 109})
	b.responses(280, whole, did(111, responders.Notified, responders.Human, "ann", 1)).add(150, Marked,
		Mark{Name: "Bridge opened", By: "gail"})
	it := item(t, Score(b.end(280, EndComplete).record()), "response.on-call.mark.bridge opened")
	check(t, it, clock.Met, 1, "")
	if s := it.Evidence[1].Text; !strings.Contains(s, "responder B") {
		t.Errorf("the mark is by %q", s)
	}
}

// TestResponseUnknownAlarm checks that people are not blamed for a page whose alarm cannot be judged.
func TestResponseUnknownAlarm(t *testing.T) {
	b := checkout(t, checkoutPlan(), 700*time.Millisecond, nil).alarms("prometheus.main", 280, []clock.Span{during(0,
		90)}).
		responses(280, whole).end(280, EndComplete)
	check(t, item(t, Score(b.record()), "response.on-call.acknowledge"), clock.Unknown, 0,
		"whether the alarm should have is unknown")
	b = checkout(t, checkoutPlan(), 700*time.Millisecond, nil).alarms("prometheus.main", 280, whole).end(280, EndComplete)
	check(t, item(t, Score(b.record()), "response.on-call.acknowledge"), clock.Unknown, 0, "nothing from desk.ops")
}

// TestAnsweredWithoutANotification has a person answer a page of which no delivery is known: it reached somebody in between.
func TestAnsweredWithoutANotification(t *testing.T) {
	plan := smallPlan(func(p *Plan) {
		p.Alarms = []AlarmPlan{downAlarm}
		p.Responses = []ResponsePlan{{Name: "on-call", Source: "desk.ops", To: "Down",
			Acknowledge: &AckPlan{DeadlinePlan: DeadlinePlan{Within: sec(30), Weight: 1}}}}
	})
	opened := did(31, responders.Opened, responders.Integration, "desk", 0)
	for name, ack := range map[string]float64{"in time": 45, "late, or not": 70} {
		acked := did(ack, responders.Acknowledged, responders.Human, "ann", 1)
		for _, e := range []*responders.Event{&opened, &acked} {
			e.Labels = map[string]string{"alertname": "Down"}
		}
		b := smallRun(t, plan, nil).alarms("prometheus.main", 100, smallWhole, alarm{name: "Down", pending: 22, firing: 30})
		it := item(t, Score(b.responses(100, smallWhole, opened, acked).record()), "response.on-call.acknowledge")
		if want := map[bool]clock.Outcome{true: clock.Met, false: clock.Unknown}[ack < 50]; it.Outcome != want {
			t.Errorf("%s: %v, %q", name, it.Outcome, it.Why)
		}
	}
}

// TestSeenLive takes what was seen as it happened for better known than what is told afterwards, such as a reaction whose time is not
// kept; and what is told for right where the two contradict each other.
func TestSeenLive(t *testing.T) {
	plan := smallPlan(func(p *Plan) {
		p.Alarms = []AlarmPlan{downAlarm}
		p.Responses = []ResponsePlan{{Name: "on-call", Source: "desk.ops", To: "Down",
			Acknowledge: &AckPlan{DeadlinePlan: DeadlinePlan{Within: sec(30), Weight: 1}}}}
	})
	page := did(31, responders.Notified, responders.Human, "ann", 1)
	for name, c := range map[string]struct {
		live float64 // when it was seen; 0 is never
		want clock.Outcome
	}{"nobody looked": {0, clock.Unknown}, "it was seen": {45, clock.Met}, "at another time": {300, clock.Unknown}} {
		ack := did(45, responders.Acknowledged, responders.Human, "ann", 1)
		ack.At = clock.Between(at(31), at(95))
		page.Labels, ack.Labels = map[string]string{"alertname": "Down"}, map[string]string{"alertname": "Down"}
		b := smallRun(t, plan, nil).alarms("prometheus.main", 100, smallWhole, alarm{name: "Down", pending: 22, firing: 30})
		if c.live > 0 {
			seen := ack
			seen.At = about(c.live)
			b.add(c.live, ResponseSeen, seen)
		}
		it := item(t, Score(b.responses(100, smallWhole, page, ack).record()), "response.on-call.acknowledge")
		if it.Outcome != c.want {
			t.Errorf("%s: %v, %q", name, it.Outcome, it.Why)
		}
	}
}
