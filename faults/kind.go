// Package faults says what a fault is: a Kind describes one sort of disturbance, a Config its parameters, an
// Injection its application to one Place, and an Entry in the Ledger what must be undone if everything else dies.
//
// The package and its kinds use the standard library and system calls only. Kinds never log, print or read a clock they
// were not given: they return values, and the guard and the conductor record them.
package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Kind is one sort of fault, such as network_partition. Kinds are listed by hand in faults/kinds.
type Kind struct {
	Name    string // as written in a scenario: "network_partition"
	Summary string // one line, shown by `gameday kinds`
	// Needs says which part of a Place the kind works on.
	Needs Need
	// Between says that the kind may stand between two targets (`between = [a, b]`), each cut from the other.
	Between bool
	// Undoing is the sentence that plan prints: how the fault goes away, or that it cannot be undone.
	Undoing string
	// Reversible is false for a fault that has no undo (a kill): somebody else must bring the target back.
	Reversible bool
	// New returns a pointer to a struct with hcl and json tags.
	New func() Config
	// Revert removes the fault described by a ledger entry: alone, in a fresh process, twice in a row, on a half-applied
	// fault. It removes only what the entry's run added and verifies that it is gone. Nil when the kind is not Reversible.
	Revert func(ctx context.Context, e Entry) error
	// RevertInCluster is Revert for an entry whose place is in a Kubernetes cluster, where also a fault without an undo leaves an
	// object behind that must go. Nil in a program that does not speak to clusters: the entry is left alone then.
	RevertInCluster func(ctx context.Context, e Entry) error
}

// Need names the part of a Place that a kind works on.
type Need string

// The parts of a place.
const (
	NeedProcess Need = "process"
	NeedNetwork Need = "network"
	NeedNode    Need = "node"
	// NeedMachine is the machine that the guard stands on: every place has one.
	NeedMachine Need = "machine"
	// NeedPod is a pod of a Kubernetes cluster, for what no other place can have done to it.
	NeedPod Need = "pod"
	// NeedCluster is the Kubernetes cluster itself: a fault that needs it says by itself where it lands, and has no target.
	NeedCluster Need = "cluster"
)

// Config holds the parameters of one fault, decoded from the scenario or from JSON.
type Config interface {
	// Validate reports every mistake that can be seen without a target, joined, each a *FieldError.
	Validate() error
	// Bind computes the injection for one place and touches nothing.
	Bind(p Place) (Injection, error)
}

// FileReader is implemented by configs whose settings name files. Whoever decodes a scenario calls it before Validate, so that
// the config carries what they hold to wherever the fault is injected.
type FileReader interface {
	// ReadFiles reads the files with read, which takes paths as they are written and looks in the scenario's folder. Its error
	// is as Validate's.
	ReadFiles(read func(path string) ([]byte, error)) error
}

// Injection is one application of a fault to one place. Its methods are called by one goroutine of the guard, in this
// order: Undo, Inject, Effect, then Renew as often as needed; Kind.Revert ends it.
type Injection interface {
	// Undo reads the present state and returns what restores it. It is written to the ledger before Inject is called.
	Undo(ctx context.Context) (json.RawMessage, error)
	// Inject applies the fault, which may stand for at most lease without being renewed.
	Inject(ctx context.Context, lease time.Duration) error
	// Effect waits until the fault is proven to have taken effect and returns the evidence; it gives up when ctx ends
	// and then returns an Effect with Proven false and what was seen.
	Effect(ctx context.Context) (Effect, error)
}

// Renewer is implemented by injections that must be told of each new lease: because the kernel, or a process of their
// own, lets go of the fault without.
type Renewer interface {
	// Renew lets the fault stand for another lease from now. It returns ErrLapsed when the fault is gone already, and
	// does not bring it back.
	Renew(ctx context.Context, lease time.Duration) error
}

// Checker is implemented by injections that can tell beforehand that a place lacks what they need: a capability, a part
// of the kernel, a program. Check touches nothing that outlives the call, and names what is missing and what to do.
type Checker interface {
	Check(ctx context.Context) error
}

// Watcher is implemented by injections that come to an end by themselves (a node that boots again), and by those that can
// tell when their fault is gone before its time (a paused process that was killed).
type Watcher interface {
	// Watch blocks until the fault is over by itself, and returns the evidence of that. When the fault is gone although it
	// should not be, it returns an error that wraps or says it is ErrLapsed. It runs beside the other methods.
	Watch(ctx context.Context) (Effect, error)
}

// Previewer is implemented by configs that can say more for plan than their kind's summary.
type Previewer interface {
	// Preview returns one line for a place, such as "SIGKILL to pid 4127".
	Preview(p Place) string
}

// SelfEnding is implemented by configs of reversible kinds that come to an end by themselves, so that a scenario gives
// them no duration.
type SelfEnding interface {
	// Ends returns how long the fault lasts.
	Ends() time.Duration
}

// Overdue is implemented by SelfEnding configs whose faults may take longer than planned to come to their end.
type Overdue interface {
	// Overdue returns by how much.
	Overdue() time.Duration
}

// Final is implemented by configs of reversible kinds that may say of one fault that it has no undo.
type Final interface {
	// Final reports whether this fault cannot be undone.
	Final() bool
}

// Patient is implemented by configs whose faults may take longer to inject, or to prove, than a moment.
type Patient interface {
	// Patience returns how long injecting may take, and how long its proof after that.
	Patience() (inject, proof time.Duration)
}

// notUndoable is what plan prints of a fault without an undo.
const notUndoable = "cannot be undone: must recover by itself"

// For returns the kind as it is with these parameters: one of a fault that cannot be undone is not Reversible.
func (k Kind) For(c Config) Kind {
	if f, may := c.(Final); may && f.Final() {
		k.Reversible, k.Revert, k.Undoing = false, nil, notUndoable
	}
	return k
}

// Effect is the evidence that a fault does something.
type Effect struct {
	Proven  bool              `json:"proven"`
	Summary string            `json:"summary"`           // "214 packets dropped"
	Details map[string]string `json:"details,omitempty"` // "boot_id": "…"
}

// UnseenDetail is the detail of an effect that says for how long, as a duration such as "31s", nobody could look before it was seen.
const UnseenDetail = "unseen"

// ErrLapsed says that the kernel let go of a fault before it was renewed.
var ErrLapsed = errors.New("the lease ran out and the kernel let go of the fault")

// ErrForeign says that somebody else's state is in the way; the fault was not injected and nothing was touched.
var ErrForeign = errors.New("state that is not ours is in the way")

// FieldError is a mistake in one field of a Config. The scenarios package maps Field, which is the hcl tag's name, to
// the attribute's place in the file.
type FieldError struct {
	Field   string
	Summary string // "Invalid duration"
	Detail  string // whole sentences: cause and next step
}

// Error returns the field, the summary and the detail.
func (e *FieldError) Error() string {
	return fmt.Sprintf("%s: %s: %s", e.Field, e.Summary, e.Detail)
}
