//go:build !linux

package process

import (
	"context"
	"errors"
	"syscall"
	"time"

	"gameday/faults"
)

// killing cannot be made on this system: nothing here names a process for good.
type killing struct {
	process faults.Process
}

func newKilling(faults.Process, string, syscall.Signal) (faults.Injection, error) {
	return nil, errNeedsLinux
}

var errNeedsLinux = errors.New("process_kill needs Linux: only there can a pid be told from its successor")

// Inject fails.
func (k *killing) Inject(context.Context, time.Duration) error { return errNeedsLinux }

// Effect fails.
func (k *killing) Effect(context.Context) (faults.Effect, error) {
	return faults.Effect{}, errNeedsLinux
}
