package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// Limits of the server, beside those of a room.
const (
	headLimit       = 5 * time.Second
	readLimit       = 10 * time.Second
	idleLimit       = 60 * time.Second
	headerBytes     = 16 << 10
	mostConnections = 2000
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

// Serve serves until ctx ends, and then lets what is asked be answered for a moment.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	s := &http.Server{Handler: h, ReadHeaderTimeout: headLimit, ReadTimeout: readLimit, IdleTimeout: idleLimit, MaxHeaderBytes: headerBytes,
		BaseContext: func(net.Listener) context.Context { return base }}
	ended := make(chan struct{})
	stopped := context.AfterFunc(ctx, func() {
		defer close(ended)
		cancel() // streams end; the rest is short
		end, done := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
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

// bounded is a listener that holds a bounded number of connections, and hangs up on those beyond.
type bounded struct {
	net.Listener
	slots chan struct{}
}

// Accept waits for a connection for which there is room.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case b.slots <- struct{}{}:
			return &slot{Conn: c, free: sync.OnceFunc(func() { <-b.slots })}, nil
		default:
			_ = c.Close()
		}
	}
}

type slot struct {
	net.Conn
	free func()
}

// Close closes the connection and frees its place.
func (s *slot) Close() error {
	defer s.free()
	return s.Conn.Close()
}
