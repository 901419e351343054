package pagerduty

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"gameday/clock"
	"gameday/responders"
	"gameday/responders/internal/page"
	"gameday/sources/hook"
)

// mostPosted bounds what is kept of what was posted.
const mostPosted = 10_000

// posted is what a webhook subscription told. It is kept until the incident's log tells the same.
type posted struct {
	known  map[string]bool // ids of events
	events []posting
	fresh  []posting // that Watch has not looked for in the logs
}

// posting is one event of a webhook.
type posting struct {
	id       string
	incident string
	kind     responders.Kind
	at       time.Time // in PagerDuty's clock, to the millisecond
	agent    reference
	text     string
	received time.Time
}

// kindsPosted are the types of events that say what an entry of a log does.
var kindsPosted = map[string]responders.Kind{
	"incident.triggered":               responders.Opened,
	"incident.acknowledged":            responders.Acknowledged,
	"incident.unacknowledged":          responders.Unacknowledged,
	"incident.escalated":               responders.Escalated,
	"incident.resolved":                responders.Resolved,
	"incident.annotated":               responders.Noted,
	"incident.status_update_published": responders.Told,
	"incident.responder.replied":       responders.Joined,
}

// payload is a webhook of version 3.
type payload struct {
	Event struct {
		ID       string    `json:"id"`
		Type     string    `json:"event_type"`
		Occurred time.Time `json:"occurred_at"`
		Agent    reference `json:"agent"`
		Data     struct {
			ID       string    `json:"id"`
			Type     string    `json:"type"`
			Incident reference `json:"incident"`
			Service  reference `json:"service"`
			User     reference `json:"user"`
			State    string    `json:"state"`
			Content  string    `json:"content"`
			Message  string    `json:"message"`
		} `json:"data"`
	} `json:"event"`
}

// signed reports whether a body is signed with the subscription's secret: X-PagerDuty-Signature: v1=…,v1=….
func (s *Source) signed(h http.Header, body []byte) bool {
	var signatures []string
	for _, value := range h.Values("X-PagerDuty-Signature") {
		for one := range strings.SplitSeq(value, ",") {
			if signature, ok := strings.CutPrefix(strings.TrimSpace(one), "v1="); ok {
				signatures = append(signatures, signature)
			}
		}
	}
	return hook.HMAC(s.secret, signatures, body)
}

// take reads one posting.
func (s *Source) take(body []byte, _ http.Header, received time.Time) error {
	var p payload
	if err := json.Unmarshal(body, &p); err != nil {
		return fmt.Errorf("this is no webhook of version 3: %w", err)
	}
	e := p.Event
	if e.ID == "" || e.Type == "" || e.Occurred.IsZero() {
		return errors.New("this is no webhook of version 3: the event has no id, no event_type or no occurred_at")
	}
	kind, ok := kindsPosted[e.Type]
	one := posting{id: e.ID, kind: kind, at: e.Occurred, agent: e.Agent, incident: e.Data.Incident.ID, received: received}
	switch e.Data.Type {
	case "incident":
		one.incident = e.Data.ID
	case "incident_note":
		one.text = e.Data.Content
	case "incident_status_update":
		one.text = e.Data.Message
	case "incident_responder":
		one.agent = e.Data.User
		ok = ok && e.Data.State == "joined"
	}
	if e.Data.Service.ID != "" && len(s.services) > 0 && !slices.Contains(s.services, e.Data.Service.ID) {
		return nil // another service's
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.posted.known == nil {
		s.posted.known = map[string]bool{}
	}
	switch {
	case s.posted.known[e.ID]:
		return nil // it is delivered at least once
	case len(s.posted.known) >= mostPosted:
		return nil // its incident's log tells it all the same
	}
	s.posted.known[e.ID] = true
	if ok && one.incident != "" {
		s.posted.events = append(s.posted.events, one)
		s.posted.fresh = append(s.posted.fresh, one)
	}
	select {
	case s.nudge <- struct{}{}:
	default: // a look is due already
	}
	return nil
}

// same reports whether an entry of a log is what was posted. Agents that are no users are named differently in the two.
func (p posting) same(e responders.Event, offset clock.Offset) bool {
	at := offset.Ours(p.at, time.Millisecond)
	return e.Page == p.incident && e.Kind == p.kind && (!isUser(p.agent) || e.Actor.ID == p.agent.ID) &&
		!at.Hi.Before(e.At.Lo.Add(-time.Second)) && !at.Lo.After(e.At.Hi.Add(time.Second))
}

// sharpen gives events the times that were posted, which are finer than those of the log.
func (s *Source) sharpen(events []responders.Event, offset clock.Offset) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range events {
		for _, p := range s.posted.events {
			if at := offset.Ours(p.at.Local(), time.Millisecond); p.same(events[i], offset) && at.Lo.Before(events[i].At.Hi) && !at.Hi.Before(events[i].At.Lo) &&
				at.Hi.Sub(at.Lo) < events[i].At.Hi.Sub(events[i].At.Lo) {
				events[i].At = at
			}
		}
	}
}

// unmatched returns what was posted and no log tells: it happened all the same. Nobody knows its channel, so that a user did
// it does not say that a person did; and so each is a gap as well.
func (s *Source) unmatched(offset clock.Offset, events []responders.Event) (more []responders.Event, unsure []gap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.posted.events {
		if !slices.ContainsFunc(events, func(e responders.Event) bool { return p.same(e, offset) }) {
			e := s.event(p, offset)
			more = append(more, e)
			unsure = append(unsure, gap{e.At, fmt.Sprintf("a webhook told that page %s was %s, and its log does not", p.incident, p.kind)})
		}
	}
	return more, unsure
}

// event makes an event of a posting. s.mu is held.
func (s *Source) event(p posting, offset clock.Offset) responders.Event {
	actor := responders.Actor{ID: p.agent.ID, Kind: responders.UnknownKind}
	switch {
	case p.agent.ID == "":
		actor = responders.Actor{ID: "policy", Kind: responders.Timeout}
	case s.automatic(p.agent) || strings.HasPrefix(p.agent.Type, "bot"):
		actor.Kind = responders.Bot
	case !isUser(p.agent):
		actor.Kind = responders.Integration
	}
	return responders.Event{Source: s.name, ID: "webhook " + p.id, Page: p.incident, Labels: s.labels[p.incident], Kind: p.kind,
		At: offset.Ours(p.at.Local(), time.Millisecond), Actor: actor, Text: page.Names{}.Clean(p.text), Grade: "B"}
}
