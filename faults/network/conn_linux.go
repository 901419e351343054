package network

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"

	"gameday/faults"
)

// netlinkPace is the longest wait for one answer of the kernel.
const netlinkPace = 10 * time.Second

// inNamespace calls f with a connection to the namespace's kernel, which is closed when f returns. All requests of f share
// one socket: to make one costs more than most requests, for a thread has to go into the namespace and come back.
func inNamespace(ctx context.Context, n faults.Namespace, f func(*nftables.Conn, *os.File) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ns, err := openNamespace(n)
	if err != nil {
		return err
	}
	defer ns.Close()
	end := latest(ctx)
	c, err := nftables.New(nftables.AsLasting(), nftables.WithNetNSFd(int(ns.Fd())),
		nftables.WithSockOptions(func(s *netlink.Conn) error { return s.SetDeadline(end) }))
	if err != nil {
		return named(fmt.Errorf("opening netlink: %w", err))
	}
	defer c.CloseLasting()
	return named(f(c, ns))
}

// latest is when a conversation with the kernel must be over.
func latest(ctx context.Context) time.Time {
	end := time.Now().Add(netlinkPace)
	if d, limited := ctx.Deadline(); limited && d.Before(end) {
		return d
	}
	return end
}

// named adds to a refusal which capability is missing.
func named(err error) error {
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%w; the guard needs CAP_NET_ADMIN in the target's network namespace: run it as root there", err)
	}
	return err
}
