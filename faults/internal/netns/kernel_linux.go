package netns

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// pace is the longest wait for one answer of the kernel.
const pace = 10 * time.Second

// With opens the namespace for f. An error of f for want of permission names the capability that is missing.
func With(ctx context.Context, open Door, f func(ns *os.File) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ns, err := open()
	if err != nil {
		return err
	}
	defer ns.Close()
	if err = f(ns); errors.Is(err, os.ErrPermission) {
		err = fmt.Errorf("%w; %s", err, lacking())
	}
	return err
}

// NFT calls f with a connection to the namespace's nftables, which is closed when f returns. All requests of f share one
// socket: to make one costs more than most requests, for a thread has to go into the namespace and come back.
func NFT(ctx context.Context, open Door, f func(*nftables.Conn, *os.File) error) error {
	return With(ctx, open, func(ns *os.File) error {
		end := Deadline(ctx)
		c, err := nftables.New(nftables.AsLasting(), nftables.WithNetNSFd(int(ns.Fd())),
			nftables.WithSockOptions(func(s *netlink.Conn) error { return s.SetDeadline(end) }))
		if err != nil {
			return fmt.Errorf("opening netlink: %w", err)
		}
		defer c.CloseLasting()
		return f(c, ns)
	})
}

// Deadline is when a conversation with the kernel that begins now must be over.
func Deadline(ctx context.Context) time.Time {
	end := time.Now().Add(pace)
	if d, limited := ctx.Deadline(); limited && d.Before(end) {
		return d
	}
	return end
}

// lacking says which capability a guard that was refused something has not.
func lacking() string {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return "the guard needs CAP_NET_ADMIN and CAP_SYS_ADMIN in the target's network namespace: run it as root there"
	}
	var missing []string
	for _, c := range []struct {
		name string
		bit  uint
	}{{"CAP_NET_ADMIN", unix.CAP_NET_ADMIN}, {"CAP_SYS_ADMIN", unix.CAP_SYS_ADMIN}} {
		if data[c.bit/32].Effective&(1<<(c.bit%32)) == 0 {
			missing = append(missing, c.name)
		}
	}
	if len(missing) == 0 {
		return "the guard has CAP_NET_ADMIN and CAP_SYS_ADMIN, but not in the user namespace that owns the target's " +
			"network: run it as root there"
	}
	return "the guard lacks " + strings.Join(missing, " and ") + ": run it as root, or give it that"
}
