package k6

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/k6/program"
	"gameday/loadgen/sli"
)

// The test binary is what gameday-k6 is as a child; for one test a process that starts one and is killed; and, to compare
// with, plain k6.
func TestMain(m *testing.M) {
	switch {
	case program.IsChild():
		program.RunChild()
	case os.Getenv(plainVariable) != "":
		actAsPlain()
	case os.Getenv(parentVariable) != "":
		actAsParent()
	}
	os.Exit(m.Run())
}

// engine returns an engine whose program is the test binary: so that the child has what the test has, as the race detector.
func engine() *Engine { return &Engine{Program: os.Args[0]} }

// target is a server on loopback that counts requests and can be made to fail or to stall.
type target struct {
	*httptest.Server
	hits   atomic.Int64
	status atomic.Int64 // answered to everything; 0 is 200
	pause  atomic.Pointer[chan struct{}]
}

func newTarget(t *testing.T) *target {
	s := &target{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.hits.Add(1)
		if gate := s.pause.Load(); gate != nil {
			<-*gate
		}
		if code := s.status.Load(); code != 0 {
			w.WriteHeader(int(code))
		}
		_, _ = w.Write([]byte(r.URL.Path))
	}))
	t.Cleanup(s.Close)
	return s
}

// freeze stalls every request for a while.
func (s *target) freeze(d time.Duration) {
	gate := make(chan struct{})
	s.pause.Store(&gate)
	time.AfterFunc(d, func() { s.pause.Store(nil); close(gate) })
}

// write puts files into a folder and returns the path of the first.
func write(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(names); i += 2 {
		path := filepath.Join(dir, names[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(names[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, names[0])
}

// stream is traffic under test.
type stream struct {
	t        *testing.T
	commands chan loadgen.Command
	windows  chan loadgen.Window
	result   chan error
	all      []loadgen.Window
	logs     chan string
	cancel   context.CancelFunc
}

// begin starts traffic and returns when it is ready, unless it ends before.
func begin(t *testing.T, script string, change func(*loadgen.Spec)) *stream {
	t.Helper()
	ready := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	s := &stream{
		t: t, commands: make(chan loadgen.Command, 10), windows: make(chan loadgen.Window, 1000),
		result: make(chan error, 1), logs: make(chan string, 100), cancel: cancel,
	}
	spec := loadgen.Spec{
		Stream: "shoppers", Script: script, Rate: 50, PeakMultiple: 3, Dir: t.TempDir(), Commands: s.commands,
		Ready: func() { close(ready) },
		Log:   func(level, text string) { s.logs <- level + ": " + text },
	}
	if change != nil {
		change(&spec)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err := engine().Run(ctx, spec, func(w loadgen.Window) { s.windows <- w })
		close(s.windows)
		close(s.logs)
		s.result <- err
	}()
	t.Cleanup(func() {
		cancel()
		s.drain()
		<-ended // until then its child writes in the folder, which is about to be removed
		log, err := os.ReadFile(filepath.Join(spec.Dir, "k6.log"))
		if err == nil && strings.Contains(string(log), "DATA RACE") {
			t.Errorf("the child has a data race:\n%s", log)
		}
	})
	select {
	case <-ready:
	case err := <-s.result:
		s.result <- err
	case <-time.After(30 * time.Second):
		t.Fatal("the traffic is not ready after 30 s")
	}
	return s
}

// next returns the next n windows, summed.
func (s *stream) next(n int) *sli.Aggregate {
	s.t.Helper()
	sum := &sli.Aggregate{}
	for range n {
		select {
		case w, ok := <-s.windows:
			if !ok {
				s.t.Fatalf("the traffic ended: %v", <-s.result)
			}
			s.all = append(s.all, w)
			sum.Add(w)
		case <-time.After(10 * time.Second):
			s.t.Fatal("no window for 10 s")
		}
	}
	return sum
}

// stop tells the traffic to stop and returns everything it did, and how it ended.
func (s *stream) stop() (loadgen.Window, error) {
	s.t.Helper()
	s.commands <- loadgen.Command{Stop: true}
	return s.wait()
}

func (s *stream) wait() (loadgen.Window, error) {
	s.t.Helper()
	for {
		select {
		case w, ok := <-s.windows:
			if ok {
				s.all = append(s.all, w)
				continue
			}
			var sum loadgen.Window
			for _, w := range s.all {
				sum.Merge(w)
			}
			err := <-s.result
			s.result <- err
			return sum, err
		case <-time.After(30 * time.Second):
			s.t.Fatal("the traffic does not end")
		}
	}
}

func (s *stream) said() []string {
	var all []string
	for l := range s.logs {
		all = append(all, l)
	}
	return all
}

// drain takes what the traffic still has to say, which would wait for that if it is more than there is room for.
func (s *stream) drain() {
	go func() {
		for range s.logs {
		}
	}()
	for range s.windows {
	}
}

func get(t *testing.T, r sli.Readings, name string) float64 {
	t.Helper()
	v, ok := r.Read("", name)
	if !ok {
		t.Fatalf("no data for %s", name)
	}
	return v
}

func within(t *testing.T, what string, got, lo, hi float64) {
	t.Helper()
	if got < lo || got > hi {
		t.Errorf("%s is %.4g, want it from %.4g to %.4g", what, got, lo, hi)
	}
}
