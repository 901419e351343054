package network

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"gameday/faults/internal/netns"
)

// treeLock is the name of an abstract Unix socket. Such names belong to one network namespace, a bound one cannot be
// bound again, and the kernel frees it when its process dies: a lock that nobody can leave behind.
const treeLock = "\x00gameday-qdisc-tree"

// Waiting for the lock.
const (
	lockStep = 2 * time.Millisecond
	lockPace = 5 * time.Second
)

// lockTree waits until nobody else changes the namespace's qdisc tree, so that whoever leaves last is sure of it. The
// lock is released by unlock, or when the process ends.
func lockTree(ctx context.Context, ns *os.File) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, lockPace)
	defer cancel()
	tick := time.NewTicker(lockStep)
	defer tick.Stop()
	for {
		fd := -1
		err := netns.Within(ns, func() (err error) {
			fd, err = bindLock()
			return err
		})
		if err == nil {
			return func() { _ = unix.Close(fd) }, nil
		}
		if !errors.Is(err, unix.EADDRINUSE) {
			return nil, fmt.Errorf("locking the qdisc tree: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("locking the qdisc tree: another guard in this network namespace holds the Unix socket "+
				"@%s; if it is stopped, let it go on or end it: %w", treeLock[1:], ctx.Err())
		case <-tick.C:
		}
	}
}

func bindLock() (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: treeLock}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}
