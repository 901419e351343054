// Package piperig is a network of a test's own without sockets, over which time passes in a bubble of testing/synctest.
package piperig

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
)

// Listener takes the connections that Dial makes. It is a net.Listener.
type Listener struct {
	made   chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// Listen returns a listener.
func Listen() *Listener {
	return &Listener{made: make(chan net.Conn), closed: make(chan struct{})}
}

// Serve answers at a listener until the test ends.
func Serve(t testing.TB, h http.Handler) *Listener {
	l, server := Listen(), &http.Server{Handler: h}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != http.ErrServerClosed {
			t.Error(err)
		}
	})
	return l
}

// Dial makes a connection, whatever the address.
func (l *Listener) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.made <- there:
		return here, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Transport returns one that asks whoever answers here, whatever the address. It keeps no connection.
func (l *Listener) Transport() *http.Transport {
	return &http.Transport{DialContext: l.Dial, DisableKeepAlives: true}
}

// Accept returns the next connection.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.made:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and Dial. It may be called more than once.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr is nowhere.
func (l *Listener) Addr() net.Addr { return nowhere{} }

type nowhere struct{}

func (nowhere) Network() string { return "pipe" }
func (nowhere) String() string  { return "pipe.example" }
