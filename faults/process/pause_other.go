//go:build !linux

package process

import (
	"context"
	"errors"

	"gameday/faults"
)

var errPauseNeedsLinux = errors.New("process_pause needs Linux: only there can a pid be told from its successor")

func newPause(faults.Process, string, bool) (faults.Injection, error) { return nil, errPauseNeedsLinux }

func continueAll(context.Context, []faults.Process) error { return errPauseNeedsLinux }

func (f *frozen) release(context.Context, faults.Owner) error { return errPauseNeedsLinux }
