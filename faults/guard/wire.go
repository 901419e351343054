package guard

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gameday/faults"
	"gameday/policy"
)

// Protocol is the version of the language between client and guard. Both ends must speak the same.
const Protocol = 1

// Defaults and limits of requests.
const (
	DefaultEffectTimeout = 5 * time.Second
	maxLine              = 4 << 20 // bytes of one request or message
)

// Errors that a caller may branch on, besides faults.ErrLapsed and faults.ErrForeign.
var (
	// ErrUnproven says that a fault was injected, that no effect was seen in time, and that it was reverted for that.
	ErrUnproven = errors.New("injected, but no effect could be proven")
	// ErrResidue says that a fault could not be reverted and may still stand. Its ledger entry stays.
	ErrResidue = errors.New("the fault could not be reverted and may still stand")
	// ErrUnknown says that the guard holds no fault of that id: it never did, or the fault is gone.
	ErrUnknown = errors.New("the guard holds no such fault")
)

// InjectRequest asks the guard to inject one fault. Durations are nanoseconds on the wire.
type InjectRequest struct {
	ID       string          `json:"id"` // the ledger's id, unique in the ledger
	Run      string          `json:"run"`
	Scenario string          `json:"scenario"`
	Fault    string          `json:"fault"`
	Kind     string          `json:"kind"`
	Config   json.RawMessage `json:"config"`
	Place    faults.Place    `json:"place"`
	// Lease is how long the fault may stand without being renewed. It counts from the reply; until then the guard
	// renews by itself.
	Lease time.Duration `json:"lease"`
	// Deadline is how long the fault may stand from its injection, whoever renews it. It is a duration because the
	// clocks of two machines differ.
	Deadline time.Duration `json:"deadline"`
	// EffectTimeout is how long to wait for the proof of the effect; 0 means DefaultEffectTimeout.
	EffectTimeout time.Duration `json:"effect_timeout,omitempty"`
	// Keep lets the fault stand although its effect could not be proven.
	Keep bool `json:"keep,omitempty"`
	// Claims is what policies ask for and only the client knows.
	Claims policy.Claims `json:"claims,omitzero"`
	// Judge asks only whether a halt or a policy forbids it. See Client.Judge.
	Judge bool `json:"judge,omitempty"`

	// reached says that the guard itself has found out what the place's Radius is.
	reached bool
}

// Injected is the answer to a successful InjectRequest, and with Proven false in Effect part of one that was not.
// The fault took effect after the request was sent, and at the latest Settle+Inject+Proof after the guard read it.
type Injected struct {
	ID     string        `json:"id"`
	Effect faults.Effect `json:"effect"`
	Settle time.Duration `json:"settle"` // to read the present state and write the ledger
	Inject time.Duration `json:"inject"` // to apply the fault
	Proof  time.Duration `json:"proof"`  // from applied to proven
}

// Held is one fault that the guard holds.
type Held struct {
	ID    string `json:"id"`
	Fault string `json:"fault"`
	Kind  string `json:"kind"`
	Place string `json:"place"`
	// Residue says that reverting it failed; the guard tries again.
	Residue bool `json:"residue,omitempty"`
}

// Welcome is the answer to hello.
type Welcome struct {
	Protocol int      `json:"protocol"`
	Version  string   `json:"version"`
	PID      int      `json:"pid"`
	Kinds    []string `json:"kinds"`
	Ledger   string   `json:"ledger"` // folder
	User     string   `json:"user,omitempty"`
	Lacks    []string `json:"lacks,omitempty"` // capabilities that some kinds ask for
}

// EventType says what a guard reports without being asked.
type EventType string

// The events.
const (
	// EventLapsed: the kernel let go of the fault before it was renewed, or the fault is gone before its time for the reason
	// in Why. Its entry is closed.
	EventLapsed EventType = "lapsed"
	// EventOver: the fault came to an end by itself, with the evidence in Effect. Its entry is closed.
	EventOver EventType = "over"
	// EventReverted: the guard reverted the fault of its own accord, for the reason in Why.
	EventReverted EventType = "reverted"
	// EventHalted: as EventReverted, because game days are stopped on this machine.
	EventHalted EventType = "halted"
	// EventResidue: as EventReverted, but it failed, with the error in Why. The guard tries again.
	EventResidue EventType = "residue"
	// EventWaiting: the fault is being reverted, which takes longer than usual for the reason in Why. It stands meanwhile.
	EventWaiting EventType = "waiting"
)

// Event is something that happened to a fault that the guard holds.
type Event struct {
	Type   EventType      `json:"type"`
	ID     string         `json:"id"`
	Why    string         `json:"why,omitempty"`
	Effect *faults.Effect `json:"effect,omitempty"`
}

// op names a request.
type op string

const (
	opHello    op = "hello"
	opInject   op = "inject"
	opCheck    op = "check"
	opRenew    op = "renew"
	opEffect   op = "effect"
	opRevert   op = "revert"
	opList     op = "list"
	opPolicy   op = "policy"
	opFind     op = "find"
	opStanding op = "standing"
	opClean    op = "clean"
)

// request is one line from client to guard.
type request struct {
	Seq     uint64         `json:"seq"`
	Op      op             `json:"op"`
	Inject  *InjectRequest `json:"inject,omitempty"`
	ID      string         `json:"id,omitempty"`      // effect, revert
	IDs     []string       `json:"ids,omitempty"`     // renew, clean
	Lease   time.Duration  `json:"lease,omitempty"`   // renew
	Timeout time.Duration  `json:"timeout,omitempty"` // effect, find
	// Policies are compiled policies to enforce from now on: policy.
	Policies []json.RawMessage `json:"policies,omitempty"`
	Query    json.RawMessage   `json:"query,omitempty"` // find
}

// message is one line from guard to client: the answer to the request with the same seq, or an event with seq 0.
type message struct {
	Seq      uint64                `json:"seq,omitempty"`
	Event    *Event                `json:"event,omitempty"`
	Error    *wireError            `json:"error,omitempty"`
	Welcome  *Welcome              `json:"welcome,omitempty"`
	Injected *Injected             `json:"injected,omitempty"`
	Effect   *faults.Effect        `json:"effect,omitempty"`
	Renewed  map[string]*wireError `json:"renewed,omitempty"` // by id; null where it went well
	Held     []Held                `json:"held,omitempty"`
	Found    json.RawMessage       `json:"found,omitempty"`
	Standing []Standing            `json:"standing,omitempty"`
	Cleaned  []Cleaned             `json:"cleaned,omitempty"`
}

// wireError carries an error and which of the sentinels it wraps.
type wireError struct {
	Text  string   `json:"text"`
	Codes []string `json:"codes,omitempty"`
}

// codes are the sentinels' names on the wire.
var codes = []struct {
	name string
	err  error
}{
	{"lapsed", faults.ErrLapsed},
	{"foreign", faults.ErrForeign},
	{"unproven", ErrUnproven},
	{"residue", ErrResidue},
	{"unknown", ErrUnknown},
	{"forbidden", ErrForbidden},
	{"halted", faults.ErrHalted},
	{"judged", errJudged},
}

func toWire(err error) *wireError {
	if err == nil {
		return nil
	}
	w := &wireError{Text: err.Error()}
	for _, c := range codes {
		if errors.Is(err, c.err) {
			w.Codes = append(w.Codes, c.name)
		}
	}
	return w
}

// Error returns the guard's text.
func (w *wireError) Error() string { return w.Text }

// Unwrap returns the sentinels that the guard's error wrapped, so that errors.Is works on the client's side.
func (w *wireError) Unwrap() []error {
	var errs []error
	for _, c := range codes {
		for _, name := range w.Codes {
			if name == c.name {
				errs = append(errs, c.err)
			}
		}
	}
	return errs
}

// asError avoids the nil pointer that is not a nil error.
func (w *wireError) asError() error {
	if w == nil {
		return nil
	}
	return w
}

// check refuses a request that could stand for ever or carry a path.
func (r *InjectRequest) check(k faults.Kind) error {
	switch {
	case !faults.ValidID(r.ID):
		return fmt.Errorf("%q is not a valid id", r.ID)
	case r.EffectTimeout < 0:
		return fmt.Errorf("the effect timeout %v is negative", r.EffectTimeout)
	case !k.Reversible:
		return nil
	case r.Lease <= 0:
		return fmt.Errorf("a %s needs a lease longer than 0", r.Kind)
	case r.Deadline <= 0:
		return fmt.Errorf("a %s needs a deadline later than its injection", r.Kind)
	}
	return nil
}
