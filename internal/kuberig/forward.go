package kuberig

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
)

// gate lets programs outside of the namespace reach a server in it, at a loopback address that nobody else uses.
type gate struct {
	address string // outside
	dial    func() (net.Conn, error)

	mu       sync.Mutex
	listener net.Listener // nil while shut
	open     map[net.Conn]bool
	wait     sync.WaitGroup
}

// newGate returns a gate that is shut, with an address where it can be opened.
func newGate(dial func() (net.Conn, error)) (*gate, error) {
	var err error
	for range 20 {
		g := &gate{dial: dial, open: map[net.Conn]bool{}}
		g.address = fmt.Sprintf("127.%d.%d.%d:6443", 64+rand.IntN(128), rand.IntN(256), 1+rand.IntN(254))
		if err = g.unlock(); err == nil {
			g.shut()
			return g, nil
		}
	}
	return nil, fmt.Errorf("finding a loopback address: %w", err)
}

// unlock opens the gate.
func (g *gate) unlock() error {
	l, err := net.Listen("tcp", g.address)
	if err != nil {
		return err
	}
	g.mu.Lock()
	g.listener = l
	g.mu.Unlock()
	g.wait.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			g.wait.Go(func() { g.carry(conn) })
		}
	})
	return nil
}

// carry joins a connection with one in the namespace until one of them ends.
func (g *gate) carry(out net.Conn) {
	in, err := g.dial()
	if err != nil {
		if tcp, ok := out.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // as one is refused: at once
		}
		_ = out.Close()
		return
	}
	g.mu.Lock()
	shut := g.listener == nil
	g.open[in], g.open[out] = true, true
	g.mu.Unlock()
	done := make(chan struct{}, 2)
	copyTo := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		done <- struct{}{}
	}
	if !shut {
		go copyTo(in, out)
		go copyTo(out, in)
		<-done
	}
	_, _ = in.Close(), out.Close()
	if !shut {
		<-done
	}
	g.mu.Lock()
	delete(g.open, in)
	delete(g.open, out)
	g.mu.Unlock()
}

// shut closes the gate and what goes through it. Whoever comes is refused.
func (g *gate) shut() {
	g.mu.Lock()
	if g.listener != nil {
		_ = g.listener.Close()
		g.listener = nil
	}
	for conn := range g.open {
		_ = conn.Close()
	}
	g.mu.Unlock()
	g.wait.Wait()
}
