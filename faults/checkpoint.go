package faults

import "context"

// Checkpoint names an instant in the life of an injection at which its guard may be killed, or everything stop. The
// kill matrix does just that at each of them, and then looks what is left.
type Checkpoint string

// The checkpoints, in order. A kind calls Reach for MidInject and MidRevert, where its work is half done; the guard does
// for the others.
const (
	BeforeEntry Checkpoint = "before_entry" // the undo is known, the ledger does not have it
	AfterEntry  Checkpoint = "after_entry"  // the ledger has it, nothing is injected
	MidInject   Checkpoint = "mid_inject"   // a part of the fault is applied
	Stands      Checkpoint = "standing"     // injected and proven, or about to be
	MidRevert   Checkpoint = "mid_revert"   // a part of the fault is gone
	BeforeClose Checkpoint = "before_close" // all of it is gone, the ledger still has the entry
)

// Checkpoints lists all of them, in order.
func Checkpoints() []Checkpoint {
	return []Checkpoint{BeforeEntry, AfterEntry, MidInject, Stands, MidRevert, BeforeClose}
}

type reachKey struct{}

// WithReach returns a context with which Reach calls reach. Outside of tests nobody sets one.
func WithReach(ctx context.Context, reach func(Checkpoint)) context.Context {
	return context.WithValue(ctx, reachKey{}, reach)
}

// Reach tells whoever wants to know that an injection has come to a checkpoint. A kind whose Inject or Revert takes more
// than one step calls it between two of them; it costs nothing otherwise.
func Reach(ctx context.Context, at Checkpoint) {
	if reach, ok := ctx.Value(reachKey{}).(func(Checkpoint)); ok {
		reach(at)
	}
}
