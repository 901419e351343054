package web

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gameday/report"
	"gameday/room"
	"gameday/room/door"
)

// TestListen: beyond this machine nothing is served in the clear unless that is asked for.
func TestListen(t *testing.T) {
	for _, tt := range []struct {
		address string
		secured *tls.Config
		want    string
	}{
		{"127.0.0.1:0", nil, ""},
		{"localhost:0", nil, ""},
		{"127.0.0.1:0", &tls.Config{}, ""},
		{"0.0.0.0:0", nil, "nothing would be encrypted"},
		{":0", nil, "nothing would be encrypted"},
		{"[::]:0", nil, "nothing would be encrypted"},
		{"room.example.com:80", nil, "nothing would be encrypted"},
		{"127.0.0.1", nil, "missing port"},
	} {
		l, err := Listen(tt.address, tt.secured, false)
		if err == nil {
			_ = l.Close()
		}
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.address, err, tt.want)
		}
	}
}

// wire is a listener whose connections are in memory, so that their time is the test's.
type wire struct {
	calls chan net.Conn
	over  chan struct{}
	close func()
}

func newWire() *wire {
	w := &wire{calls: make(chan net.Conn), over: make(chan struct{})}
	w.close = sync.OnceFunc(func() { close(w.over) })
	return w
}

func (w *wire) Accept() (net.Conn, error) {
	select {
	case c := <-w.calls:
		return c, nil
	case <-w.over:
		return nil, net.ErrClosed
	}
}
func (w *wire) Close() error   { w.close(); return nil }
func (w *wire) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8470} }

func (w *wire) dial() net.Conn {
	ours, theirs := net.Pipe()
	w.calls <- theirs
	return ours
}

// served has a room served over a wire, until the function that it returns is called.
func served(t *testing.T, k *rig) (*wire, func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w, done := newWire(), make(chan error, 1)
	go func() { done <- k.Serve(ctx, &bounded{Listener: w, slots: make(chan struct{}, 3)}) }()
	return w, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		synctest.Wait()
	}
}

// closedAfter returns how long it takes until the other side hangs up, and what it said.
func closedAfter(c net.Conn) (time.Duration, string) {
	began := time.Now()
	said, _ := io.ReadAll(c)
	return time.Since(began), string(said)
}

// TestSlowClients: who sends a request slowly is hung up on, and so is who reads nothing.
func TestSlowClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newRig(t, t.TempDir())
		w, stop := served(t, k)
		defer stop()
		c := w.dial()
		go fmt.Fprint(c, "GET / HT")
		if after, _ := closedAfter(c); after != headLimit {
			t.Errorf("half a head is waited for for %s, want %s", after, headLimit)
		}
		c = w.dial()
		go fmt.Fprintf(c, "POST /do/hold HTTP/1.1\r\nHost: localhost\r\nCookie: %s=%s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\na=",
			k.cookie(), k.cookies[room.Facilitator])
		after, said := closedAfter(c)
		if after > readLimit+time.Second || !strings.HasPrefix(said, "HTTP/1.1 400") || len(k.asker.asked) != 0 {
			t.Errorf("half a body is answered after %s with %.40q, and the run was asked %v", after, said, k.asker.asked)
		}
		c = w.dial()
		fmt.Fprintf(c, "GET /stream?size=desk HTTP/1.1\r\nHost: localhost\r\nCookie: %s=%s\r\n\r\n", k.cookie(), k.cookies[room.Observer])
		time.Sleep(writeLimit + 2*time.Second) // and nothing of it is read
		synctest.Wait()
		k.streams.mu.Lock()
		if k.streams.all != 0 {
			t.Errorf("after %s a stream that nobody reads is still open", writeLimit)
		}
		k.streams.mu.Unlock()
		_ = c.Close()
	})
}

// TestStreamOutlastsTheLimits of requests, and ends at once with the server.
func TestStreamOutlastsTheLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &grow{t: t, dir: t.TempDir()}
		g.plan(small(true))
		g.add(0, report.RunStarted, report.Started{Run: "r1"})
		k := newRig(t, g.dir)
		w, stop := served(t, k)
		c := w.dial()
		fmt.Fprintf(c, "GET /stream?size=desk HTTP/1.1\r\nHost: localhost\r\nCookie: %s=%s\r\n\r\n", k.cookie(), k.cookies[room.Observer])
		var mu sync.Mutex
		last := ""
		ended := make(chan time.Time, 1)
		go func() {
			in := bufio.NewScanner(c)
			in.Buffer(nil, 1<<20)
			for in.Scan() {
				if data, ok := strings.CutPrefix(in.Text(), "data: "); ok && !strings.HasPrefix(data, "{") {
					mu.Lock()
					last = data
					mu.Unlock()
				}
			}
			ended <- time.Now()
		}()
		time.Sleep(2*time.Minute + 500*time.Millisecond)
		synctest.Wait()
		mu.Lock()
		if last != "120" {
			t.Errorf("after two minutes the clock is at %q seconds", last)
		}
		mu.Unlock()
		began := time.Now()
		stop()
		if at := <-ended; at.Sub(began) > 100*time.Millisecond {
			t.Errorf("the stream ended %s after the server was to", at.Sub(began))
		}
	})
}

// TestAnEventIsOnePiece: what is new, the head of its chunk and the end of it go out together, however long it is. One read of the wire is one write.
func TestAnEventIsOnePiece(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &grow{t: t, dir: t.TempDir()}
		g.plan(small(false))
		g.add(0, report.RunStarted, report.Started{Run: "r1"})
		k := newRig(t, g.dir)
		w, stop := served(t, k)
		defer stop()
		c := w.dial()
		defer c.Close()
		fmt.Fprintf(c, "GET /stream?size=desk HTTP/1.1\r\nHost: localhost\r\nCookie: %s=%s\r\n\r\n", k.cookie(), k.cookies[room.Observer])
		go func() {
			for i := range 40 {
				select {
				case <-t.Context().Done():
					return
				case <-time.After(time.Second):
				}
				g.add(time.Duration(i)*time.Second, report.Noted, report.Note{Text: fmt.Sprintf("quoll %d %s", i, strings.Repeat("is awake ", 50))})
			}
		}()
		in, long := make([]byte, 1<<20), 0
		for last := false; !last; {
			n, err := c.Read(in)
			if err != nil {
				t.Fatal(err)
			}
			text := string(in[:n])
			if !strings.HasSuffix(text, "\n\n\r\n") {
				t.Fatalf("a piece of %d bytes ends with %q", n, text[max(0, n-30):])
			}
			if n > 8<<10 {
				long++
			}
			last = strings.Contains(text, "quoll 39 ")
		}
		if long < 20 {
			t.Errorf("%d events are longer than what the server keeps by itself", long)
		}
	})
}

// TestTooManyConnections: those beyond the bound are hung up on, and there is room again when others are gone.
func TestTooManyConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newRig(t, t.TempDir())
		w, stop := served(t, k)
		defer stop()
		held := []net.Conn{w.dial(), w.dial(), w.dial()}
		synctest.Wait()
		if after, said := closedAfter(w.dial()); after != 0 || said != "" {
			t.Errorf("one connection too many lasts %s and is told %q", after, said)
		}
		for _, c := range held {
			_ = c.Close()
		}
		synctest.Wait()
		c := w.dial()
		go fmt.Fprint(c, "GET /room.css HTTP/1.0\r\nHost: localhost\r\n\r\n")
		if _, said := closedAfter(c); !strings.HasPrefix(said, "HTTP/1.0 200") {
			t.Errorf("when others are gone one is told %.40q", said)
		}
	})
}

// TestStrangersMakePlace: strangers who hold all connections open keep out nobody who is in the room, and who is in makes place for nobody.
func TestStrangersMakePlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newRig(t, t.TempDir())
		w, stop := served(t, k)
		defer stop()
		held := []net.Conn{w.dial(), w.dial(), w.dial()}
		time.Sleep(strangerLimit)
		for range 3 { // each over a connection of its own, which stays open
			c := w.dial()
			go fmt.Fprintf(c, "POST /do/stop HTTP/1.1\r\nHost: localhost\r\nCookie: %s=%s\r\nContent-Length: 0\r\n\r\n", k.cookie(), k.cookies[room.Facilitator])
			line, err := bufio.NewReader(c).ReadString('\n')
			if err != nil || !strings.HasPrefix(line, "HTTP/1.1 200") {
				t.Errorf("a facilitator among strangers is told %q, %v", line, err)
			}
		}
		if n := len(k.asker.asked); n != 3 {
			t.Errorf("the run was asked %d times", n)
		}
		for _, c := range held {
			if after, said := closedAfter(c); after != 0 || said != "" {
				t.Errorf("a stranger's connection lasts %s more and is told %q", after, said)
			}
		}
		time.Sleep(2 * strangerLimit)
		if after, _ := closedAfter(w.dial()); after != 0 {
			t.Errorf("a stranger takes the place of somebody who is in, for %s", after)
		}
	})
}

// TestStrangersOverTLS: who is in is told from strangers also where connections are encrypted.
func TestStrangersOverTLS(t *testing.T) {
	certified := httptest.NewTLSServer(nil)
	defer certified.Close()
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k, b := newRig(t, t.TempDir()), &bounded{Listener: raw, slots: make(chan struct{}, 3)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- Serve(ctx, tls.NewListener(b, &tls.Config{Certificates: certified.TLS.Certificates, NextProtos: []string{"http/1.1"}}), k)
	}()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	for n, role := range []room.Role{room.Observer, "nobody", room.Facilitator} {
		own := certified.Client().Transport.(*http.Transport).Clone() // a connection of its own, which stays open
		defer own.CloseIdleConnections()
		client := http.Client{Transport: own}
		q, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+raw.Addr().String()+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if c, ok := k.cookies[role]; ok {
			q.AddCookie(&http.Cookie{Name: k.cookie(), Value: c})
		}
		r, err := client.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		b.mu.Lock()
		if want := min(n, 1); b.strangers.Len() != want || len(b.slots) != n+1 {
			t.Errorf("after the %s there are %d strangers of %d connections, want %d", role, b.strangers.Len(), len(b.slots), want)
		}
		b.mu.Unlock()
	}
}

// TestBrokenConnectionsSayLittle: whoever breaks connections fills no log.
func TestBrokenConnectionsSayLittle(t *testing.T) {
	var out bytes.Buffer
	s := &sparse{to: &out, rate: door.Rate{Burst: 5, Second: 0.2}}
	for range 1000 {
		if n, err := s.Write([]byte("TLS handshake error\n")); n != 20 || err != nil {
			t.Fatal(n, err)
		}
	}
	if lines := strings.Count(out.String(), "\n"); lines < 5 || lines > 10 {
		t.Errorf("a thousand broken connections are told of in %d lines", lines)
	}
}

// FuzzRequests: whatever is asked, by nobody and by an observer, the room answers, fails at nothing, and asks the run nothing.
func FuzzRequests(f *testing.F) {
	f.Add("GET", "/stream?size=desk&since=b-99999999999999999999", "b--1", "localhost", "")
	f.Add("GET", "/in/%00%ff", "", "[::1", "text=%zz")
	f.Add("POST", "/in", "x", "127.0.0.1:", "token=%ff&token=1")
	f.Add("POST", "/do/../do/stop", "", "LOCALHOST:1:2", "text=a")
	f.Add("HEAD", "//evil.example/", "", ":", "a=b")
	dir := f.TempDir()
	fill := &filler{salt: "a"}
	write(f, dir, fill, story())
	k := newRig(f, dir)
	k.hub.read()
	k.hub.publish(began.Add(time.Minute), true)
	k.address.Burst = 1e18
	f.Fuzz(func(t *testing.T, method, path, last, host, body string) {
		for _, role := range []room.Role{"nobody", room.Observer} {
			r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nLast-Event-ID: %s\r\n"+
				"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", method, path, host, last, len(body), body))))
			if err != nil {
				return
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			r = r.WithContext(ctx)
			r.RemoteAddr = "192.0.2.1:1"
			if role != "nobody" {
				r.AddCookie(&http.Cookie{Name: k.cookie(), Value: k.cookies[role]})
			}
			v := &viewer{header: http.Header{}, status: http.StatusOK}
			k.ServeHTTP(v, r)
			text := v.take()
			if v.status >= 500 || len(k.asker.asked) > 0 {
				t.Errorf("%s: %d, the run was asked %v", role, v.status, k.asker.asked)
			}
			for _, w := range fill.words {
				if strings.Contains(text, w) && !strings.Contains(path+host+last+body, w) {
					t.Errorf("%s is told %s", role, w)
				}
			}
		}
	})
}
