package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gameday/internal/vm"
	"gameday/report"
)

// rebooted is a game day that restarts a host under traffic, in one of the ways, and does something more.
const rebooted = `scenario "reboot" {
  timeline {
    baseline = "5s"
    load     = "10s"
    recovery = "15s"
  }
  traffic "visitors" {
    script   = "get.js"
    multiple = 1
    env      = { TARGET = %[1]q }
    baseline {
      rate = 5 # an emulated processor forks a server for each
    }
  }
  steady_state {
    expect "availability" {
      that = sli.error_ratio < 0.05
      over = "3s"
    }
  }
  target "web" {
    host {
      ssh    = "web1"
      config = %[2]q
    }
  }
  fault "node_restart" "reboot" {
    target        = target.web
    at            = "7s"
    how           = %[3]q
    boots_within  = "4m"
    steady_within = "4m"
  }
%[4]s}
`

// pausedAlso is a fault that stands on the host when that restarts.
const pausedAlso = `  target "job" {
    host {
      ssh    = "web1"
      config = %q
    }
    process {
      command = "^sleep 4321$"
    }
  }
  fault "process_pause" "hang" {
    target        = target.job
    at            = "5s"
    duration      = "30s"
    steady_within = "4m"
  }
`

const rebootedScript = `import http from "k6/http";
import { check } from "k6";

export default function () {
  check(http.get(__ENV.TARGET, { timeout: "3s" }), { up: (r) => r.status === 200 });
}
`

// outage is what somebody sees who asks a service all the time.
type outage struct {
	mu        sync.Mutex
	down, up  time.Time // the first failure, and the first answer after it
	asked     int
	forgotten chan struct{}
}

// watchOutage asks until the end of ctx.
func watchOutage(ctx context.Context, url string) *outage {
	o := &outage{forgotten: make(chan struct{})}
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	go func() {
		defer close(o.forgotten)
		t := time.NewTicker(100 * time.Millisecond)
		defer t.Stop()
		for {
			sent := time.Now()
			r, err := client.Get(url)
			ok := err == nil && r.StatusCode == http.StatusOK
			if err == nil {
				r.Body.Close()
			}
			o.mu.Lock()
			o.asked++
			switch {
			case ctx.Err() != nil:
			case !ok && o.down.IsZero():
				o.down = sent
			case ok && !o.down.IsZero() && o.up.IsZero():
				o.up = time.Now()
			}
			o.mu.Unlock()
			select {
			case <-t.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return o
}

// TestReboot restarts a real Linux over SSH by runs of gameday, and compares what they say with what the machine's kernel,
// and somebody who uses its service, have seen.
func TestReboot(t *testing.T) {
	m := vm.Start(t, vm.Options{Name: "web1", SSH: true, Forward: []int{8080}, Memory: 640, BootLimit: 4 * time.Minute})
	serve := func() {
		m.Must(t, "sh", "-c", "mkdir -p /www && echo hello >/www/index.html && busybox httpd -p 8080 -h /www; sleep 4321 >/dev/null 2>&1 &")
	}
	serve()
	for _, c := range []struct {
		name, how, more string
		faults          []string
		codes           []int
	}{
		{"reboot", "reboot", "", []string{"reboot"}, []int{0}},
		// The other fault goes with the boot, so how much of what it was to show is known depends on when that is.
		{"power cut under another fault", "power", fmt.Sprintf(pausedAlso, m.SSHConfig()), []string{"hang", "reboot"}, []int{0, 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			url := "http://" + m.Address(8080) + "/"
			old := m.BootID()
			var dir, text string
			var seen *outage
			code := 0
			// A machine with an emulated processor may be too busy to be steady. Then nothing was injected, and it may be again.
			for range 3 {
				dir = gamedayFolder(t, map[string]string{"get.js": rebootedScript,
					"day.hcl": fmt.Sprintf(rebooted, url, m.SSHConfig(), c.how, c.more)})
				if seen, text, code = rebootOnce(t, m, dir, url, serve); seen != nil {
					break
				}
				t.Log("the machine was not steady before the fault; again")
			}
			if seen == nil {
				t.Fatalf("the machine was never steady:\n%s", text)
			}
			if !slices.Contains(c.codes, code) {
				t.Errorf("the run ended with %d, want %d:\n%s", code, c.codes, text)
			}
			judgeReboot(t, filepath.Join(dir, "rec"), old, m.BootID(), c.faults, seen)
			if left := m.Must(t, "sh", "-c", "ls /var/lib/gameday/ledger/*.json 2>/dev/null | wc -l"); left != "0" {
				t.Errorf("%s entries are left in the host's ledger", left)
			}
		})
	}
}

// rebootOnce runs the game day, and sees to the services of the machine, which has no manager for them. It returns no
// outage when the run injected nothing because the machine was not steady.
func rebootOnce(t *testing.T, m *vm.Machine, dir, url string, serve func()) (seen *outage, text string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	old, served := m.BootID(), make(chan error, 1)
	go func() {
		_, err := m.AwaitBoot(ctx, old)
		if err == nil {
			serve()
		}
		served <- err
	}()
	watching, forget := context.WithCancel(ctx)
	seen = watchOutage(watching, url)
	text, code = runReboot(t, ctx, dir)
	forget()
	<-seen.forgotten
	if m.BootID() == old {
		cancel() // it will not come
	}
	err := <-served
	if err != nil && m.BootID() == old && strings.Contains(text, "so nothing was injected") {
		return nil, text, code
	}
	if err != nil {
		t.Fatalf("the machine was not restarted: %v\n%s", err, text)
	}
	if seen.down.IsZero() || seen.up.IsZero() {
		t.Fatalf("nobody saw an outage in %d requests: %v to %v\n%s", seen.asked, seen.down, seen.up, text)
	}
	return seen, text, code
}

// judgeReboot compares the record with what was seen.
func judgeReboot(t *testing.T, rec, old, fresh string, faults []string, seen *outage) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(rec, report.EventsFile))
	if err != nil {
		t.Fatal(err)
	}
	proven, back, reverted := time.Time{}, time.Time{}, map[string]bool{}
	for line := range bytes.Lines(b) {
		var e report.Event
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		switch e.Kind {
		case report.Injected:
			var in report.Injection
			if err := json.Unmarshal(e.Data, &in); err != nil {
				t.Fatal(err)
			}
			t.Logf("%s proven: %s", in.Fault, in.Effect.Summary)
			if in.Fault == "reboot" {
				proven = e.At
				if in.Effect.Details["boot_id"] != old {
					t.Errorf("injected into boot %s, not %s", in.Effect.Details["boot_id"], old)
				}
			}
		case report.Recovered:
			var c report.Comeback
			if err := json.Unmarshal(e.Data, &c); err != nil {
				t.Fatal(err)
			}
			back = e.At
			t.Logf("recovered: %s", c.Effect.Summary)
			if c.Effect.Details["boot_id"] != old || c.Effect.Details["new_boot_id"] != fresh {
				t.Errorf("recovered %+v, want boot id %s → %s", c.Effect, old, fresh)
			}
		case report.Reverted:
			var in report.Injection
			if err := json.Unmarshal(e.Data, &in); err != nil {
				t.Fatal(err)
			}
			reverted[in.Fault] = true
		}
	}
	if proven.IsZero() || back.IsZero() || fresh == old {
		t.Fatalf("proven %v, back %v, boot id %s → %s", proven, back, old, fresh)
	}
	for _, f := range faults {
		if !reverted[f] {
			t.Errorf("fault %s was not reverted", f)
		}
	}
	t.Logf("the users' outage lasted %v; the effect was proven %v after its begin, and the host was back %v after its begin",
		seen.up.Sub(seen.down).Round(time.Millisecond), proven.Sub(seen.down).Round(time.Millisecond), back.Sub(seen.down).Round(time.Millisecond))
	if proven.Before(seen.down.Add(-time.Second)) || proven.After(seen.up) {
		t.Errorf("the effect was proven at %v, outside of the outage from %v to %v", proven, seen.down, seen.up)
	}
}

// gamedayFolder makes a folder of files, with the program, and the guard that it copies to hosts.
func gamedayFolder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", filepath.Join(dir, "gameday-guard"), "gameday/cmd/gameday-guard")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the guard: %v: %s", err, out)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "gameday")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// runReboot runs the game day.
func runReboot(t *testing.T, ctx context.Context, dir string) (text string, code int) {
	t.Helper()
	c := exec.CommandContext(ctx, filepath.Join(dir, "gameday"), "run", "--record", "rec", "day.hcl")
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 20 * time.Second
	c.Dir = dir
	c.Env = append(os.Environ(), "GAMEDAY_LEDGER="+filepath.Join(dir, "ledger"), "GAMEDAY_GUARDS="+dir,
		"TEST_MACHINE_POLICY="+filepath.Join(dir, "none.hcl"))
	out, err := c.CombinedOutput()
	if err != nil && c.ProcessState == nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "ledger", "*.json")); len(left) > 0 {
		t.Errorf("left in the ledger: %s", strings.Join(left, ", "))
	}
	return string(out), c.ProcessState.ExitCode()
}
