package icingarig

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Proxy stands between a client and an Icinga, and can be cut.
type Proxy struct {
	Address string // host:port

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]bool
}

// NewProxy starts a proxy to an address. The test ends it.
func NewProxy(t testing.TB, to string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Address: l.Addr().String(), conns: map[net.Conn]bool{}}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() { p.carry(in, to) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.Cut()
		work.Wait()
	})
	return p
}

// Cut breaks every connection, and each that comes after it, until Mend.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	for c := range p.conns {
		c.Close()
	}
}

// Mend lets connections through again.
func (p *Proxy) Mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = false
}

// enter keeps a connection to be cut; false when all are.
func (p *Proxy) enter(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.cut {
		p.conns[c] = true
	}
	return !p.cut
}

func (p *Proxy) leave(c net.Conn) {
	c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

// carry carries one connection.
func (p *Proxy) carry(in net.Conn, to string) {
	defer p.leave(in)
	if !p.enter(in) {
		return
	}
	out, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer p.leave(out)
	if !p.enter(out) {
		return
	}
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1]) // it ends when either is closed
			way[0].Close()
			way[1].Close()
		})
	}
	both.Wait()
}
