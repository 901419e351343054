package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"gameday/faults"
)

// hubAddress is the address from which nodes are cut; theirs follow it.
var hubAddress = netip.MustParseAddr("198.18.0.1")

const (
	hubPrefix = 16
	hubBridge = "hub"
)

// hub is a network namespace of its own with a bridge in it, and nodes on that: network namespaces with one process and
// one cable each. All of it is gone when this process is.
type hub struct {
	bridge netlink.Link
	nodes  []*benchNode
}

// benchNode is one of them.
type benchNode struct {
	name  string
	addr  netip.Addr
	ns    netns.NsHandle
	cmd   *exec.Cmd
	input io.Closer
}

// newHub lays the bridge in this process's network namespace, which must be new.
func newHub() (*hub, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("looking at the hub's network: %w", err)
	}
	for _, l := range links {
		if l.Type() == "veth" || l.Type() == "device" && l.Attrs().Name != "lo" {
			return nil, fmt.Errorf("this is not a network of the bench's own: it has %s", l.Attrs().Name)
		}
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = hubBridge
	b := &netlink.Bridge{LinkAttrs: attrs}
	if err := netlink.LinkAdd(b); err != nil {
		return nil, fmt.Errorf("making the hub's bridge: %w", err)
	}
	if err := netlink.AddrAdd(b, cidr(hubAddress)); err != nil {
		return nil, fmt.Errorf("giving the hub its address: %w", err)
	}
	return &hub{bridge: b}, netlink.LinkSetUp(b)
}

func cidr(a netip.Addr) *netlink.Addr {
	p := netip.PrefixFrom(a, hubPrefix)
	address, err := netlink.ParseAddr(p.String())
	if err != nil {
		panic(err) // it is a constant's successor
	}
	return address
}

// grow adds nodes until there are n.
func (h *hub) grow(n int) error {
	for len(h.nodes) < n {
		if err := h.add(); err != nil {
			return fmt.Errorf("making node %d: %w", len(h.nodes), err)
		}
	}
	return nil
}

func (h *hub) add() error {
	a := hubAddress.Next()
	if len(h.nodes) > 0 {
		a = h.nodes[len(h.nodes)-1].addr.Next()
	}
	n := &benchNode{name: fmt.Sprintf("node-%d", len(h.nodes)), addr: a}
	n.cmd = exec.Command("cat") // it ends with its input, and so with this process
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	input, err := n.cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := n.cmd.Start(); err != nil {
		return err
	}
	n.input = input
	h.nodes = append(h.nodes, n)
	if n.ns, err = netns.GetFromPid(n.cmd.Process.Pid); err != nil {
		return err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = n.name
	attrs.MasterIndex = h.bridge.Attrs().Index
	cable := &netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerTxQLen: -1, PeerNamespace: netlink.NsPid(n.cmd.Process.Pid)}
	if err := netlink.LinkAdd(cable); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(cable); err != nil {
		return err
	}
	return n.plug()
}

// plug gives the node's end of the cable its address.
func (n *benchNode) plug() error {
	at, err := netlink.NewHandleAt(n.ns)
	if err != nil {
		return err
	}
	defer at.Close()
	lo, err := at.LinkByName("lo")
	if err != nil {
		return err
	}
	end, err := at.LinkByName("eth0")
	if err != nil {
		return err
	}
	return errors.Join(at.AddrAdd(end, cidr(n.addr)), at.LinkSetUp(lo), at.LinkSetUp(end))
}

// close ends all nodes and waits for them.
func (h *hub) close() error {
	var errs []error
	for _, n := range h.nodes {
		errs = append(errs, n.input.Close(), n.cmd.Wait(), n.ns.Close())
	}
	return errors.Join(errs...)
}

// path leads to the node's network namespace.
func (n *benchNode) path() string { return fmt.Sprintf("/proc/%d/ns/net", n.cmd.Process.Pid) }

// place is the node as a fault sees it.
func (n *benchNode) place() (faults.Place, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(n.ns), &st); err != nil {
		return faults.Place{}, err
	}
	return faults.Place{Name: n.name, Addresses: []netip.Addr{n.addr},
		Network: &faults.Namespace{Inode: st.Ino, Device: uint64(st.Dev), PID: n.cmd.Process.Pid}}, nil
}

// cut sends an empty datagram to the hub from inside the node, and reports whether the kernel refused it, as it does when
// the node is cut off. The thread never comes back from the namespace; that is quicker than to bring it back.
func (n *benchNode) cut() (bool, error) {
	type outcome struct {
		cut bool
		err error
	}
	result := make(chan outcome, 1)
	go func() {
		runtime.LockOSThread()
		err := netns.Set(n.ns)
		if err == nil {
			err = sendEmpty(hubAddress)
		}
		if errors.Is(err, unix.EPERM) {
			result <- outcome{cut: true}
			return
		}
		result <- outcome{err: err}
	}()
	o := <-result
	return o.cut, o.err
}

// sendEmpty sends an empty datagram to the discard port (RFC 863).
func sendEmpty(to netip.Addr) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendto(fd, nil, 0, &unix.SockaddrInet4{Port: 9, Addr: to.As4()})
}

// runHub plays the role: it measures what its last argument says and prints the figures.
func runHub() error {
	var plan partitionPlan
	if err := json.Unmarshal([]byte(os.Args[len(os.Args)-1]), &plan); err != nil {
		return err
	}
	h, err := newHub()
	if err != nil {
		return err
	}
	figures, err := plan.measure(h)
	if err = errors.Join(err, h.close()); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(figures)
}
