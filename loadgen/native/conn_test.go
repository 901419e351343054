package native

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"gameday/loadgen"
)

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// TestAnswers reads what servers send, well formed or not, and agrees with net/http about it.
func TestAnswers(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte("zipped"))
	z.Close()
	tests := map[string]struct {
		answer string
		method string
		status int
		body   string
		fails  string // in what is said
		reused bool   // the connection takes another request
		// differs says that net/http sees it otherwise, and why that is right.
		differs string
	}{
		"length": {answer: ok, status: 200, body: "ok", reused: true},
		"lower case": {answer: "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", status: 200,
			body: "ok", reused: true},
		"no reason": {answer: "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", status: 200,
			body: "ok", reused: true},
		"empty": {answer: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", status: 200, reused: true},
		"not found": {answer: "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", status: 404,
			body: "no", reused: true},
		"no content": {answer: "HTTP/1.1 204 No Content\r\n\r\n", status: 204, reused: true},
		"not modified": {answer: "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n",
			status: 304, reused: true},
		"head": {answer: "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", method: "HEAD",
			status: 200, reused: true},
		"chunks": {answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: " +
			"chunked\r\n\r\n2\r\nok\r\n3;x=y\r\nabc\r\n0\r\n\r\n", status: 200, body: "okabc", reused: true},
		"chunks and trailer": {answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: " +
			"X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n", status: 200, body: "ok", reused: true},
		"no chunk": {answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
			status: 200, reused: true},
		"until the end": {answer: "HTTP/1.1 200 OK\r\n\r\nall of it", status: 200, body: "all of it"},
		"told to close": {answer: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " +
			"2\r\n\r\nok", status: 200, body: "ok"},
		"old": {answer: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", status: 200, body: "ok"},
		"old, kept": {answer: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: " +
			"2\r\n\r\nok", status: 200, body: "ok", reused: true},
		"hints first": {answer: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 " +
			"Continue\r\n\r\n" + ok, status: 200, body: "ok", reused: true},
		"gzip": {answer: "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: " +
			"close\r\n\r\n" + zipped.String(), status: 200, body: "zipped", differs: "it leaves bodies as they are"},
		"many headers": {answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + strings.Repeat("X-Fill: "+
			"0123456789012345678901234567890123456789\r\n", 250) + "\r\nok", status: 200, body: "ok", reused: true},
		"length in chunks": {answer: "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nTransfer-Encoding: " +
			"chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", status: 200, body: "ok", reused: true},
		"cut in the head": {answer: "HTTP/1.1 200 OK\r\nContent-Le", fails: "closed before"},
		"cut in the body": {answer: "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok", fails: "closed before"},
		"cut in a chunk": {answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nok",
			fails: "closed before"},
		"cut before the last": {answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
			fails: "closed before"},
		"nothing":         {answer: "", fails: "closed before"},
		"not HTTP":        {answer: "SSH-2.0-OpenSSH_9.2\r\n\r\n", fails: "first line"},
		"negative length": {answer: "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", fails: "content-length"},
		"two lengths": {answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: " +
			"3\r\n\r\nok", fails: "content-length"},
		"bad chunk": {answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: " +
			"chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n", fails: "size of a chunk"},
		"chunk too long": {answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: " +
			"chunked\r\n\r\n1\r\nok\r\n0\r\n\r\n", fails: "longer than it says"},
		"huge chunk": {answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: " +
			"chunked\r\n\r\nfffffffffffffffff\r\n", fails: "too large"},
		"silence":             {answer: "…", fails: "timeout"},
		"silence in the body": {answer: "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok…", fails: "timeout"},
		"silence in chunks": {answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n…",
			fails: "timeout"},
		"silence after the chunk": {answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: " +
			"chunked\r\n\r\n2\r\nok\r\n0\r\n…", fails: "timeout"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answers := []string{tt.answer}
			if tt.reused {
				answers = append(answers, ok) // else it closes the connection
			}
			s := newServer(t, answers...)
			q := get(s.URL+"/x?y=z", func(r *loadgen.Request) {
				r.Method, r.Timeout = tt.method, 300*time.Millisecond
				r.Expect.Body = []loadgen.BodyCheck{{Matches: "(?s).*"}}
			})
			r := newRig(t, loadgen.Spec{Flows: flows(q)})
			a, err := r.exchange(r.program.flows[0].requests[0], time.Now())
			if tt.fails != "" {
				if err == nil || !strings.Contains(strings.ToLower(r.words(err)), tt.fails) {
					t.Fatalf("said %v, want %q", err, tt.fails)
				}
			} else if err != nil || a.status != tt.status || string(a.body) != tt.body {
				t.Fatalf("got %+v, %v", a, err)
			}
			reused := len(r.conns) == 1 && r.conns[0].usable(time.Now())
			if reused != tt.reused {
				t.Errorf("reusable: %v", reused)
			}
			if reused {
				if a, err := r.exchange(r.program.flows[0].requests[0], time.Now()); err != nil || a.status != 200 || s.connections.Load() != 1 {
					t.Errorf("again: %+v, %v, %d connections", a, err, s.connections.Load())
				}
			}
			if tt.differs == "" {
				agrees(t, newServer(t, tt.answer), tt.method, tt.status, tt.body, tt.fails)
			}
		})
	}
}

// agrees asks net/http the same.
func agrees(t *testing.T, s *server, method string, status int, body, fails string) {
	t.Helper()
	q, err := http.NewRequest(method, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Timeout: 300 * time.Millisecond, Transport: &http.Transport{DisableCompression: true}}
	a, err := client.Do(q)
	var got []byte
	if err == nil {
		got, err = io.ReadAll(a.Body)
		a.Body.Close()
	}
	if (err != nil) != (fails != "") || err == nil && (a.StatusCode != status || string(got) != body) {
		t.Errorf("net/http says otherwise: %+v, %q, %v", a, got, err)
	}
}

// TestReconnect meets a connection that the server has closed: at once, after it was idle, and in the middle of a request.
func TestReconnect(t *testing.T) {
	s := newServer(t, ok) // one answer, then it closes
	for method, failed := range map[string]uint64{"GET": 0, "POST": 2} {
		r := newRig(t, loadgen.Spec{Flows: flows(get(s.URL, func(q *loadgen.Request) { q.Method = method }))})
		w := r.times(1)
		for range 4 {
			w.Merge(r.times(1)) // the close may or may not have arrived yet
		}
		if w.Requests != 5 || w.Failed.Count > failed {
			t.Errorf("%s: %d of %d failed: %v", method, w.Failed.Count, w.Requests, r.said)
		}
	}
	// A POST that got no answer may have been carried out, so it is not sent again.
	s = newServer(t, ok, "")
	r := newRig(t, loadgen.Spec{Flows: flows(get(s.URL, func(q *loadgen.Request) { q.Method = "POST" }))})
	if w := r.times(2); w.Failed.Count != 1 || len(s.requests) != 2 {
		t.Errorf("%d failed, the server got %q", w.Failed.Count, s.requests)
	}
	s = newServer(t, ok, "")
	r = newRig(t, loadgen.Spec{Flows: flows(get(s.URL))})
	if w := r.times(2); w.Failed.Count != 0 || len(s.requests) != 3 {
		t.Errorf("%d failed, the server got %q", w.Failed.Count, s.requests)
	}
}

// TestUnasked drops a connection on which the server says something of its own accord.
func TestUnasked(t *testing.T) {
	s := newServer(t, ok+ok, ok)
	r := newRig(t, loadgen.Spec{Flows: flows(get(s.URL))})
	if w := r.times(2); w.Failed.Count != 0 || s.connections.Load() != 2 {
		t.Errorf("%d failed on %d connections", w.Failed.Count, s.connections.Load())
	}
}

func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{ok, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "HTTP/1.1 100 C\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, answer []byte, keep bool) {
		c := newConn(&heard{answer: bytes.NewReader(answer)}, origin{})
		if _, err := c.roundTrip(nil, time.Time{}); err != nil {
			return
		}
		body, err := c.body("GET", keep, nil)
		theirs, herr := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), nil)
		if err != nil || herr != nil || !keep || theirs.StatusCode < 200 {
			return
		}
		if want, herr := io.ReadAll(theirs.Body); herr == nil && !bytes.Equal(want, body) {
			t.Fatalf("the body is %q, net/http reads %q", body, want)
		}
	})
}

// heard is a connection that has been answered already.
type heard struct {
	net.Conn
	answer io.Reader
}

func (h *heard) Read(p []byte) (int, error)    { return h.answer.Read(p) }
func (h *heard) Write(p []byte) (int, error)   { return len(p), nil }
func (*heard) SetDeadline(time.Time) error     { return nil }
func (*heard) SetReadDeadline(time.Time) error { return nil }
func (*heard) Close() error                    { return nil }
