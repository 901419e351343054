// Package responders reads what people did about a page: who was notified, who acknowledged, whether it was escalated, and
// what else they said and opened.
package responders

import (
	"context"

	"gameday/clock"
)

// Source is a system that pages people.
type Source interface {
	// Preflight checks what can be checked before the first request.
	Preflight(ctx context.Context) ([]Finding, error)
	// Watch emits events as they happen until ctx ends, from one goroutine.
	Watch(ctx context.Context, emit func(Event)) error
	// History returns the events in the span, with the coverage of the span. It is the truth; Watch is only faster.
	History(ctx context.Context, span clock.Span) ([]Event, Coverage, error)
}

// Lasting is implemented by sources that tell the same wherever and whenever they are asked: also after the lab is gone in
// which the run was.
type Lasting interface{ Lasting() }

// Expecter is implemented by sources that must know which alarms' pages matter. Expect is called before the first
// Preflight, with the labels of each. An empty match stands for every page: all are told of, whatever they are about.
type Expecter interface {
	Expect(match []map[string]string)
}

// Roster is implemented by sources that know who is on call. It is asked before the first request, and at each onset.
type Roster interface {
	// OnCall returns who is on call now, for what the source's block names.
	OnCall(ctx context.Context) ([]Duty, error)
}

// Duty is somebody's turn to be paged.
type Duty struct {
	Who   string `json:"who"`             // as in Actor.ID
	Level int    `json:"level"`           // from 1
	Team  string `json:"team,omitempty"`  // the policy, schedule or team it is for
	Until string `json:"until,omitempty"` // as the source gives it
}

// Real is implemented by sources that may page people: it says whether their pages do. Sources of another sort page nobody.
type Real interface {
	RealPages() bool
}

// Finding is one result of a preflight, as in alarms.
type Finding struct {
	Blocks  bool   `json:"blocks"`
	Summary string `json:"summary"`
	Detail  string `json:"detail"`
}

// Kind is what happened to a page.
type Kind string

// The kinds of event. A source that can tells of every page that it was opened: without that, a page which was not watched
// from its beginning may be an old one.
const (
	Opened         Kind = "opened"         // a page exists
	Notified       Kind = "notified"       // somebody was told
	Acknowledged   Kind = "acknowledged"   // somebody said "mine"
	Unacknowledged Kind = "unacknowledged" // and took it back, or it ran out
	Escalated      Kind = "escalated"      // the next level is responsible now
	Marked         Kind = "marked"         // a named mark: "bridge opened"
	Noted          Kind = "noted"          // free text
	Resolved       Kind = "resolved"
)

// What people do beside answering pages. Such an event may be about no page: what happened while the page was open counts.
const (
	Joined        Kind = "joined"         // the actor takes part; Text is the role, where there is one
	RoomOpened    Kind = "room_opened"    // a place to talk in writing, opened for this; Text is its name
	BridgeOpened  Kind = "bridge_opened"  // a call
	Told          Kind = "told"           // customers were told; Text is what
	Diagnosed     Kind = "diagnosed"      // somebody said what is wrong; Text is what
	RunbookOpened Kind = "runbook_opened" // Text is which
	Filed         Kind = "filed"          // a post-mortem; Text is where
)

// Kinds returns all kinds of event.
func Kinds() []Kind {
	return []Kind{Opened, Notified, Acknowledged, Unacknowledged, Escalated, Marked, Noted, Resolved, Joined, RoomOpened, BridgeOpened, Told,
		Diagnosed, RunbookOpened, Filed}
}

// OfPage reports whether an event of this kind is always about a page.
func (k Kind) OfPage() bool {
	switch k {
	case Opened, Notified, Acknowledged, Unacknowledged, Escalated, Resolved:
		return true
	}
	return false
}

// ActorKind tells people from machines.
type ActorKind string

// The kinds of actor.
const (
	Human       ActorKind = "human"
	Bot         ActorKind = "bot"
	Integration ActorKind = "integration"
	Timeout     ActorKind = "timeout" // the policy itself
	UnknownKind ActorKind = "unknown"
)

// Actor is who did it.
type Actor struct {
	ID   string    `json:"id"`
	Kind ActorKind `json:"kind"`
}

// Event is one thing that happened to a page.
type Event struct {
	Source string            `json:"source"` // "desk.ops"
	ID     string            `json:"id"`     // unique in the source: an event that is delivered twice counts once
	Page   string            `json:"page"`   // the page's id
	Labels map[string]string `json:"labels"` // of the alarm that opened the page
	Kind   Kind              `json:"kind"`
	At     clock.Interval    `json:"at"`
	Actor  Actor             `json:"actor"`
	Level  int               `json:"level,omitempty"` // escalation level concerned, from 1
	// Targets are the people notified.
	Targets []string `json:"targets,omitempty"`
	// Delivered is "yes", "no" or "unknown", for Notified.
	Delivered string `json:"delivered,omitempty"`
	Text      string `json:"text,omitempty"` // the mark's name, the note, or what the kind says
	// Channel is how: website, mobile, phone, sms, chat, e-mail, api; empty when nobody knows.
	Channel string `json:"channel,omitempty"`
	// Team is whom the event concerns, as the source names it: a service, an escalation policy, a team.
	Team  string `json:"team,omitempty"`
	Grade string `json:"grade,omitempty"` // A system of record with a human actor … D attestation
}

// Coverage says for which time the source could have seen events.
type Coverage struct {
	Spans  []clock.Span `json:"spans"`
	Why    []string     `json:"why,omitempty"`
	Offset clock.Offset `json:"offset"`
	// Blind names the kinds of event that could not be seen although the rest could, such as Escalated: that none was seen
	// says nothing then.
	Blind []Blind `json:"blind,omitempty"`
}

// Blind is a kind of event that a source could not see for some time, or ever, while it saw the rest.
type Blind struct {
	To    Kind         `json:"to"`
	Spans []clock.Span `json:"spans"`
	Why   string       `json:"why"` // in words: "it does not tell of escalations"
}
