package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	bridgeName = "lab"
	nodeLink   = "eth0"
)

// coreNetwork is the network in the middle of the lab: a bridge with the conductor on it and a cable to each node.
type coreNetwork struct {
	handle *netlink.Handle
	bridge netlink.Link

	mu     sync.Mutex
	prefix int
}

// newCoreNetwork builds the network in this process's network namespace, which must be new.
func newCoreNetwork() (*coreNetwork, error) {
	if err := quietNetwork(); err != nil {
		return nil, err
	}
	// A generator opens many connections to few addresses; every one takes a port until a minute after its end.
	if err := sysctl("net/ipv4/ip_local_port_range", "1024 65535"); err != nil {
		return nil, err
	}
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("talking to the kernel about networks: %w", err)
	}
	if err := loopbackUp(h); err != nil {
		return nil, err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = bridgeName
	attrs.HardwareAddr = hardwareAddr(core) // else it changes with each cable
	snooping := false
	b := &netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snooping}
	if err := h.LinkAdd(b); err != nil {
		return nil, fmt.Errorf("making the lab's bridge: %w", err)
	}
	c := &coreNetwork{handle: h, bridge: b}
	if err := c.setPrefix(24); err != nil {
		return nil, err
	}
	if err := h.LinkSetUp(b); err != nil {
		return nil, fmt.Errorf("switching the lab's bridge on: %w", err)
	}
	return c, nil
}

// setPrefix makes the core's network so large.
func (c *coreNetwork) setPrefix(bits int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.prefix == bits {
		return nil
	}
	if err := c.handle.AddrAdd(c.bridge, address(core, bits)); err != nil {
		return fmt.Errorf("giving the core %s/%d: %w", core, bits, err)
	}
	if c.prefix != 0 {
		if err := c.handle.AddrDel(c.bridge, address(core, c.prefix)); err != nil {
			return fmt.Errorf("taking %s/%d from the core: %w", core, c.prefix, err)
		}
	}
	c.prefix = bits
	return nil
}

// attach lays a cable from the bridge to the network namespace of the process pid, and returns our end.
func (c *coreNetwork) attach(name string, a netip.Addr, pid int) (netlink.Link, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	attrs.MasterIndex = c.bridge.Attrs().Index
	attrs.NumTxQueues, attrs.NumRxQueues = 1, 1 // faults hang qdiscs on it: one queue, one tree
	v := &netlink.Veth{
		LinkAttrs:        attrs,
		PeerName:         nodeLink,
		PeerTxQLen:       -1, // the default; zero would mean no queue
		PeerHardwareAddr: hardwareAddr(a),
		PeerNamespace:    netlink.NsPid(pid),
	}
	if err := c.handle.LinkAdd(v); err != nil {
		return nil, fmt.Errorf("laying the node's cable: %w", err)
	}
	if err := c.handle.LinkSetUp(v); err != nil {
		return nil, errors.Join(fmt.Errorf("switching the node's cable on: %w", err), c.detach(v))
	}
	return v, nil
}

// cut stops all traffic on the cable at once. It is quicker than detach, which waits for the kernel to tidy up.
func (c *coreNetwork) cut(l netlink.Link) error {
	if err := c.handle.LinkSetDown(l); err != nil && !gone(err) {
		return fmt.Errorf("cutting the node's cable: %w", err)
	}
	return nil
}

// detach takes the cable away, both ends of it. A cable that went with its node is no error.
func (c *coreNetwork) detach(l netlink.Link) error {
	if err := c.handle.LinkDel(l); err != nil && !gone(err) {
		return fmt.Errorf("taking the node's cable away: %w", err)
	}
	return nil
}

// gone reports whether err says that the link is not there.
func gone(err error) bool {
	return errors.Is(err, unix.ENODEV)
}

// joinNetwork gives a node its address, and returns when the core answers it; its cable must be there.
func joinNetwork(a netip.Addr, prefix int) error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("talking to the kernel about networks: %w", err)
	}
	defer h.Close()
	if err := loopbackUp(h); err != nil {
		return err
	}
	l, err := h.LinkByName(nodeLink)
	if err != nil {
		return fmt.Errorf("finding the node's cable: %w", err)
	}
	if err := h.AddrAdd(l, address(a, prefix)); err != nil {
		return fmt.Errorf("giving the node %s/%d: %w", a, prefix, err)
	}
	if err := h.LinkSetUp(l); err != nil {
		return fmt.Errorf("switching the node's end on: %w", err)
	}
	if err := h.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Gw: net.IP(core.AsSlice())}); err != nil {
		return fmt.Errorf("adding the node's default route: %w", err)
	}
	return announce(l.Attrs().Index, hardwareAddr(a), a)
}

// quietNetwork switches IPv6 off in a new network namespace: labs do not use it, and its neighbour discovery would send
// packets that nobody asked for.
func quietNetwork() error {
	for _, which := range []string{"all", "default"} {
		err := sysctl("net/ipv6/conf/"+which+"/disable_ipv6", "1")
		if err != nil && !errors.Is(err, os.ErrNotExist) { // a kernel without IPv6 is quiet already
			return err
		}
	}
	return nil
}

func loopbackUp(h *netlink.Handle) error {
	lo, err := h.LinkByName("lo")
	if err == nil {
		err = h.LinkSetUp(lo)
	}
	if err != nil {
		return fmt.Errorf("switching the loopback on: %w", err)
	}
	return nil
}

func address(a netip.Addr, bits int) *netlink.Addr {
	return &netlink.Addr{IPNet: &net.IPNet{IP: net.IP(a.AsSlice()), Mask: net.CIDRMask(bits, 32)}}
}

func sysctl(name, value string) error {
	if err := os.WriteFile("/proc/sys/"+name, []byte(value), 0); err != nil {
		return fmt.Errorf("setting %s: %w", name, err)
	}
	return nil
}
