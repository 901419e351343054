package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const patience = 20 * time.Second

// cannot passes a test over that needs what this machine does not have, which CI must have.
func cannot(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// until asks again and again until the answer is yes.
func until(t *testing.T, what string, yes func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for !yes() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// play runs a role until the test ends. What it prints is shown when the test failed.
func play(t *testing.T, run func(context.Context, []string, io.Writer) error, args ...string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var log lockedBuffer
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, args, &log) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("%v: %v", args, err)
		}
		if t.Failed() {
			t.Logf("%v printed:\n%s", args, log.String())
		}
	})
}

// lockedBuffer is a buffer that several may write to.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// listens reports whether somebody listens on a port of this machine.
func listens(port int) bool {
	c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		return false
	}
	return c.Close() == nil
}

// answered sends a request to a handler, and reads the answer's JSON into to, unless that is nil.
func answered(t *testing.T, h http.Handler, method, path string, to any) int {
	t.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), method, path, nil))
	if to != nil {
		if err := json.Unmarshal(rec.Body.Bytes(), to); err != nil {
			t.Fatalf("%s %s: %s: %v", method, path, strings.TrimSpace(rec.Body.String()), err)
		}
	}
	return rec.Code
}

// program returns the path of an installed program.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		cannot(t, "%s is not installed; tools/setup installs it", name)
	}
	return path
}
