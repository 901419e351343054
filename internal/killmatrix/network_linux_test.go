package killmatrix

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"gameday/faults"
)

// echoPort is where a host echoes what it is sent, over TCP and UDP.
const echoPort = 7007

// loopbackUp switches on the loopback of this process's network namespace.
func loopbackUp() error {
	h, err := netlink.NewHandle()
	if err != nil {
		return err
	}
	defer h.Close()
	lo, err := h.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("finding the loopback: %w", err)
	}
	return h.LinkSetUp(lo)
}

// playHost is a namespace's only process: it echoes until its standard input ends.
func playHost() error {
	in := bufio.NewReader(os.Stdin)
	fmt.Println("there")
	if _, err := in.ReadString('\n'); err != nil { // the network is ready
		return err
	}
	address := ":" + strconv.Itoa(echoPort)
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
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
	for _, port := range []int{echoPort, 53} {
		if err := echoPackets(port); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, in)
	return err
}

func echoPackets(port int) error {
	packets, err := net.ListenPacket("udp", ":"+strconv.Itoa(port))
	if err != nil {
		return err
	}
	go func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := packets.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = packets.WriteTo(buf[:n], from)
		}
	}()
	return nil
}

// host is a network namespace with one process and one address of each family.
type host struct {
	*proc
	name   string
	v4, v6 netip.Addr
}

// namespace names the host's network namespace as faults do.
func (h *host) namespace() (*faults.Namespace, error) {
	var st unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/ns/net", h.id.PID), &st); err != nil {
		return nil, err
	}
	return &faults.Namespace{Inode: st.Ino, Device: uint64(st.Dev), PID: h.id.PID}, nil
}

// cable makes two hosts joined by a veth pair; the first is the target.
func (w *world) cable() (a, b *host, err error) {
	if a, err = w.host("target", "198.18.0.1", "fd00:6:d::1"); err != nil {
		return nil, nil, err
	}
	if b, err = w.host("peer", "198.18.0.2", "fd00:6:d::2"); err != nil {
		return nil, nil, err
	}
	veth := &netlink.Veth{PeerName: "wire-b"}
	veth.Name, veth.TxQLen = "wire-a", 0 // as container tools make them: a qdisc that comes changes that
	if err := netlink.LinkAdd(veth); err != nil {
		return nil, nil, fmt.Errorf("adding a veth pair: %w", err)
	}
	for h, link := range map[*host]string{a: veth.Name, b: veth.PeerName} {
		if err := h.plug(link); err != nil {
			return nil, nil, err
		}
	}
	for _, h := range []*host{a, b} {
		if err := h.begin(); err != nil {
			return nil, nil, err
		}
	}
	w.hosts = append(w.hosts, a, b)
	w.place.Network, err = a.namespace()
	w.place.Addresses = []netip.Addr{a.v4, a.v6}
	w.place.Peers = []faults.Peer{{Name: "peer", Addresses: []netip.Addr{b.v4, b.v6}}}
	w.kill = a.kill
	return a, b, err
}

func (w *world) host(name, v4, v6 string) (*host, error) {
	p, err := w.start(name, as(roleHost), unix.CLONE_NEWNET, "there")
	if err != nil {
		return nil, err
	}
	return &host{proc: p, name: name, v4: netip.MustParseAddr(v4), v6: netip.MustParseAddr(v6)}, nil
}

// plug moves one end of a cable into the host's namespace and gives it addresses that work at once.
func (h *host) plug(link string) error {
	end, err := netlink.LinkByName(link)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetNsPid(end, h.id.PID); err != nil {
		return err
	}
	return h.inside(func() error {
		n, err := netlink.NewHandle()
		if err != nil {
			return err
		}
		defer n.Close()
		if end, err = n.LinkByName(link); err != nil {
			return err
		}
		for _, cidr := range []string{h.v4.String() + "/24", h.v6.String() + "/64"} {
			a, err := netlink.ParseAddr(cidr)
			if err != nil {
				return err
			}
			a.Flags = unix.IFA_F_NODAD
			if err := n.AddrAdd(end, a); err != nil {
				return fmt.Errorf("adding %s: %w", cidr, err)
			}
		}
		lo, err := n.LinkByName("lo")
		if err != nil {
			return err
		}
		return errors.Join(n.LinkSetUp(lo), n.LinkSetUp(end))
	})
}

// inside calls f on a thread in the host's namespace. Nothing keeps the namespace alive afterwards.
func (h *host) inside(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		ns, err := netns.GetFromPid(h.id.PID)
		if err != nil {
			done <- err
			return
		}
		defer ns.Close()
		if err := netns.Set(ns); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

// converse sends bytes to the echo of an address and waits for them to come back.
func (h *host) converse(to netip.Addr, bytes int, limit time.Duration) error {
	return h.inside(func() error {
		end := time.Now().Add(limit)
		d := net.Dialer{Deadline: end}
		c, err := d.Dial("tcp", netip.AddrPortFrom(to, echoPort).String())
		if err != nil {
			return err
		}
		defer c.Close()
		// A reset at the end: a connection that lingers would hold a port, and wait for an end that was cut off.
		if err := errors.Join(c.(*net.TCPConn).SetLinger(0), c.SetDeadline(end)); err != nil {
			return err
		}
		go func() { _, _ = c.Write(make([]byte, bytes)) }()
		_, err = io.ReadFull(c, make([]byte, bytes))
		return err
	})
}

// networks describes every network namespace of the world, and the sandbox's own, in which the guard stands.
func (w *world) networks() ([]string, error) {
	lines, err := describeNetwork("of the guard", "thread-self")
	for _, h := range w.hosts {
		if !h.alive() {
			continue
		}
		pid := strconv.Itoa(h.id.PID)
		insideErr := h.inside(func() error {
			more, err := describeNetwork("of "+h.name, pid)
			lines = append(lines, more...)
			return err
		})
		if insideErr != nil && h.alive() {
			err = errors.Join(err, insideErr)
		}
	}
	return lines, err
}

// describeNetwork returns links, addresses, routes, queueing, nftables and bound sockets of this thread's namespace.
func describeNetwork(name, pid string) ([]string, error) {
	n, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	defer n.Close()
	links, err := n.LinkList()
	if err != nil {
		return nil, err
	}
	prefix := "network " + name + " "
	var lines []string
	for _, l := range links {
		at := l.Attrs()
		p := prefix + at.Name
		lines = append(lines, fmt.Sprintf("%s: %s, mtu %d, up %v, queue %d", p, l.Type(), at.MTU,
			at.Flags&net.FlagUp != 0, at.TxQLen))
		more, err := describeQueues(n, l, p)
		if err != nil {
			return nil, err
		}
		lines = append(lines, more...)
		addrs, err := n.AddrList(l, netlink.FAMILY_ALL)
		if err != nil {
			return nil, err
		}
		for _, a := range addrs {
			if !a.IP.IsLinkLocalUnicast() { // made of a random hardware address
				lines = append(lines, p+" has "+a.IPNet.String())
			}
		}
	}
	rules, err := ruleset(prefix)
	if err != nil {
		return nil, err
	}
	return append(append(lines, rules...), sockets(prefix, pid)...), nil
}

// describeQueues returns a link's qdiscs, classes and filters, without what they have counted.
func describeQueues(n *netlink.Handle, l netlink.Link, prefix string) ([]string, error) {
	var lines []string
	note := func(what string, thing any) error {
		data, err := json.Marshal(thing)
		if err != nil {
			return err
		}
		var plain map[string]any
		if err := json.Unmarshal(data, &plain); err != nil {
			return err
		}
		for _, k := range []string{"Statistics", "LinkIndex"} {
			delete(plain, k)
		}
		data, err = json.Marshal(plain)
		lines = append(lines, prefix+" "+what+" "+string(data))
		return err
	}
	qdiscs, err := n.QdiscList(l)
	if err != nil {
		return nil, err
	}
	for _, q := range qdiscs {
		if err := note("qdisc "+q.Type(), q); err != nil {
			return nil, err
		}
	}
	classes, err := n.ClassList(l, netlink.HANDLE_NONE)
	if err != nil {
		return nil, err
	}
	for _, c := range classes {
		if err := note("class "+c.Type(), c); err != nil {
			return nil, err
		}
	}
	for _, parent := range []uint32{netlink.HANDLE_ROOT, netlink.HANDLE_MIN_INGRESS, netlink.HANDLE_MIN_EGRESS,
		netlink.MakeHandle(1, 0)} {
		filters, err := n.FilterList(l, parent)
		if err != nil {
			continue // there is no such parent
		}
		for _, f := range filters {
			if err := note("filter "+f.Type(), f); err != nil {
				return nil, err
			}
		}
	}
	return lines, nil
}

// ruleset is the whole nftables state of this thread's namespace. Counters, handles and times left are not state.
func ruleset(prefix string) ([]string, error) {
	c, err := nftables.New()
	if err != nil {
		return nil, err
	}
	tables, err := c.ListTables()
	if err != nil {
		return nil, err
	}
	chains, err := c.ListChains()
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, t := range tables {
		p := fmt.Sprintf("%stable %d %s", prefix, t.Family, t.Name)
		lines = append(lines, p)
		sets, err := c.GetSets(t)
		if err != nil {
			return nil, err
		}
		for _, s := range sets {
			elements, err := c.GetSetElements(s)
			if err != nil {
				return nil, err
			}
			lines = append(lines, p+" set "+s.Name)
			for _, e := range elements {
				lines = append(lines, fmt.Sprintf("%s set %s element %x", p, s.Name, e.Key))
			}
		}
		for _, ch := range chains {
			if ch.Table.Name != t.Name || ch.Table.Family != t.Family {
				continue
			}
			rules, err := c.GetRules(t, ch)
			if err != nil {
				return nil, err
			}
			for _, r := range rules {
				lines = append(lines, p+" chain "+ch.Name+" rule "+describeRule(r))
			}
		}
	}
	return lines, nil
}

func describeRule(r *nftables.Rule) string {
	var words []string
	for _, x := range r.Exprs {
		if _, counts := x.(*expr.Counter); counts {
			words = append(words, "counter")
			continue
		}
		words = append(words, fmt.Sprintf("%T%+v", x, x))
	}
	return strings.Join(words, " ")
}

// sockets lists what listens or is bound in a namespace. Connections do not count: they are the harness's own.
func sockets(prefix, pid string) []string {
	var lines []string
	for _, proto := range []string{"tcp", "tcp6", "udp", "udp6"} {
		text, err := os.ReadFile("/proc/" + pid + "/net/" + proto)
		if err != nil {
			continue
		}
		for l := range strings.Lines(string(text)) {
			f := strings.Fields(l)
			if len(f) > 3 && slices.Contains([]string{"07", "0A"}, f[3]) {
				lines = append(lines, prefix+proto+" socket "+f[1]+" "+f[2]+" "+f[3])
			}
		}
	}
	return lines
}
