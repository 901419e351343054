package network_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// bystander is a second address of the other node, which no fault selects.
var bystander = netip.MustParseAddr("198.18.0.3")

// addBystander gives the node the second address, on the same interface.
func (n *node) addBystander(t *testing.T) {
	t.Helper()
	h, err := netlink.NewHandleAt(n.ns)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	addr, err := netlink.ParseAddr(bystander.String() + "/24")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.AddrAdd(n.link(t, h), addr); err != nil {
		t.Fatal(err)
	}
}

// link is the node's only interface but lo.
func (n *node) link(t *testing.T, h *netlink.Handle) netlink.Link {
	t.Helper()
	links, err := h.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(links, func(l netlink.Link) bool {
		return l.Attrs().Flags&net.FlagLoopback == 0 &&
			l.Type() == "veth"
	})
	if i < 0 {
		t.Fatalf("node %s has no cable", n.name)
	}
	return links[i]
}

// tc is the node's whole qdisc tree as the system's own tc shows it, or "" if there is no such program.
func (n *node) tc(t *testing.T, args ...string) string {
	t.Helper()
	program, err := exec.LookPath("tc")
	if err != nil {
		return ""
	}
	var text []byte
	err = n.inside(func() (err error) {
		text, err = exec.Command(program, args...).CombinedOutput()
		return err
	})
	if err != nil {
		t.Fatalf("tc %v: %v\n%s", args, err, text)
	}
	return string(text)
}

// needTC skips a test that compares with the system's own tc, where there is none.
func (n *node) needTC(t *testing.T) {
	t.Helper()
	if n.tc(t, "qdisc", "show") != "" {
		return
	}
	const why = "there is no tc here to compare with: install iproute2"
	if os.Getenv("CI") != "" && os.Getenv(insideVariable) == "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// tree is the node's qdiscs and classes as text, without counters, and their settings as the system's own tc shows
// them.
func (n *node) tree(t *testing.T) string {
	t.Helper()
	return n.outline(t) + "\n" + packetsSeen.ReplaceAllString(n.tc(t, "qdisc", "show"), "")
}

// outline is the node's qdiscs and classes as text, read by a second implementation.
func (n *node) outline(t *testing.T) string {
	t.Helper()
	h, err := netlink.NewHandleAt(n.ns)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	links, err := h.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, l := range links {
		qdiscs, err := h.QdiscList(l)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range qdiscs {
			a := q.Attrs()
			lines = append(lines, fmt.Sprintf("%s %s %x parent %x", l.Attrs().Name, q.Type(), a.Handle, a.Parent))
		}
		classes, err := h.ClassList(l, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range classes {
			a := c.Attrs()
			lines = append(lines, fmt.Sprintf("%s class %s %x", l.Attrs().Name, c.Type(), a.Handle))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// packetsSeen is the only counter that tc shows of a qdisc without being asked for counters.
var packetsSeen = regexp.MustCompile(`direct_packets_stat \d+ `)

// throughput sends over TCP for span, and returns how many bits per second of it arrived. The first third is not
// counted: bursts and the start of a conversation are no rate.
func throughput(t *testing.T, from, to *node, address netip.Addr, span time.Duration) float64 {
	t.Helper()
	var l net.Listener
	if err := to.inside(func() (err error) {
		l, err = net.Listen("tcp", netip.AddrPortFrom(address, 0).String())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var out net.Conn
	if err := from.inside(func() (err error) {
		out, err = net.DialTimeout("tcp", l.Addr().String(), patient)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	in, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	began := time.Now()
	var both sync.WaitGroup
	both.Go(func() {
		chunk := make([]byte, 1<<16)
		for {
			if _, err := out.Write(chunk); err != nil {
				return
			}
		}
	})
	both.Go(func() { _, _ = io.CopyBuffer(io.Discard, struct{ io.Reader }{in}, make([]byte, 1<<16)) })
	// The kernel counts what has arrived, whenever it is read, and the time is rather taken too long than too short.
	<-time.After(time.Until(began.Add(span / 3)))
	from1 := time.Now()
	first := received(t, in)
	<-time.After(time.Until(began.Add(span)))
	bytes := received(t, in)
	took := time.Since(from1)
	in.Close()
	out.Close()
	both.Wait()
	return float64(bytes-first) * 8 / took.Seconds()
}

// received returns how many bytes of a connection have come to the kernel.
func received(t *testing.T, c net.Conn) uint64 {
	t.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var info *unix.TCPInfo
	var failed error
	err = raw.Control(func(fd uintptr) { info, failed = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
	if err = errors.Join(err, failed); err != nil {
		t.Fatal(err)
	}
	return info.Bytes_received
}

// arrival is one datagram as its receiver saw it.
type arrival struct {
	seq    uint32
	took   time.Duration
	intact bool
}

// stream sends datagrams from one node to another, some each millisecond, and returns what arrived within linger of the
// last, however late it is read. Both ends read the same clock.
type stream struct {
	from, to *node
	address  netip.Addr
	count    int
	each     int // datagrams a millisecond
	size     int // bytes, at least 20
	linger   time.Duration
	once     bool // none comes twice: it ends as soon as each has arrived, and linger is for those that have not
	// unchecked leaves the UDP checksum out, so that a flipped bit is seen and not dropped.
	unchecked bool
}

// datagrams are 4 bytes of number, 8 of time, filling, and 4 of checksum.
const leastDatagram = 20

func (s stream) run(t *testing.T) []arrival {
	t.Helper()
	var in *net.UDPConn
	if err := s.to.inside(func() (err error) {
		in, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(s.address, 0)))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var out *net.UDPConn
	if err := s.from.inside(func() (err error) {
		out, err = net.DialUDP("udp", nil, in.LocalAddr().(*net.UDPAddr))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	control(t, in, unix.SO_RCVBUFFORCE, 64<<20)
	control(t, out, unix.SO_SNDBUFFORCE, 64<<20)
	if s.unchecked {
		control(t, out, unix.SO_NO_CHECK, 1)
	}
	base := time.Now()
	enough := math.MaxInt
	if s.once {
		enough = s.count
	}
	got := make(chan []arrival, 1)
	go func() { got <- receive(in, base, enough) }()
	b := make([]byte, max(s.size, leastDatagram))
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for seq := range s.count {
		if seq%max(s.each, 1) == 0 {
			<-tick.C
		}
		binary.BigEndian.PutUint32(b, uint32(seq))
		binary.BigEndian.PutUint64(b[4:], uint64(time.Since(base)))
		binary.BigEndian.PutUint32(b[len(b)-4:], crc32.ChecksumIEEE(b[:len(b)-4]))
		if _, err := out.Write(b); err != nil {
			t.Logf("datagram %d: %v", seq, err)
		}
	}
	_ = in.SetReadDeadline(time.Now().Add(s.linger))
	return <-got
}

// receive reads until enough different datagrams are there or the deadline has struck, and then what lies there: Read
// refuses after the deadline, although it came before.
func receive(in *net.UDPConn, base time.Time, enough int) []arrival {
	var list []arrival
	different := map[uint32]bool{}
	b := make([]byte, 1<<16)
	note := func(b []byte) {
		a := arrival{took: -1}
		if n := len(b); n >= leastDatagram {
			a.intact = crc32.ChecksumIEEE(b[:n-4]) == binary.BigEndian.Uint32(b[n-4:])
			a.seq = binary.BigEndian.Uint32(b)
			a.took = time.Since(base) - time.Duration(binary.BigEndian.Uint64(b[4:]))
		}
		list = append(list, a)
		if a.intact {
			different[a.seq] = true
		}
	}
	for len(different) < enough {
		n, err := in.Read(b)
		if err != nil {
			break
		}
		note(b[:n])
	}
	raw, err := in.SyscallConn()
	if err != nil {
		return list
	}
	_ = raw.Control(func(fd uintptr) {
		for {
			n, _, err := unix.Recvfrom(int(fd), b, unix.MSG_DONTWAIT)
			if err != nil {
				return
			}
			note(b[:n])
		}
	})
	return list
}

// TestReadLate reads when the deadline has struck, as a reader does that the machine had no time for.
func TestReadLate(t *testing.T) {
	a, _ := pair(t)
	var in, out *net.UDPConn
	if err := a.inside(func() (err error) {
		if in, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
			return err
		}
		out, err = net.DialUDP("udp", nil, in.LocalAddr().(*net.UDPAddr))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer out.Close()
	const n = 3
	for range n {
		if _, err := out.Write(make([]byte, leastDatagram)); err != nil {
			t.Fatal(err)
		}
	}
	if err := in.SetReadDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if got := receive(in, time.Now(), n); len(got) != n {
		t.Errorf("%d of %d that had arrived are read", len(got), n)
	}
}

func control(t *testing.T, c syscall.Conn, option, value int) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, option, value)
	})
	if err != nil && option == unix.SO_NO_CHECK {
		t.Fatal(err)
	}
}

// latencies returns how long the intact ones took, sorted.
func latencies(list []arrival) []time.Duration {
	var all []time.Duration
	for _, a := range list {
		if a.intact {
			all = append(all, a.took)
		}
	}
	slices.Sort(all)
	return all
}

// quantile returns the part p of a sorted list, or 0 of an empty one.
func quantile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(p*float64(len(sorted))), len(sorted)-1)]
}
