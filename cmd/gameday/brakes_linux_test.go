package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gameday/report"
)

// brakeLimit is from the instant in which a stop condition has held for long enough, or somebody said stop, to the proof
// that the last fault is gone.
const brakeLimit = 2 * time.Second

// cuts is how many partitions stand when the brake is pulled.
const cuts = 8

// braked is a game day in which partitions stand, and then the service dies; a stop condition sees it if its threshold is
// below 1.
func braked(threshold float64) string {
	var nodes, inner strings.Builder
	for i := range cuts {
		fmt.Fprintf(&nodes, "  node \"n%d\" {\n  }\n", i)
		fmt.Fprintf(&inner, "  target \"n%d\" {\n    node {\n      name = \"n%d\"\n    }\n  }\n", i, i)
		fmt.Fprintf(&inner, "  fault \"network_partition\" \"cut%d\" {\n    between  = [target.n%d, target.web]\n    at       = \"1s\"\n    duration = \"60s\"\n  }\n", i, i)
	}
	return fmt.Sprintf(`lab "brakes" {
  node "web" {
    process "web" {
      command = ["world", "-listen", ":8080"]
      listen  = 8080
    }
  }
%s}
scenario "brakes" {
  timeline {
    baseline = "2s"
    load     = "60s"
    recovery = "1s"
  }
  traffic "visitors" {
    script = "get.js"
    baseline {
      rate = 20
    }
  }
  target "web" {
    process {
      listen = 8080
    }
  }
%s  fault "process_kill" "crash" {
    target = target.web
    at     = "4s"
  }
  abort "storm" {
    when = sli.error_ratio > %g
    over = "1s"
    held = "1s"
  }
}
`, nodes.String(), inner.String(), threshold)
}

// brakeRig starts a game day as a process of its own.
type brakeRig struct {
	t   *testing.T
	dir string
	env []string
	cmd *exec.Cmd
	out bytes.Buffer
}

func newBrakeRig(t *testing.T, threshold float64) *brakeRig {
	t.Helper()
	return newDayRig(t, braked(threshold))
}

func newDayRig(t *testing.T, day string) *brakeRig {
	t.Helper()
	if !canLab(t) {
		t.Skip("this system forbids labs")
	}
	r := newRig(t)
	script, err := os.ReadFile("testdata/common/get.js")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"day.hcl": day, "get.js": string(script)} {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r.start()
	return r
}

// newRig makes a folder with the programs in it, and a ledger of its own.
func newRig(t *testing.T) *brakeRig {
	t.Helper()
	r := &brakeRig{t: t, dir: t.TempDir()}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"gameday", "world"} {
		if err := os.Symlink(self, filepath.Join(r.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	r.env = append(os.Environ(), "PATH="+r.dir+":"+os.Getenv("PATH"), "HOME="+r.dir, "GAMEDAY_LEDGER="+filepath.Join(r.dir, "ledger"),
		"TEST_MACHINE_POLICY="+filepath.Join(r.dir, "none.hcl"))
	return r
}

// start runs day.hcl, until the test ends.
func (r *brakeRig) start() {
	r.t.Helper()
	r.cmd = r.command("run", "--record", "rec", "day.hcl")
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.out
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if r.cmd.ProcessState == nil {
			r.cmd.Process.Signal(os.Interrupt)
			r.cmd.Wait()
		}
	})
}

func (r *brakeRig) command(args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(r.dir, "gameday"), args...)
	c.Dir, c.Env = r.dir, r.env
	return c
}

// events returns what the record has by now.
func (r *brakeRig) events() []report.Event {
	b, _ := os.ReadFile(filepath.Join(r.dir, "rec", report.EventsFile))
	var out []report.Event
	for line := range bytes.Lines(b) {
		var e report.Event
		if json.Unmarshal(line, &e) == nil {
			out = append(out, e)
		}
	}
	return out
}

func count(events []report.Event, kind report.EventKind) (n int, last time.Time) {
	for _, e := range events {
		if e.Kind == kind {
			n, last = n+1, e.At
		}
	}
	return n, last
}

// wait waits until the record has so many events of a kind.
func (r *brakeRig) wait(kind report.EventKind, n int) {
	r.t.Helper()
	deadline := time.After(60 * time.Second)
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		if got, _ := count(r.events(), kind); got >= n {
			return
		}
		select {
		case <-poll.C:
		case <-deadline:
			r.t.Fatalf("no %d events %s after a minute; it said:\n%s", n, kind, r.out.String())
		}
	}
}

// allGone checks that every partition that stood is gone, and returns since when.
func (r *brakeRig) allGone() time.Time {
	r.t.Helper()
	if err := r.cmd.Wait(); err == nil || r.cmd.ProcessState.ExitCode() != 4 {
		r.t.Fatalf("the run ended with %v, want exit code 4; it said:\n%s", r.cmd.ProcessState, r.out.String())
	}
	n, last := count(r.events(), report.Reverted)
	if by, at := count(r.events(), report.Lapsed); by > 0 { // guards see a halt by themselves, and tell
		n += by
		if at.After(last) {
			last = at
		}
	}
	if n != cuts {
		r.t.Fatalf("%d of %d partitions were reverted", n, cuts)
	}
	return last
}

// TestAbortIsSwift measures, with real guards, how long after the stop condition has held for its time the last fault is
// gone. Conditions are looked at each second, so a part of it is the wait for that.
func TestAbortIsSwift(t *testing.T) {
	r := newBrakeRig(t, 0.9)
	gone := r.allGone()
	n, seen := count(r.events(), report.AbortSeen)
	if n != 1 {
		t.Fatalf("%d aborts", n)
	}
	var abort report.Abort
	for _, e := range r.events() {
		if e.Kind == report.AbortSeen {
			if err := json.Unmarshal(e.Data, &abort); err != nil {
				t.Fatal(err)
			}
		}
	}
	due := seen.Add(time.Second - abort.Held) // the instant at which it had held for a second
	took := gone.Sub(due)
	t.Logf("abort: %v from held for its time to the last of %d faults reverted; %v of it from the decision", took.Round(time.Millisecond), cuts,
		gone.Sub(seen).Round(time.Millisecond))
	if took > brakeLimit {
		t.Errorf("it took %v, want at most %v", took, brakeLimit)
	}
}

// TestStopAllIsSwift measures, with real guards, how long after somebody called `gameday stop --all` the last fault is gone,
// the start of that program included.
func TestStopAllIsSwift(t *testing.T) {
	r := newBrakeRig(t, 2)
	r.wait(report.Injected, cuts+1)
	called := time.Now()
	out, err := r.command("stop", "--all", "--why", "a test").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	returned := time.Now()
	gone := r.allGone()
	t.Logf("stop --all: %v from the call to the last of %d faults reverted; the call returned after %v", gone.Sub(called).Round(time.Millisecond),
		cuts, returned.Sub(called).Round(time.Millisecond))
	if took := gone.Sub(called); took > brakeLimit {
		t.Errorf("it took %v, want at most %v", took, brakeLimit)
	}
}

// TestHaltIsSwift measures the same where the run is not asked, and must see the halt by itself.
func TestHaltIsSwift(t *testing.T) {
	r := newBrakeRig(t, 2)
	r.wait(report.Injected, cuts+1)
	if err := os.RemoveAll(filepath.Join(r.dir, "running")); err != nil { // nobody finds the run
		t.Fatal(err)
	}
	called := time.Now()
	if out, err := r.command("stop", "--all").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	gone := r.allGone()
	t.Logf("halt: %v from the call to the last of %d faults reverted", gone.Sub(called).Round(time.Millisecond), cuts)
	if took := gone.Sub(called); took > brakeLimit {
		t.Errorf("it took %v, want at most %v", took, brakeLimit)
	}
}
