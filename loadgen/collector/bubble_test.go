package collector

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"gameday/loadgen"
)

// wire is a network inside of a bubble: a listener, and connections that can be cut or made to hang.
type wire struct {
	conns chan net.Conn
	over  chan struct{}
	once  sync.Once
}

func newWire() *wire { return &wire{conns: make(chan net.Conn), over: make(chan struct{})} }

func (w *wire) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.over:
		return nil, net.ErrClosed
	}
}

func (w *wire) Close() error { w.once.Do(func() { close(w.over) }); return nil }

func (*wire) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(198, 18, 0, 1), Port: 1} }

// dial returns the near side of a new connection.
func (w *wire) dial(context.Context) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case w.conns <- there:
		return here, nil
	case <-w.over:
		return nil, errors.New("connection refused")
	}
}

// hanging is a connection over which nothing comes or goes from a moment on, and which tells nobody.
type hanging struct {
	net.Conn
	hung  chan struct{} // closed from then on
	ended chan struct{} // closed with the connection
	once  sync.Once
}

func hang(c net.Conn) *hanging {
	return &hanging{Conn: c, hung: make(chan struct{}), ended: make(chan struct{})}
}

func (h *hanging) wait() error {
	select {
	case <-h.hung:
		<-h.ended
		return net.ErrClosed
	default:
		return nil
	}
}

func (h *hanging) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	if e := h.wait(); e != nil {
		return 0, e
	}
	return n, err
}

func (h *hanging) Write(p []byte) (int, error) {
	if err := h.wait(); err != nil {
		return 0, err
	}
	return h.Conn.Write(p)
}

func (h *hanging) Close() error {
	h.once.Do(func() { close(h.ended) })
	select {
	case <-h.hung:
		return nil // the other side hears nothing of it
	default:
		return h.Conn.Close()
	}
}

// clockwork is an engine that counts a stream's arrivals by the clock, and sends nothing.
type clockwork struct {
	mu      sync.Mutex
	began   bool
	stopped bool
	ended   time.Time
}

func (*clockwork) Check(context.Context, loadgen.Spec) []loadgen.Problem { return nil }

func (*clockwork) Pack(_ context.Context, s loadgen.Spec) (loadgen.Spec, error) { return s, nil }

func (e *clockwork) Run(ctx context.Context, spec loadgen.Spec, emit func(loadgen.Window)) error {
	defer func() {
		e.mu.Lock()
		e.ended = time.Now()
		e.mu.Unlock()
	}()
	spec.Prepared()
	var start time.Time
	select {
	case start = <-spec.Begin:
	case <-spec.Commands:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	time.Sleep(time.Until(start))
	e.mu.Lock()
	e.began = true
	e.mu.Unlock()
	spec.Ready()
	multiple := 1.0
	for s := 0; ; s++ {
		end := start.Add(time.Duration(s+1) * time.Second)
		tick := time.NewTimer(time.Until(end.Add(200 * time.Millisecond)))
		select {
		case <-tick.C:
			n := spec.Segment.Count(uint64(float64(s+1)*spec.Rate*multiple)) - spec.Segment.Count(uint64(float64(s)*spec.Rate*multiple))
			w := loadgen.Window{Stream: spec.Stream, Start: end.Add(-time.Second).Round(0), Multiple: multiple, Due: n, Started: n, Completed: n}
			for range n {
				w.OK.Record(20*time.Millisecond, 20*time.Millisecond)
			}
			emit(w)
		case c := <-spec.Commands:
			if c.Stop {
				e.mu.Lock()
				e.stopped = true
				e.mu.Unlock()
				return nil
			}
			s--
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
