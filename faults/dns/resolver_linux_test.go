package dns_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// resolver is a small DNS server: it has the address 192.0.2.7 for every name, and remembers what it was asked.
type resolver struct {
	mu    sync.Mutex
	asked []string // names as they were written, over UDP and TCP
	open  []io.Closer
}

var theAddress = netip.MustParseAddr("192.0.2.7")

func newResolver() *resolver { return &resolver{} }

// serve answers on an address of the node, until the test ends.
func (r *resolver) serve(t *testing.T, n *node, at netip.AddrPort) {
	t.Helper()
	var udp net.PacketConn
	var tcp net.Listener
	err := n.inside(func() (err error) {
		var config net.ListenConfig
		config.SetMultipathTCP(false)
		if udp, err = config.ListenPacket(context.Background(), "udp", at.String()); err != nil {
			return err
		}
		tcp, err = config.Listen(context.Background(), "tcp", at.String())
		return err
	})
	if err != nil {
		t.Fatalf("serving on %v: %v", at, err)
	}
	r.open = append(r.open, udp, tcp)
	t.Cleanup(r.close)
	go func() {
		buf := make([]byte, 65535)
		for {
			n, from, err := udp.ReadFrom(buf)
			if err != nil {
				return
			}
			if reply := r.reply(buf[:n]); reply != nil {
				_, _ = udp.WriteTo(reply, from)
			}
		}
	}()
	go func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			go r.converse(c)
		}
	}()
}

func (r *resolver) close() {
	for _, c := range r.open {
		c.Close()
	}
}

func (r *resolver) converse(c net.Conn) {
	defer c.Close()
	for {
		msg, err := receive(c)
		if err != nil {
			return
		}
		if reply := r.reply(msg); reply == nil || send(c, reply) != nil {
			return
		}
	}
}

// reply answers a query for an address of IPv4, and with nothing for other types.
func (r *resolver) reply(msg []byte) []byte {
	name, end := textName(msg)
	if end == 0 {
		return nil
	}
	r.mu.Lock()
	r.asked = append(r.asked, name)
	r.mu.Unlock()
	reply := append([]byte(nil), msg[:end]...)
	binary.BigEndian.PutUint16(reply[2:], 0x8580)
	copy(reply[6:], []byte{0, 0, 0, 0, 0, 0})
	if binary.BigEndian.Uint16(msg[end-4:]) == 1 {
		reply[7] = 1
		reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
		reply = append(reply, theAddress.AsSlice()...)
	}
	return reply
}

// count returns how often a name was asked for, letter case aside.
func (r *resolver) count(name string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, a := range r.asked {
		if strings.EqualFold(a, name) {
			n++
		}
	}
	return n
}

// textName returns the first question's name and the offset after the question, or 0.
func textName(msg []byte) (string, int) {
	var labels []string
	at := 12
	for at < len(msg) && msg[at] != 0 {
		end := at + 1 + int(msg[at])
		if end > len(msg) {
			return "", 0
		}
		labels = append(labels, string(msg[at+1:end]))
		at = end
	}
	if at+5 > len(msg) {
		return "", 0
	}
	return strings.Join(labels, "."), at + 5
}

func query(id uint16, name string) []byte {
	m := []byte{byte(id >> 8), byte(id), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	for _, label := range strings.Split(name, ".") {
		m = append(append(m, byte(len(label))), label...)
	}
	return append(m, 0, 0, 1, 0, 1)
}

func send(c io.Writer, msg []byte) error {
	_, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...))
	return err
}

func receive(c io.Reader) ([]byte, error) {
	size := make([]byte, 2)
	if _, err := io.ReadFull(c, size); err != nil {
		return nil, err
	}
	msg := make([]byte, binary.BigEndian.Uint16(size))
	_, err := io.ReadFull(c, msg)
	return msg, err
}

// exchange sends one query over a connection and waits for its answer: the response code, and how long it took.
func exchange(c net.Conn, name string, limit time.Duration) (rcode int, took time.Duration, err error) {
	began := time.Now()
	if err := c.SetDeadline(began.Add(limit)); err != nil {
		return 0, 0, err
	}
	msg := query(uint16(began.UnixNano()), name)
	var reply []byte
	if _, stream := c.(*net.TCPConn); stream {
		if err := send(c, msg); err != nil {
			return 0, 0, err
		}
		reply, err = receive(c)
	} else {
		if _, err := c.Write(msg); err != nil {
			return 0, 0, err
		}
		buf := make([]byte, 65535)
		for reply == nil && err == nil {
			var n int
			n, err = c.Read(buf)
			if n < 2 || buf[0] == msg[0] && buf[1] == msg[1] { // else it answers a query that was given up
				reply = buf[:n]
			}
		}
	}
	took = time.Since(began)
	if err != nil {
		return 0, took, err
	}
	if len(reply) < 12 || reply[0] != msg[0] || reply[1] != msg[1] || reply[2]&0x80 == 0 {
		return 0, took, fmt.Errorf("no answer to the query: %x", reply)
	}
	if got, _ := textName(reply); got != name {
		return 0, took, fmt.Errorf("asked for %s, answered for %s", name, got)
	}
	return int(reply[3] & 0xf), took, nil
}

// ask sends one query from the node over a connection of its own.
func (n *node) ask(network string, resolver netip.Addr, name string, limit time.Duration) (int, time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c, err := n.dial(ctx, network, netip.AddrPortFrom(resolver, 53))
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	return exchange(c, name, limit)
}

// lookup resolves a name as a Go program in the node would.
func (n *node) lookup(at netip.Addr, name string, limit time.Duration) error {
	var mu sync.Mutex
	var open []net.Conn
	defer func() { // a Resolver that gives up leaves its connections open for a while
		mu.Lock()
		defer mu.Unlock()
		for _, c := range open {
			c.Close()
		}
	}()
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		c, err := n.dial(ctx, network, netip.AddrPortFrom(at, 53))
		if err == nil {
			mu.Lock()
			defer mu.Unlock()
			open = append(open, c)
		}
		return c, err
	}}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	got, err := r.LookupNetIP(ctx, "ip4", name+".")
	if err != nil {
		return err
	}
	if len(got) != 1 || got[0].Unmap() != theAddress {
		return fmt.Errorf("%s has %v", name, got)
	}
	return nil
}

func mustResolve(t *testing.T, n *node, at netip.Addr, name string) {
	t.Helper()
	if err := n.lookup(at, name, patient); err != nil {
		t.Fatalf("%s cannot resolve %s at %v: %v", n.name, name, at, err)
	}
}

func mustNotResolve(t *testing.T, n *node, at netip.Addr, name string) {
	t.Helper()
	err := n.lookup(at, name, soon)
	if e := (*net.DNSError)(nil); err == nil || !errors.As(err, &e) {
		t.Fatalf("%s resolves %s at %v although it should not: %v", n.name, name, at, err)
	}
}
