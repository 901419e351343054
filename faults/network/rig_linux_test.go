package network_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"gameday/faults"
	"gameday/faults/guard"
	"gameday/faults/kinds"
)

// roleVariable makes the test binary play another part: that of a sandbox for all tests, a guard, or a node.
const roleVariable = "GAMEDAY_NETWORK_TEST_ROLE"

// sandboxless says why there is no sandbox, in a process that tried to make one.
const sandboxless = "GAMEDAY_NETWORK_TEST_NO_SANDBOX"

// The first thread stays with the first goroutine, so that /proc/PID/ns/net of this process is never a node's that a
// thread was lent to.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "sandbox":
		os.Exit(m.Run())
	case "guard":
		os.Exit(guard.Main(kinds.All(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	case "node":
		os.Exit(playNode())
	case "client":
		os.Exit(playClient())
	case "check":
		os.Exit(playCheck())
	}
	os.Exit(inSandbox(m))
}

// inSandbox runs the tests again in a network namespace of their own, and without root in a user namespace too.
func inSandbox(m *testing.M) int {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), roleVariable+"=sandbox")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	runtime.LockOSThread() // Pdeathsig is about the thread
	if err := cmd.Start(); err != nil {
		os.Setenv(sandboxless, err.Error())
		return m.Run()
	}
	err = cmd.Wait()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return max(1, exit.ExitCode())
	}
	if err != nil {
		return 1
	}
	return 0
}

// needSandbox skips a test that would need the machine's own network.
func needSandbox(t *testing.T) {
	t.Helper()
	if os.Getenv(roleVariable) == "sandbox" {
		return
	}
	why := "no network namespace can be made here: " + os.Getenv(sandboxless)
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// echoPort is where a node echoes what it is sent, over TCP and UDP.
const echoPort = 7007

// playNode is a node's only process: it echoes until its standard input ends.
func playNode() int {
	in := bufio.NewReader(os.Stdin)
	if _, err := in.ReadString('\n'); err != nil { // the network is ready
		return 1
	}
	l, err := net.Listen("tcp", ":"+strconv.Itoa(echoPort))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, in)
	return 0
}

// node is a network namespace with one process and one address of each family.
type node struct {
	name   string
	pid    int
	ns     netns.NsHandle
	v4, v6 netip.Addr
	stop   func()
	start  io.Writer
	out    *bufio.Reader
}

// place is the node as faults see it, cut from peers.
func (n *node) place(t *testing.T, peers ...*node) faults.Place {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Fstat(int(n.ns), &st); err != nil {
		t.Fatal(err)
	}
	p := faults.Place{Name: n.name, Network: &faults.Namespace{Inode: st.Ino, Device: uint64(st.Dev), PID: n.pid},
		Addresses: []netip.Addr{n.v4, n.v6}}
	for _, o := range peers {
		p.Peers = append(p.Peers, faults.Peer{Name: o.name, Addresses: []netip.Addr{o.v4, o.v6}})
	}
	return p
}

// pair makes two nodes joined by a cable.
func pair(t *testing.T) (a, b *node) {
	t.Helper()
	needSandbox(t)
	a = boot(t, "storefront", "198.18.0.1", "fd00:6:d::1")
	b = boot(t, "ledger", "198.18.0.2", "fd00:6:d::2")
	cable := &netlink.Veth{PeerName: fmt.Sprintf("b%d", b.pid)}
	cable.Name = fmt.Sprintf("a%d", a.pid)
	if err := netlink.LinkAdd(cable); err != nil {
		t.Fatalf("adding a veth pair: %v", err)
	}
	plug(t, a, cable.Name)
	plug(t, b, cable.PeerName)
	for _, n := range []*node{a, b} {
		fmt.Fprintln(n.start)
		if line, err := n.out.ReadString('\n'); err != nil || line != "ready\n" {
			t.Fatalf("node %s said %q, %v", n.name, line, err)
		}
	}
	return a, b
}

func boot(t *testing.T, name, v4, v6 string) *node {
	t.Helper()
	cmd := selfAs(t, "node")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting node %s: %v", name, err)
	}
	ns, err := netns.GetFromPid(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{name: name, pid: cmd.Process.Pid, ns: ns, start: in, out: bufio.NewReader(out),
		v4: netip.MustParseAddr(v4), v6: netip.MustParseAddr(v6)}
	stopped := false
	n.stop = func() {
		if !stopped {
			stopped = true
			in.Close()
			_ = cmd.Wait()
			ns.Close()
		}
	}
	t.Cleanup(n.stop)
	return n
}

// plug moves one end of a cable into the node and gives it addresses that work at once.
func plug(t *testing.T, n *node, link string) {
	t.Helper()
	end, err := netlink.LinkByName(link)
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetNsFd(end, int(n.ns)); err != nil {
		t.Fatal(err)
	}
	h, err := netlink.NewHandleAt(n.ns)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if end, err = h.LinkByName(link); err != nil {
		t.Fatal(err)
	}
	for _, cidr := range []string{n.v4.String() + "/24", n.v6.String() + "/64"} {
		addr, err := netlink.ParseAddr(cidr)
		if err != nil {
			t.Fatal(err)
		}
		addr.Flags = unix.IFA_F_NODAD
		if err := h.AddrAdd(end, addr); err != nil {
			t.Fatalf("adding %s: %v", cidr, err)
		}
	}
	lo, err := h.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []netlink.Link{lo, end} {
		if err := h.LinkSetUp(l); err != nil {
			t.Fatal(err)
		}
	}
}

// inside calls f on a thread in the node's namespace.
func (n *node) inside(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := netns.Set(n.ns); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

// dial connects from the node to an address.
func (n *node) dial(to netip.Addr, limit time.Duration) (conn net.Conn, err error) {
	err = n.inside(func() error {
		d := net.Dialer{Timeout: limit}
		conn, err = d.Dial("tcp", netip.AddrPortFrom(to, echoPort).String())
		return err
	})
	return conn, err
}

// talk sends a word over the connection and waits for its echo.
func talk(c net.Conn, limit time.Duration) error {
	if err := c.SetDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	if _, err := c.Write([]byte("hello")); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 5))
	return err
}

// hears reports whether the node can reach the address: a whole conversation within the limit.
func (n *node) hears(to netip.Addr, limit time.Duration) error {
	c, err := n.dial(to, limit)
	if err != nil {
		return err
	}
	defer c.Close()
	return talk(c, limit)
}

// Limits of the tests' own waits.
const (
	cutFor  = 300 * time.Millisecond // no answer for this long counts as cut: a veth pair answers within one
	patient = 10 * time.Second
)

func mustHear(t *testing.T, from *node, to netip.Addr) {
	t.Helper()
	if err := from.hears(to, patient); err != nil {
		t.Fatalf("%s cannot reach %v: %v", from.name, to, err)
	}
}

func mustNotHear(t *testing.T, from *node, to netip.Addr) {
	t.Helper()
	if err := from.hears(to, cutFor); err == nil {
		t.Fatalf("%s reaches %v although it should be cut", from.name, to)
	}
}

// eventually asks until ask is nil, and returns how long that took.
func eventually(t *testing.T, limit time.Duration, ask func() error) time.Duration {
	t.Helper()
	began := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return time.Since(began)
		}
		if time.Since(began) > limit {
			t.Fatalf("not within %v: %v", limit, err)
		}
		<-tick.C
	}
}

// lastFailure asks until ask is nil, and returns when the last asking that failed began: nobody sees what is asked for
// missing after that. A machine that stands still makes the first asking that succeeds late, and not this one.
func lastFailure(t *testing.T, limit time.Duration, ask func() error) (failed time.Time) {
	t.Helper()
	eventually(t, limit, func() error {
		began := time.Now()
		err := ask()
		if err != nil {
			failed = began
		}
		return err
	})
	return failed
}

func selfAs(t *testing.T, role string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	// The race detector makes programs linger at their end, which would be measured as ours.
	cmd.Env = append(os.Environ(), roleVariable+"="+role, "GORACE=atexit_sleep_ms=0")
	return cmd
}

// startGuard runs a real guard on a ledger in dir.
func startGuard(t *testing.T, dir string) *guard.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	c, err := guard.Start(ctx, selfAs(t, "guard", "--ledger", dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func openLedger(t *testing.T, dir string) *faults.Ledger {
	t.Helper()
	l, err := faults.OpenLedger(dir)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func ledgerDir(t *testing.T) string { return filepath.Join(t.TempDir(), "ledger") }
