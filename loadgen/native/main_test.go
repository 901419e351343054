package native

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/internal/child"
)

// The test binary is its own traffic generator, and for one test a process that starts one and is killed.
func TestMain(m *testing.M) {
	switch {
	case IsChild():
		RunChild()
	case os.Getenv(parentVariable) != "":
		actAsParent()
	}
	os.Exit(m.Run())
}

// get is a request for a URL, in which ${…} are gaps.
func get(url string, change ...func(*loadgen.Request)) loadgen.Request {
	r := loadgen.Request{Name: "get", URL: gaps(url), Timeout: 2 * time.Second}
	for _, c := range change {
		c(&r)
	}
	return r
}

// gaps reads a text as scenarios write it.
func gaps(s string) loadgen.Text {
	var t loadgen.Text
	for {
		before, rest, found := strings.Cut(s, "${")
		if before != "" {
			t = append(t, loadgen.Part{Text: before})
		}
		if !found {
			return t
		}
		ref, after, _ := strings.Cut(rest, "}")
		t = append(t, loadgen.Part{Ref: ref})
		s = after
	}
}

// flows makes one flow of requests.
func flows(requests ...loadgen.Request) []loadgen.Flow {
	return []loadgen.Flow{{Name: "flow", Weight: 1, Requests: requests}}
}

// rig is a crew without a schedule, with one user.
type rig struct {
	*crew
	*user
	mu   sync.Mutex
	said []string
}

func newRig(t *testing.T, spec loadgen.Spec) *rig {
	t.Helper()
	p, err := compile(spec)
	if err != nil {
		t.Fatal(err)
	}
	w, err := newWire(spec.Wire)
	if err != nil {
		t.Fatal(err)
	}
	tally := child.NewTally()
	c, err := newCrew(p, w, sizeOf(spec), tally)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{crew: c, user: &user{c: c}}
	c.fresh = func(string) bool { return true }
	c.say = func(_, text string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.said = append(r.said, text)
	}
	t.Cleanup(func() {
		r.user.leave()
		c.interrupt()
		c.calls.close()
	})
	return r
}

// times runs iterations and returns what was counted.
func (r *rig) times(n int) loadgen.Window {
	r.tally = child.NewTally()
	r.tally.Open(time.Now())
	for range n {
		r.iterate(time.Now())
	}
	var sum loadgen.Window
	for {
		w, _, ok := r.tally.Take(time.Now(), 0, true)
		if !ok {
			return sum
		}
		sum.Merge(*w)
	}
}

// server is a scripted server over plain TCP: it answers the n-th request on each connection with the n-th of its answers,
// and then closes. An answer that ends in "…" leaves the connection open without another word.
type server struct {
	net.Listener
	URL         string
	connections atomic.Int64
	mu          sync.Mutex
	requests    []string // heads as they came, with their bodies
}

func newServer(t *testing.T, answers ...string) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{Listener: l, URL: "http://" + l.Addr().String()}
	done := make(chan struct{})
	t.Cleanup(func() { close(done); l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.connections.Add(1)
			go s.serve(c, answers, done)
		}
	}()
	return s
}

func (s *server) serve(c net.Conn, answers []string, done <-chan struct{}) {
	defer c.Close()
	r := bufio.NewReader(c)
	for _, a := range answers {
		q, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		var b strings.Builder
		fmt.Fprintf(&b, "%s %s %s", q.Method, q.RequestURI, q.Host)
		body := make([]byte, max(0, q.ContentLength))
		if _, err := ioReadFull(q, body); err == nil && len(body) > 0 {
			fmt.Fprintf(&b, " %s", body)
		}
		s.mu.Lock()
		s.requests = append(s.requests, b.String())
		s.mu.Unlock()
		hangs := strings.HasSuffix(a, "…")
		if _, err := c.Write([]byte(strings.TrimSuffix(a, "…"))); err != nil {
			return
		}
		if hangs {
			<-done
			return
		}
	}
}

func ioReadFull(q *http.Request, b []byte) (int, error) {
	n := 0
	for n < len(b) {
		m, err := q.Body.Read(b[n:])
		n += m
		if err != nil && n < len(b) {
			return n, err
		}
	}
	return n, nil
}
