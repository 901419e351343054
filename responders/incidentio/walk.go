package incidentio

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gameday/clock"
	"gameday/responders"
	"gameday/responders/internal/page"
)

// gap is something that could not be understood: around it anything may have happened.
type gap struct {
	at  clock.Interval
	why string
}

// walk makes events of what is told of one page: an incident with the escalations about it, or an escalation without one.
type walk struct {
	source *Source
	page   string
	labels map[string]string
	ours   func(time.Time) clock.Interval
	names  page.Names
	events []responders.Event
	gaps   []gap
}

// by says who an actor is, and how good the evidence is that a person did it.
func (w *walk) by(a actor) (responders.Actor, string) {
	switch {
	case a.User != nil && a.User.ID != "":
		return w.user(*a.User), "A"
	case a.APIKey != nil:
		return responders.Actor{ID: a.APIKey.ID, Kind: responders.UnknownKind}, "B"
	case a.Workflow != nil:
		return responders.Actor{ID: a.Workflow.ID, Kind: responders.Bot}, "A"
	case a.Alert != nil:
		return responders.Actor{ID: a.Alert.ID, Kind: responders.Integration}, "A"
	}
	return responders.Actor{Kind: responders.UnknownKind}, "B"
}

// user says whether a user is a person.
func (w *walk) user(p person) responders.Actor {
	w.names.Note(p.ID, p.Name)
	if slices.Contains(w.source.automation, p.ID) || p.Name != "" && slices.Contains(w.source.automation, p.Name) {
		return responders.Actor{ID: p.ID, Kind: responders.Bot}
	}
	return responders.Actor{ID: p.ID, Kind: responders.Human}
}

// system is incident.io itself.
var system = responders.Actor{ID: "incident.io", Kind: responders.Integration}

func (w *walk) add(id string, at time.Time, kind responders.Kind, who responders.Actor, grade string, more ...func(*responders.Event)) {
	e := responders.Event{Source: w.source.name, ID: id, Page: w.page, Labels: w.labels, Kind: kind, At: w.ours(at), Actor: who, Grade: grade}
	for _, f := range more {
		f(&e)
	}
	if kind == responders.Filed {
		e.Text = page.Title(e.Text) // a place, which is of no use without its parameters
	} else {
		e.Text = w.names.Clean(e.Text)
	}
	w.events = append(w.events, e)
}

func (w *walk) gap(at time.Time, format string, args ...any) {
	w.gaps = append(w.gaps, gap{w.ours(at), fmt.Sprintf("page %s ", w.page) + fmt.Sprintf(format, args...)})
}

func text(s string) func(*responders.Event) { return func(e *responders.Event) { e.Text = s } }

// declared tells of an incident's beginning.
func (w *walk) declared(i incident) {
	who, grade := w.by(i.Creator)
	w.add(i.ID, i.Created, responders.Opened, who, grade)
}

// silent are the types of entries that are understood and say nothing of who answers; what they say of escalations, those
// tell better.
var silent = []string{"actions_shared_in_channel", "action_created", "action_updated", "alert_attached_to_incident", "alert_group_attached_to_incident",
	"alert_group_detached_from_incident", "custom_field_value_update", "escalation_acknowledged", "escalation_created", "external_issue_comment_synced",
	"follow_ups_shared_in_channel", "follow_up_created", "follow_up_updated", "incident_attachment_added", "incident_attachment_removed", "incident_call_ended",
	"incident_call_recall_bot_status_changed", "incident_call_transcript_current_topic_generated", "incident_call_transcript_key_moment_generated",
	"incident_call_transcript_message", "incident_call_transcript_summary_generated", "incident_channel_join", "incident_channel_leave", "incident_escalate",
	"incident_membership_revoked", "incident_rename", "incident_timestamp_occurred", "incident_timestamp_set", "incident_type_changed", "incident_visibility_changed",
	"investigation_hypothesis_update", "microsoft_teams_announcement_reply", "microsoft_teams_image", "microsoft_teams_message", "microsoft_teams_pinned_channel_message",
	"pagerduty_incident_acknowledged", "pagerduty_incident_resolved", "pagerduty_incident_triggered", "scribe_added", "scribe_removed", "scrub", "slack_image",
	"slack_infer_sentry", "slack_message", "slack_pin", "summary_update", "user_intent_declared", "workflow_ran"}

// entry tells of one entry of an incident's log.
func (w *walk) entry(x activity, i incident) {
	switch x.Type {
	case "role_update":
		w.role(x)
	case "incident_update":
		w.change(x, x.Content.Update)
	case "status_change":
		w.change(x, x.Content.Status)
	case "incident_channel_created":
		w.add(x.ID, x.Occurred, responders.RoomOpened, system, "A", text(i.Channel))
	case "incident_call_started":
		w.add(x.ID, x.Occurred, responders.BridgeOpened, system, "A")
	case "call_url_changed", "incident_call_created":
		w.add(x.ID, x.Occurred, responders.BridgeOpened, system, "B") // a place for a call; nobody need be in it
	case "incident_call_participants_updated":
		w.add(x.ID, x.Occurred, responders.Noted, system, "A", text("who is in the call has changed"))
	case "status_page_incident_linked", "status_page_incident_updated", "atlassian_statuspage_update":
		w.add(x.ID, x.Occurred, responders.Told, system, "B", text("the status page"))
	case "postmortem_changed", "postmortem_document_v2_changed":
		w.add(x.ID, x.Occurred, responders.Filed, system, "B", text(i.PostMortem))
	case "handover":
		w.add(x.ID, x.Occurred, responders.Noted, system, "A", text("handed over"))
	case "incident_merged":
		w.add(x.ID, x.Occurred, responders.Noted, system, "A", text("merged with another"))
	default:
		if !slices.Contains(silent, x.Type) {
			w.add(x.ID, x.Occurred, responders.Noted, system, "A", text(fmt.Sprintf("an entry of type %q, which is not understood", clip(x.Type))))
			w.gap(x.Occurred, "has an entry of type %q, which is not understood", clip(x.Type))
		}
	}
}

// role tells of who was given a role. Who took it has joined; who was given it by others may not know yet.
func (w *walk) role(x activity) {
	r := x.Content.Role
	switch {
	case r == nil:
		w.gap(x.Occurred, "does not say whose role was changed")
	case r.New == nil || r.New.ID == "":
		w.add(x.ID, x.Occurred, responders.Noted, system, "A", text("nobody is "+r.Role.Name+" any more"))
	default:
		grade := "B"
		if u := r.Updater.User; u != nil && u.ID == r.New.ID {
			grade = "A"
		}
		w.add(x.ID, x.Occurred, responders.Joined, w.user(*r.New), grade, text(r.Role.Name))
	}
}

// change tells of an update, or of a status that was set without one.
func (w *walk) change(x activity, c *change) {
	if c == nil {
		w.gap(x.Occurred, "does not say what was changed")
		return
	}
	who, grade := w.by(c.Updater)
	said := c.Message
	if said == "" {
		said = "status: " + clip(c.New.Category)
	}
	w.add(x.ID, x.Occurred, responders.Noted, who, grade, text(said))
	if c.New.over() && !c.Old.over() {
		w.add(x.ID, x.Occurred, responders.Resolved, who, grade)
	}
}

// paged tells of an escalation. The API does not say which level of its path an event belongs to: the first to be notified
// are level 1, and when others are, that may be the next level, or not.
func (w *walk) paged(e escalation) {
	w.add(e.ID, e.Created, responders.Opened, system, "A")
	level := map[string]int{}
	for _, x := range e.Events {
		switch x.Event {
		case "triggered", "entered_grace_period", "notified_channels", "expired", "cancelled":
			w.add(x.ID, x.Occurred, responders.Noted, system, "A", text("escalation "+strings.ReplaceAll(x.Event, "_", " ")))
		case "notified_users":
			w.notified(x.ID, x.Occurred, x.Users, level, e.Path)
		case "acked":
			if len(x.Users) == 0 {
				w.gap(x.Occurred, "was acknowledged, and by whom is not told")
			}
			for n, u := range x.Users {
				w.add(fmt.Sprintf("%s %d", x.ID, n), x.Occurred, responders.Acknowledged, w.user(u), "B", func(v *responders.Event) { v.Level = level[u.ID] })
			}
		case "resolved":
			w.add(x.ID, x.Occurred, responders.Resolved, responders.Actor{Kind: responders.UnknownKind}, "B")
		default:
			w.add(x.ID, x.Occurred, responders.Noted, system, "A", text(fmt.Sprintf("escalation event %q, which is not understood", clip(x.Event))))
			w.gap(x.Occurred, "has an event %q, which is not understood", clip(x.Event))
		}
	}
}

// notified tells of people who were notified. level is where each of them is.
func (w *walk) notified(id string, at time.Time, users []person, level map[string]int, path string) {
	first := len(level) == 0
	var ids, fresh []string
	for _, u := range users {
		w.names.Note(u.ID, u.Name)
		ids = append(ids, u.ID)
		if _, known := level[u.ID]; known {
			continue
		}
		fresh = append(fresh, u.ID)
		level[u.ID] = 0
		if first {
			level[u.ID] = 1
		}
	}
	of := 0
	if len(ids) > 0 {
		of = level[ids[0]]
	}
	w.add(id, at, responders.Notified, system, "A", func(e *responders.Event) {
		e.Targets, e.Level, e.Delivered, e.Team = ids, of, "unknown", path
	})
	if !first && len(fresh) > 0 {
		w.add(id, at, responders.Escalated, responders.Actor{ID: "policy", Kind: responders.Timeout}, "B", func(e *responders.Event) { e.Targets, e.Team = fresh, path })
		w.gap(at, "was passed on to others, and to which level is not told")
	}
}

// clip bounds a word that incident.io gave.
func clip(word string) string {
	if len(word) > 60 {
		return strings.ToValidUTF8(word[:60], "") + "…"
	}
	return word
}
