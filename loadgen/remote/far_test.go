package remote_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/remote"
)

// patient is prepared at once and sends nothing, until its context ends.
type patient struct{}

func (patient) Check(context.Context, loadgen.Spec) []loadgen.Problem { return nil }

func (patient) Run(ctx context.Context, spec loadgen.Spec, _ func(loadgen.Window)) error {
	spec.Prepared()
	<-ctx.Done()
	return context.Cause(ctx)
}

// TestSilence checks that the far end goes on while it is asked, and stops when the near end neither says a word nor leaves.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, near := io.Pipe()
		far, out := io.Pipe()
		began, ended := time.Now(), make(chan error)
		go func() {
			ended <- remote.Serve(t.Context(), "test", patient{}, in, out)
			out.Close()
		}()
		answers := make(chan int)
		go func() {
			n := 0
			for lines := bufio.NewScanner(far); lines.Scan(); {
				var l struct{ Answer *struct{ Probe int } }
				if json.Unmarshal(lines.Bytes(), &l) == nil && l.Answer != nil {
					n++
				}
			}
			answers <- n
		}()
		say := func(line string) {
			if _, err := io.WriteString(near, line+"\n"); err != nil {
				t.Error(err)
			}
		}
		say(`{"stream": {"version": "test", "spec": {"stream": "s", "rate": 1}}}`)
		for range 30 {
			time.Sleep(time.Second)
			say(`{"probe": 1}`)
		}
		err := <-ended
		if took := time.Since(began); err == nil || !strings.Contains(err.Error(), "nothing was heard") || took != 30*time.Second+remote.Silence {
			t.Errorf("it ended after %s: %v", took, err)
		}
		if n := <-answers; n != 30 {
			t.Errorf("%d answers", n)
		}
		near.Close()
	})
}

// TestCutStream checks that the far end does not wait for ever for the rest of a stream.
func TestCutStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, near := io.Pipe()
		ended := make(chan error)
		go func() { ended <- remote.Serve(t.Context(), "test", patient{}, in, io.Discard) }()
		for range 30 {
			time.Sleep(time.Second)
			if _, err := io.WriteString(near, `{"stream": {"spec": {"stream": "`); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		if err := <-ended; err == nil || !strings.Contains(err.Error(), "nothing was heard") || time.Since(began) != remote.Silence {
			t.Errorf("it ended after %s: %v", time.Since(began), err)
		}
		near.Close()
	})
}

// TestTold checks that the far end stops when its context ends, which a signal does, and what the stream was read from is gone then.
func TestTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		in, near := io.Pipe()
		ended := make(chan error)
		e := &unready{}
		go func() { ended <- remote.Serve(ctx, "test", e, in, io.Discard) }()
		if _, err := io.WriteString(near, `{"stream": {"version": "test", "spec": {"stream": "s", "rate": 1}}}`+"\n"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if _, err := os.Stat(e.dir); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-ended; err == nil {
			t.Error("no error")
		}
		if _, err := os.Stat(e.dir); !os.IsNotExist(err) {
			t.Errorf("the folder is left: %v", err)
		}
		near.Close()
	})
}

// unready never becomes ready, and keeps its folder's name.
type unready struct {
	patient
	dir string
}

func (e *unready) Run(ctx context.Context, spec loadgen.Spec, _ func(loadgen.Window)) error {
	e.dir = spec.Dir
	<-ctx.Done()
	return context.Cause(ctx)
}

// TestRoomsOfTheDead checks that what the stream was read from, of a process that was killed meanwhile, is taken away by the next.
func TestRoomsOfTheDead(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	rooms := map[string]string{}
	for _, name := range []string{"dead", "held", "fresh"} {
		dir := filepath.Join(os.TempDir(), "gameday-generator-"+name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "key.pem"), []byte("secret"), 0o600); err != nil {
			t.Fatal(err)
		}
		if old := time.Now().Add(-time.Hour); name != "fresh" {
			if err := os.Chtimes(dir, old, old); err != nil {
				t.Fatal(err)
			}
		}
		rooms[name] = dir
	}
	held, err := os.Open(rooms["held"])
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := syscall.Flock(int(held.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	in := strings.NewReader(`{"stream": {"version": "test", "spec": {"stream": "s", "rate": 1}}}` + "\n")
	if err := remote.Serve(t.Context(), "test", patient{}, in, io.Discard); err == nil {
		t.Error("it did not notice its input's end")
	}
	for name, dir := range rooms {
		if _, err := os.Stat(dir); os.IsNotExist(err) != (name == "dead") {
			t.Errorf("the %s one: %v", name, err)
		}
	}
}

// TestStrangers checks that what is no game day is told so.
func TestStrangers(t *testing.T) {
	for _, in := range []string{"", "hello\n", "{}\n", `{"probe": 1}` + "\n"} {
		if err := remote.Serve(t.Context(), "test", patient{}, strings.NewReader(in), io.Discard); err == nil || !strings.Contains(err.Error(), "for gameday itself") {
			t.Errorf("%q: %v", in, err)
		}
	}
}
