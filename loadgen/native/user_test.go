package native

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/internal/portrig"
	"gameday/loadgen"
)

// shop is a small service with carts, cookies and redirects.
func shop(t *testing.T) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /cart", func(w http.ResponseWriter, r *http.Request) {
		var in struct{ SKU, User string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || r.Header.Get("Content-Type") != "application/json" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "s-" + in.User, Path: "/"})
		w.Header().Set("Location", "/cart/77")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"id": 77, "items": [{"sku": %q, "price": 1.50}]}`, in.SKU)
	})
	mux.HandleFunc("GET /cart/{id}", func(w http.ResponseWriter, r *http.Request) {
		c, err := r.Cookie("session")
		if err != nil {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		fmt.Fprintf(w, "cart %s of %s, token=<%s>", r.PathValue("id"), c.Value, r.URL.Query().Get("t"))
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s auth=%q cookie=%q ua=%q type=%q", r.Method, r.URL.RawQuery, body,
			r.Header.Get("Authorization"),
			r.Header.Get("Cookie"), r.UserAgent(), r.Header.Get("Content-Type"))
	})
	mux.HandleFunc("/moved/{code}", func(w http.ResponseWriter, r *http.Request) {
		var code int
		fmt.Sscan(r.PathValue("code"), &code)
		http.Redirect(w, r, "/echo?moved", code)
	})
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/loop",
			http.StatusFound)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// wired are the ways that the same requests can go.
var wired = map[string]loadgen.Wire{"HTTP/1.1": {}, "HTTP/2": {HTTP: loadgen.HTTP2}}

// serveBoth makes a test server speak HTTP/2 without TLS too.
func serveBoth(t *testing.T, h http.Handler) *httptest.Server {
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// TestFlow buys something: values are extracted and used, cookies kept within the flow, rows dealt.
func TestFlow(t *testing.T) {
	for name, wire := range wired {
		t.Run(name, func(t *testing.T) {
			s := serveBoth(t, shop(t).Config.Handler)
			two := "1.5"
			spec := loadgen.Spec{Wire: wire, Seed: 7,
				Data: []loadgen.DataSet{{Name: "users", Columns: []string{"name"}, Rows: [][]string{{"ann"}, {"bob"}}}},
				Flows: flows(
					loadgen.Request{Name: "add", Method: "POST", URL: gaps(s.URL + "/cart"),
						Body:    gaps(`{"sku": "A1", "user": "${data.users.name}"}`),
						Headers: []loadgen.Header{{Name: "content-type", Value: loadgen.Literal("application/json")}},
						Expect: loadgen.Expect{Status: []int{200, 201},
							JSON:    []loadgen.JSONCheck{{Path: "items.0.price", Equals: &two}, {Path: "id"}},
							Headers: []loadgen.HeaderCheck{{Name: "Location", Matches: `^/cart/\d+$`}}},
						Extract: []loadgen.Extract{{Name: "cart", JSON: "id"}, {Name: "where",
							Header: "location"}, {Name: "sku", Regexp: `"sku": "(\w+)"`}}},
					loadgen.Request{Name: "see", URL: gaps(s.URL + "${value.where}?t=a b/${iteration.number}"),
						Expect: loadgen.Expect{Body: []loadgen.BodyCheck{{Contains: "cart 77 of s-"},
							{Matches: `token=<a b/\d+>`}}}},
				)}
			r := newRig(t, spec)
			w := r.times(4)
			if w.Failed.Count > 0 || w.OK.Count != 8 || w.Started != 4 || w.Completed != 4 || w.ChecksPassed != 24 || w.ChecksFailed != 0 {
				t.Fatalf("%+v: %q", w, r.said)
			}
			if got := r.values; !slices.Equal(got, []string{"77", "/cart/77", "A1"}) {
				t.Errorf("extracted %q", got)
			}
		})
	}
}

// TestFailures ends a flow at the first request that fails, and says why.
func TestFailures(t *testing.T) {
	s := shop(t)
	seven := "7"
	tests := map[string]struct {
		request loadgen.Request
		checks  uint64 // failed ones
		says    string
	}{
		"status": {get(s.URL + "/nowhere"), 0, "status 404"},
		"other status": {get(s.URL+"/echo", func(r *loadgen.Request) { r.Expect.Status = []int{201, 204} }),
			1, "status 200, expected 201 or 204"},
		"right as wished": {get(s.URL+"/nowhere", func(r *loadgen.Request) { r.Expect.Status = []int{404} }), 0, ""},
		"body":            {get(s.URL+"/echo", func(r *loadgen.Request) { r.Expect.Body = []loadgen.BodyCheck{{Contains: "POST"}} }), 1, `does not contain "POST"`},
		"pattern":         {get(s.URL+"/echo", func(r *loadgen.Request) { r.Expect.Body = []loadgen.BodyCheck{{Matches: "^POST"}, {Matches: "GET"}} }), 1, "does not match ^POST"},
		"JSON":            {get(s.URL+"/echo", func(r *loadgen.Request) { r.Expect.JSON = []loadgen.JSONCheck{{Path: "id", Equals: &seven}} }), 1, "not JSON"},
		"header":          {get(s.URL+"/echo", func(r *loadgen.Request) { r.Expect.Headers = []loadgen.HeaderCheck{{Name: "X-Id", Matches: "."}} }), 1, "header X-Id"},
		"extract":         {get(s.URL+"/echo", func(r *loadgen.Request) { r.Extract = []loadgen.Extract{{Name: "id", JSON: "id"}} }), 0, "id is not to be had"},
		"refused":         {get("http://" + portrig.Address(t)), 0, "connection refused"},
		"no such host":    {get("http://nobody.invalid/"), 0, "looking up nobody.invalid"},
		"not TLS":         {get(strings.Replace(s.URL, "http:", "https:", 1)), 0, "TLS"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, loadgen.Spec{Flows: flows(tt.request, get(s.URL+"/echo"))})
			w := r.times(1)
			failed, requests := uint64(1), uint64(1)
			if tt.says == "" {
				failed, requests = 0, 2
			}
			if w.Failed.Count != failed || w.Requests != requests || w.ChecksFailed != tt.checks || w.Completed != 1 {
				t.Errorf("%+v", w)
			}
			if said := strings.Join(r.said, "; "); tt.says != "" && !strings.Contains(said, "flow/get: ") || !strings.Contains(said, tt.says) {
				t.Errorf("said %q", said)
			}
		})
	}
}

// TestRedirects follows as far as it is told, with the methods of browsers, and keeps credentials from other hosts.
func TestRedirects(t *testing.T) {
	for name, wire := range wired {
		t.Run(name, func(t *testing.T) {
			s := serveBoth(t, shop(t).Config.Handler)
			other := serveBoth(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, s.URL+"/echo?away", http.StatusTemporaryRedirect)
			}))
			post := func(path string, redirects int, want string) loadgen.Request {
				return get(path, func(r *loadgen.Request) {
					r.Method, r.Body, r.Redirects = "POST", loadgen.Literal("b"), redirects
					r.Headers = []loadgen.Header{{Name: "Authorization", Value: loadgen.Literal("secret")},
						{Name: "Content-Type", Value: loadgen.Literal("text/x")}}
					r.Expect.Body = []loadgen.BodyCheck{{Contains: want}}
				})
			}
			for path, want := range map[string]string{
				"/moved/301": `GET moved  auth="secret" cookie="" ua="gameday" type=""`,
				"/moved/302": `GET moved  auth`,
				"/moved/303": `GET moved  auth`,
				"/moved/307": `POST moved b auth="secret" cookie="" ua="gameday" type="text/x"`,
				"/moved/308": `POST moved b auth`,
			} {
				r := newRig(t, loadgen.Spec{Wire: wire, Flows: flows(post(s.URL+path, 3, want))})
				if w := r.times(1); w.OK.Count != 1 || w.Requests != 1 {
					t.Errorf("%s: %q", path, r.said)
				}
			}
			r := newRig(t, loadgen.Spec{Wire: wire, Flows: flows(post(other.URL, 1, `POST away b auth=""`))})
			if w := r.times(1); w.OK.Count != 1 {
				t.Errorf("to another host: %q", r.said)
			}
			loop := get(s.URL+"/loop", func(r *loadgen.Request) { r.Redirects = 5; r.Expect.Status = []int{302} })
			r = newRig(t, loadgen.Spec{Wire: wire, Flows: flows(loop)})
			if w := r.times(1); w.OK.Count != 1 {
				t.Errorf("a loop: %q", r.said)
			}
		})
	}
}

// TestTLS trusts whom it is told to, and shows its own certificate.
func TestTLS(t *testing.T) {
	for name, version := range map[string]string{"HTTP/1.1": loadgen.HTTP1, "HTTP/2": loadgen.HTTP2} {
		t.Run(name, func(t *testing.T) {
			s, files := secureServer(t)
			trusting := loadgen.TLS{CA: files.ca, Cert: files.cert, Key: files.key, ServerName: "shop.test"}
			for what, tt := range map[string]struct {
				tls  loadgen.TLS
				says string
			}{
				"trusted": {trusting, ""},
				"unknown": {loadgen.TLS{Cert: files.cert, Key: files.key, ServerName: "shop.test"},
					"certificate signed by unknown authority"},
				"another's name": {loadgen.TLS{CA: files.ca, Cert: files.cert, Key: files.key,
					ServerName: "bank.test"}, "not bank.test"},
				"whoever": {loadgen.TLS{Insecure: true, Cert: files.cert, Key: files.key}, ""},
				"no certificate": {loadgen.TLS{CA: files.ca, ServerName: "shop.test"}, "certificate " +
					"required|reset|could not be established"}, // whichever comes first
			} {
				r := newRig(t, loadgen.Spec{Wire: loadgen.Wire{HTTP: version, TLS: tt.tls},
					Flows: flows(get(s.URL, func(q *loadgen.Request) { q.Expect.Body = []loadgen.BodyCheck{{Contains: "HTTP/" + version}} }))})
				w := r.times(2)
				said := strings.Join(r.said, "; ")
				if (tt.says == "") != (w.OK.Count == 2) || !regexp.MustCompile(tt.says).MatchString(said) {
					t.Errorf("%s: %d right, said %q", what, w.OK.Count, said)
				}
			}
		})
	}
}

// TestUnixSocket sends to a socket, whatever the host.
func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w,
			r.Host)
	}), ReadHeaderTimeout: time.Second}
	s.Protocols = new(http.Protocols)
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close() })
	for name, wire := range wired {
		wire.Unix = path
		r := newRig(t, loadgen.Spec{Wire: wire, Flows: flows(get("http://shop/",
			func(q *loadgen.Request) { q.Expect.Body = []loadgen.BodyCheck{{Matches: "^shop$"}} }))})
		if w := r.times(3); w.OK.Count != 3 {
			t.Errorf("%s: %q", name, r.said)
		}
	}
}

// TestConnections keeps one for each user, or opens one for each iteration.
func TestConnections(t *testing.T) {
	for fresh, want := range map[bool]int64{false: 1, true: 5} {
		s := newServer(t, ok, ok, ok, ok, ok, ok)
		r := newRig(t, loadgen.Spec{Wire: loadgen.Wire{Fresh: fresh}, Flows: flows(get(s.URL))})
		if w := r.times(5); w.OK.Count != 5 || s.connections.Load() != want {
			t.Errorf("fresh %v: %d right on %d connections", fresh, w.OK.Count, s.connections.Load())
		}
	}
}

// TestSmuggling refuses a value that would make a header line of its own, and escapes what would break a request line.
func TestSmuggling(t *testing.T) {
	evil := `{"v": "x\r\nEvil: 1 é"}`
	answer := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(evil), evil)
	s := newServer(t, answer, ok)
	first := get(s.URL, func(q *loadgen.Request) { q.Extract = []loadgen.Extract{{Name: "v", JSON: "v"}} })
	r := newRig(t, loadgen.Spec{Flows: flows(first, get(s.URL, func(q *loadgen.Request) {
		q.Headers = []loadgen.Header{{Name: "X-V", Value: gaps("${value.v}")}}
	}))})
	if w := r.times(1); w.Failed.Count != 1 || !strings.Contains(strings.Join(r.said, ""), "header X-V has a line break") {
		t.Errorf("%d failed: %q", w.Failed.Count, r.said)
	}
	s = newServer(t, answer, ok)
	first.URL = gaps(s.URL)
	r = newRig(t, loadgen.Spec{Flows: flows(first, get(s.URL+"/a?b=${value.v}"))})
	if w := r.times(1); w.Failed.Count != 0 || len(s.requests) != 2 || !strings.HasPrefix(s.requests[1], "GET /a?b=x%0D%0AEvil:%201%20%C3%A9 ") {
		t.Errorf("%q, %q", s.requests, r.said)
	}
}

// TestAllocations makes requests without allocating, as the hot path promises.
func TestAllocations(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		in, out := make([]byte, 4096), []byte(ok)
		for {
			if _, err := c.Read(in); err != nil {
				return
			}
			if _, err := c.Write(out); err != nil {
				return
			}
		}
	}()
	r := newRig(t, loadgen.Spec{Flows: flows(get("http://" + l.Addr().String()))})
	r.iterate(time.Now())
	if n := testing.AllocsPerRun(500, func() { r.iterate(time.Now()) }); n > 1 {
		t.Errorf("an iteration allocates %.1f times", n)
	}
}

// TestLeaveAmidRequests interrupts users while they open and drop connections, again and again: each ends.
func TestLeaveAmidRequests(t *testing.T) {
	s := newServer(t, ok) // it closes after each answer, so that each request opens a connection
	requests := make([]loadgen.Request, 500)
	for i := range requests {
		requests[i] = get(s.URL)
	}
	for range 20 {
		r := newRig(t, loadgen.Spec{Flows: flows(requests...), MaxVUs: 8})
		for range 8 {
			r.employ()
		}
		for range 8 {
			r.queue <- time.Now()
		}
		close(r.queue)
		for r.crew.number.Load() < 8 {
			<-time.After(time.Millisecond)
		}
		r.crew.leave()
		done := make(chan struct{})
		go func() { r.working.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			t.Fatal("the users do not end")
		}
	}
}

// TestGapsStayOne fills gaps with what would break out of where they stand.
func TestGapsStayOne(t *testing.T) {
	s := shop(t)
	evil := "Tom & \"Jerry\"/#a+b 50%\n"
	gap := func(place loadgen.Place) loadgen.Part { return loadgen.Part{Ref: "data.users.name", Place: place} }
	q := get("", func(r *loadgen.Request) {
		r.Method = "POST"
		r.URL = loadgen.Text{{Text: s.URL + "/echo?u="}, gap(loadgen.InQuery), {Text: "&v=1"}}
		r.Body = loadgen.Text{{Text: `{"n": "`}, gap(loadgen.InJSON), {Text: `"}`}}
		r.Expect.Body = []loadgen.BodyCheck{{Contains: "u=Tom+%26+%22Jerry%22%2F%23a%2Bb+50%25%0A&v=1 "},
			{Contains: `{"n": "Tom \u0026 \"Jerry\"/#a+b 50%\n"}`}}
	})
	plain := newServer(t, ok)
	path := get("", func(r *loadgen.Request) {
		r.URL = loadgen.Text{{Text: plain.URL + "/a/"}, gap(loadgen.InPath), {Text: "/b"}}
	})
	r := newRig(t, loadgen.Spec{Flows: flows(q, path), Data: []loadgen.DataSet{{Name: "users", Columns: []string{"name"}, Rows: [][]string{{evil}}}}})
	want := "GET /a/Tom%20&%20%22Jerry%22%2F%23a+b%2050%25%0A/b "
	if w := r.times(1); w.OK.Count != 2 || !strings.HasPrefix(plain.requests[0], want) {
		t.Errorf("%d right: %q, %q", w.OK.Count, r.said, plain.requests)
	}
}

// TestOwnCookies keeps the request's own cookies beside those that the flow is given.
func TestOwnCookies(t *testing.T) {
	for name, wire := range wired {
		s := serveBoth(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "lb", Value: "1"})
			fmt.Fprint(w, r.Header.Get("Cookie"))
		}))
		own := func(want string) loadgen.Request {
			return get(s.URL, func(r *loadgen.Request) {
				r.Headers = []loadgen.Header{{Name: "Cookie", Value: loadgen.Literal("session=abc; lb=0")}}
				r.Expect.Body = []loadgen.BodyCheck{{Matches: "^" + want + "$"}}
			})
		}
		r := newRig(t, loadgen.Spec{Wire: wire, Flows: flows(own("session=abc; lb=0"), own("session=abc; lb=1"))})
		if w := r.times(1); w.OK.Count != 2 {
			t.Errorf("%s: %q", name, r.said)
		}
	}
}

// TestHead keeps its connection, also when an answer does not say how long its body would be.
func TestHead(t *testing.T) {
	s := newServer(t, "HTTP/1.1 200 OK\r\nX: y\r\n\r\n", "HTTP/1.1 200 OK\r\nX: y\r\n\r\n", "HTTP/1.1 200 OK\r\nX: y\r\n\r\n")
	r := newRig(t, loadgen.Spec{Flows: flows(get(s.URL, func(q *loadgen.Request) { q.Method = "HEAD" }))})
	if w := r.times(3); w.OK.Count != 3 || s.connections.Load() != 1 {
		t.Errorf("%d right on %d connections", w.OK.Count, s.connections.Load())
	}
}
