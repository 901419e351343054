//go:build !linux

package command

import (
	"context"
	"errors"

	"gameday/faults"
)

var errNeedsLinux = errors.New("command needs Linux: only there can it end what it started")

func (j job) run(context.Context, chan<- struct{}) (result, error) {
	return result{}, j.wrap(errNeedsLinux)
}

func (j job) spawn(f func()) { go f() }

func (j job) find() error { return j.wrap(errNeedsLinux) }

func sweep(context.Context, string) error { return errNeedsLinux }

func alive(faults.Process) bool { return false }
