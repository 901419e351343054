//go:build !linux

package stress

import (
	"context"
	"errors"
	"os"

	"gameday/faults"
)

var errNeedsLinux = errors.New("loads need Linux: only there does the kernel end them with their guard")

// RunWorker fails: this system has no workers.
func RunWorker() { os.Exit(1) }

func revert(context.Context, faults.Entry) error { return errNeedsLinux }

func revertLimit(context.Context, faults.Entry) error { return errNeedsLinux }

func (p cpuPlan) bind() (faults.Injection, error) { return nil, errNeedsLinux }

func (p memoryPlan) bind() (faults.Injection, error) { return nil, errNeedsLinux }

func (p diskPlan) bind() (faults.Injection, error) { return nil, errNeedsLinux }

func (p ioPlan) bind() (faults.Injection, error) { return nil, errNeedsLinux }

func (p limitPlan) bind() (faults.Injection, error) { return nil, errNeedsLinux }

func (p portsPlan) bind() (faults.Injection, error) { return nil, errNeedsLinux }
