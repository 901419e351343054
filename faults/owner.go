package faults

import (
	"context"
	"time"
)

// Owner names the run, the injection and the fault on whose behalf a kind acts, so that whatever it leaves in a kernel or on a
// disk can be told from the state of others.
type Owner struct {
	Run       string
	Injection string // the ledger's id
	Fault     string // its name in the scenario
	Scenario  string
	// Deadline is how long the fault may stand from its injection, whoever renews it; 0 when nobody says.
	Deadline time.Duration
}

type ownerKey struct{}

// WithOwner returns a context that carries the owner. The guard calls every method of an Injection with one.
func WithOwner(ctx context.Context, o Owner) context.Context {
	return context.WithValue(ctx, ownerKey{}, o)
}

// OwnerOf returns the context's owner, or the zero Owner when it carries none.
func OwnerOf(ctx context.Context) Owner {
	o, _ := ctx.Value(ownerKey{}).(Owner)
	return o
}
