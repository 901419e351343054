package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"gameday/internal/portrig"
)

// store begins a store with a server of its own.
func store(t *testing.T, peer string) (*sessions, string) {
	t.Helper()
	s := newSessions(peer, io.Discard)
	srv := httptest.NewServer(s.handler())
	t.Cleanup(srv.Close)
	return s, srv.URL
}

// A store that starts has what its peer has, and what was written to it meanwhile; before that it says that it is not
// well.
func TestSessionsTakeWhatThePeerHas(t *testing.T) {
	old, url := store(t, "")
	for id, value := range map[string]string{"1": "one", "2": "two"} {
		if err := old.put(id, value); err != nil {
			t.Fatal(err)
		}
	}
	fresh, _ := store(t, url)
	if err := fresh.put("2", "newer"); err != nil {
		t.Fatal(err)
	}
	if code, body := get(fresh.handler(), http.MethodGet, "/healthz"); code != http.StatusServiceUnavailable {
		t.Errorf("before it has them it is well: %d %s", code, body)
	}
	fresh.fetch(t.Context())
	if code, body := get(fresh.handler(), http.MethodGet, "/healthz"); code != http.StatusOK {
		t.Errorf("afterwards: %d %s", code, body)
	}
	for id, want := range map[string]string{"1": "one", "2": "newer"} {
		if got, ok := fresh.get(id); !ok || got != want {
			t.Errorf("session %s is %q, want %q", id, got, want)
		}
	}
	if code, _ := get(fresh.handler(), http.MethodGet, "/sessions/3"); code != http.StatusNotFound {
		t.Errorf("a session that nobody has: %d", code)
	}
}

// A store whose peer is away begins with nothing, and so does one without a peer.
func TestSessionsBeginEmpty(t *testing.T) {
	alone := newSessions("http://"+portrig.Address(t), io.Discard)
	alone.fetch(t.Context())
	if !alone.ready.Load() || len(alone.all) != 0 {
		t.Errorf("ready %v with %d sessions", alone.ready.Load(), len(alone.all))
	}
	if s := newSessions("", io.Discard); !s.ready.Load() {
		t.Error("a store without a peer waits for one")
	}
}

// What is written is copied to the peer, and a copy is not copied back.
func TestSessionsAreCopied(t *testing.T) {
	peer, url := store(t, "http://"+portrig.Address(t))
	s, _ := store(t, url)
	ctx, stop := context.WithCancel(t.Context())
	passed := make(chan struct{})
	go func() { s.pass(ctx); close(passed) }()
	rec := httptest.NewRecorder()
	s.handler().ServeHTTP(rec, httptest.NewRequestWithContext(ctx, http.MethodPut, "/sessions/7", strings.NewReader("seven")))
	if rec.Code != http.StatusCreated {
		t.Fatalf("status %d", rec.Code)
	}
	for got := ""; got != "seven"; got, _ = peer.get("7") {
		time.Sleep(time.Millisecond)
	}
	stop()
	<-passed
	if n := len(peer.copies); n != 0 {
		t.Errorf("the peer would copy %d back", n)
	}
}

func TestSessionsAreBounded(t *testing.T) {
	s := newSessions("", io.Discard)
	for i := range sessionsLimit {
		if err := s.put(strconv.Itoa(i), ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.put("one more", ""); err == nil {
		t.Error("there was room for one more")
	}
	if err := s.put("1", "again"); err != nil {
		t.Errorf("a session that is there: %v", err)
	}
	rec := httptest.NewRecorder()
	s.handler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/sessions/1", strings.NewReader(strings.Repeat("x", valueLimit+1))))
	if rec.Code != http.StatusBadRequest {
		t.Errorf("a session that is too long: %d", rec.Code)
	}
}
