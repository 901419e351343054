// Package announce says what people are told of game days: which messages there are, to whom each goes, in which words, in what
// form each kind of channel takes them, and what nobody may learn of a blind game day before it is over.
//
// The package is pure: it reads no clock, no environment and no file, and sends nothing. Package announce/told keeps on disk what
// is to be told and what was, package announce/deliver sends it. Package scenarios decodes channels from a calendar.
//
// Of a blind game day, a channel that is not for facilitators is told the hours in which it lies and nothing else, until it is
// over: no schedule, scenario, target, alarm or moment, nothing at all when it begins, and that it was skipped only when its hours
// have closed. When it is told what, and in which words, is the same whatever moment was drawn.
package announce

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"
)

// Event is what a message is about.
type Event string

// The events. A channel's `on` names some of them; Test is sent on request alone.
const (
	Coming     Event = "coming"     // a game day is ahead
	Begun      Event = "begun"      // it begins now
	Skipped    Event = "skipped"    // it does not take place, and why
	Missed     Event = "missed"     // nobody began it while it could begin, or it is made up for now
	Ended      Event = "ended"      // it is over, however it ended: with its results
	Aborted    Event = "aborted"    // it was stopped before its planned end
	Residue    Event = "residue"    // a fault is left standing
	Unfinished Event = "unfinished" // whoever ran it died
	Rehearsal  Event = "rehearsal"  // a rehearsal is go, no-go, or not yet known
	Stale      Event = "stale"      // a scenario has not passed for too long
	Test       Event = "test"
)

// Events are those that a channel can ask for, in the order in which pages list them.
var Events = []Event{Coming, Begun, Skipped, Missed, Ended, Aborted, Residue, Unfinished, Rehearsal, Stale}

// Audience is who reads a channel.
type Audience string

// The audiences.
const (
	Everyone     Audience = "everyone"
	Facilitators Audience = "facilitators" // they know what is broken, and when
)

// Kind is how a channel is reached.
type Kind string

// The kinds.
const (
	Slack      Kind = "slack"      // an incoming webhook of Slack, or of what speaks like it
	Mattermost Kind = "mattermost" // an incoming webhook of Mattermost
	Teams      Kind = "teams"      // a workflow of Microsoft Teams that begins with a webhook
	Email      Kind = "email"      // SMTP
	Webhook    Kind = "webhook"    // documented JSON, signed
)

// Kinds are all kinds, in the order in which pages list them.
var Kinds = []Kind{Slack, Mattermost, Teams, Email, Webhook}

// Secret says where a secret is: in a variable of the environment, or in a file. Text stands for itself, and is no secret. At most
// one of them is set.
type Secret struct{ Env, File, Text string }

// Given reports whether anything is set.
func (s Secret) Given() bool { return s != Secret{} }

// Where names the place of a secret for people: "$SLACK_URL", or a path.
func (s Secret) Where() string {
	if s.Env != "" {
		return "$" + s.Env
	}
	return s.File
}

// Mail is what a channel of kind Email needs.
type Mail struct {
	Server     string // host and port
	From       string
	Recipients []string
	Username   string
	TLS        MailTLS
}

// MailTLS is how a mail server's connection is kept from others.
type MailTLS string

// The ways.
const (
	StartTLS MailTLS = "starttls" // it begins in the clear, and nothing is said before it is encrypted
	Implicit MailTLS = "implicit" // it is encrypted from the beginning
	NoTLS    MailTLS = "none"     // to this machine alone
)

// DefaultAhead is how long ahead of its hours a game day is announced when nothing else is said.
const DefaultAhead = 24 * time.Hour

// Channel is one place where people are told. It is never changed once made.
type Channel struct {
	Kind Kind
	Name string
	// Scope is the schedule or rehearsal that has the channel for itself; empty for one of the whole calendar.
	Scope string
	On    []Event
	To    Audience
	Ahead time.Duration // how long before the hours Coming is told
	// StaleAfter is how long ago a scenario may last have passed; 0 has no limit.
	StaleAfter time.Duration
	// Link is where a browser shows game days, without a slash at its end; empty is nowhere.
	Link string

	Address Secret // of the webhook; its text stands alone only where it is no secret
	Secret  Secret // the password of a mail server, or the key of a webhook's signatures
	CAFile  string // certificates that are trusted beside the system's
	Mail    Mail
}

// ID names the channel within its calendar: "slack.sre", or "weekly.slack.sre".
func (c *Channel) ID() string {
	id := string(c.Kind) + "." + c.Name
	if c.Scope != "" {
		return c.Scope + "." + id
	}
	return id
}

// wants reports whether the channel asks for one of some events.
func (c *Channel) wants(events ...Event) bool {
	return slices.ContainsFunc(events, func(e Event) bool { return slices.Contains(c.On, e) })
}

// Message is what one channel is told.
type Message struct {
	// ID is the same for each try to tell the same thing, so that a receiver can know a repeat.
	ID    string   `json:"id"`
	Event Event    `json:"event"`
	Title string   `json:"title"`
	Lines []string `json:"lines,omitempty"`
	Link  string   `json:"link,omitempty"`
	Facts *Facts   `json:"facts,omitempty"`
}

// Facts are what a program may want to know, as a webhook has it.
type Facts struct {
	Opens     *time.Time `json:"opens,omitempty"`
	Closes    *time.Time `json:"closes,omitempty"`
	TimeZone  string     `json:"time_zone,omitempty"`
	Schedule  string     `json:"schedule,omitempty"`
	Occasion  string     `json:"occasion,omitempty"`
	Moment    *time.Time `json:"moment,omitempty"`
	Scenarios []string   `json:"scenarios,omitempty"`
	Why       string     `json:"why,omitempty"`
	Results   []Result   `json:"results,omitempty"`
	Rehearsal string     `json:"rehearsal,omitempty"`
	State     string     `json:"state,omitempty"` // of a rehearsal: "go", "no-go", "not yet known"
}

// Draft is a message that is to be told.
type Draft struct {
	// Key is the same whenever the same thing is to be told by the same channel, and names a file.
	Key     string  `json:"key"`
	Channel string  `json:"channel"` // its ID
	Message Message `json:"message"`
	// NotBefore is when it may be told, and Expires after which it is of no use any more; zero is at any time.
	NotBefore time.Time `json:"not_before,omitzero"`
	Expires   time.Time `json:"expires,omitzero"`
	// Watch names a run, as Day.Run does: the message is told only when that is over, and who would have told of its end is gone.
	Watch string `json:"watch,omitempty"`
	// Unless is the key of another message: where that is kept, this one is of no use.
	Unless string `json:"unless,omitempty"`
}

// draft makes a message one for a channel. What is told is known by about; a blind one must not have more in it than what is said.
func (c *Channel) draft(m Message, about ...string) Draft {
	id := c.ID()
	parts := strings.Join(append([]string{id, string(m.Event)}, about...), "\x00")
	sum := sha256.Sum256([]byte(parts))
	m.ID = hex.EncodeToString(sum[:12])
	m.tidy()
	return Draft{Key: string(m.Event) + "-" + id + "-" + m.ID, Channel: id, Message: m}
}

// Outcome is what became of one or several tries to tell a message. Its texts have no secrets.
type Outcome struct {
	Err   error         // nil when the server has taken it
	Text  string        // what the server answered
	Tries int           // how often it was sent
	Final bool          // of an error: another try would end the same
	After time.Duration // of an error: how long the server asks to wait
}
