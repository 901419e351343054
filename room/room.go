// Package room is what the people of a game day see of it while it goes on, and what they ask of it. It is made of the record's
// events and nothing else: whoever serves it follows the record, and asks the run by its control socket.
//
// A run that is blind hides its faults until it is over. What those who play may see of it then is Seen, which is made of a list
// of what is allowed: what is not on that list cannot be in it, nor can what later versions record.
package room

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gameday/report"
	"gameday/responders"
)

// Role is what somebody is in a room.
type Role string

// The roles.
const (
	Facilitator Role = "facilitator" // leads the game day, and knows what is to happen
	Responder   Role = "responder"   // plays: answers pages, looks for what is wrong
	Observer    Role = "observer"    // looks on, and does nothing
)

// Roles returns all roles.
func Roles() []Role { return []Role{Facilitator, Responder, Observer} }

// ParseRole returns the role of a name.
func ParseRole(name string) (Role, error) {
	if r := Role(name); slices.Contains(Roles(), r) {
		return r, nil
	}
	return "", fmt.Errorf("there is no role %q; there are facilitator, responder and observer", name)
}

// Request is what somebody in a room asks of the run.
type Request struct {
	Do    string // "hold", "release", "skip", "inject", "stop", "mark", "act"
	By    string // who, see Signed; of an act the person's name alone, by which sources know people
	Name  string // of a mark
	Text  string // of a mark
	Why   string // of a stop
	Fault string // what is to be injected now
	Act   *responders.Action
	File  *report.Attachment // of a mark
}

// ErrUnanswered says that a run was asked, and that nobody knows what became of it.
var ErrUnanswered = errors.New("the run did not answer")

// ErrOver says that a run was asked what only a run in progress can do.
var ErrOver = errors.New("the run is over, or cannot be reached")

// Asker puts a request to the run, and returns its answer in words. It is safe for concurrent use. An error is what the run
// refuses, unless it is ErrUnanswered.
type Asker interface {
	Ask(ctx context.Context, r Request) (string, error)
}

// Channel is how an act is done that is done in a room.
const Channel = "room"

// Signed returns how somebody's marks are signed in the record: with the role in which it was said.
func Signed(name string, r Role) string { return fmt.Sprintf("%s (%s)", name, r) }

// signer returns who signed a mark in a room, and as what; ok is false of marks that came another way.
func signer(by string) (name string, r Role, ok bool) {
	name, rest, found := strings.Cut(by, " (")
	role, closed := strings.CutSuffix(rest, ")")
	return name, Role(role), found && closed && slices.Contains(Roles(), Role(role))
}
