package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/internal/scriptrig"
	"gameday/internal/sshrig"
	"gameday/report"
)

// paused is a game day that pauses a service on a host.
const paused = `scenario "hosts" {
  timeline {
    baseline = "2s"
    load     = "%[3]s"
    recovery = "8s"
  }
  traffic "visitors" {
    script   = "get.js"
    multiple = 1
    env      = { TARGET = "http://127.0.0.1:%[1]d/" }
    baseline {
      rate = 10
    }
  }
  steady_state {
    expect "availability" {
      that = sli.error_ratio < 0.05
      over = "2s"
    }
  }
  target "web" {
    host {
      ssh    = "web1"
      config = %[2]q
    }
    process {
      listen = %[1]d
    }
  }
  fault "process_pause" "hang" {
    target   = target.web
    at       = "1s"
    duration = "2s"
  }
}
`

// hostRig is a host, a service on it, and a gameday that reaches it.
type hostRig struct {
	*sshrig.Server
	t       *testing.T
	dir     string
	env     []string
	port    int // the service's
	service *exec.Cmd
}

func newHostRig(t *testing.T, load string, environment ...string) *hostRig {
	t.Helper()
	r := &hostRig{Server: sshrig.Start(t, sshrig.Options{Environment: environment}), t: t}
	r.dir = gamedayFolder(t, map[string]string{"get.js": rebootedScript})
	r.env = append(os.Environ(), "HOME="+r.dir, "GAMEDAY_LEDGER="+filepath.Join(r.dir, "ledger"), "GAMEDAY_GUARDS="+r.dir,
		"TEST_MACHINE_POLICY="+filepath.Join(r.dir, "none.hcl"))
	if err := os.Symlink(filepath.Join(r.dir, "gameday"), filepath.Join(r.dir, "world")); err != nil {
		t.Fatal(err)
	}
	r.service, r.port = startWorld(t, r.dir)
	if err := os.WriteFile(filepath.Join(r.dir, "day.hcl"), fmt.Appendf(nil, paused, r.port, r.Config, load), 0o644); err != nil {
		t.Fatal(err)
	}
	return r
}

// startWorld starts a service on a free port, until the test ends. The port is its own from the beginning: one that is let go and bound later may be taken
// by then.
func startWorld(t *testing.T, dir string, args ...string) (c *exec.Cmd, port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c = exec.Command(filepath.Join(dir, "world"), append([]string{"-listen", "fd:3"}, args...)...)
	c.ExtraFiles = []*os.File{f}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	return c, l.Addr().(*net.TCPAddr).Port
}

func (r *hostRig) command(args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(r.dir, "gameday"), args...)
	c.Dir, c.Env = r.dir, r.env
	return c
}

// gameday runs a command line that must end with a code, and returns what it said.
func (r *hostRig) gameday(code int, args ...string) string {
	r.t.Helper()
	out, err := r.command(args...).CombinedOutput()
	got := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		r.t.Fatal(err)
	}
	if got != code {
		r.t.Fatalf("gameday %s ended with %d, want %d:\n%s", strings.Join(args, " "), got, code, out)
	}
	return string(out)
}

// serviceState returns the service's state in the kernel: "T" when it is stopped.
func (r *hostRig) serviceState() string {
	r.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.service.Process.Pid))
	if err != nil {
		r.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return rest[:1]
}

// await polls until ok, for at most a limit, and returns how long it took.
func (r *hostRig) await(limit time.Duration, what string, ok func() bool) time.Duration {
	r.t.Helper()
	began, tick := time.Now(), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Since(began) > limit {
			r.t.Fatalf("%s: not within %v", what, limit)
		}
		<-tick.C
	}
	return time.Since(began)
}

func (r *hostRig) wants(said string, words ...string) {
	r.t.Helper()
	for _, w := range words {
		if !strings.Contains(said, w) {
			r.t.Errorf("it does not say %q:\n%s", w, said)
		}
	}
}

// TestHostRun goes through a game day on a host, and everything around it.
func TestHostRun(t *testing.T) {
	t.Parallel()
	r := newHostRig(t, "6s")
	plan := r.gameday(0, "plan", "day.hcl")
	r.wants(plan, "process listening on port", "on web1", "guard is not there yet", "gameday hosts install")
	r.wants(r.gameday(2, "hosts", "check", "--ssh-config", r.Config, "web1"), "guard is not there yet")
	r.wants(r.gameday(0, "hosts", "install", "--ssh-config", r.Config, "web1"), "web1: copied")
	r.wants(r.gameday(0, "hosts", "install", "--ssh-config", r.Config, "web1"), "there already")
	r.wants(r.gameday(0, "hosts", "check", "--ssh-config", r.Config, "web1"), "boot id", "guard ", r.Ledger)
	r.wants(r.gameday(0, "plan", "day.hcl"), fmt.Sprintf("web1: pid %d", r.service.Process.Pid))

	text := r.gameday(0, "run", "--record", "rec", "day.hcl")
	b, err := os.ReadFile(filepath.Join(r.dir, "rec", report.EventsFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []report.EventKind{report.Injected, report.Reverted} {
		if !bytes.Contains(b, []byte(`"`+string(kind)+`"`)) {
			t.Errorf("nothing was %s:\n%s", kind, text)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(r.Ledger, "*.json")); len(left) > 0 || r.serviceState() == "T" {
		t.Errorf("left: %q, the service is %s", left, r.serviceState())
	}
	if here, _ := filepath.Glob(filepath.Join(r.dir, "ledger", "*.json")); len(here) > 0 {
		t.Errorf("the ledger here has %q", here)
	}
	r.wants(r.gameday(0, "hosts", "remove", "--ssh-config", r.Config, "web1"), "removed")
	if left, _ := filepath.Glob(filepath.Join(r.Home, ".cache", "gameday*")); len(left) > 0 {
		t.Errorf("left on the host: %q", left)
	}
}

// TestHostConductorKilled kills the conductor while the fault stands on a host.
func TestHostConductorKilled(t *testing.T) {
	r := newHostRig(t, "60s")
	c := r.command("run", "--record", "rec", "day.hcl")
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.WaitDelay = 5 * time.Second
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	r.await(time.Minute, "the service is paused", func() bool { return r.serviceState() == "T" })
	if err := syscall.Kill(-c.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	took := r.await(time.Second, "the service runs again", func() bool { return r.serviceState() != "T" })
	t.Logf("the host was clean %v after the conductor was killed", took)
	_ = c.Wait()
}

// TestHostGuardKilled kills the guard on the host while the fault stands: the run notices, and reverts it through another.
func TestHostGuardKilled(t *testing.T) {
	t.Parallel()
	r := newHostRig(t, "6s")
	c := r.command("run", "--record", "rec", "day.hcl")
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = c.Process.Signal(os.Interrupt) })
	defer stop()
	r.await(time.Minute, "the service is paused", func() bool { return r.serviceState() == "T" })
	pid := r.guardPID()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	took := r.await(10*time.Second, "the service runs again", func() bool { return r.serviceState() != "T" })
	t.Logf("the fault was gone %v after its guard was killed", took)
	_ = c.Wait()
	if left, _ := filepath.Glob(filepath.Join(r.Ledger, "*.json")); len(left) > 0 {
		t.Errorf("left in the host's ledger: %q\n%s", left, out.String())
	}
}

// guardPID finds the guard on the host.
func (r *hostRig) guardPID() int {
	r.t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		r.t.Fatal(err)
	}
	for _, link := range all {
		exe, err := os.Readlink(link)
		if err == nil && strings.HasPrefix(exe, filepath.Join(r.Home, ".cache", "gameday", "gameday-guard-")) {
			var pid int
			if _, err := fmt.Sscanf(link, "/proc/%d/exe", &pid); err == nil {
				return pid
			}
		}
	}
	r.t.Fatal("no guard runs on the host")
	return 0
}

// TestHostOrphans leaves a fault on a host: nothing begins over it, and it is reverted from here.
func TestHostOrphans(t *testing.T) {
	t.Parallel()
	// A sudo that makes another user of us, as far as the ledger goes.
	bin := t.TempDir()
	scriptrig.Write(t, filepath.Join(bin, "sudo"), "#!/bin/sh\nshift\nGAMEDAY_LEDGER=$HOME/root-ledger exec \"$@\"\n")
	r := newHostRig(t, "6s", "PATH="+bin+":"+os.Getenv("PATH"))
	orphan := fmt.Sprintf(`{"id":"old-hang-1","run":"old","scenario":"s","fault":"hang","kind":"process_kill","place":{"name":"web","host":"web1"},`+
		`"opened":%q,"deadline":%q,"guard":1}`, time.Now().UTC().Format(time.RFC3339), time.Now().UTC().Format(time.RFC3339))
	write := func() {
		if err := os.MkdirAll(r.Ledger, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(r.Ledger, "old-hang-1.json"), []byte(orphan), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write()
	r.wants(r.gameday(5, "run", "--record", "rec", "day.hcl"), "left standing since", "(host web1)", "--heal",
		"`gameday revert --host web1 --ssh-config "+r.Config+"`")
	r.wants(r.gameday(2, "hosts", "remove", "--ssh-config", r.Config, "web1"), "stand there", "`gameday revert --host web1 --ssh-config "+r.Config+"`")
	r.wants(r.gameday(0, "revert", "--ssh-config", r.Config, "--host", "web1"), "(host web1)")
	r.wants(r.gameday(0, "revert", "--ssh-config", r.Config, "--host", "web1"), "nothing is left standing")
	write()
	// The advice is to be typed as it stands, and leads to the ledger that the fault is in: with sudo that of the user that sudo makes.
	r.wants(r.gameday(2, "hosts", "remove", "--sudo", "--ssh-config", r.Config, "web1"), "stand there", "`gameday revert --host web1 --ssh-config "+r.Config+"`")
	if err := os.Rename(filepath.Join(r.Ledger, "old-hang-1.json"), filepath.Join(r.Home, "root-ledger", "old-hang-1.json")); err != nil {
		t.Fatal(err)
	}
	r.wants(r.gameday(2, "hosts", "remove", "--sudo", "--ssh-config", r.Config, "web1"), "stand there", "`gameday revert --host web1 --ssh-config "+r.Config+" --sudo`")
	r.wants(r.gameday(0, "revert", "--host", "web1", "--ssh-config", r.Config, "--sudo"), "(host web1)")
	write()
	r.wants(r.gameday(0, "run", "--heal", "--record", "rec", "day.hcl"), "(host web1)")
	r.Stop()
	said := r.gameday(3, "run", "--record", "rec2", "day.hcl")
	r.wants(said, "host web1", "Connection refused")
	r.wants(r.gameday(5, "revert", "--ssh-config", r.Config, "--host", "web1"), "Connection refused")
}
