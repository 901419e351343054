package dns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"gameday/faults"
	"gameday/faults/internal/netns"
)

// portTries bounds the search for a port that is free for UDP and TCP.
const portTries = 20

// maxResolvConf is how much of a resolv.conf is read, in bytes.
const maxResolvConf = 64 << 10

// listen opens the sockets that stand in for the resolvers, in the namespace that the calling thread is in. A resolver of
// a family that has no loopback address there cannot be reached from there either: it is left out, and named.
func listen(resolvers []netip.Addr) (list []listener, left []string, err error) {
	lo, err := net.InterfaceByIndex(loopback)
	if err != nil {
		return nil, nil, fmt.Errorf("looking at the loopback interface of the namespace: %w", err)
	}
	if lo.Flags&net.FlagUp == 0 {
		return nil, nil, errors.New("the interface lo is down in the target's network namespace, and queries are led over it: " +
			"set it up with `ip link set lo up`")
	}
	for _, r := range resolvers {
		l, err := listenFor(r)
		switch {
		case err == nil:
			list = append(list, l)
		case r.Is6() && (errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.EAFNOSUPPORT)):
			left = append(left, r.String()+" (no IPv6 here)")
		default:
			return nil, nil, errors.Join(fmt.Errorf("standing in for %v: %w", r, err), closeAll(list))
		}
	}
	if len(list) == 0 {
		return nil, nil, errors.New("no resolver can be stood in for: the namespace has no loopback address")
	}
	return list, left, nil
}

func listenFor(resolver netip.Addr) (listener, error) {
	own := loopbackOf(resolver)
	var config net.ListenConfig
	config.SetMultipathTCP(false) // whose other paths no rule would see
	var err error
	for range portTries {
		var udp net.PacketConn
		udp, err = config.ListenPacket(context.Background(), "udp", netip.AddrPortFrom(own, 0).String())
		if err != nil {
			return listener{}, err
		}
		var tcp net.Listener
		if tcp, err = config.Listen(context.Background(), "tcp", udp.LocalAddr().String()); err == nil {
			return listener{resolver: resolver, udp: udp.(*net.UDPConn), tcp: tcp.(*net.TCPListener)}, nil
		}
		udp.Close()
		if !errors.Is(err, unix.EADDRINUSE) {
			break
		}
	}
	return listener{}, err
}

func closeAll(list []listener) error {
	var errs []error
	for _, l := range list {
		errs = append(errs, l.close())
	}
	return errors.Join(errs...)
}

// dialer returns a dialFunc that connects from inside the namespace, with our mark on every packet. The namespace file
// must stay open meanwhile.
func dialer(ns *os.File) dialFunc {
	d := net.Dialer{KeepAlive: -1, Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		return errors.Join(raw.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, ownMark)
		}), err)
	}}
	d.SetMultipathTCP(false)
	return func(ctx context.Context, network string, to netip.AddrPort) (c net.Conn, err error) {
		err = netns.Within(ns, func() error {
			c, err = d.DialContext(ctx, network, to.String())
			return err
		})
		return c, err
	}
}

// ownResolvers returns the name servers in the resolv.conf that the place's process sees.
func ownResolvers(place faults.Place) (servers []netip.Addr, odd []string, err error) {
	pid := place.Network.PID
	if place.Process != nil {
		pid = place.Process.PID
	}
	text, err := processResolvConf(pid, *place.Network)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the resolv.conf of %s: %w; list the addresses in resolvers instead",
			place.Name, err)
	}
	servers, odd = readResolvConf(text)
	if len(servers) == 0 {
		return nil, nil, fmt.Errorf("the resolv.conf of %s names no resolver that can be hit, only %v; "+
			"list addresses in resolvers instead", place.Name, odd)
	}
	return servers, odd, nil
}

func processResolvConf(pid int, n faults.Namespace) (string, error) {
	ns, err := netns.OpenProcess(pid, n)
	if err != nil {
		return "", fmt.Errorf("process %d is gone, or not allowed to be looked at: %w", pid, err)
	}
	ns.Close()
	return fileUnder(fmt.Sprintf("/proc/%d/root", pid), "etc/resolv.conf")
}

// fileUnder reads a file as somebody whose root folder is root sees it: absolute links lead there as well.
func fileUnder(root, path string) (string, error) {
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", &os.PathError{Op: "open", Path: root, Err: err}
	}
	defer unix.Close(dir)
	fd, err := unix.Openat2(dir, path, &unix.OpenHow{Flags: unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
	if errors.Is(err, unix.ENOENT) {
		return "", nil // which means the local machine
	}
	if err != nil {
		return "", &os.PathError{Op: "open", Path: root + "/" + path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxResolvConf))
	return string(text), err
}
