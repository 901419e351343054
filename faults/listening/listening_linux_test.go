package listening

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"gameday/faults/internal/netns"
)

// ways are the two in which it is found out, and what decides between them.
var ways = map[string]func(int, uint16) ([]uint64, error){"the kernel": ask, "/proc": read, "either": Sockets}

// inode returns that of a listener's socket.
func inode(t testing.TB, l net.Listener) uint64 {
	t.Helper()
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := errors.Join(raw.Control(func(fd uintptr) { err = unix.Fstat(int(fd), &st) }), err); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

// TestSockets: a listener is seen on the port where it is, whatever its address, and no connection is.
func TestSockets(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"} {
		l, err := net.Listen("tcp", address)
		if errors.Is(err, unix.EADDRNOTAVAIL) && address == "[::1]:0" && os.Getenv("CI") == "" {
			t.Logf("this machine has no IPv6, so that %s is not tried: %v", address, err)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		port, own := netip.MustParseAddrPort(l.Addr().String()).Port(), inode(t, l)
		for way, sockets := range ways {
			if got, err := sockets(os.Getpid(), port); err != nil || !slices.Contains(got, own) { // of another address, the port may be somebody else's too
				t.Errorf("%s: of %s, %s says %v, %v; want %d", address, l.Addr(), way, got, err, own)
			}
		}
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = l.Close()
		for way, sockets := range ways {
			if got, err := sockets(os.Getpid(), port); err != nil || slices.Contains(got, own) {
				t.Errorf("%s: of a connection on %s, %s says %v, %v", address, l.Addr(), way, got, err)
			}
		}
	}
}

// TestSeveralSockets that share a port are all seen.
func TestSeveralSockets(t *testing.T) {
	share := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		return errors.Join(c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) }), err)
	}}
	const many = 600 // more than one part of an answer holds
	var want []uint64
	address := "127.0.0.1:0"
	for range many {
		l, err := share.Listen(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		address, want = l.Addr().String(), append(want, inode(t, l))
	}
	slices.Sort(want)
	for way, sockets := range ways {
		got, err := sockets(os.Getpid(), netip.MustParseAddrPort(address).Port())
		if slices.Sort(got); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s says %d sockets, %v; want %d", way, len(got), err, many)
		}
	}
}

// TestAnotherNamespace: what listens in the namespace of a process is seen there, and not here.
func TestAnotherNamespace(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := exec.CommandContext(ctx, "sleep", "60")
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err := c.Start(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("a network namespace needs CAP_SYS_ADMIN: ", err)
	}
	defer func() {
		cancel()
		_ = c.Wait()
	}()
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", c.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	var l net.Listener
	if err := netns.Within(ns, func() (err error) { l, err = net.Listen("tcp", "0.0.0.0:0"); return err }); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := netip.MustParseAddrPort(l.Addr().String()).Port()
	for way, sockets := range ways {
		there, err := sockets(c.Process.Pid, port)
		here, failed := sockets(os.Getpid(), port)
		if err != nil || failed != nil || !slices.Equal(there, []uint64{inode(t, l)}) || slices.Contains(here, inode(t, l)) {
			t.Errorf("%s says %v, %v there, and %v, %v here; want %d there", way, there, err, here, failed, inode(t, l))
		}
	}
}

// TestNobody: of a process that is not there nothing is known.
func TestNobody(t *testing.T) {
	for way, sockets := range ways {
		if got, err := sockets(1<<30, 80); err == nil || got != nil {
			t.Errorf("%s says %v, %v", way, got, err)
		}
	}
}

// TestParse: the end of an answer may say that there was a mistake, which is no answer that nothing listens.
func TestParse(t *testing.T) {
	message := func(kind uint16, data ...byte) []byte {
		b := binary.NativeEndian.AppendUint32(nil, uint32(unix.NLMSG_HDRLEN+len(data)))
		b = binary.NativeEndian.AppendUint16(b, kind)
		return append(append(b, make([]byte, unix.NLMSG_HDRLEN-6)...), data...)
	}
	failed := binary.NativeEndian.AppendUint32(nil, ^uint32(unix.ENOENT)+1)
	one := make([]byte, toldLength)
	binary.BigEndian.PutUint16(one[toldPort:], 80)
	binary.NativeEndian.PutUint32(one[toldInode:], 4711)
	for what, c := range map[string]struct {
		answer []byte
		out    []uint64
		done   bool
		err    error
	}{
		"one, and more to come":   {message(diagByFamily, one...), []uint64{4711}, false, nil},
		"one, and the end":        {slices.Concat(message(diagByFamily, one...), message(unix.NLMSG_DONE, 0, 0, 0, 0)), []uint64{4711}, true, nil},
		"nothing":                 {message(unix.NLMSG_DONE, 0, 0, 0, 0), nil, true, nil},
		"an end without a number": {message(unix.NLMSG_DONE), nil, true, nil},
		"an end that is an error": {slices.Concat(message(diagByFamily, one...), message(unix.NLMSG_DONE, failed...)), nil, true, unix.ENOENT},
		"an error":                {message(unix.NLMSG_ERROR, failed...), nil, true, unix.ENOENT},
	} {
		if out, done, err := parse(c.answer, 80); !slices.Equal(out, c.out) || done != c.done || !errors.Is(err, c.err) {
			t.Errorf("%s: %v, %v, %v; want %v, %v, %v", what, out, done, err, c.out, c.done, c.err)
		}
	}
	for what, b := range map[string][]byte{"too short": message(diagByFamily, one[:toldLength-4]...), "something else": message(17, one...), "half": message(diagByFamily, one...)[:40]} {
		if out, _, err := parse(b, 80); err == nil || out != nil {
			t.Errorf("%s: %v, %v", what, out, err)
		}
	}
}

// TestUnsupported: a kernel that has no sock_diag is asked once, and /proc has what listens; one that only refuses is asked again.
func TestUnsupported(t *testing.T) {
	for err, want := range map[error]bool{unix.ENOENT: true, unix.EPROTONOSUPPORT: true, unix.EAFNOSUPPORT: true, unix.EPERM: false, unix.ENOBUFS: false} {
		if got := unsupported(fmt.Errorf("asking: %w", err)); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cannot.Store(true)
	defer cannot.Store(false)
	port := netip.MustParseAddrPort(l.Addr().String()).Port()
	if got, err := ask(os.Getpid(), port); !errors.Is(err, errors.ErrUnsupported) || got != nil {
		t.Errorf("the kernel is asked again: %v, %v", got, err)
	}
	if got, err := Sockets(os.Getpid(), port); err != nil || !slices.Contains(got, inode(t, l)) {
		t.Errorf("/proc has %v, %v", got, err)
	}
}

// FuzzParse: whatever is answered, it is read or refused.
func FuzzParse(f *testing.F) {
	f.Add(make([]byte, 16), uint16(80))
	f.Add(slices.Concat([]byte{88, 0, 0, 0, diagByFamily, 0, 2, 0}, make([]byte, 80)), uint16(0))
	f.Add([]byte{16, 0, 0, 0, unix.NLMSG_DONE, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0}, uint16(80))
	f.Add([]byte{20, 0, 0, 0, unix.NLMSG_ERROR, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 254, 255, 255, 255}, uint16(80))
	f.Fuzz(func(t *testing.T, b []byte, port uint16) {
		if out, done, err := parse(b, port); err != nil && out != nil || len(out) > 0 && len(b) < toldLength || done && err == nil && len(b) < unix.NLMSG_HDRLEN {
			t.Errorf("%d bytes are %v, %v, %v", len(b), out, done, err)
		}
	})
}

// BenchmarkSockets compares the two ways.
func BenchmarkSockets(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	port := netip.MustParseAddrPort(l.Addr().String()).Port()
	for way, sockets := range ways {
		b.Run(way, func(b *testing.B) {
			for b.Loop() {
				if got, err := sockets(os.Getpid(), port); err != nil || len(got) != 1 {
					b.Fatal(got, err)
				}
			}
		})
	}
}
