package listening

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"gameday/faults/internal/netns"
)

// askLimit is for how long the kernel is waited for, which answers at once.
const askLimit = time.Second

// cannot says that this kernel has no sock_diag, which it would look for a module of each time that it was asked.
var cannot atomic.Bool

// ask asks the kernel, by sock_diag(7), within the namespace of a process.
func ask(pid int, port uint16) (out []uint64, err error) {
	if cannot.Load() {
		return nil, errors.ErrUnsupported
	}
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	err = netns.Within(ns, func() error {
		for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
			some, err := dump(family, port)
			if err != nil {
				cannot.Store(unsupported(err))
				return err
			}
			out = append(out, some...)
		}
		return nil
	})
	return out, err
}

// unsupported reports whether an error is that of a kernel that has no sock_diag, or none of TCP.
func unsupported(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EAFNOSUPPORT)
}

// The messages of sock_diag(7), from the kernel's include/uapi/linux/sock_diag.h and inet_diag.h. Ports are in the network's order, all else in the machine's.
const (
	diagByFamily = 20 // SOCK_DIAG_BY_FAMILY
	askLength    = unix.NLMSG_HDRLEN + 56
	toldLength   = 72 // of struct inet_diag_msg
	toldPort     = 4
	toldInode    = 68
)

// dump asks for one family's sockets. It is called on a thread that is where it is to ask, which is why a library of netlink is of no use here: that
// makes its socket on a thread of its own, and gives up a thread each time that it may not.
func dump(family byte, port uint16) ([]uint64, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, fmt.Errorf("opening sock_diag: %w", err)
	}
	defer unix.Close(fd)
	limit := unix.NsecToTimeval(askLimit.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		return nil, fmt.Errorf("asking sock_diag: %w", err)
	}
	q := make([]byte, askLength)
	binary.NativeEndian.PutUint32(q, askLength)
	binary.NativeEndian.PutUint16(q[4:], diagByFamily)
	binary.NativeEndian.PutUint16(q[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	q[16], q[17] = family, unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(q[20:], 1<<tcpListen) // of the states of connections
	binary.BigEndian.PutUint16(q[24:], port)
	if err := unix.Sendto(fd, q, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, fmt.Errorf("asking sock_diag: %w", err)
	}
	var out []uint64
	b := make([]byte, 64<<10)
	for until := time.Now().Add(askLimit); ; {
		n, _, flags, _, err := unix.Recvmsg(fd, b, nil, 0)
		switch {
		case err == unix.EINTR && time.Now().Before(until):
			continue
		case err == nil && (flags&unix.MSG_TRUNC != 0 || time.Now().After(until)):
			err = errors.New("its answer has no end")
		}
		if err != nil {
			return nil, fmt.Errorf("reading from sock_diag: %w", err)
		}
		some, done, err := parse(b[:n], port)
		if out = append(out, some...); err != nil || done {
			return out, err
		}
	}
}

// parse takes the inodes out of a part of the answer, and tells whether it was the last one.
func parse(b []byte, port uint16) (out []uint64, done bool, err error) {
	told, err := syscall.ParseNetlinkMessage(b)
	if err != nil {
		return nil, false, fmt.Errorf("reading from sock_diag: %w", err)
	}
	for _, m := range told {
		switch {
		case (m.Header.Type == unix.NLMSG_DONE || m.Header.Type == unix.NLMSG_ERROR) && len(m.Data) >= 4 && int32(binary.NativeEndian.Uint32(m.Data)) < 0:
			return nil, true, fmt.Errorf("asking sock_diag: %w", syscall.Errno(-int32(binary.NativeEndian.Uint32(m.Data))))
		case m.Header.Type == unix.NLMSG_DONE:
			return out, true, nil
		case m.Header.Type != diagByFamily || len(m.Data) < toldLength:
			return nil, true, fmt.Errorf("sock_diag says something of type %d and %d bytes", m.Header.Type, len(m.Data))
		case binary.BigEndian.Uint16(m.Data[toldPort:]) == port:
			out = append(out, uint64(binary.NativeEndian.Uint32(m.Data[toldInode:])))
		}
	}
	return out, false, nil
}
