package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/faults"
)

// pausedDay is a game day on this machine that stops a process of the test's own for longer than a test waits.
const pausedDay = `scenario "paused" {
  timeline {
    baseline = "1s"
    load     = "60s"
    recovery = "1s"
  }
  traffic "visitors" {
    script = "get.js"
    baseline {
      rate = 5
    }
  }
  target "web" {
    process {
      pidfile = "%s"
    }
  }
  fault "process_pause" "freeze" {
    target   = target.web
    at       = "0s"
    duration = "50s"
    lease    = "40s"
  }
}
`

// state returns the letter of a process's state, as /proc tells it.
func state(t *testing.T, pid int) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := bytes.Cut(b, []byte(") "))
	return string(after[:1])
}

// TestStopAllOfAHungRun stops the conductor, and then its guard as well, by SIGSTOP. What `stop --all` says must be what the
// victim's state is: it may say that nothing stands only when the victim goes on.
func TestStopAllOfAHungRun(t *testing.T) {
	for name, tc := range map[string]struct {
		guardToo bool
		limit    string
	}{"conductor": {false, "20s"}, "conductor and guard": {true, "3s"}} {
		t.Run(name, func(t *testing.T) {
			r, victim := newPausedRig(t, tc.limit)
			ledger, err := faults.OpenLedger(filepath.Join(r.dir, "ledger"))
			if err != nil {
				t.Fatal(err)
			}
			r.wait("injected", 1)
			if s := state(t, victim); s != "T" {
				t.Fatalf("the victim's state is %s before anybody is stopped", s)
			}
			standing, err := ledger.Standing()
			if err != nil || len(standing) != 1 {
				t.Fatalf("the ledger has %v, %v", standing, err)
			}
			hang(t, r.cmd.Process.Pid)
			if tc.guardToo {
				hang(t, standing[0].Entry.Guard)
			}
			called := time.Now()
			out, err := r.command("stop", "--all").CombinedOutput()
			took := time.Since(called).Round(time.Millisecond)
			code := 0
			if err != nil {
				code = err.(*exec.ExitError).ExitCode()
			}
			now := state(t, victim)
			standing, _ = ledger.Standing()
			t.Logf("after %v: exit code %d, the victim's state is %s, %d entries stand", took, code, now, len(standing))
			switch {
			case code == 0 && (now == "T" || len(standing) != 0), code == exitResidue && len(standing) == 0, code != 0 && code != exitResidue:
				t.Errorf("it lies:\n%s", out)
			case tc.guardToo && code != exitResidue:
				t.Errorf("nobody can have reverted it:\n%s", out)
			case code == exitResidue && !strings.Contains(string(out), "freeze (process_pause)"):
				t.Errorf("it does not say what stands:\n%s", out)
			}
		})
	}
}

// hang stops a process until the test ends.
func hang(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Kill(pid, syscall.SIGCONT) })
}

// newPausedRig starts the game day, and returns it with the pid of its victim.
func newPausedRig(t *testing.T, limit string) (*brakeRig, int) {
	t.Helper()
	r := newRig(t)
	victim, port := startWorld(t, r.dir)
	address := fmt.Sprintf("127.0.0.1:%d", port)
	pidfile := filepath.Join(r.dir, "web.pid")
	script, err := os.ReadFile("testdata/common/get.js")
	if err != nil {
		t.Fatal(err)
	}
	script = bytes.ReplaceAll(script, []byte("web:8080"), []byte(address))
	for name, text := range map[string]string{"day.hcl": fmt.Sprintf(pausedDay, pidfile), "get.js": string(script), "web.pid": fmt.Sprint(victim.Process.Pid)} {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r.env = append(r.env, "TEST_STOP_LIMIT="+limit)
	r.start()
	return r, victim.Process.Pid
}
