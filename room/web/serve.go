package web

import (
	"bytes"
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"time"

	"gameday/room/door"

	"gameday/room/gate"
)

// Limits of the server, beside those of a room.
const (
	headLimit       = 5 * time.Second
	readLimit       = gate.ReadLimit
	idleLimit       = 60 * time.Second
	headerBytes     = 16 << 10
	mostConnections = 2000
	endLimit        = 2 * time.Second // what is being answered has when the server ends, streams to those who read nothing included
	strangerLimit   = time.Second     // how long a connection has to show that somebody comes over it who is in the room
)

// Listen opens the address at which rooms are served. Beyond loopback it needs TLS, unless plain says that what is sent may be read
// and changed by others on the way: behind a proxy on the same network, say.
func Listen(address string, secured *tls.Config, plain bool) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("opening the room at %q: %w; an address is as in 127.0.0.1:8470", address, err)
	}
	if secured == nil && !plain && !loopback(host) {
		return nil, fmt.Errorf("opening the room at %q: others than this machine reach it there, and nothing would be encrypted, links and what people do included; "+
			"give a certificate and its key, or say in so many words that plain HTTP is meant, or keep to 127.0.0.1 and use ssh -L", address)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("opening the room: %w", err)
	}
	l = &bounded{Listener: l, slots: make(chan struct{}, mostConnections)}
	if secured != nil {
		l = tls.NewListener(l, secured)
	}
	return l, nil
}

// loopback reports whether only this machine reaches a host. Every interface is not that; names other than localhost may be anything.
func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.Unmap().IsLoopback()
}

// errCloses is why the context of a request ended where that is not because whoever asked is gone.
var errCloses = errors.New("the room closes")

// Serve serves until ctx ends, and then lets what is asked be answered for a moment.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	base, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	s := &http.Server{Handler: h, ReadHeaderTimeout: headLimit, ReadTimeout: readLimit, IdleTimeout: idleLimit, MaxHeaderBytes: headerBytes,
		BaseContext: func(net.Listener) context.Context { return base }, ConnContext: withSlot,
		ErrorLog: log.New(&sparse{to: os.Stderr, rate: door.Rate{Burst: 5, Second: 0.2}}, "", 0)}
	ended := make(chan struct{})
	stopped := context.AfterFunc(ctx, func() {
		defer close(ended)
		cancel(errCloses) // streams end; the rest is short
		end, done := context.WithTimeout(context.WithoutCancel(ctx), endLimit)
		defer done()
		if s.Shutdown(end) != nil {
			_ = s.Close()
		}
	})
	err := s.Serve(l)
	if !stopped() {
		<-ended
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the room: %w", err)
	}
	return nil
}

// sparse passes on a line now and then: what a server says of connections that break must not fill a disk, whoever breaks them.
type sparse struct {
	to   io.Writer
	rate door.Rate
}

// Write writes a line, or not.
func (s *sparse) Write(line []byte) (int, error) {
	if !s.rate.Allow("") {
		return len(line), nil
	}
	return s.to.Write(line)
}

// bounded is a listener that holds a bounded number of connections. When there are as many, a new one takes the place of the oldest over
// which nobody came who is in the room, and that had time for it: strangers who hold connections open keep nobody out. If there is none
// such, the new one is hung up on.
type bounded struct {
	net.Listener
	slots chan struct{}

	mu        sync.Mutex
	strangers list.List // of *slot, the oldest first
}

// Accept waits for a connection for which there is room. It is for one goroutine.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case b.slots <- struct{}{}:
			return b.hold(c), nil
		default:
		}
		if b.oust() {
			select {
			case b.slots <- struct{}{}:
				return b.hold(c), nil
			default:
			}
		}
		_ = c.Close()
	}
}

// hold gives a connection the place that was taken for it.
func (b *bounded) hold(c net.Conn) *slot {
	s := &slot{Conn: c, of: b, since: time.Now()}
	b.mu.Lock()
	defer b.mu.Unlock()
	s.place = b.strangers.PushBack(s)
	return s
}

// oust closes the oldest connection of a stranger that had its time, and reports whether there was one.
func (b *bounded) oust() bool {
	b.mu.Lock()
	first := b.strangers.Front()
	b.mu.Unlock()
	if first == nil {
		return false
	}
	s := first.Value.(*slot)
	if time.Since(s.since) < strangerLimit {
		return false
	}
	_ = s.Close()
	return true
}

// slot is a connection that has a place.
type slot struct {
	net.Conn
	of     *bounded
	since  time.Time
	place  *list.Element // among strangers; nil when it is none any more
	closed sync.Once

	gathered *bytes.Buffer // what is to go out as one piece; nil while what is written is sent
}

// recognised says that somebody who is in the room came over the connection.
func (s *slot) recognised() {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	if s.place != nil {
		s.of.strangers.Remove(s.place)
		s.place = nil
	}
}

// Close closes the connection and frees its place.
func (s *slot) Close() error {
	err := s.Conn.Close()
	s.closed.Do(func() {
		s.recognised()
		<-s.of.slots
	})
	return err
}

// slotKey is by what a request's context has its connection.
type slotKey struct{}

func withSlot(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if s, ok := c.(*slot); ok {
		ctx = context.WithValue(ctx, slotKey{}, s)
	}
	return ctx
}

// Recognise says of a request's connection that somebody who is in the room came over it.
func Recognise(ctx context.Context) {
	if s, ok := ctx.Value(slotKey{}).(*slot); ok {
		s.recognised()
	}
}
