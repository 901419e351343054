package collector

import (
	"crypto/tls"
	"encoding/json"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"gameday/loadgen"
)

// TestFlood checks that connections which say nothing neither pile up nor keep a runner out.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		r.begin()
		var idle []net.Conn
		for range 10 * maxStrangers {
			c, err := r.wire.dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			idle = append(idle, c)
		}
		synctest.Wait()
		r.c.mu.Lock()
		if n := len(r.c.strangers); n > maxStrangers {
			t.Errorf("%d strangers", n)
		}
		r.c.mu.Unlock()
		n := r.runner(0).start(r)
		<-r.ready
		time.Sleep(greeting)
		synctest.Wait()
		r.c.mu.Lock()
		if n := len(r.c.strangers); n > 0 {
			t.Errorf("%d strangers stay", n)
		}
		r.c.mu.Unlock()
		r.commands <- loadgen.Command{Stop: true}
		if err := <-r.result; err != nil {
			t.Error(err)
		}
		if err := <-n.ended; err != nil {
			t.Error(err)
		}
		for _, c := range idle {
			c.Close()
		}
		r.close()
	})
}

// TestFloodBehindARunner checks that a runner which has shown its token need not make room for strangers: its segment is given out once, so that
// nobody could take its place.
func TestFloodBehindARunner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		own, err := readToken(r.stream.Token())
		if err != nil {
			t.Fatal(err)
		}
		raw, err := r.wire.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
		if err := json.NewEncoder(conn).Encode(hello{Protocol: Protocol, Version: version, Secret: own.word(), Segment: loadgen.Segment{Of: 1}, Who: "pod-1"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the welcome waits for whoever reads it
		for range 2 * maxStrangers {
			c, err := r.wire.dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
		}
		synctest.Wait()
		var w welcome
		if err := json.NewDecoder(conn).Decode(&w); err != nil || w.Refused != "" {
			t.Errorf("the runner hears %+v, %v", w, err)
		}
		r.stream.Close()
		r.close()
	})
}
