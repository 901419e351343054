package main

import (
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// wire carries connections to a server, and can be cut: then nothing gets through, and nobody is told.
type wire struct {
	address string
	gate    sync.RWMutex  // held for writing while it is cut
	lost    chan struct{} // told when something has been sent that does not arrive
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{address: l.Addr().String(), lost: make(chan struct{}, 100)}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer near.Close()
				far, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				defer far.Close()
				go w.carry(far, near)
				w.carry(near, far)
			}()
		}
	}()
	return w
}

// carry passes on what comes from one end until either is closed.
func (w *wire) carry(from, to net.Conn) {
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			_ = to.Close()
			return
		}
		if !w.gate.TryRLock() {
			w.lost <- struct{}{}
			w.gate.RLock()
		}
		_, err = to.Write(buffer[:n])
		w.gate.RUnlock()
		if err != nil {
			_ = from.Close()
			return
		}
	}
}

// A database that is silent is noticed by whoever has a limit: goods are shown from memory, and orders are refused. Without one
// both wait for as long as the silence lasts, though the database itself would end any statement after a second.
func TestCatalogueCutOff(t *testing.T) {
	address, _ := startPostgres(t, "-schema", "sales")
	begin := func(limit time.Duration, b bounds) (*wire, http.Handler) {
		w := newWire(t, address)
		db, err := limitedPool(w.address, 2, limit)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		until(t, "PostgreSQL answers", func() bool { return db.Ping() == nil })
		b.timeout = limit
		var h http.Handler
		until(t, "both are shown before the cut", func() bool {
			h = catalogueHandler(db, b) // a new one each time: a breaker that one slow answer has opened stays open
			for _, path := range []string{"/goods/7", "/orders/7"} {
				code, body := get(h, http.MethodGet, path)
				if code >= http.StatusInternalServerError {
					return false
				}
				if code != http.StatusOK || body != "{\"number\":7,\"cents\":107}\n" {
					t.Fatalf("%s, before the cut: %d %s", path, code, body)
				}
			}
			return true
		})
		w.gate.Lock()
		return w, h
	}

	w, h := begin(500*time.Millisecond, bounds{breakAfter: 1, rest: time.Hour})
	if code, body := get(h, http.MethodGet, "/orders/7"); code != http.StatusGatewayTimeout {
		t.Errorf("an order: %d %s, want a time-out", code, body)
	}
	if code, body := get(h, http.MethodGet, "/orders/7"); code != http.StatusServiceUnavailable {
		t.Errorf("the next order: %d %s, want to be refused unasked", code, body)
	}
	if code, body := get(h, http.MethodGet, "/goods/7"); code != http.StatusOK || body != "{\"number\":7,\"cents\":107}\n" {
		t.Errorf("goods that were shown before: %d %s", code, body)
	}
	if code, body := get(h, http.MethodGet, "/goods/8"); code != http.StatusServiceUnavailable {
		t.Errorf("goods that were not: %d %s", code, body)
	}
	w.gate.Unlock()

	w, h = begin(0, bounds{})
	orders, goods := later(h, "/orders/7"), later(h, "/goods/7")
	<-w.lost
	<-w.lost
	third := later(h, "/goods/7") // there is no connection for it
	select {
	case <-orders:
		t.Error("an order was answered")
	case <-goods:
		t.Error("goods were shown")
	case <-third:
		t.Error("goods were shown without a connection")
	default:
	}
	w.gate.Unlock()
	for name, told := range map[string]<-chan int{"the order": orders, "the goods": goods, "the third": third} {
		if code := <-told; code != http.StatusOK {
			t.Errorf("after the cut %s: %d", name, code)
		}
	}
}
