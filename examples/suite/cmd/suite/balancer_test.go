package main

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"gameday/internal/portrig"
)

// named serves its name on every page but /healthz, which answers what sick says.
func named(t *testing.T, name string, sick *atomic.Bool) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/healthz" && sick.Load():
			fail(w, http.StatusServiceUnavailable, "sick")
		default:
			answer(w, http.StatusOK, name)
		}
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func balance(t *testing.T, flags ...string) *balancer {
	t.Helper()
	b, _, err := parseBalancer(flags, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// served asks n times, and returns who answered.
func served(h http.Handler, n int) string {
	var out []string
	for range n {
		code, body := get(h, http.MethodGet, "/orders/1")
		if code != http.StatusOK {
			body = http.StatusText(code)
		}
		out = append(out, strings.Trim(body, "\"\n"))
	}
	return strings.Join(out, " ")
}

func TestBalancerSpreads(t *testing.T) {
	var sick atomic.Bool
	backends := strings.Join([]string{named(t, "a", &sick), named(t, "b", &sick), named(t, "c", &sick)}, ",")
	if got := served(balance(t, "-backends", backends), 4); got != "a b c a" {
		t.Errorf("spread: %s", got)
	}
	first := balance(t, "-backends", backends, "-policy", "first")
	if got := served(first, 2); got != "a a" {
		t.Errorf("the first one: %s", got)
	}
	first.backends[0].well.Store(false)
	if got := served(first, 2); got != "b b" {
		t.Errorf("the first that is well: %s", got)
	}
	for _, one := range first.backends {
		one.well.Store(false)
	}
	if got := served(first, 1); got != "a" {
		t.Errorf("with nobody well: %s, want whoever there is", got)
	}
}

func TestBalancerTriesAnother(t *testing.T) {
	var sick atomic.Bool
	there, away := named(t, "there", &sick), portrig.Address(t)
	if got := served(balance(t, "-policy", "first", "-backends", away+","+there), 1); got != "there" {
		t.Errorf("got %s", got)
	}
	if got := served(balance(t, "-policy", "first", "-tries", "1", "-backends", away+","+there), 1); got != "Bad Gateway" {
		t.Errorf("with one try: %s", got)
	}
}

// What may have been done is not done again; what never arrived is.
func TestBalancerRepeatsNoPost(t *testing.T) {
	var asked atomic.Int32
	mute := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		panic(http.ErrAbortHandler)
	}))
	defer mute.Close()
	addr := mute.Listener.Addr().String()
	b := balance(t, "-policy", "first", "-backends", addr+","+addr)
	if code, _ := get(b, http.MethodPost, "/orders"); code != http.StatusBadGateway || asked.Load() != 1 {
		t.Errorf("a POST: %d, asked %d times", code, asked.Load())
	}
	var sick atomic.Bool
	b = balance(t, "-policy", "first", "-backends", portrig.Address(t)+","+named(t, "there", &sick))
	if code, _ := get(b, http.MethodPost, "/orders"); code != http.StatusOK {
		t.Errorf("a POST that never arrived: %d", code)
	}
}

// An open port says nothing of what is behind it; a page may.
func TestChecks(t *testing.T) {
	var sick atomic.Bool
	sick.Store(true)
	address, away := named(t, "a", &sick), portrig.Address(t)
	for _, tt := range []struct {
		check, address string
		well           bool
	}{{"port", address, true}, {"page", address, false}, {"port", away, false}, {"page", away, false}} {
		b := balance(t, "-backends", tt.address, "-check", tt.check)
		if err := b.check(t.Context(), b.backends[0]); (err == nil) != tt.well {
			t.Errorf("%s of %s: %v, want well %v", tt.check, tt.address, err, tt.well)
		}
	}
	sick.Store(false)
	b := balance(t, "-backends", address)
	if err := b.check(t.Context(), b.backends[0]); err != nil {
		t.Errorf("a page that is well: %v", err)
	}
}

// It takes some checks in a row to take a backend out, and some to take it in again.
func TestChecksInARow(t *testing.T) {
	var log bytes.Buffer
	b := balance(t, "-backends", "web-1:80", "-fall", "2", "-rise", "3")
	b.log = &log
	var got []bool
	n := 0
	for _, well := range []bool{false, true, false, false, true, true, false, true, true, true} {
		err := errors.New("sick")
		if well {
			err = nil
		}
		n = b.judge(b.backends[0], err, n)
		got = append(got, b.backends[0].well.Load())
	}
	want := []bool{true, true, true, false, false, false, false, false, false, true}
	if !slices.Equal(got, want) {
		t.Errorf("well %v, want %v", got, want)
	}
	if !strings.Contains(log.String(), "web-1:80 is out: sick") || !strings.Contains(log.String(), "web-1:80 is in again\n") {
		t.Errorf("log %q", log.String())
	}
}
