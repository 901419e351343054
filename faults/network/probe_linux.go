package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"gameday/faults"
)

// Pace of the look for an effect.
const (
	lookStep    = 50 * time.Millisecond
	probeLimit  = 4  // ranges that are probed
	probeRounds = 20 // rounds of probes at most, so that they stay harmless
)

// lookUntilProven asks for the effect until it is proven or ctx ends.
func lookUntilProven(ctx context.Context, look func(context.Context) (faults.Effect, error)) (faults.Effect, error) {
	t := time.NewTicker(lookStep)
	defer t.Stop()
	var last faults.Effect
	for {
		e, err := look(ctx)
		switch {
		case err != nil && over(ctx):
			return last, nil
		case err != nil || e.Proven:
			return e, err
		}
		last = e
		select {
		case <-ctx.Done():
			return e, nil
		case <-t.C:
		}
	}
}

// over reports whether a context's time is up. Its deadline is looked at too: a socket's may strike a little sooner than
// the context's timer, and the nftables library hides some of the errors that come of it.
func over(ctx context.Context) bool {
	end, limited := ctx.Deadline()
	return ctx.Err() != nil || limited && !time.Now().Before(end)
}

// discard is the port of RFC 863, to which anything may be sent.
const discard = 9

// probe sends one empty datagram each to the first ranges. In a cut that works the kernel refuses it (EPERM).
func (s *selection) probe() error {
	_, err := s.probeCut()
	return err
}

// probeCut is probe, and returns how many datagrams the kernel refused.
func (s *selection) probeCut() (refused uint64, err error) {
	port := uint16(discard)
	if len(s.ports) > 0 {
		port = s.ports[0]
	}
	var errs []error
	for _, r := range s.ranges[:min(len(s.ranges), probeLimit)] {
		for _, to := range r.probeTargets(s.place.Addresses) {
			switch err := sendEmpty(netip.AddrPortFrom(to, port)); {
			case errors.Is(err, unix.EPERM):
				refused++
			case err != nil:
				errs = append(errs, fmt.Errorf("%v: %w", to, err))
			}
		}
	}
	return refused, errors.Join(errs...)
}

func sendEmpty(to netip.AddrPort) error {
	family, address := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()})
	if to.Addr().Is4() {
		family, address = unix.AF_INET, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendto(fd, nil, 0, address)
}
