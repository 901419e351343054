package report

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/clock"
	"gameday/responders"
)

// peopleCase is what people did about a page that reaches ann at 30 s, and what one item must come to.
type peopleCase struct {
	name    string
	ask     func(*ResponsePlan)
	covered []clock.Span // of the desk; nil is all of it
	done    []responders.Event
	marks   map[float64]Mark
	roster  []responders.Duty // nil when nobody asked
	id      string
	want    clock.Outcome
	value   float64
	why     string
}

// within is a limit of so many seconds.
func within(n float64, least ...string) DeadlinePlan {
	d := DeadlinePlan{Within: sec(n), Weight: 1}
	if len(least) > 0 {
		d.MinEvidence = least[0]
	}
	return d
}

// graded is something that a person did, by evidence of a grade.
func graded(n float64, kind responders.Kind, id, text, grade string) responders.Event {
	e := did(n, kind, responders.Human, id, 0)
	e.Text, e.Grade = text, grade
	e.ID += grade + text
	return e
}

// judgePeople scores a case.
func judgePeople(t *testing.T, c peopleCase, tells ...responders.Kind) *Item {
	t.Helper()
	plan := smallPlan(func(p *Plan) {
		a := downAlarm
		a.Match = map[string]string{"alertname": "PaymentsDown"}
		p.Alarms = []AlarmPlan{a}
		r := ResponsePlan{Name: "on-call", Source: "desk.ops", To: "Down"}
		c.ask(&r)
		p.Responses = []ResponsePlan{r}
		p.Tells = map[string][]responders.Kind{"desk.ops": tells}
	})
	b := smallRun(t, plan, nil).alarms("prometheus.main", 100, smallWhole, alarm{name: "PaymentsDown", pending: 22, firing: 28})
	if c.covered == nil {
		c.covered = smallWhole
	}
	if c.roster != nil {
		b.add(21, OnCallSeen, OnCallRecord{Source: "desk.ops", Duties: c.roster})
	}
	for n, m := range c.marks {
		b.add(n, Marked, m)
	}
	page := did(30, responders.Notified, responders.Human, "ann", 1)
	b.responses(100, c.covered, append([]responders.Event{page}, c.done...)...)
	return item(t, Score(b.record()), "response.on-call."+c.id)
}

func TestPeople(t *testing.T) {
	for _, c := range slices.Concat(evidenceCases(), stepCases(), engageCases(), diagnoseCases(), drillCases()) {
		t.Run(c.name, func(t *testing.T) {
			check(t, judgePeople(t, c, responders.Kinds()...), c.want, c.value, c.why)
		})
	}
}

func evidenceCases() []peopleCase {
	ack := func(least string, onCall bool) func(*ResponsePlan) {
		return func(r *ResponsePlan) {
			r.Acknowledge = &AckPlan{DeadlinePlan: within(30, least), OnCall: onCall}
		}
	}
	by := func(n float64, who, grade string) []responders.Event {
		return []responders.Event{graded(n, responders.Acknowledged, who, "", grade)}
	}
	unknown := func(n float64) []responders.Event {
		e := graded(n, responders.Acknowledged, "key", "", "B")
		e.Actor.Kind = responders.UnknownKind
		return []responders.Event{e}
	}
	blurred := graded(40, responders.Acknowledged, "bob", "", "A")
	blurred.At.Hi = at(90)
	duty := []responders.Duty{{Who: "ann", Level: 1}, {Who: "bob", Level: 2}}
	return []peopleCase{
		{"evidence is good enough", ack("B", false), nil, by(40, "ann", "B"), nil, nil, "acknowledge", clock.Met, 1, ""},
		{"evidence is better", ack("B", false), nil, by(40, "ann", "A"), nil, nil, "acknowledge", clock.Met, 1, ""},
		{"evidence is too weak", ack("B", false), nil, by(40, "ann", "C"), nil, nil, "acknowledge", clock.Unknown, 0, "grade C only, and B"},
		{"evidence without a grade", ack("C", false), nil, by(40, "ann", ""), nil, nil, "acknowledge", clock.Unknown, 0, "grade D only"},
		{"evidence is weak, and too late anyway", ack("B", false), nil, by(95, "ann", "C"), nil, nil, "acknowledge", clock.Missed, 0, "nobody"},
		{"on call", ack("", true), nil, by(40, "bob", "A"), nil, duty, "acknowledge", clock.Met, 1, ""},
		{"not on call", ack("", true), nil, by(40, "eve", "A"), nil, duty, "acknowledge", clock.Missed, 0, "not on call"},
		{"nobody knows who is on call", ack("", true), nil, by(40, "ann", "A"), nil, nil, "acknowledge", clock.Unknown, 0, "who was on call is not known"},
		{"a source that cannot tell who did it", ack("", false), nil, unknown(40), nil, nil, "acknowledge", clock.Unknown, 0, "cannot be told"},
		{"nobody can tell who did it, and it was late", ack("", false), nil, unknown(95), nil, nil, "acknowledge", clock.Missed, 0, "nobody"},
		{"nobody can tell who did it, and then somebody", ack("", false), nil, append(unknown(40), by(45, "ann", "A")...), nil, nil, "acknowledge", clock.Met, 1, ""},
		{"a person without a name may be on call", ack("", true), nil, by(40, "", "A"), nil, duty, "acknowledge", clock.Unknown, 0, "cannot be told"},
		{"one that is known less well than a later one", ack("", false), nil, []responders.Event{blurred, graded(45, responders.Acknowledged, "ann", "", "A")}, nil, nil, "acknowledge", clock.Met, 1, ""},
		{"nobody on call at all", ack("", true), nil, by(40, "ann", "A"), nil, []responders.Duty{}, "acknowledge", clock.Missed, 0, "not on call"},
	}
}

func stepCases() []peopleCase {
	step := func(s StepName, d DeadlinePlan) func(*ResponsePlan) {
		return func(r *ResponsePlan) { r.Steps = []StepPlan{{s, d}} }
	}
	room := graded(50, responders.RoomOpened, "ann", "inc-1", "A")
	early := graded(10, responders.RoomOpened, "ann", "inc-0", "A")
	early.Page = ""
	bot := room
	bot.Actor.Kind = responders.Bot
	return []peopleCase{
		{"channel", step(StepChannel, within(30)), nil, []responders.Event{room}, nil, nil, "channel", clock.Met, 1, ""},
		{"a channel from before", step(StepChannel, within(30)), nil, []responders.Event{early}, nil, nil, "channel", clock.Missed, 0, "nobody opened a channel"},
		{"a bot's channel", step(StepChannel, within(30)), nil, []responders.Event{bot}, nil, nil, "channel", clock.Missed, 0, "nobody"},
		{"no channel, unseen", step(StepChannel, within(30)), []clock.Span{during(0, 45)}, nil, nil, nil, "channel", clock.Unknown, 0, "watched for only"},
		{"late channel", step(StepChannel, within(15)), nil, []responders.Event{room}, nil, nil, "channel", clock.Missed, 1 - 6.0/15, "limit"},
		{"late channel, unseen before", step(StepChannel, within(15)), []clock.Span{during(0, 35)}, []responders.Event{room}, nil, nil, "channel", clock.Unknown, 0, "may have gone unseen"},
		{"customers told, by a mark", step(StepCustomers, within(30)), nil, nil, map[float64]Mark{50: {Name: "Customers told", By: "gail"}}, nil, "customers", clock.Met, 1, ""},
		{"a mark is only somebody's word", step(StepCustomers, within(30, "B")), nil, nil, map[float64]Mark{50: {Name: "customers told", By: "gail"}}, nil, "customers", clock.Unknown, 0, "grade D only"},
		{"post-mortem, pending", step(StepPostMortem, within(3600)), nil, nil, nil, nil, "postmortem", clock.Unknown, 0, ""},
		{"post-mortem, filed", step(StepPostMortem, within(3600)), nil, []responders.Event{graded(95, responders.Filed, "ann", "doc", "A")}, nil, nil, "postmortem", clock.Met, 1, ""},
	}
}

func engageCases() []peopleCase {
	ask := func(people int, roles ...string) func(*ResponsePlan) {
		return func(r *ResponsePlan) { r.Engage = &EngagePlan{DeadlinePlan: within(30), People: people, Roles: roles} }
	}
	joined := func(n float64, who, role string) responders.Event {
		return graded(n, responders.Joined, who, role, "A")
	}
	ack := graded(35, responders.Acknowledged, "ann", "", "A")
	return []peopleCase{
		{"two people, one by answering", ask(2), nil, []responders.Event{ack, joined(50, "bob", "")}, nil, nil, "engage", clock.Met, 1, ""},
		{"one person twice", ask(2), nil, []responders.Event{ack, joined(50, "ann", "")}, nil, nil, "engage", clock.Missed, 0, "1 of 2 persons"},
		{"the second too late", ask(2), nil, []responders.Event{ack, joined(90, "bob", "")}, nil, nil, "engage", clock.Missed, 0, "limit"},
		{"a mark is in another list of names", ask(2), nil, []responders.Event{ack}, map[float64]Mark{40: {Name: "here", By: "Ann"}}, nil, "engage", clock.Missed, 0, "1 of 2"},
		{"roles", ask(0, "Lead", "comms"), nil, []responders.Event{joined(40, "ann", "lead"), joined(45, "bob", "Comms")}, nil, nil, "engage", clock.Met, 1, ""},
		{"a role is missing", ask(2, "lead"), nil, []responders.Event{joined(40, "ann", "comms"), joined(45, "bob", "")}, nil, nil, "engage", clock.Missed, 0, "nobody as lead"},
		{"unseen", ask(2), []clock.Span{during(0, 40)}, []responders.Event{ack}, nil, nil, "engage", clock.Unknown, 0, "watched for only"},
		{"facilitators do not take part", ask(2), nil, nil, map[float64]Mark{40: {Name: "here", By: "bob"}, 41: {Name: "diagnosis wrong", By: "fay"}}, nil, "engage", clock.Missed, 0, "1 of 2"},
	}
}

func diagnoseCases() []peopleCase {
	ask := func(r *ResponsePlan) {
		r.Diagnose = &DiagnosePlan{DeadlinePlan: within(40), Expect: "the network"}
	}
	said := graded(45, responders.Diagnosed, "bob", "it is the ledger", "B")
	foreign, late := graded(50, responders.Diagnosed, "bob", "the network", "B"), graded(55, responders.Diagnosed, "bob", "the ledger", "B")
	foreign.Page = "#2"
	word := graded(60, responders.Marked, "fay", "diagnosis right", "B")
	atOnset := graded(20, responders.Diagnosed, "bob", "it is the ledger", "B")
	atOnset.Page = ""
	foreign.Labels = map[string]string{"alertname": "Other"}
	mark := func(name, by string) Mark { return Mark{Name: name, By: by} }
	one := []responders.Event{said}
	return []peopleCase{
		{"right", ask, nil, one, map[float64]Mark{60: mark("diagnosis right", "fay")}, nil, "diagnose", clock.Met, 1, ""},
		{"wrong, then right in time", ask, nil, append(one, graded(55, responders.Diagnosed, "ann", "the network", "B")),
			map[float64]Mark{50: mark("diagnosis wrong", "fay"), 90: mark("diagnosis right", "fay")}, nil, "diagnose", clock.Met, 1, ""},
		{"called right, and then wrong after all", ask, nil, one, map[float64]Mark{60: mark("diagnosis right", "fay"), 70: mark("diagnosis wrong", "fay")}, nil,
			"diagnose", clock.Missed, 0, "wrong"},
		{"called wrong, and then right by who said it", ask, nil, one, map[float64]Mark{60: mark("diagnosis wrong", "fay"), 70: mark("diagnosis right", "bob")}, nil,
			"diagnose", clock.Missed, 0, "wrong"},
		{"partly right", ask, nil, one, map[float64]Mark{60: mark("Diagnosis partly right", "fay")}, nil, "diagnose", clock.Missed, 0.5, "partly"},
		{"wrong", ask, nil, one, map[float64]Mark{60: mark("diagnosis wrong", "fay")}, nil, "diagnose", clock.Missed, 0, "wrong"},
		{"not judged", ask, nil, one, nil, nil, "diagnose", clock.Unknown, 0, "did not say whether"},
		{"judged by who said it", ask, nil, one, map[float64]Mark{60: mark("diagnosis right", "bob")}, nil, "diagnose", clock.Unknown, 0, "did not say whether"},
		{"judged before it was said", ask, nil, one, map[float64]Mark{42: mark("diagnosis right", "fay")}, nil, "diagnose", clock.Unknown, 0, "did not say whether"},
		{"said by a mark", ask, nil, nil, map[float64]Mark{45: mark("diagnosis", "bob"), 60: mark("diagnosis right", "fay")}, nil, "diagnose", clock.Met, 1, ""},
		{"judged by who said it, in capitals", ask, nil, one, map[float64]Mark{60: mark("diagnosis right", "Bob")}, nil, "diagnose", clock.Unknown, 0, "did not say whether"},
		{"the last one was about another page", ask, nil, append(one, foreign), map[float64]Mark{60: mark("diagnosis right", "fay")}, nil, "diagnose", clock.Unknown, 0, "did not say whether"},
		{"a word about this page, and not about the last one", ask, nil, append(one, foreign, word), nil, nil, "diagnose", clock.Met, 1, ""},
		{"the last one was about this page", ask, nil, append([]responders.Event{foreign}, late), map[float64]Mark{60: mark("diagnosis right", "fay")}, nil, "diagnose", clock.Met, 1, ""},
		{"as the fault took effect", ask, nil, []responders.Event{atOnset}, map[float64]Mark{60: mark("diagnosis right", "fay")}, nil,
			"diagnose", clock.Unknown, 0, "before or after"},
		{"nobody said anything", ask, nil, nil, nil, nil, "diagnose", clock.Unknown, 0, "nobody marked a diagnosis"},
	}
}

func drillCases() []peopleCase {
	withheld := func(r *ResponsePlan) {
		r.Withhold = true
		r.Escalate = &EscalatePlan{DeadlinePlan: within(45), ToLevel: 2, Team: "ledger"}
	}
	up := did(60, responders.Escalated, responders.Timeout, "policy", 2)
	up.Team = "ledger"
	other, nameless := up, up
	other.Team, nameless.Team = "shop", ""
	ack := graded(40, responders.Acknowledged, "ann", "", "A")
	chat := func(r *ResponsePlan) {
		r.Without = []WithoutPlan{{"chat", "bridge", within(30)}}
	}
	phone := func(r *ResponsePlan) { r.Without = []WithoutPlan{{"chat", "phone", within(30)}} }
	escalates := func(r *ResponsePlan) {
		r.Escalate = &EscalatePlan{DeadlinePlan: within(45), ToLevel: 2, OnlyAfter: sec(25)}
	}
	notice := did(35, responders.Notified, responders.Human, "bob", 1)
	notice.Channel = "phone"
	taken := did(50, responders.Unacknowledged, responders.Timeout, "policy", 0)
	byPhone, about, after := graded(45, responders.Noted, "bob", "hi", "A"), graded(30, responders.Noted, "bob", "on chat", "A"), graded(130, responders.Noted, "bob", "well done", "A")
	about.Page, after.Page = "", ""
	byPhone.Channel, about.Channel, after.Channel = "phone", "chat", "chat"
	call := graded(50, responders.BridgeOpened, "ann", "", "A")
	byChat := graded(45, responders.Noted, "bob", "hello", "A")
	byChat.Channel = "Chat"
	return []peopleCase{
		{"nobody answered, as asked", withheld, nil, []responders.Event{up}, nil, nil, "escalate", clock.Met, 1, ""},
		{"somebody answered all the same", withheld, nil, []responders.Event{ack}, nil, nil, "escalate", clock.Unknown, 0, "not put to the test"},
		{"somebody answered before it was escalated", withheld, nil, []responders.Event{ack, up}, nil, nil, "escalate", clock.Unknown, 0, "not put to the test"},
		{"nobody answered, and it stayed there", withheld, nil, nil, nil, nil, "escalate", clock.Missed, 0, "nobody escalated"},
		{"to another team", withheld, nil, []responders.Event{other}, nil, nil, "escalate", clock.Missed, 0, "nobody escalated"},
		{"to who knows whom", withheld, nil, []responders.Event{nameless}, nil, nil, "escalate", clock.Unknown, 0, "to which team"},
		{"by the alternative", chat, nil, []responders.Event{call}, nil, nil, "without.chat", clock.Met, 1, ""},
		{"by the alternative, and by what is down", chat, nil, []responders.Event{call, byChat}, nil, nil, "without.chat", clock.Missed, 0, "used all the same"},
		{"after the game day", chat, nil, []responders.Event{call, after}, nil, nil, "without.chat", clock.Met, 1, ""},
		{"just when it began to count as down", chat, nil, []responders.Event{call, about}, nil, nil, "without.chat", clock.Unknown, 0, "began to count"},
		{"the page's own way is nobody's", phone, nil, []responders.Event{notice}, nil, nil, "without.chat", clock.Missed, 0, "nobody used phone"},
		{"a person by it", phone, nil, []responders.Event{byPhone}, nil, nil, "without.chat", clock.Met, 1, ""},
		{"answered, which did not last", escalates, nil, []responders.Event{ack, taken}, nil, nil, "escalate", clock.Unknown, 0, "taken back"},
		{"answered", escalates, nil, []responders.Event{ack}, nil, nil, "escalate", clock.Met, 1, "acknowledged after"},
		{"by neither", chat, nil, nil, nil, nil, "without.chat", clock.Missed, 0, "nobody used bridge"},
	}
}

// TestNobodyTells leaves a step unknown that no source tells of.
func TestNobodyTells(t *testing.T) {
	ask := func(r *ResponsePlan) { r.Steps = []StepPlan{{StepBridge, within(30)}} }
	c := peopleCase{ask: ask, id: "bridge", want: clock.Unknown, why: "no source of this scenario tells"}
	it := judgePeople(t, c)
	check(t, it, c.want, 0, c.why)
	if !strings.Contains(it.Hint, `gameday mark "bridge opened"`) {
		t.Errorf("the hint is %q", it.Hint)
	}
}

// TestAlso judges by other sources too: what they tell counts, and what one of them cannot tell is unknown.
func TestAlso(t *testing.T) {
	joined := graded(50, responders.Joined, "U1", "lead", "A")
	joined.Source, joined.Page, joined.Labels = "slack.main", "", nil
	other := joined
	other.Page = "#1" // another's, by its own number
	for name, c := range map[string]struct {
		account *ResponseAccount
		want    clock.Outcome
		why     string
	}{
		"told":                  {&ResponseAccount{Events: []responders.Event{joined}, Coverage: responders.Coverage{Spans: smallWhole}}, clock.Met, ""},
		"about another page":    {&ResponseAccount{Events: []responders.Event{other}, Coverage: responders.Coverage{Spans: smallWhole}}, clock.Missed, "nobody as lead"},
		"not told":              {&ResponseAccount{Coverage: responders.Coverage{Spans: smallWhole}}, clock.Missed, "nobody as lead"},
		"not watched":           {&ResponseAccount{Coverage: responders.Coverage{Spans: []clock.Span{during(0, 40)}}}, clock.Unknown, "watched for only"},
		"nothing in the record": {nil, clock.Unknown, "nothing from slack.main"},
		"it could not be asked": {&ResponseAccount{Error: "401 Unauthorized"}, clock.Unknown, "401"},
	} {
		plan := smallPlan(func(p *Plan) {
			a := downAlarm
			a.Match = map[string]string{"alertname": "PaymentsDown"}
			p.Alarms = []AlarmPlan{a}
			p.Responses = []ResponsePlan{{Name: "on-call", Source: "desk.ops", Also: []string{"slack.main"}, To: "Down",
				Engage: &EngagePlan{DeadlinePlan: within(30), Roles: []string{"lead"}}}}
			p.Tells = map[string][]responders.Kind{"slack.main": {responders.Joined}}
		})
		b := smallRun(t, plan, nil).alarms("prometheus.main", 100, smallWhole, alarm{name: "PaymentsDown", pending: 22, firing: 28})
		b.responses(100, smallWhole, did(30, responders.Notified, responders.Human, "ann", 1))
		if c.account != nil {
			c.account.Source, c.account.Span = "slack.main", during(0, 100)
			b.add(100, ResponseRecord, *c.account)
		}
		it := item(t, Score(b.record()), "response.on-call.engage")
		if it.Outcome != c.want || !strings.Contains(it.Why, c.why) {
			t.Errorf("%s: %v, %q", name, it.Outcome, it.Why)
		}
	}
}

// TestPostMortemIsPending until its time is over, which the item says.
func TestPostMortemIsPending(t *testing.T) {
	ask := func(r *ResponsePlan) { r.Steps = []StepPlan{{StepPostMortem, within(3600)}} }
	it := judgePeople(t, peopleCase{ask: ask, id: "postmortem"}, responders.Filed)
	if want := "pending until " + at(30.5+3600).UTC().Format("2006-01-02 15:04"); !strings.HasPrefix(it.Measured, want) {
		t.Errorf("%q, want %q", it.Measured, want)
	}
}

// bad is traffic that fails in some seconds of a run with the fault from 20 to 40.
func bad(in ...[2]int) func(int) tick {
	return func(s int) tick {
		k := steady(10)(s)
		for _, b := range in {
			if s >= b[0] && s < b[1] {
				k.errors = 10
			}
		}
		return k
	}
}

// TestMitigation measures when the service is back for good, and whether a page was resolved before.
func TestMitigation(t *testing.T) {
	for name, c := range map[string]struct {
		bad              [][2]int
		gap              bool // no traffic from 50 to 60
		dies             int  // when the generator does; 0 is never
		resolved         float64
		mitigated, close clock.Outcome
		why              string
	}{
		"never bad":                        {nil, false, 0, 45, clock.Met, clock.Met, "held all along"},
		"back while it stands":             {[][2]int{{22, 30}}, false, 0, 45, clock.Met, clock.Met, ""},
		"back when it is gone":             {[][2]int{{22, 41}}, false, 0, 60, clock.Met, clock.Met, ""},
		"good for a moment":                {[][2]int{{22, 30}, {33, 70}}, false, 0, 60, clock.Missed, clock.Missed, ""},
		"resolved too early":               {[][2]int{{22, 45}}, false, 0, 40, clock.Met, clock.Missed, ""},
		"resolved as it came":              {[][2]int{{22, 45}}, false, 0, 44.5, clock.Met, clock.Unknown, ""},
		"never back":                       {[][2]int{{22, 100}}, false, 0, 60, clock.Missed, clock.Missed, ""},
		"nobody knows for a time":          {[][2]int{{22, 45}}, true, 0, 48, clock.Unknown, clock.Unknown, "seconds without traffic"},
		"bad again after the silence":      {[][2]int{{22, 45}, {62, 64}}, true, 0, 48, clock.Met, clock.Missed, ""},
		"nobody knows after the generator": {nil, false, 50, 45, clock.Unknown, clock.Met, "no traffic after"},
		"closed after the generator":       {nil, false, 50, 60, clock.Unknown, clock.Unknown, "no traffic after"},
		"back, and then nobody knows":      {[][2]int{{22, 30}}, false, 50, 45, clock.Unknown, clock.Met, "no traffic after"},
		"bad to the last":                  {[][2]int{{22, 100}}, false, 80, 45, clock.Missed, clock.Missed, ""},
		"bad when the generator died":      {[][2]int{{22, 100}}, false, 50, 45, clock.Unknown, clock.Missed, "its time was not over"},
	} {
		t.Run(name, func(t *testing.T) {
			plan := smallPlan(func(p *Plan) {
				a := downAlarm
				a.Match = map[string]string{"alertname": "PaymentsDown"}
				p.Alarms = []AlarmPlan{a}
				limit := within(45)
				p.Expects = []ExpectPlan{{ID: "steady_state.ok", Name: "ok", Part: PartSteady, That: less("error_ratio", 0.5), Source: "sli.error_ratio < 0.5", Over: time.Second, Weight: 1}}
				p.Responses = []ResponsePlan{{Name: "on-call", Source: "desk.ops", To: "Down", Mitigate: &limit,
					Resolve: &ResolvePlan{DeadlinePlan: within(60), AfterService: true}}}
			})
			b := newBuilder(t, plan).phases(100)
			if c.gap {
				b.traffic("users", 0, 50, bad(c.bad...)).traffic("users", 60, 100, bad(c.bad...))
			} else {
				b.traffic("users", 0, cmp.Or(c.dies, 100), bad(c.bad...))
			}
			b.fault("cut", "network_partition", "db", 20, 40).end(100, EndComplete)
			b.alarms("prometheus.main", 100, smallWhole, alarm{name: "PaymentsDown", pending: 22, firing: 28})
			resolved := did(c.resolved, responders.Resolved, responders.Human, "ann", 1)
			resolved.At = clock.At(at(c.resolved))
			b.responses(100, smallWhole, did(30, responders.Notified, responders.Human, "ann", 1), resolved)
			card := Score(b.record())
			m, r := item(t, card, "response.on-call.mitigate"), item(t, card, "response.on-call.resolve")
			if m.Outcome != c.mitigated || r.Outcome != c.close || !strings.Contains(m.Why, c.why) {
				t.Errorf("mitigated %v (%s: %s), want %v; resolved %v (%s), want %v", m.Outcome, m.Measured, m.Why, c.mitigated, r.Outcome, r.Why, c.close)
			}
		})
	}
}

// TestResolvedBeforeAnotherFault closes a page when the service was back, though another fault stands by then.
func TestResolvedBeforeAnotherFault(t *testing.T) {
	plan := smallPlan(func(p *Plan) {
		a := downAlarm
		a.Match = map[string]string{"alertname": "PaymentsDown"}
		p.Alarms = []AlarmPlan{a}
		p.Faults = append(p.Faults, FaultPlan{Name: "other", Kind: "hold", Targets: []string{"x"}, At: sec(42), Duration: sec(20), Reversible: true})
		p.Expects = []ExpectPlan{{ID: "steady_state.ok", Name: "ok", Part: PartSteady, That: less("error_ratio", 0.5), Source: "sli.error_ratio < 0.5", Over: time.Second, Weight: 1}}
		p.Responses = []ResponsePlan{{Name: "on-call", Source: "desk.ops", To: "Down", Resolve: &ResolvePlan{DeadlinePlan: within(60), AfterService: true}}}
	})
	b := newBuilder(t, plan).phases(100).traffic("users", 0, 100, bad([2]int{22, 41}, [2]int{55, 60}))
	b.fault("cut", "network_partition", "db", 20, 40).fault("other", "hold", "x", 52, 72).end(100, EndComplete)
	b.alarms("prometheus.main", 100, smallWhole, alarm{name: "PaymentsDown", pending: 22, firing: 28})
	b.responses(100, smallWhole, did(30, responders.Notified, responders.Human, "ann", 1), did(57, responders.Resolved, responders.Human, "ann", 1))
	check(t, item(t, Score(b.record()), "response.on-call.resolve"), clock.Met, 1, "")
}

// TestMarkElsewhere does not call a mark missed that another source may have told of unseen.
func TestMarkElsewhere(t *testing.T) {
	for name, c := range map[string]struct {
		tells []responders.Kind
		want  clock.Outcome
	}{"it tells of marks": {[]responders.Kind{responders.Marked}, clock.Unknown}, "it does not": {nil, clock.Missed}} {
		plan := smallPlan(func(p *Plan) {
			a := downAlarm
			a.Match = map[string]string{"alertname": "PaymentsDown"}
			p.Alarms = []AlarmPlan{a}
			p.Responses = []ResponsePlan{{Name: "on-call", Source: "desk.ops", Also: []string{"webhook.chat"}, To: "Down", Marks: []MarkPlan{{"bridge opened", within(30)}}}}
			p.Tells = map[string][]responders.Kind{"webhook.chat": c.tells}
		})
		b := smallRun(t, plan, nil).alarms("prometheus.main", 100, smallWhole, alarm{name: "PaymentsDown", pending: 22, firing: 28})
		b.responses(100, smallWhole, did(30, responders.Notified, responders.Human, "ann", 1))
		b.add(100, ResponseRecord, ResponseAccount{Source: "webhook.chat", Span: during(0, 100), Coverage: responders.Coverage{Spans: []clock.Span{during(0, 40)}}})
		if it := item(t, Score(b.record()), "response.on-call.mark.bridge opened"); it.Outcome != c.want {
			t.Errorf("%s: %v, %q", name, it.Outcome, it.Why)
		}
	}
}

// TestDiagnosisIsTold puts beside the judgement what was said, in whichever way it was.
func TestDiagnosisIsTold(t *testing.T) {
	it := judgePeople(t, peopleCase{id: "diagnose", ask: func(r *ResponsePlan) {
		r.Diagnose = &DiagnosePlan{DeadlinePlan: within(40), Expect: "the network"}
	}, done: []responders.Event{graded(45, responders.Diagnosed, "bob", "it is the ledger", "B")}, marks: map[float64]Mark{50: {Name: "diagnosis", By: "gail", Text: "bob cut the network"}}},
		responders.Kinds()...)
	var said []string
	for _, e := range it.Evidence {
		said = append(said, e.Text)
	}
	all := strings.Join(said, "\n")
	if !strings.Contains(all, `"it is the ledger"`) || !strings.Contains(all, "cut the network") || strings.Contains(all, "bob") {
		t.Errorf("%s", all)
	}
}
