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

// wireAnswer is what a server sends, and what is to be made of it.
type wireAnswer struct {
	sent   string
	method string
	status int
	body   string
	fails  string // in what is said
	reused bool   // the connection takes another request
	// differs says that net/http sees it otherwise, and why that is right.
	differs string
}

// goodAnswers are well formed.
var goodAnswers = map[string]wireAnswer{
	"length": {sent: ok, status: 200, body: "ok", reused: true},
	"lower case": {sent: "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", status: 200,
		body: "ok", reused: true},
	"no reason": {sent: "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", status: 200,
		body: "ok", reused: true},
	"empty": {sent: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", status: 200, reused: true},
	"not found": {sent: "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", status: 404,
		body: "no", reused: true},
	"no content": {sent: "HTTP/1.1 204 No Content\r\n\r\n", status: 204, reused: true},
	"not modified": {sent: "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n",
		status: 304, reused: true},
	"head": {sent: "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", method: "HEAD",
		status: 200, reused: true},
	"chunks": {sent: "HTTP/1.1 200 OK\r\nTransfer-Encoding: " +
		"chunked\r\n\r\n2\r\nok\r\n3;x=y\r\nabc\r\n0\r\n\r\n", status: 200, body: "okabc", reused: true},
	"chunks and trailer": {sent: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: " +
		"X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n", status: 200, body: "ok", reused: true},
	"no chunk": {sent: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		status: 200, reused: true},
	"until the end": {sent: "HTTP/1.1 200 OK\r\n\r\nall of it", status: 200, body: "all of it"},
	"told to close": {sent: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " +
		"2\r\n\r\nok", status: 200, body: "ok"},
	"old": {sent: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", status: 200, body: "ok"},
	"old, kept": {sent: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: " +
		"2\r\n\r\nok", status: 200, body: "ok", reused: true},
	"hints first": {sent: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 " +
		"Continue\r\n\r\n" + ok, status: 200, body: "ok", reused: true},
	"gzip": {sent: "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: " +
		"close\r\n\r\n" + gzipped("zipped"), status: 200, body: "zipped", differs: "it leaves bodies as they are"},
	"many headers": {sent: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + strings.Repeat("X-Fill: "+
		"0123456789012345678901234567890123456789\r\n", 250) + "\r\nok", status: 200, body: "ok", reused: true},
	"length in chunks": {sent: "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nTransfer-Encoding: " +
		"chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", status: 200, body: "ok", reused: true},
}

// badAnswers are not.
var badAnswers = map[string]wireAnswer{
	"cut in the head": {sent: "HTTP/1.1 200 OK\r\nContent-Le", fails: "closed before"},
	"cut in the body": {sent: "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok", fails: "closed before"},
	"cut in a chunk": {sent: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nok",
		fails: "closed before"},
	"cut before the last": {sent: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
		fails: "closed before"},
	"nothing":         {sent: "", fails: "closed before"},
	"not HTTP":        {sent: "SSH-2.0-OpenSSH_9.2\r\n\r\n", fails: "first line"},
	"negative length": {sent: "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", fails: "content-length"},
	"two lengths": {sent: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: " +
		"3\r\n\r\nok", fails: "content-length"},
	"bad chunk": {sent: "HTTP/1.1 200 OK\r\nTransfer-Encoding: " +
		"chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n", fails: "size of a chunk"},
	"chunk too long": {sent: "HTTP/1.1 200 OK\r\nTransfer-Encoding: " +
		"chunked\r\n\r\n1\r\nok\r\n0\r\n\r\n", fails: "longer than it says"},
	"huge chunk": {sent: "HTTP/1.1 200 OK\r\nTransfer-Encoding: " +
		"chunked\r\n\r\nfffffffffffffffff\r\n", fails: "too large"},
	"silence":             {sent: "…", fails: "timeout"},
	"silence in the body": {sent: "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok…", fails: "timeout"},
	"silence in chunks": {sent: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n…",
		fails: "timeout"},
	"silence after the chunk": {sent: "HTTP/1.1 200 OK\r\nTransfer-Encoding: " +
		"chunked\r\n\r\n2\r\nok\r\n0\r\n…", fails: "timeout"},
}

// timeout is how long to wait for the answer: long where it comes.
func (a wireAnswer) timeout() time.Duration {
	if a.fails == "timeout" {
		return 300 * time.Millisecond
	}
	return 20 * time.Second
}

// gzipped is a text, packed.
func gzipped(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(text))
	z.Close()
	return b.String()
}

// TestAnswers reads what servers send, well formed or not, and agrees with net/http about it.
func TestAnswers(t *testing.T) {
	for _, all := range []map[string]wireAnswer{goodAnswers, badAnswers} {
		for name, a := range all {
			t.Run(name, a.read)
		}
	}
}

// read has a client, and net/http, read the answer from a server, and make of it what they should.
func (a wireAnswer) read(t *testing.T) {
	t.Parallel()
	answers := []string{a.sent}
	if a.reused {
		answers = append(answers, ok) // else it closes the connection
	}
	s := newServer(t, answers...)
	q := get(s.URL+"/x?y=z", func(r *loadgen.Request) {
		r.Method, r.Timeout = a.method, a.timeout()
		r.Expect.Body = []loadgen.BodyCheck{{Matches: "(?s).*"}}
	})
	r := newRig(t, loadgen.Spec{Flows: flows(q)})
	got, err := r.exchange(r.program.flows[0].requests[0], time.Now())
	if a.fails != "" {
		if err == nil || !strings.Contains(strings.ToLower(r.words(err)), a.fails) {
			t.Fatalf("said %v, want %q", err, a.fails)
		}
	} else if err != nil || got.status != a.status || string(got.body) != a.body {
		t.Fatalf("got %+v, %v", got, err)
	}
	reused := len(r.conns) == 1 && r.conns[0].usable(time.Now())
	if reused != a.reused {
		t.Errorf("reusable: %v", reused)
	}
	if reused {
		if got, err := r.exchange(r.program.flows[0].requests[0], time.Now()); err != nil || got.status != 200 || s.connections.Load() != 1 {
			t.Errorf("again: %+v, %v, %d connections", got, err, s.connections.Load())
		}
	}
	if a.differs == "" {
		a.agrees(t)
	}
}

// agrees asks net/http the same.
func (a wireAnswer) agrees(t *testing.T) {
	t.Helper()
	q, err := http.NewRequest(a.method, newServer(t, a.sent).URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Timeout: a.timeout(), Transport: &http.Transport{DisableCompression: true}}
	theirs, err := client.Do(q)
	var got []byte
	if err == nil {
		got, err = io.ReadAll(theirs.Body)
		theirs.Body.Close()
	}
	if (err != nil) != (a.fails != "") || err == nil && (theirs.StatusCode != a.status || string(got) != a.body) {
		t.Errorf("net/http says otherwise: %+v, %q, %v", theirs, got, err)
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
