//go:build !linux

package process

import (
	"context"

	"gameday/faults"
)

func newPause(faults.Process, string, bool) (faults.Injection, error) { return nil, errPauseNeedsLinux }

func continueAll(context.Context, []faults.Process) error { return errPauseNeedsLinux }

func (f *frozen) release(context.Context, faults.Owner) error { return errPauseNeedsLinux }
