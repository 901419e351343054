package guard_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"gameday/faults"
	"gameday/faults/guard"
)

// kernelWorld is what faults are injected into: the network namespace of this process, processes of the test's own, and a
// folder for marks.
type kernelWorld struct {
	dir       string // for ledgers, one for each sequence
	marks     string
	ids       []string
	places    map[string]faults.Place
	victims   map[string]faults.Process
	conn      *nftables.Conn
	before    string // the namespace's tables and the victims' states
	sequences int
}

// kernelKind returns the kind of a fault's id.
func kernelKind(id string) string {
	kind, _, _ := strings.Cut(id, "-")
	return map[string]string{"cut": "network_partition", "pause": "process_pause", "mark": "marker"}[kind]
}

func newKernelWorld(t *testing.T) *kernelWorld {
	t.Helper()
	w := &kernelWorld{dir: t.TempDir(), marks: t.TempDir(), ids: []string{"cut-1", "cut-2", "mark-1", "pause-1", "pause-2"},
		places: map[string]faults.Place{}, victims: map[string]faults.Process{}}
	layCable(t)
	ns := faults.Namespace{PID: os.Getpid()}
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/net", &st); err != nil {
		t.Fatal(err)
	}
	ns.Inode, ns.Device = st.Ino, uint64(st.Dev)
	for _, id := range w.ids {
		p := faults.Place{Name: id}
		switch kernelKind(id) {
		case "network_partition":
			p.Network, p.Addresses = &ns, []netip.Addr{netip.MustParseAddr("198.18.0.1")}
		case "process_pause":
			victim := newVictim(t)
			p.Process, w.victims[id] = &victim, victim
		default:
			p.Name = w.marks
		}
		w.places[id] = p
	}
	var err error
	if w.conn, err = nftables.New(nftables.AsLasting()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.conn.CloseLasting() })
	foreign := w.conn.AddTable(&nftables.Table{Name: "theirs", Family: nftables.TableFamilyINet})
	w.conn.AddChain(&nftables.Chain{Name: "input", Table: foreign, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter})
	if err := w.conn.Flush(); err != nil {
		t.Fatal(err)
	}
	w.before = w.snapshot(t)
	return w
}

// layCable joins two links of this namespace, so that there is a way out of it which leads nowhere.
func layCable(t *testing.T) {
	t.Helper()
	cable := &netlink.Veth{PeerName: "nowhere"}
	cable.Name = "out"
	if err := netlink.LinkAdd(cable); err != nil {
		t.Fatalf("adding a veth pair: %v", err)
	}
	address, err := netlink.ParseAddr("198.18.0.1/24")
	if err == nil {
		err = errors.Join(netlink.AddrAdd(cable, address), netlink.LinkSetUp(cable))
	}
	if err != nil {
		t.Fatal(err)
	}
	peer, err := netlink.LinkByName("nowhere")
	if err == nil {
		err = netlink.LinkSetUp(peer)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// newVictim starts a process that waits for the end of its input.
func newVictim(t *testing.T) faults.Process {
	t.Helper()
	cmd := exec.Command("cat")
	// In a session of its own: else, when whoever runs the tests goes away, the kernel continues what is stopped.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("a victim ended with %v", err)
		}
	})
	_, start := statOf(t, cmd.Process.Pid)
	return faults.Process{PID: cmd.Process.Pid, Start: start}
}

// fataler is a *testing.T or a *rapid.T.
type fataler interface {
	Fatalf(format string, args ...any)
}

// statOf returns a process's state and start time.
func statOf(t fataler, pid int) (string, uint64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatalf("%v", err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	start, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return fields[0], start
}

// ask is the request for a fault.
func (w *kernelWorld) ask(id string, lease time.Duration) guard.InjectRequest {
	config := `{}`
	if kernelKind(id) == "network_partition" {
		config = fmt.Sprintf(`{"to":["198.18.0.%s"]}`, strings.TrimPrefix(id, "cut-")+"0")
	}
	return guard.InjectRequest{ID: id, Run: "run", Fault: id, Kind: kernelKind(id), Config: json.RawMessage(config),
		Place: w.places[id], Lease: lease, Deadline: time.Hour}
}

// tableOf reads from the ledger which table a partition made, or is about to make.
func (w *kernelWorld) tableOf(t fataler, l *faults.Ledger, id string) string {
	if kernelKind(id) != "network_partition" {
		return ""
	}
	all, err := l.Standing()
	if err != nil {
		t.Fatalf("%v", err)
	}
	i := slices.IndexFunc(all, func(s faults.Standing) bool { return s.ID == id })
	if i < 0 {
		return "" // it has lapsed already
	}
	var u struct{ Table string }
	if err := json.Unmarshal(all[i].Entry.Undo, &u); err != nil || u.Table == "" {
		t.Fatalf("the undo of %s: %s, %v", id, all[i].Entry.Undo, err)
	}
	return u.Table
}

// kernelState is what the kernel has of all faults.
type kernelState struct {
	tables  []string // ours, by name
	stopped []string
	marks   []string
}

// has reports whether a fault stands, or for a partition that has lapsed, what is left of it.
func (s kernelState) has(id, table string) bool {
	switch kernelKind(id) {
	case "network_partition":
		return table != "" && slices.Contains(s.tables, table)
	case "process_pause":
		return slices.Contains(s.stopped, id)
	}
	return slices.Contains(s.marks, id)
}

func (w *kernelWorld) standing(t fataler) kernelState {
	var s kernelState
	tables, err := w.conn.ListTables()
	if err != nil {
		t.Fatalf("%v", err)
	}
	for _, table := range tables {
		if table.Name != "theirs" {
			s.tables = append(s.tables, table.Name)
		}
	}
	for id, p := range w.victims {
		if state, start := statOf(t, p.PID); start != p.Start {
			t.Fatalf("the victim of %s is gone", id)
		} else if state == "T" {
			s.stopped = append(s.stopped, id)
		}
	}
	marks, err := os.ReadDir(w.marks)
	if err != nil {
		t.Fatalf("%v", err)
	}
	for _, m := range marks {
		s.marks = append(s.marks, m.Name())
	}
	return s
}

// elements returns how many addresses a partition cuts now.
func (w *kernelWorld) elements(t fataler, table string) int {
	own := &nftables.Table{Name: table, Family: nftables.TableFamilyINet}
	list, err := w.conn.GetSetElements(&nftables.Set{Table: own, Name: "v4"})
	if err != nil && slices.Contains(w.standing(t).tables, table) {
		t.Fatalf("reading %s: %v", table, err)
	}
	return len(list)
}

// snapshot words all that faults could leave.
func (w *kernelWorld) snapshot(t fataler) string {
	var b strings.Builder
	tables, err := w.conn.ListTables()
	if err != nil {
		t.Fatalf("%v", err)
	}
	for _, table := range tables {
		fmt.Fprintf(&b, "table %d %s\n", table.Family, table.Name)
	}
	chains, err := w.conn.ListChains()
	if err != nil {
		t.Fatalf("%v", err)
	}
	for _, c := range chains {
		fmt.Fprintf(&b, "chain %s %s\n", c.Table.Name, c.Name)
	}
	for _, id := range w.ids {
		if p, is := w.victims[id]; is {
			state, _ := statOf(t, p.PID)
			fmt.Fprintf(&b, "%s %s\n", id, strings.Replace(state, "R", "S", 1))
		}
	}
	marks, _ := filepath.Glob(filepath.Join(w.marks, "*"))
	fmt.Fprintln(&b, "marks", marks)
	return b.String()
}

// residue returns the snapshot when it is not as it was before, after a moment for victims to wake up.
func (w *kernelWorld) residue(t fataler) string {
	for end := time.Now().Add(gonePatience); ; <-time.After(time.Millisecond) {
		if now := w.snapshot(t); now == w.before {
			return ""
		} else if time.Now().After(end) {
			return now
		}
	}
}

// eventually waits until something is so.
func (w *kernelWorld) eventually(t fataler, what string, is func() bool) {
	for end := time.Now().Add(gonePatience); !is(); <-time.After(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", gonePatience, what)
		}
	}
}

// kernelGuard is a guard in a process of its own.
type kernelGuard struct {
	*guard.Client
	cmd  *exec.Cmd
	dead bool
}

func startKernelGuard(t fataler, ledger string) *kernelGuard {
	self, err := os.Executable()
	if err != nil {
		t.Fatalf("%v", err)
	}
	cmd := exec.Command(self, "--ledger", ledger)
	cmd.Env = append(os.Environ(), roleVariable+"=kernel", "GORACE=atexit_sleep_ms=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a stopped one must not outlive a killed test
	ctx, cancel := context.WithTimeout(context.Background(), 4*gonePatience)
	defer cancel()
	var c *guard.Client
	begun := make(chan error)
	go func() {
		runtime.LockOSThread() // Pdeathsig is about the thread
		defer runtime.UnlockOSThread()
		var err error
		c, err = guard.Start(ctx, cmd)
		begun <- err
		if err == nil {
			<-c.Ended()
		}
	}()
	if err := <-begun; err != nil {
		t.Fatalf("%v", err)
	}
	return &kernelGuard{Client: c, cmd: cmd}
}

func (g *kernelGuard) signal(t fataler, s syscall.Signal) {
	if err := g.cmd.Process.Signal(s); err != nil {
		t.Fatalf("%v", err)
	}
}

// kill kills the guard and waits until it is gone.
func (g *kernelGuard) kill() {
	g.dead = true
	_ = g.cmd.Process.Kill()
	<-g.Ended()
}

// end closes the guard's input and waits until it has reverted everything and is gone.
func (g *kernelGuard) end(t fataler) {
	g.dead = true
	if err := g.Close(context.Background()); err != nil {
		t.Fatalf("ending a guard: %v", err)
	}
}

var _ fataler = (*rapid.T)(nil)
