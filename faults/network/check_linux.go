package network

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"gameday/faults/internal/netns"
)

// checkNetAdmin looks whether the guard may enter the place's network namespace and change it, and says which
// capability it lacks. It asks the kernel to change a qdisc that does not exist.
func checkNetAdmin(ctx context.Context, s *selection) error {
	lacks := func(capability, what string) error {
		return fmt.Errorf("%s on %s: the guard lacks %s, which it needs to %s: run it as root, or give it that capability",
			s.kind, s.place.Name, capability, what)
	}
	err := netns.With(ctx, s.seen.Open, func(ns *os.File) error {
		if err := netns.Within(ns, func() error { return nil }); errors.Is(err, os.ErrPermission) {
			return lacks("CAP_SYS_ADMIN", "enter the network namespace")
		}
		c, err := dialTC(ns)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.SetDeadline(netns.Deadline(ctx)); err != nil {
			return err
		}
		err = c.send(unix.RTM_NEWQDISC, 0, tcObject{link: loopback, parent: tcRoot, handle: handleOf(rootMajor+1, 0)})
		if errors.Is(err, os.ErrPermission) {
			return lacks("CAP_NET_ADMIN", "change the network there")
		}
		return nil // all else says that it may
	})
	if err != nil {
		return fmt.Errorf("checking the network of %s: %w", s.place.Name, err)
	}
	return nil
}

// kernelHas holds the kinds of qdisc with which a trial went well in this process.
var kernelHas sync.Map

// checkKernel tries the tree on the loopback interface of a network namespace made for it, which is gone afterwards. It
// returns which part of the kernel is missing. Where no namespace can be made it returns nil, and Inject will tell.
func checkKernel(ctx context.Context, leaf string, options []byte) error {
	if _, tried := kernelHas.Load(leaf); tried {
		return nil
	}
	ns, err := netns.Scratch()
	if err != nil {
		return nil
	}
	defer ns.Close()
	c, err := dialTC(ns)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(netns.Deadline(ctx)); err != nil {
		return err
	}
	lo, b := shapedLink{Index: loopback, Name: "lo"}, branch{Minor: 1, Quantum: 1 << 16}
	if err := c.growOn(lo, b, leafSpec{class: unlimited, kind: leaf, options: options}); err != nil {
		return err
	}
	kernelHas.Store(leaf, true)
	return nil
}
