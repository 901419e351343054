//go:build !linux

package dns

import (
	"context"
	"errors"

	"gameday/faults"
)

var errNeedsLinux = errors.New("dns_outage needs Linux: it stands on nftables")

func bind(plan) (faults.Injection, error) { return nil, errNeedsLinux }

func revert(context.Context, faults.Entry) error { return errNeedsLinux }
