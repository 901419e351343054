package native

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"gameday/loadgen"
)

// parentVariable holds the URL that a process which is to be killed sends to.
const parentVariable = "GAMEDAY_TEST_NATIVE_PARENT"

// actAsParent sends until it is killed.
func actAsParent() {
	spec := loadgen.Spec{Stream: "orphan", Rate: 50, Dir: os.TempDir(), Commands: make(chan loadgen.Command),
		Flows: flows(get(os.Getenv(parentVariable)))}
	fmt.Fprintln(os.Stderr, (&Engine{}).Run(context.Background(), spec, func(loadgen.Window) {}))
	os.Exit(1)
}

// TestOrphan kills the process that started a generator: no request comes after that for long.
func TestOrphan(t *testing.T) {
	var hits atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	t.Cleanup(s.Close)
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentVariable+"="+s.URL, "TMPDIR="+t.TempDir())
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = parent.Process.Kill() })
	await := func(what string, limit time.Duration, done func() bool) {
		t.Helper()
		for end := time.Now().Add(limit); !done(); <-time.After(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: not within %s", what, limit)
			}
		}
	}
	await("requests come", 30*time.Second, func() bool { return hits.Load() > 20 })
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	await("requests end", 10*time.Second, func() bool {
		before := hits.Load()
		<-time.After(500 * time.Millisecond) // half of what 50 a second would bring is none by chance only once in ages
		return hits.Load() == before
	})
}
