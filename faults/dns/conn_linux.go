package dns

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

	"gameday/faults"
)

// netlinkPace is the longest wait for one answer of the kernel.
const netlinkPace = 10 * time.Second

// inNamespace calls f with a connection that opens a socket in the namespace for each request and closes it at
// once.
func inNamespace(ctx context.Context, n faults.Namespace, f func(*nftables.Conn, *os.File) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ns, err := openNamespace(n)
	if err != nil {
		return err
	}
	defer ns.Close()
	end, limited := ctx.Deadline()
	if latest := time.Now().Add(netlinkPace); !limited || latest.Before(end) {
		end = latest
	}
	c, err := nftables.New(nftables.WithNetNSFd(int(ns.Fd())),
		nftables.WithSockOptions(func(s *netlink.Conn) error { return s.SetDeadline(end) }))
	if err != nil {
		return fmt.Errorf("opening netlink: %w", err)
	}
	err = f(c, ns)
	if errors.Is(err, os.ErrPermission) {
		err = fmt.Errorf("%w; %s", err, lacking())
	}
	return err
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
