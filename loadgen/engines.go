package loadgen

import (
	"context"
	"fmt"
)

// Engines sends streams with a script by one engine, and streams of flows by another.
type Engines struct {
	Scripts, Flows Generator
}

var _ Generator = Engines{}

func (e Engines) of(spec Spec) Generator {
	if spec.Script == "" {
		return e.Flows
	}
	return e.Scripts
}

// Check lets the stream's engine check it.
func (e Engines) Check(ctx context.Context, spec Spec) []Problem { return e.of(spec).Check(ctx, spec) }

// Run lets the stream's engine run it.
func (e Engines) Run(ctx context.Context, spec Spec, emit func(Window)) error {
	return e.of(spec).Run(ctx, spec, emit)
}

// Pack lets the stream's engine pack it.
func (e Engines) Pack(ctx context.Context, spec Spec) (Spec, error) {
	p, ok := e.of(spec).(Packer)
	if !ok {
		return spec, fmt.Errorf("packing traffic %q: its engine sends from this machine only", spec.Stream)
	}
	return p.Pack(ctx, spec)
}
