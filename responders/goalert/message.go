package goalert

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gameday/clock"
	"gameday/responders"
	"gameday/responders/internal/follow"
	"gameday/sources/looks"
)

// grade is that of everything here: GoAlert's API tells of what happened in words, and who is a name in them.
const grade = "B"

// gradeUnread is that of words that nobody understands.
const gradeUnread = "D"

// message is the grammar of what GoAlert says of an alert: what happened, by, via or to whom, and how. Anything else may be what is
// asked for.
var message = regexp.MustCompile(`^(?P<what>Created|Acknowledged|Closed|Notification sent|No notification sent|Policy updated|Suppressed duplicate: created|Escalation requested|` +
	`Escalated to step #(?P<step>[1-9][0-9]{0,2})(?P<repeat> \(policy repeat\))?(?P<why> due to manual escalation| due to current step being deleted| automatically after [0-9]+ minutes)?)` +
	`(?: (?P<how>by|via|to) (?P<name>.+?)(?P<sort> integration| heartbeat monitor| \(no immediate rule\))?(?: \((?P<class>[^()]+)\))?)?$`)

// channels are the words for how somebody was told, or did something.
var channels = map[string]string{"Web": "website", "SMS": "sms", "Voice": "phone", "Email": "e-mail", "Slack": "chat", "Webhook": "api", "Mobile": "mobile"}

// entry is what GoAlert says of an alert at one instant.
type entry struct {
	ID      int64  `json:"id"`
	Time    string `json:"timestamp"`
	Message string `json:"message"`
	State   *struct {
		Details string `json:"details"`
		Status  string `json:"status"`
	} `json:"state"`
}

// progress is how far an alert has come in its escalation policy.
type progress struct {
	step int // 0 before the first
}

// said takes apart what GoAlert says.
type said struct {
	what, step, repeat, why, how, name, sort, class string
}

func read(text string) (s said, ok bool) {
	found := message.FindStringSubmatch(text)
	if found == nil {
		return s, false
	}
	group := func(name string) string { return found[message.SubexpIndex(name)] }
	s = said{group("what"), group("step"), group("repeat"), group("why"), group("how"), group("name"), group("sort"), group("class")}
	if s.step != "" {
		s.what = "Escalated"
	}
	switch s.what { // each has its own word for whom it concerns
	case "Notification sent", "No notification sent":
		ok = s.how == "to"
	default:
		ok = s.how != "to"
	}
	return s, ok
}

// actor says who did something.
func (s *settings) actor(d said) responders.Actor {
	a := responders.Actor{ID: d.name, Kind: responders.UnknownKind}
	switch {
	case d.name == "[unknown]":
		a.ID = ""
	case d.how == "via":
		a.Kind = responders.Integration
	case d.how == "by" && slices.Contains(s.automation, d.name):
		a.Kind = responders.Bot
	case d.how == "by":
		a.Kind = responders.Human
	}
	return a
}

// event says what an entry shows; a gap when nobody understands it.
func (s *Source) event(a *alert, e entry, at clock.Interval, p *progress) (responders.Event, *looks.Fault) {
	out := responders.Event{Source: s.name, ID: fmt.Sprintf("%d:%d", a.ID, e.ID), Page: strconv.Itoa(a.ID), Labels: a.labels, At: at, Team: a.team, Grade: grade,
		Kind: responders.Noted}
	d, ok := read(e.Message)
	if !ok {
		out.Grade, out.Text, out.Actor = gradeUnread, follow.Scrub(e.Message), responders.Actor{Kind: responders.UnknownKind}
		return out, &looks.Fault{Span: clock.Span{Start: at.Lo.Add(-time.Second), End: at.Hi.Add(time.Second)},
			Why: fmt.Sprintf("alert %d says what is not understood here: %.120q", a.ID, out.Text)}
	}
	out.Actor = s.actor(d)
	if out.Channel = strings.ToLower(d.class); channels[d.class] != "" {
		out.Channel = channels[d.class]
	}
	switch d.what {
	case "Acknowledged":
		out.Kind = responders.Acknowledged
	case "Closed":
		out.Kind = responders.Resolved
	case "Escalated":
		s.escalated(&out, d, p)
		if e.State != nil && e.State.Status == "WARN" { // nobody was on call
			out.Text = strings.TrimSpace(out.Text + ": " + follow.Scrub(e.State.Details))
		}
	case "Notification sent", "No notification sent":
		out.Level = p.step
		out.Kind, out.Actor, out.Targets = responders.Notified, responders.Actor{ID: "goalert", Kind: responders.Integration}, []string{d.name}
		out.Delivered, out.Text = delivered(d, e)
	default:
		out.Text = strings.ToLower(d.what)
	}
	return out, nil
}

// escalated tells of a step of the policy. The first one is the first page, and no escalation.
func (s *Source) escalated(out *responders.Event, d said, p *progress) {
	p.step, _ = strconv.Atoi(d.step)
	out.Level = p.step
	out.Text = strings.TrimSpace(d.repeat + d.why)
	if out.Actor.Kind == responders.UnknownKind {
		out.Actor = responders.Actor{ID: "policy", Kind: responders.Timeout}
	}
	if p.step > 1 {
		out.Kind = responders.Escalated
		return
	}
	out.Text = strings.TrimSpace("the policy's first step " + out.Text)
}

// delivered says whether a notification arrived. That it was sent is no sign of it, and GoAlert calls that OK too.
func delivered(d said, e entry) (answer, why string) {
	if d.what == "No notification sent" {
		return "no", strings.Trim(d.sort, " ()")
	}
	if e.State == nil {
		return "unknown", ""
	}
	why = follow.Scrub(e.State.Details)
	switch {
	case e.State.Status == "ERROR":
		return "no", why
	case e.State.Status == "OK" && strings.HasPrefix(e.State.Details, "Delivered"):
		return "yes", why
	}
	return "unknown", why
}
