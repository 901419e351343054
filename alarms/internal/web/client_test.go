package web

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestErrors words every way to fail with the address and without a secret.
func TestErrors(t *testing.T) {
	var tries atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tries.Add(1)
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
	}))
	defer server.Close()
	c, err := New(Options{URL: server.URL + "/prefix/", Token: "hush-hush", Timeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for path, want := range map[string]struct {
		says  string
		tries int
	}{
		"/echo":  {`400 Bad Request: "you sent Bearer ***"`, 1},
		"/login": {"302 Found to " + server.URL + "/login: is a login page", 1},
		"/busy":  {"429 Too Many Requests: empty answer", 2},
		"/slow":  {"no answer within 200ms", 1},
		"/cut":   {"unexpected EOF", 1},
		"/other": {"404 Not Found: is the url that of the right program", 1},
	} {
		tries.Store(0)
		_, err := c.Get(t.Context(), path, nil)
		if err == nil || !strings.Contains(err.Error(), want.says) || !strings.HasPrefix(err.Error(),
			"GET "+server.URL+"/prefix"+path+": ") {
			t.Errorf("%s: %v, want %q", path, err, want.says)
		}
		if int(tries.Load()) != want.tries || strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(),
			"secret") {
			t.Errorf("%s: %d tries, want %d: %v", path, tries.Load(), want.tries, err)
		}
	}
	if _, err := c.Get(t.Context(), "/slow", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a time-out is %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Get(ctx, "/echo", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled question is %v", err)
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
