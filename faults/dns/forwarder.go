package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of what a forwarder does at once. What exceeds them is dropped, and counted as lost.
const (
	maxQueries   = 4096             // that wait, for their delay or for an answer
	maxRelays    = 512              // with a socket of their own to the resolver
	maxSessions  = 256              // TCP connections from clients
	upstreamWait = 10 * time.Second // for the resolver; clients ask again after 5 s or less
	sessionWait  = 30 * time.Second // for the next query of a TCP connection
	acceptPause  = 100 * time.Millisecond
	maxMessage   = 65535
)

// domain is the port of RFC 1035.
const domain = 53

// listener is what stands in for one resolver: both sockets have the same loopback address and port.
type listener struct {
	resolver netip.Addr
	udp      *net.UDPConn
	tcp      *net.TCPListener
}

// port returns the listener's port.
func (l listener) port() uint16 { return uint16(l.udp.LocalAddr().(*net.UDPAddr).Port) }

func (l listener) upstream() netip.AddrPort { return netip.AddrPortFrom(l.resolver, domain) }

func (l listener) close() error { return errors.Join(l.udp.Close(), l.tcp.Close()) }

// dialFunc opens a connection, "udp" or "tcp", to a resolver past the rules that lead to the forwarder.
type dialFunc func(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error)

// forwarder receives a place's queries instead of its resolvers. Those that the treatment selects get what it says; all
// others, and what the resolvers say to them, pass as they come.
type forwarder struct {
	treatment treatment
	listeners []listener
	dial      dialFunc
	release   func() // what the sockets stand in

	ctx      context.Context
	cancel   context.CancelFunc
	work     sync.WaitGroup
	lapse    *time.Timer
	queries  chan struct{} // a token each; see the bounds
	relays   chan struct{}
	sessions chan struct{}
	count    counters

	mu     sync.Mutex
	probes map[netip.AddrPort]chan struct{} // closed when the probe from that address was selected
}

// counters count queries.
type counters struct {
	selected, passed, own, lost atomic.Uint64
}

// lapseGrace is how much longer than the lease the sockets stand: the kernel lets go first.
const lapseGrace = time.Second

// newForwarder serves on the listeners until it is stopped, or the lease is over without having been renewed.
func newForwarder(p treatment, l []listener, dial dialFunc, release func(), lease time.Duration) *forwarder {
	f := &forwarder{treatment: p, listeners: l, dial: dial, release: release,
		queries: make(chan struct{}, maxQueries), relays: make(chan struct{}, maxRelays),
		sessions: make(chan struct{}, maxSessions), probes: map[netip.AddrPort]chan struct{}{}}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	for _, each := range l {
		f.work.Go(func() { f.serveUDP(each) })
		f.work.Go(func() { f.serveTCP(each) })
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lapse = time.AfterFunc(lease+lapseGrace, f.stop)
	return f
}

// renew lets the forwarder stand for another lease.
func (f *forwarder) renew(lease time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ctx.Err() == nil {
		f.lapse.Reset(lease + lapseGrace)
	}
}

// stop closes all sockets and waits until nothing is served any more. Queries that wait then are lost.
func (f *forwarder) stop() {
	f.mu.Lock()
	first := f.ctx.Err() == nil
	f.cancel()
	f.lapse.Stop()
	f.mu.Unlock()
	if first {
		for _, l := range f.listeners {
			_ = l.close() // nothing can be done about it, and nothing is written
		}
	}
	f.work.Wait()
	if first {
		f.release()
	}
}

// serveUDP takes datagrams until the socket is closed.
func (f *forwarder) serveUDP(l listener) {
	buf := make([]byte, maxMessage)
	for {
		n, from, err := l.udp.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		msg := slices.Clone(buf[:n])
		f.begin(func() { f.udpQuery(l, from, msg) })
	}
}

// begin runs one query's work, unless too many are under way.
func (f *forwarder) begin(query func()) bool {
	select {
	case f.queries <- struct{}{}:
		f.work.Go(func() {
			defer func() { <-f.queries }()
			query()
		})
		return true
	default:
		f.count.lost.Add(1)
		return false
	}
}

func (f *forwarder) udpQuery(l listener, from netip.AddrPort, msg []byte) {
	d := f.decide(msg)
	reply := d.reply
	switch {
	case d.selected && f.takeProbe(from): // answered at once, and no concern of the resolver's
	case !f.sleep(d.wait):
		return
	case d.pass:
		reply = f.relayUDP(l.upstream(), msg)
	}
	if reply != nil {
		_, _ = l.udp.WriteToUDPAddrPort(reply, from) // a client that is gone needs no answer
	}
}

// decide judges a message and counts it.
func (f *forwarder) decide(msg []byte) decision {
	d := f.treatment.decide(msg)
	if d.selected {
		f.count.selected.Add(1)
	} else {
		f.count.passed.Add(1)
	}
	return d
}

// sleep reports false if the forwarder was stopped meanwhile.
func (f *forwarder) sleep(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-f.ctx.Done():
		return false
	}
}

// connect opens a connection to the resolver that ends with the forwarder and after upstreamWait.
func (f *forwarder) connect(network string, to netip.AddrPort) (net.Conn, func(), error) {
	select {
	case f.relays <- struct{}{}:
	default:
		f.count.lost.Add(1)
		return nil, nil, errors.New("too many queries wait for resolvers")
	}
	ctx, cancel := context.WithTimeout(f.ctx, upstreamWait)
	defer cancel()
	c, err := f.dial(ctx, network, to)
	if err == nil {
		if err = c.SetDeadline(time.Now().Add(upstreamWait)); err != nil {
			err = errors.Join(err, c.Close())
		}
	}
	if err != nil {
		<-f.relays
		return nil, nil, fmt.Errorf("asking %v: %w", to, err)
	}
	forget := context.AfterFunc(f.ctx, func() { c.Close() })
	return c, func() {
		forget()
		c.Close()
		<-f.relays
	}, nil
}

// buffers are of the size of any message.
var buffers = sync.Pool{New: func() any { return new([maxMessage]byte) }}

// relayUDP asks the resolver and returns its answer as it came, or nil: a resolver that cannot be asked is silent.
func (f *forwarder) relayUDP(to netip.AddrPort, msg []byte) []byte {
	c, done, err := f.connect("udp", to)
	if err != nil {
		return nil
	}
	defer done()
	if _, err := c.Write(msg); err != nil {
		return nil
	}
	buf := buffers.Get().(*[maxMessage]byte)
	defer buffers.Put(buf)
	for {
		n, err := c.Read(buf[:])
		if err != nil {
			return nil
		}
		if n >= 2 && len(msg) >= 2 && buf[0] == msg[0] && buf[1] == msg[1] { // the answer to this query
			return slices.Clone(buf[:n])
		}
	}
}

// expectProbe announces a query of our own. The channel is closed when it was selected.
func (f *forwarder) expectProbe(from netip.AddrPort) <-chan struct{} {
	taken := make(chan struct{})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.probes[from] = taken
	return taken
}

func (f *forwarder) forgetProbe(from netip.AddrPort) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.probes, from)
}

func (f *forwarder) takeProbe(from netip.AddrPort) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	taken, ours := f.probes[from]
	if ours {
		delete(f.probes, from)
		f.count.own.Add(1)
		close(taken)
	}
	return ours
}
