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
	"strings"
	"sync"
	"testing"
	"time"

	"gameday/internal/vm"
	"gameday/report"
)

// rebooted is a game day that reboots a host under traffic, with a partition standing there as well.
const rebooted = `scenario "reboot" {
  timeline {
    baseline = "5s"
    load     = "8s"
    recovery = "8s"
  }
  traffic "visitors" {
    script   = "get.js"
    multiple = 1
    env      = { TARGET = %q }
    baseline {
      rate = 10
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
      config = %q
    }
  }
  fault "network_partition" "cut" {
    target   = target.web
    at       = "1s"
    duration = "30s"
    to       = ["198.51.100.0/24"]
  }
  fault "node_restart" "reboot" {
    target        = target.web
    at            = "4s"
    boots_within  = "4m"
    steady_within = "4m"
  }
}
`

const rebootedScript = `import http from "k6/http";
import { check } from "k6";

export default function () {
  check(http.get(__ENV.TARGET, { timeout: "1s" }), { up: (r) => r.status === 200 });
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

// TestReboot reboots a real Linux over SSH by a run of gameday, and compares what it says with what the machine's kernel,
// and somebody who uses its service, have seen.
func TestReboot(t *testing.T) {
	m := vm.Start(t, vm.Options{Name: "web1", SSH: true, Forward: []int{8080}, Memory: 640, BootLimit: 4 * time.Minute})
	old := m.BootID()
	serve := func() {
		m.Must(t, "sh", "-c", "mkdir -p /www && echo hello >/www/index.html && busybox httpd -p 8080 -h /www")
	}
	serve()
	// The machine has no service manager: the test is one.
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	booted := make(chan vm.Boot, 1)
	go func() {
		b, err := m.AwaitBoot(ctx, old)
		if err == nil {
			serve()
		}
		booted <- b
	}()
	dir := gamedayFolder(t, map[string]string{"get.js": rebootedScript,
		"day.hcl": fmt.Sprintf(rebooted, "http://"+m.Address(8080)+"/", m.SSHConfig())})
	watching, forget := context.WithCancel(ctx)
	seen := watchOutage(watching, "http://"+m.Address(8080)+"/")
	text, code := runReboot(t, ctx, dir)
	forget()
	<-seen.forgotten
	if code != 0 {
		cancel()
	}
	b := <-booted
	if code != 0 {
		t.Fatalf("the run ended with %d:\n%s", code, text)
	}
	if b.ID == old || b.ID == "" || m.BootID() == old {
		t.Fatalf("boot id %s, before %s", b.ID, old)
	}
	if seen.down.IsZero() || seen.up.IsZero() {
		t.Fatalf("nobody saw an outage in %d requests: %v to %v", seen.asked, seen.down, seen.up)
	}
	judgeReboot(t, filepath.Join(dir, "rec"), old, b.ID, seen)
	if left := m.Must(t, "sh", "-c", "nft list ruleset | grep -c gameday || true"); left != "0" {
		t.Errorf("tables are left: %s", left)
	}
}

// judgeReboot compares the record with what was seen.
func judgeReboot(t *testing.T, rec, old, fresh string, seen *outage) {
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
	if proven.IsZero() || back.IsZero() || !reverted["reboot"] || !reverted["cut"] {
		t.Fatalf("proven %v, back %v, reverted %v", proven, back, reverted)
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
