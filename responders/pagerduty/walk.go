package pagerduty

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gameday/clock"
	"gameday/responders"
	"gameday/responders/internal/page"
)

// story is what an incident's log tells.
type story struct {
	events []responders.Event
	gaps   []gap
}

// gap is an entry that could not be understood: around it anything may have happened.
type gap struct {
	at  clock.Interval
	why string
}

// walk reads one incident's log from its beginning.
type walk struct {
	source   *Source
	incident incident
	labels   map[string]string
	ours     func(time.Time) clock.Interval // of a stamp in PagerDuty's time
	duty     map[string][]int               // the levels of the incident's policy, by user
	users    page.Names
	level    int            // that the incident is at; 0 when it is not known
	placed   map[string]int // the level at which a user was assigned
	ahead    int            // how often it will be moved to another policy yet: duty is that of the last
	opened   bool
	out      story
}

// kinds of entries that are understood and say nothing of who answers.
var asides = map[string]string{
	"snooze_log_entry":                    "snoozed",
	"unsnooze_log_entry":                  "no longer snoozed",
	"reach_ack_limit_log_entry":           "acknowledged as often as can be",
	"reach_trigger_limit_log_entry":       "triggered as often as can be",
	"exhaust_escalation_path_log_entry":   "nobody is left to escalate to",
	"urgency_change_log_entry":            "its urgency was changed",
	"priority_change_log_entry":           "its priority was changed",
	"field_value_change_log_entry":        "a field was changed",
	"custom_field_value_change_log_entry": "a field was changed",
	"responder_request_log_entry":         "somebody was asked to join",
}

// all reads the whole log.
func (w *walk) all(log []entry) {
	for _, e := range log {
		if e.Type == "delegate_log_entry" {
			w.ahead++
		}
	}
	for _, e := range log {
		w.read(e)
	}
}

// read takes one entry.
func (w *walk) read(e entry) {
	for _, u := range append([]reference{e.User, e.Agent}, e.Assignees...) {
		w.know(u)
	}
	c := e.how()
	switch e.Type {
	case "trigger_log_entry":
		if w.opened {
			w.add(e, responders.Noted, func(x *responders.Event) { x.Text = "triggered again" })
			return
		}
		w.opened, w.level = true, 1
		w.add(e, responders.Opened, nil)
	case "assign_log_entry", "reassign_log_entry":
		w.assign(e)
	case "notify_log_entry":
		w.notify(e, c)
	case "acknowledge_log_entry", "acknowledgement_log_entry":
		w.acknowledge(e)
	case "unacknowledge_log_entry":
		w.add(e, responders.Unacknowledged, nil)
	case "escalate_log_entry":
		w.escalate(e)
	case "repeat_escalation_path_log_entry":
		w.level, w.placed = 0, map[string]int{} // it begins anew: what comes next says where
		w.add(e, responders.Noted, func(x *responders.Event) { x.Text = "the policy begins again" })
	case "delegate_log_entry":
		w.delegate(e)
	case "annotate_log_entry":
		w.add(e, responders.Noted, func(x *responders.Event) { x.Text = e.said() })
	case "status_update_log_entry":
		w.add(e, responders.Told, func(x *responders.Event) { x.Text = first(e.Message.v, c.Message.v, c.Summary.v, e.Note.v) })
	case "resolve_log_entry":
		w.add(e, responders.Resolved, func(x *responders.Event) { x.Text = e.Note.v })
	default:
		w.aside(e)
	}
}

// know remembers a user's name, so that it can be taken out of texts.
func (w *walk) know(r reference) {
	if isUser(r) {
		w.users.Note(r.ID, r.Summary)
	}
}

// aside keeps an entry that changes nothing, and one that nobody understands, as a note. The latter is a gap as well.
func (w *walk) aside(e entry) {
	text, ok := asides[e.Type]
	if !ok {
		text = fmt.Sprintf("an entry of type %q, which is not understood", clip(e.Type))
		w.gap(e, "page "+w.incident.ID+" has "+text)
	}
	w.add(e, responders.Noted, func(x *responders.Event) { x.Text = text })
}

// assign notes who the incident was given to. The first assignment is the policy's first level, unless somebody gave it to
// whom they liked.
func (w *walk) assign(e entry) {
	level := w.level
	if isUser(e.Agent) {
		level = 0
	}
	for _, u := range e.Assignees {
		if at := w.onDuty(u.ID, w.level); at != 0 {
			w.placed[u.ID] = at
		} else if _, known := w.placed[u.ID]; !known || level != 0 {
			w.placed[u.ID] = level
		}
	}
	w.add(e, responders.Noted, func(x *responders.Event) { x.Text, x.Targets, x.Level = "assigned", ids(e.Assignees), level })
}

func (w *walk) notify(e entry, c channel) {
	notice := c.Notice.v
	if notice == (notification{}) {
		notice = e.Notice.v
	}
	w.add(e, responders.Notified, func(x *responders.Event) {
		x.Targets, x.Delivered, x.Channel = ids([]reference{e.User}), delivered(notice.Status), means(notice.Type)
		x.Level, x.Team = w.levelOf(e.User.ID), w.policy()
	})
}

func (w *walk) acknowledge(e entry) {
	w.add(e, responders.Acknowledged, func(x *responders.Event) {
		x.Level = w.levelOf(e.Agent.ID)
		if x.Actor.Kind == responders.UnknownKind {
			w.gap(e, fmt.Sprintf("page %s was acknowledged by %s through %q: whether that was a person cannot be told", w.incident.ID, who(e.Agent), clip(e.how().Type.v)))
		}
	})
}

// escalate finds out which level was reached: that of who has the incident now, by the policy's turns; else the next one,
// when it was the policy's timeout that moved it.
func (w *walk) escalate(e entry) {
	next := 0
	byPolicy := !isUser(e.Agent)
	if w.level > 0 && byPolicy {
		next = w.level + 1
	}
	if found := w.together(e.Assignees, next); found != 0 {
		next = found
	}
	w.level = next
	for _, u := range e.Assignees {
		w.placed[u.ID] = next
	}
	w.add(e, responders.Escalated, func(x *responders.Event) {
		x.Level, x.Targets, x.Team = next, ids(e.Assignees), w.policy()
		if byPolicy {
			x.Actor = responders.Actor{ID: "policy", Kind: responders.Timeout}
		}
	})
	if next == 0 {
		w.gap(e, fmt.Sprintf("page %s was escalated, and to which level cannot be told", w.incident.ID))
	}
}

// delegate moves the incident to another policy, where it begins at whatever level its people have.
func (w *walk) delegate(e entry) {
	w.ahead--
	w.placed = map[string]int{}
	w.level = w.together(e.Assignees, 1)
	for _, u := range e.Assignees {
		w.placed[u.ID] = w.level
	}
	w.add(e, responders.Noted, func(x *responders.Event) {
		x.Text, x.Targets, x.Level, x.Team = "delegated to another policy", ids(e.Assignees), w.level, w.policy()
	})
}

// policy is the one that the incident goes by, empty when it is not known: incidents tell of their last one alone.
func (w *walk) policy() string {
	if w.ahead > 0 {
		return ""
	}
	return w.incident.Policy.ID
}

// onDuty returns a user's level in the incident's policy when it can be only one, or the one that is expected; else 0.
func (w *walk) onDuty(user string, expected int) int {
	if w.ahead > 0 {
		return 0
	}
	levels := w.duty[user]
	switch {
	case slices.Contains(levels, expected):
		return expected
	case len(levels) == 1:
		return levels[0]
	}
	return 0
}

// together returns the one level at which all of them are on duty, the expected one before others; 0 when there is none, or
// are several.
func (w *walk) together(users []reference, expected int) int {
	if w.ahead > 0 || len(users) == 0 {
		return 0
	}
	var all []int
	for i, u := range users {
		if i == 0 {
			all = slices.Clone(w.duty[u.ID])
			continue
		}
		all = slices.DeleteFunc(all, func(l int) bool { return !slices.Contains(w.duty[u.ID], l) })
	}
	switch {
	case slices.Contains(all, expected):
		return expected
	case len(all) == 1:
		return all[0]
	}
	return 0
}

// levelOf returns the level at which a user has, or had, the incident; 0 when it is not known.
func (w *walk) levelOf(user string) int {
	if level := w.placed[user]; level != 0 {
		return level
	}
	return w.onDuty(user, w.level)
}

// add enters an event.
func (w *walk) add(e entry, kind responders.Kind, more func(*responders.Event)) {
	actor, how, grade := w.actor(e)
	x := responders.Event{Source: w.source.name, ID: e.ID, Page: w.incident.ID, Labels: w.labels, Kind: kind, At: w.ours(e.Created), Actor: actor,
		Channel: how, Team: w.incident.Service.ID, Grade: grade}
	if more != nil {
		more(&x)
	}
	x.Text = w.users.Clean(x.Text)
	w.out.events = append(w.out.events, x)
}

func (w *walk) gap(e entry, why string) { w.out.gaps = append(w.out.gaps, gap{w.ours(e.Created), why}) }

// people are the channels by which a person acts themselves, and what they are called here.
var people = map[string]string{"website": "website", "web": "website", "web_trigger": "website", "note": "website", "mobile": "mobile", "mobile_app": "mobile", "push": "mobile", "sms": "sms", "phone": "phone"}

// relayed are those by which something else passes on what a person did.
var relayed = map[string]string{"email": "e-mail", "slack": "chat", "chat": "chat", "msteams": "chat", "microsoft_teams": "chat"}

// actor says who did it, how, and how good the evidence is.
func (w *walk) actor(e entry) (actor responders.Actor, how, grade string) {
	t := e.how().Type.v
	a := responders.Actor{ID: e.Agent.ID}
	direct, relay := people[t], relayed[t]
	how = first(direct, relay)
	if t == "api" {
		how = "api"
	}
	switch {
	case t == "timeout":
		return responders.Actor{ID: "policy", Kind: responders.Timeout}, how, "A"
	case e.Agent == (reference{}) || strings.HasPrefix(e.Agent.Type, "service") || strings.Contains(e.Agent.Type, "integration"):
		a.Kind = responders.Integration
		a.ID = first(a.ID, "pagerduty")
		return a, how, "A"
	case strings.HasPrefix(e.Agent.Type, "bot"), w.source.automatic(e.Agent), isUser(e.Agent) && t == "auto":
		a.Kind = responders.Bot
		return a, how, "B"
	case isUser(e.Agent) && direct != "":
		a.Kind = responders.Human
		return a, how, "A"
	case isUser(e.Agent) && relay != "":
		a.Kind = responders.Human
		return a, how, "B"
	}
	a.Kind = responders.UnknownKind
	return a, how, "B"
}

// isUser reports whether an agent is a user of PagerDuty. That says nothing yet of a person: see actor.
func isUser(r reference) bool { return r.ID != "" && (r.Type == "user_reference" || r.Type == "user") }

// who names an agent that may be anything.
func who(r reference) string {
	if r.Type == "" {
		return "somebody of no type"
	}
	return "a " + clip(r.Type)
}

// delivered reads a notification's status.
func delivered(status string) string {
	switch s := strings.ToLower(status); {
	case s == "success", s == "delivered":
		return "yes"
	case strings.Contains(s, "fail"), strings.Contains(s, "error"), strings.Contains(s, "bounce"), strings.Contains(s, "undeliver"), strings.Contains(s, "block"),
		strings.Contains(s, "reject"), strings.Contains(s, "not_answered"), strings.Contains(s, "no_answer"), s == "busy":
		return "no"
	}
	return "unknown"
}

// means reads how somebody was notified.
func means(kind string) string {
	switch k := strings.TrimSuffix(kind, "_notification"); k {
	case "phone", "sms":
		return k
	case "email":
		return "e-mail"
	case "push", "mobile":
		return "mobile"
	}
	return ""
}

func ids(list []reference) []string {
	var out []string
	for _, r := range list {
		if r.ID != "" {
			out = append(out, r.ID)
		}
	}
	return out
}

// first returns the first text that is not empty.
func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// clip bounds a word that PagerDuty gave, for a reason.
func clip(word string) string {
	if len(word) > 60 {
		return strings.ToValidUTF8(word[:60], "") + "…"
	}
	return word
}
