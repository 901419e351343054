package dns_test

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
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"gameday/faults"
	"gameday/faults/dns"
	"gameday/faults/guard"
)

// roleVariable makes the test binary play another part: that of a sandbox for all tests, a guard, or a node.
const roleVariable = "GAMEDAY_DNS_TEST_ROLE"

// sandboxless says why there is no sandbox, in a process that tried to make one.
const sandboxless = "GAMEDAY_DNS_TEST_NO_SANDBOX"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "sandbox":
		if lo, err := netlink.LinkByName("lo"); err == nil {
			_ = netlink.LinkSetUp(lo) // tests that need it say so
		}
		os.Exit(m.Run())
	case "guard":
		os.Exit(guard.Main([]faults.Kind{dns.OutageKind()}, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	case "weak":
		os.Exit(playWeak())
	case "check":
		os.Exit(playCheck())
	case "node":
		fmt.Println("ready")
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	os.Exit(inSandbox(m))
}

// inSandbox runs the tests again in a network namespace of their own, and without root in a user namespace too.
func inSandbox(m *testing.M) int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
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
	err := cmd.Wait()
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

// Limits of the tests' own waits.
const (
	soon    = 300 * time.Millisecond // no answer for this long counts as none: a veth pair answers within one
	patient = 10 * time.Second
)

// node is a network namespace with one process and one address of each family.
type node struct {
	name   string
	pid    int
	ns     netns.NsHandle
	v4, v6 netip.Addr
	stop   func()
}

// world is a client's node and a resolver's, joined by a cable. The resolver's node has a resolver on each of its
// addresses; the client's has one on loopback.
type world struct {
	client, server *node
	far            *resolver // on the server's addresses
	near           *resolver // on 127.0.0.53 of the client
}

var stub = netip.MustParseAddr("127.0.0.53")

func newWorld(t *testing.T) *world {
	t.Helper()
	needSandbox(t)
	w := &world{client: boot(t, "shop", "198.18.0.1", "fd00:6:d::1"), server: boot(t, "resolver", "198.18.0.2", "fd00:6:d::2"),
		far: newResolver(), near: newResolver()}
	cable := &netlink.Veth{PeerName: fmt.Sprintf("b%d", w.server.pid)}
	cable.Name = fmt.Sprintf("a%d", w.client.pid)
	if err := netlink.LinkAdd(cable); err != nil {
		t.Fatalf("adding a veth pair: %v", err)
	}
	plug(t, w.client, cable.Name)
	plug(t, w.server, cable.PeerName)
	w.far.serve(t, w.server, netip.AddrPortFrom(w.server.v4, 53))
	w.far.serve(t, w.server, netip.AddrPortFrom(w.server.v6, 53))
	w.near.serve(t, w.client, netip.AddrPortFrom(stub, 53))
	return w
}

func boot(t *testing.T, name, v4, v6 string) *node {
	t.Helper()
	cmd := selfAs("node")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
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
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("node %s said %q, %v", name, line, err)
	}
	ns, err := netns.GetFromPid(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{name: name, pid: cmd.Process.Pid, ns: ns, v4: netip.MustParseAddr(v4), v6: netip.MustParseAddr(v6)}
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

// place is the node as faults see it.
func (n *node) place(t *testing.T) faults.Place {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Fstat(int(n.ns), &st); err != nil {
		t.Fatal(err)
	}
	return faults.Place{Name: n.name, Network: &faults.Namespace{Inode: st.Ino, Device: uint64(st.Dev), PID: n.pid},
		Addresses: []netip.Addr{n.v4, n.v6}}
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

// dial connects from the node.
func (n *node) dial(ctx context.Context, network string, to netip.AddrPort) (conn net.Conn, err error) {
	err = n.inside(func() error {
		var d net.Dialer
		d.SetMultipathTCP(false)
		conn, err = d.DialContext(ctx, network, to.String())
		return err
	})
	return conn, err
}

// sockets are the node's UDP and listening TCP sockets.
func (n *node) sockets(t *testing.T) string {
	t.Helper()
	var lines []string
	for _, table := range []string{"udp", "udp6", "tcp", "tcp6"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", n.pid, table))
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
			words := strings.Fields(line)
			if i > 0 && (table[:3] == "udp" || words[3] == "0A") {
				lines = append(lines, table+" "+words[1])
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// links are the names of the node's interfaces.
func (n *node) links(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/dev", n.pid))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (n *node) nft(t *testing.T) *nftables.Conn {
	t.Helper()
	c, err := nftables.New(nftables.WithNetNSFd(int(n.ns)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ruleset is the node's whole nftables state, as text. Counters and times left are not state.
func (n *node) ruleset(t *testing.T) string {
	t.Helper()
	c := n.nft(t)
	tables, err := c.ListTables()
	if err != nil {
		t.Fatal(err)
	}
	chains, err := c.ListChains()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, table := range tables {
		lines = append(lines, "table "+table.Name)
		sets, err := c.GetSets(table)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range sets {
			elements, err := c.GetSetElements(s)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range elements {
				lines = append(lines, fmt.Sprintf("table %s set %s element %x", table.Name, s.Name, e.Key))
			}
			lines = append(lines, fmt.Sprintf("table %s set %s", table.Name, s.Name))
		}
		for _, ch := range chains {
			if ch.Table.Name != table.Name || ch.Table.Family != table.Family {
				continue
			}
			rules, err := c.GetRules(table, ch)
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range rules {
				var words []string
				for _, x := range r.Exprs {
					if _, counts := x.(*expr.Counter); counts {
						words = append(words, "counter")
						continue
					}
					words = append(words, fmt.Sprintf("%T%+v", x, x))
				}
				lines = append(lines, fmt.Sprintf("table %s chain %s rule %d %s", table.Name, ch.Name, i, strings.Join(words, " ")))
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
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

func selfAs(role string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	// The race detector makes programs linger at their end, which would be measured as ours.
	cmd.Env = append(os.Environ(), roleVariable+"="+role, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	return cmd
}

// startGuard runs a real guard on a ledger in dir.
func startGuard(t *testing.T, dir string) *guard.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	c, err := guard.Start(ctx, selfAs("guard", "--ledger", dir))
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
