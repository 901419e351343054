package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gameday/internal/piperig"
)

// TestErrors words every way to fail with the address and without a secret.
func TestErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int64
		server := piperig.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			tries.Add(1)
			badly(t, w, r)
		}))
		const url = "http://far.example"
		c, err := New(Options{URL: url + "/prefix/", Token: "hush-hush", Timeout: 200 * time.Millisecond, Transport: server.Transport()})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for path, want := range map[string]struct {
			says  string
			tries int
		}{
			"/echo":  {`400 Bad Request: "you sent Bearer ***"`, 1},
			"/login": {"302 Found to " + url + "/login: is a login page", 1},
			"/busy":  {"429 Too Many Requests: it is asked too often", 2},
			"/slow":  {"no answer within 200ms", 1},
			"/cut":   {"unexpected EOF", 1},
			"/other": {"404 Not Found: is the url that of the right program", 1},
		} {
			tries.Store(0)
			_, err := c.Get(t.Context(), path, nil)
			if err == nil || !strings.Contains(err.Error(), want.says) || !strings.HasPrefix(err.Error(), "GET "+url+"/prefix"+path+": ") {
				t.Errorf("%s: %v, want %q", path, err, want.says)
			}
			if int(tries.Load()) != want.tries || strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: %d tries, want %d: %v", path, tries.Load(), want.tries, err)
			}
		}
		began := time.Now()
		if _, err := c.Get(t.Context(), "/slow", nil); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 200*time.Millisecond {
			t.Errorf("a time-out after %s is %v", time.Since(began), err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Get(ctx, "/echo", nil); !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled question is %v", err)
		}
	})
}

// badly answers a question, by its path, in a way that is no answer.
func badly(t *testing.T, w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("User-Agent") != UserAgent {
		t.Errorf("it calls itself %q", r.Header.Get("User-Agent"))
	}
	switch r.URL.Path {
	case "/prefix/echo":
		http.Error(w, "you sent "+r.Header.Get("Authorization"), http.StatusBadRequest)
	case "/prefix/login":
		http.Redirect(w, r, "/login?next=secret", http.StatusFound)
	case "/prefix/busy":
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(http.StatusTooManyRequests)
	case "/prefix/slow":
		<-r.Context().Done()
	case "/prefix/cut":
		w.Header().Set("Content-Length", "100")
		if _, err := w.Write([]byte(`{"a":`)); err != nil {
			t.Error(err)
		}
	default:
		http.NotFound(w, r)
	}
}

// TestBasic signs in with a name and a password, which no error repeats.
func TestBasic(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		http.Error(w, user+" "+password, http.StatusTeapot)
	}))
	defer server.Close()
	c, err := New(Options{URL: server.URL, Username: "ann", Password: "hush", Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Get(t.Context(), "/", nil); err == nil || !strings.Contains(err.Error(), "ann ***") {
		t.Errorf("%v", err)
	}
}

// TestHidden leaves nothing of a secret in an error, in whatever form a server sends it back: encoded, cut off, or quoted.
func TestHidden(t *testing.T) {
	const long = `hush"hush-hush-hush-hush-hush-hush`
	for name, o := range map[string]Options{
		"basic":  {Username: "ann", Password: long},
		"bearer": {Token: long},
		"header": {Header: map[string]string{"Authorization": "Token token=" + long}},
	} {
		for _, before := range []string{"", strings.Repeat("x", 130)} {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				http.Error(w, before+" "+r.Header.Get("Authorization"), http.StatusTeapot)
			}))
			o.URL, o.Timeout = server.URL, time.Second
			c, err := New(o)
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Get(t.Context(), "/", nil)
			if err == nil || !strings.Contains(err.Error(), "***") || strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "YW5u") {
				t.Errorf("%s: %v", name, err)
			}
			c.Close()
			server.Close()
		}
	}
}

// TestPatience asks again as long as the server names pauses that fit, and not a moment beyond.
func TestPatience(t *testing.T) {
	for name, c := range map[string]struct {
		pauses   []string // of the answers before the good one; "" names none
		patience time.Duration
		tries    int
		good     bool
	}{
		"at once":         {nil, 0, 1, true},
		"in seconds":      {[]string{"20"}, 30 * time.Second, 2, true},
		"as a date":       {[]string{"Sat, 01 Jan 2000 00:00:25 GMT"}, 30 * time.Second, 2, true},
		"unnamed":         {[]string{"", "", ""}, 30 * time.Second, 4, true},
		"longer than it":  {[]string{"40"}, 30 * time.Second, 1, false},
		"again and again": {[]string{"1", "1", "1", "1", "1", "1", "1"}, time.Minute, mostTries, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c1, err := New(Options{URL: "http://far.example", Timeout: time.Second, Patience: c.patience})
				if err != nil {
					t.Fatal(err)
				}
				tries := 0
				c1.http.Transport = answers(func(r *http.Request) *http.Response {
					tries++
					w := httptest.NewRecorder()
					if tries <= len(c.pauses) {
						w.Header().Set("Retry-After", c.pauses[tries-1])
						w.WriteHeader(http.StatusServiceUnavailable)
					}
					return w.Result()
				})
				_, err = c1.Get(t.Context(), "/", nil)
				if (err == nil) != c.good || tries != c.tries {
					t.Errorf("%d tries, want %d: %v", tries, c.tries, err)
				}
				var refused *StatusError
				if err != nil && !errors.As(err, &refused) {
					t.Errorf("%T: %v", err, err)
				}
			})
		})
	}
}

type answers func(*http.Request) *http.Response

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) { return a(r), nil }

// TestPerMinute spreads questions evenly.
func TestPerMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Options{URL: "http://far.example", Timeout: time.Second, PerMinute: 30})
		if err != nil {
			t.Fatal(err)
		}
		c.http.Transport = answers(func(*http.Request) *http.Response { return httptest.NewRecorder().Result() })
		began := time.Now()
		for range 4 {
			if _, err := c.Get(t.Context(), "/", nil); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != 6*time.Second {
			t.Errorf("four questions at 30 a minute took %s", took)
		}
	})
}

// TestFollow goes to the next page on the same server alone, and posts questions as JSON with the server's own credentials.
func TestFollow(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.URL, r.Header.Get("X-Key"), body)
	}))
	defer server.Close()
	c, err := New(Options{URL: server.URL + "/api", Header: map[string]string{"X-Key": "Token hush"}, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for address, want := range map[string]string{server.URL + "/api?page=2": "GET /api?page=2 Token hush ", "/api?page=3": "GET /api?page=3 Token hush "} {
		if r, err := c.Follow(t.Context(), address); err != nil || string(r.Body) != want {
			t.Errorf("%s: %s, %v", address, r.Body, err)
		}
	}
	if _, err := c.Follow(t.Context(), "http://elsewhere.example/?page=2"); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("it followed to another server: %v", err)
	}
	if r, err := c.Post(t.Context(), "/search", map[string]int{"page": 1}); err != nil || string(r.Body) != `POST /api/search Token hush {"page":1}` {
		t.Errorf("%s, %v", r.Body, err)
	}
}
