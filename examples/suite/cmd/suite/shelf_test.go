package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"gameday/internal/portrig"
)

// newShelf makes a shelf by its flags.
func newShelf(t *testing.T, args ...string) *shelf {
	t.Helper()
	s, _, err := parseShelf(args, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.client.CloseIdleConnections)
	return s
}

// One kind of shelf connects once, the other for every page: that is the whole difference between the worlds.
func TestShelfConnects(t *testing.T) {
	for names, want := range map[string]int64{namesKept: 1, namesEach: 5} {
		t.Run(names, func(t *testing.T) {
			var connections atomic.Int64
			prices := httptest.NewUnstartedServer(pricesRoutes(0))
			prices.Config.ConnState = func(_ net.Conn, s http.ConnState) {
				if s == http.StateNew {
					connections.Add(1)
				}
			}
			prices.Start()
			defer prices.Close()
			h := newShelf(t, "-names", names, "-timeout", "10s", "-prices", prices.URL+"/").routes()
			for range 5 {
				if code, body := get(h, http.MethodGet, "/"); code != http.StatusOK || !strings.Contains(body, `"cents":995`) {
					t.Fatalf("the page: %d %s", code, body)
				}
			}
			if got := connections.Load(); got != want {
				t.Errorf("%d connections for five pages, want %d", got, want)
			}
		})
	}
}

func TestShelfWithoutPrices(t *testing.T) {
	release := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer silent.Close()
	defer close(release)
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	defer broken.Close()
	gone := "http://" + portrig.Address(t)
	for url, want := range map[string]int{silent.URL: http.StatusGatewayTimeout, broken.URL: http.StatusBadGateway, gone: http.StatusBadGateway} {
		timeout := "10s"
		if url == silent.URL {
			timeout = "50ms"
		}
		h := newShelf(t, "-timeout", timeout, "-prices", url+"/").routes()
		if code, body := get(h, http.MethodGet, "/"); code != want {
			t.Errorf("the page: %d %s, want %d", code, body, want)
		}
		for _, step := range []struct {
			method  string
			code    int
			metrics string
		}{{http.MethodPost, http.StatusAccepted, "shelf_later 1"}, {http.MethodDelete, want, "shelf_later 0"}} {
			if code, _ := get(h, step.method, "/later"); code != http.StatusNoContent {
				t.Errorf("%s /later: %d", step.method, code)
			}
			if code, _ := get(h, http.MethodGet, "/"); code != step.code {
				t.Errorf("the page after %s /later: %d, want %d", step.method, code, step.code)
			}
			if _, body := get(h, http.MethodGet, "/metrics"); !strings.Contains(body, step.metrics) {
				t.Errorf("the metrics after %s /later: %s", step.method, body)
			}
		}
	}
}

// The probe of names is about now: what a shelf remembers is not asked.
func TestShelfTellsOfNames(t *testing.T) {
	for host, want := range map[string]int{"127.0.0.1": http.StatusOK, "no-such-name.invalid": http.StatusServiceUnavailable} {
		h := newShelf(t, "-prices", "http://"+host+":9402/").routes()
		if code, body := get(h, http.MethodGet, "/names"); code != want {
			t.Errorf("%s: %d %s, want %d", host, code, body, want)
		}
	}
}

func TestShelfFlags(t *testing.T) {
	for _, args := range []string{"-names sometimes", "-prices ftp://x/", "-prices http://", "-timeout 0s", "more"} {
		if _, _, err := parseShelf(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%s: no error", args)
		}
	}
}
