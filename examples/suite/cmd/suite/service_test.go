package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// stuck is a service that answers nothing until it is released.
type stuck struct {
	*httptest.Server
	asked   chan struct{} // one for each request
	release chan struct{}
}

func newStuck(t *testing.T) *stuck {
	s := &stuck{asked: make(chan struct{}, 100), release: make(chan struct{})}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.asked <- struct{}{}
		<-s.release
		answer(w, http.StatusOK, map[string]string{"from": "stuck"})
	}))
	t.Cleanup(s.Close)
	return s
}

// begin makes the service that flags describe.
func begin(t *testing.T, flags ...string) *service {
	t.Helper()
	s, _, err := parseService(append([]string{"-work", "0s"}, flags...), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// later asks beside the test, and returns where the status will be told.
func later(h http.Handler, path string) <-chan int {
	told := make(chan int, 1)
	go func() {
		code, _ := get(h, http.MethodGet, path)
		told <- code
	}()
	return told
}

// Without bounds a slow dependency takes every thread, so that pages which do not need it wait as well. With a bulkhead
// they do not, and what needs it fails at once.
func TestASlowDependencyEatsThreads(t *testing.T) {
	slow := newStuck(t)
	defer close(slow.release)
	bare := begin(t, "-threads", "2", "-line", "1", "-calls", "/quotes="+slow.URL)
	for range 2 {
		later(bare, "/quotes/1")
		<-slow.asked
	}
	waiting := later(bare, "/home")
	for len(bare.threads.admitted) < 3 {
		time.Sleep(time.Millisecond)
	}
	if code, body := get(bare, http.MethodGet, "/home"); code != http.StatusServiceUnavailable || !strings.Contains(body, "too many wait") {
		t.Errorf("the fourth request got %d %s, want to be refused", code, body)
	}
	select {
	case code := <-waiting:
		t.Errorf("a page that needs nobody got %d while every thread waited for somebody", code)
	default:
	}

	bulkhead := begin(t, "-threads", "2", "-bulkhead", "1", "-calls", "/quotes="+slow.URL)
	later(bulkhead, "/quotes/1")
	<-slow.asked
	if code, body := get(bulkhead, http.MethodGet, "/quotes/2"); code != http.StatusServiceUnavailable || !strings.Contains(body, errBulkhead.Error()) {
		t.Errorf("beyond the bulkhead: %d %s", code, body)
	}
	if code, body := get(bulkhead, http.MethodGet, "/home"); code != http.StatusOK {
		t.Errorf("a page that needs nobody: %d %s", code, body)
	}
}

func TestATimeLimitEndsACall(t *testing.T) {
	slow := newStuck(t)
	defer close(slow.release)
	s := begin(t, "-timeout", "20ms", "-calls", "/quotes="+slow.URL)
	if code, body := get(s, http.MethodGet, "/quotes/1"); code != http.StatusGatewayTimeout {
		t.Errorf("%d %s, want a time-out", code, body)
	}
}

// A thread that nobody waits for any more works on: that is what makes it so dear.
func TestAThreadWorksOnForNobody(t *testing.T) {
	slow := newStuck(t)
	s := begin(t, "-threads", "1", "-calls", "/quotes="+slow.URL)
	ctx, leave := context.WithCancel(t.Context())
	rec, ended := httptest.NewRecorder(), make(chan struct{})
	go func() {
		s.ServeHTTP(rec, httptest.NewRequestWithContext(ctx, http.MethodGet, "/quotes/1", nil))
		close(ended)
	}()
	<-slow.asked
	leave()
	impatient, give := context.WithCancelCause(t.Context())
	give(errors.New("enough"))
	if _, err := s.threads.take(impatient); err == nil || err.Error() != "enough" {
		t.Errorf("the thread of somebody who has left was free: %v", err)
	}
	close(slow.release)
	<-ended
	if rec.Code != http.StatusOK {
		t.Errorf("status %d", rec.Code)
	}
}

func TestStaleAnswers(t *testing.T) {
	broken := false
	do := func(_ context.Context, path string) ([]byte, error) {
		if broken {
			return nil, errors.New("broken")
		}
		return []byte(path), nil
	}
	kept, none := newUpstream(bounds{stale: true}, do), newUpstream(bounds{}, do)
	for _, u := range []*upstream{kept, none} {
		if body, stale, err := u.get(t.Context(), "/goods/1"); string(body) != "/goods/1" || stale || err != nil {
			t.Fatalf("%q, stale %v, %v", body, stale, err)
		}
	}
	broken = true
	if body, stale, err := kept.get(t.Context(), "/goods/1"); string(body) != "/goods/1" || !stale || err != nil {
		t.Errorf("%q, stale %v, %v, want the answer of before", body, stale, err)
	}
	if _, stale, err := kept.get(t.Context(), "/goods/2"); stale || err == nil {
		t.Errorf("what was never answered: stale %v, %v", stale, err)
	}
	if _, stale, err := none.get(t.Context(), "/goods/1"); stale || err == nil {
		t.Errorf("where nothing is kept: stale %v, %v", stale, err)
	}
}

func TestBreaker(t *testing.T) {
	b := &breaker{after: 2, rest: time.Second}
	t0 := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	at := func(ms int) time.Time { return t0.Add(time.Duration(ms) * time.Millisecond) }
	for i, step := range []struct {
		ms    int
		allow bool // whether a call is allowed
		heard string
	}{
		{0, true, "failed"}, {10, true, "well"}, {20, true, "failed"}, {30, true, "failed"}, // two in a row
		{40, false, ""}, {1029, false, ""},
		{1030, true, ""}, {1031, false, "failed"}, // one trial at a time, and it failed
		{2030, false, ""}, {2031, true, "well"}, {2032, true, "failed"}, {2033, true, ""},
	} {
		if got := b.allow(at(step.ms)); got != step.allow {
			t.Fatalf("step %d, at %d ms: allowed %v, want %v", i, step.ms, got, step.allow)
		}
		if step.heard != "" {
			b.heard(step.heard == "well", at(step.ms))
		}
	}
}

// A service is slow while the file is there, and says that somebody has felt it.
func TestSlowFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "slow")
	s := begin(t, "-work", "1ms", "-slow-file", file, "-slow-work", "2ms")
	if d := s.effort(); d != time.Millisecond {
		t.Errorf("%v without the file", d)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if d := s.effort(); d != 2*time.Millisecond {
		t.Errorf("%v with it", d)
	}
	if _, err := os.Stat(file + ".felt"); err != nil {
		t.Errorf("nobody was told: %v", err)
	}
}

// A service is ready when what it needs is there, and healthy as long as it runs.
func TestReady(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(healthy))
	s := begin(t, "-calls", "/goods="+up.URL)
	if code, _ := get(s, http.MethodGet, "/ready"); code != http.StatusOK {
		t.Errorf("ready: %d", code)
	}
	up.Close()
	if code, body := get(s, http.MethodGet, "/ready"); code != http.StatusServiceUnavailable || !strings.Contains(body, "/goods") {
		t.Errorf("without what it needs: %d %s", code, body)
	}
	if code, _ := get(s, http.MethodGet, "/healthz"); code != http.StatusOK {
		t.Errorf("healthy: %d", code)
	}
}
