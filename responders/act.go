package responders

import "context"

// Verb is what somebody does about a page.
type Verb string

// The verbs.
const (
	DoAcknowledge Verb = "acknowledge" // "mine"
	DoEscalate    Verb = "escalate"    // to the next level
	DoNote        Verb = "note"        // Text is the note
	DoBridge      Verb = "bridge"      // the mark "bridge opened"; Text, when given, becomes a note
	DoMark        Verb = "mark"        // Text is the mark's name
	DoResolve     Verb = "resolve"
	DoJoin        Verb = "join"      // the actor takes part; Text, when given, is as what
	DoChannel     Verb = "channel"   // a place to talk in writing was opened; Text is its name
	DoRunbook     Verb = "runbook"   // the runbook was opened
	DoCustomers   Verb = "customers" // customers were told; Text is what
	DoDiagnose    Verb = "diagnose"  // Text is what is wrong
)

// Verbs returns all verbs but DoMark, which marks of other names come to.
func Verbs() []Verb {
	return []Verb{DoAcknowledge, DoEscalate, DoNote, DoBridge, DoResolve, DoJoin, DoChannel, DoRunbook, DoCustomers, DoDiagnose}
}

// Action is one thing that somebody does about a page.
type Action struct {
	Page string `json:"page,omitempty"` // id; empty is the newest page that is not resolved
	Verb Verb   `json:"verb"`
	By   string `json:"by"`             // who; must not be empty
	Text string `json:"text,omitempty"` // the note, or the mark's name
	// Channel is how it is done, where that matters: chat, bridge, phone.
	Channel string `json:"channel,omitempty"`
	// Bot says that By is a machine. Nothing can say that a machine is a person.
	Bot bool `json:"bot,omitempty"`
}

// Desk is a source of responses that people can also act on.
type Desk interface {
	// Act carries out an action and names the page that it was done about, as in "page 2 (PaymentsDown)"; or says why it cannot be.
	Act(Action) (string, error)
}

// Server is a source that is told of things: it must be started before it can be.
type Server interface {
	// Start listens until Stop is called, and returns the address.
	Start(ctx context.Context) (address string, err error)
	// Stop ends listening and releases everything; it waits for what is under way.
	Stop() error
}

// WebhookPath is where a Receiver takes Alertmanager webhooks.
const WebhookPath = "/webhook"

// Receiver is a Server that is told of alarms, at WebhookPath, and pages people about them. One that is told what people did is
// none: an alarm would be nothing that it understands.
type Receiver interface {
	Server
	// ReceivesAlarms does nothing: it is what tells a Receiver from a Server.
	ReceivesAlarms()
}
