//go:build !linux

package network

import (
	"context"
	"errors"

	"gameday/faults"
)

var errNeedsLinux = errors.New("network faults need Linux: they stand on nftables and traffic control")

func bind(plan) (faults.Injection, error) { return nil, errNeedsLinux }

func revert(context.Context, faults.Entry) error { return errNeedsLinux }

func newShape(selection, shaping) (faults.Injection, error) { return nil, errNeedsLinux }

func revertShape(context.Context, faults.Entry) error { return errNeedsLinux }
