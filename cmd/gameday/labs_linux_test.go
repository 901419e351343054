package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/report"
	"gameday/targets/lab"
)

// grouped is a game day in a lab whose faults make cgroups on the machine: a frozen service, and a load.
const grouped = `lab "grouped" {
  node "web" {
    process "web" {
      command = ["world", "-listen", ":8080"]
      listen  = 8080
    }
    process "idle" {
      command = ["world", "-listen", ":8081"]
      listen  = 8081
    }
  }
}
scenario "grouped" {
  timeline {
    baseline = "2s"
    load     = "120s"
    recovery = "1s"
  }
  traffic "visitors" {
    script = "get.js"
    baseline {
      rate = 5
    }
  }
  target "idle" {
    process {
      listen = 8081
    }
  }
  target "web" {
    node {
      name = "web"
    }
  }
  fault "process_pause" "freeze" {
    target   = target.idle
    method   = "freezer"
    at       = "1s"
    duration = "100s"
  }
  fault "cpu_stress" "burn" {
    target   = target.web
    cores    = 0.1
    at       = "1s"
    duration = "100s"
  }
  fault "command" "mess" {
    target   = target.web
    at       = "1s"
    duration = "100s"
    inject   = ["true"]
    revert   = ["true"]
  }
}
`

// labRig is a game day in a lab in which the faults of grouped stand.
type labRig struct {
	*brakeRig
	groups []string // folders of cgroups that the faults made
	frozen []int    // in one of them
}

func newLabRig(t *testing.T) *labRig {
	t.Helper()
	r := &labRig{brakeRig: newDayRig(t, grouped)}
	r.wait(report.Injected, 3)
	entries, err := filepath.Glob(filepath.Join(r.dir, "rec", "ledger", "*.json"))
	if err != nil || len(entries) != 3 {
		t.Fatalf("%d entries, %v; it said:\n%s", len(entries), err, r.out.String())
	}
	for _, e := range entries {
		text, err := os.ReadFile(e)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range regexp.MustCompile(`/sys/fs/cgroup[^"]*/gameday-[^"]*`).FindAllString(string(text), -1) {
			if _, err := os.Stat(path); err == nil {
				r.groups = append(r.groups, path)
			}
		}
	}
	if len(r.groups) == 0 {
		const why = "no fault has made a cgroup here: there is none that may be written"
		if os.Getenv("CI") != "" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	for _, g := range r.groups {
		if !strings.Contains(g, "freez") && !exists(filepath.Join(g, "freezer.state")) && !exists(filepath.Join(g, "cgroup.freeze")) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(g, "cgroup.procs"))
		if err != nil {
			t.Fatal(err)
		}
		for pid := range strings.FieldsSeq(string(b)) {
			n, err := strconv.Atoi(pid)
			if err != nil {
				t.Fatal(err)
			}
			r.frozen = append(r.frozen, n)
		}
	}
	return r
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// init returns the pid of the lab's first process.
func (r *labRig) init() int {
	r.t.Helper()
	pid := r.cmd.Process.Pid
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		r.t.Fatal(err)
	}
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, task := range tasks {
		more, _ := os.ReadFile(task)
		b = append(append(b, ' '), more...)
	}
	for _, child := range strings.Fields(string(b)) {
		line, _ := os.ReadFile("/proc/" + child + "/cmdline")
		if n, err := strconv.Atoi(child); err == nil && bytes.HasPrefix(line, []byte("gameday-lab-init\x00")) {
			return n
		}
	}
	r.t.Fatalf("gameday has the children %s, and none is a lab's first process", b)
	return 0
}

// clean checks that nothing of the run is left on the machine.
func (r *labRig) clean() {
	r.t.Helper()
	deadline := time.After(5 * time.Second)
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		left := r.left()
		if left == "" {
			return
		}
		select {
		case <-poll.C:
		case <-deadline:
			r.t.Errorf("left on the machine: %s", left)
			return
		}
	}
}

func (r *labRig) left() string {
	for _, g := range r.groups {
		if exists(g) {
			return g
		}
	}
	for _, pid := range r.frozen {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			return fmt.Sprintf("pid %d", pid)
		}
	}
	for _, pattern := range []string{"rec/ledger/*.json", "ledger/*.lab"} {
		if all, _ := filepath.Glob(filepath.Join(r.dir, pattern)); len(all) > 0 {
			return all[0]
		}
	}
	return ""
}

// rescue takes the cgroups away when the test has failed to, so that they do not stay on the machine.
func (r *labRig) rescue() {
	for _, g := range r.groups {
		_ = os.WriteFile(filepath.Join(g, "freezer.state"), []byte("THAWED"), 0)
		_ = os.WriteFile(filepath.Join(g, "cgroup.freeze"), []byte("0"), 0)
		poll := time.NewTicker(20 * time.Millisecond)
		for range 100 {
			if err := syscall.Rmdir(g); err == nil || errors.Is(err, fs.ErrNotExist) {
				break
			}
			<-poll.C
		}
		poll.Stop()
	}
}

// TestLabKilledWhole kills gameday and the first process of its lab: what the lab's faults have made on the machine itself stands,
// and is found and reverted from the machine's ledger by every way that looks there.
func TestLabKilledWhole(t *testing.T) {
	t.Parallel()
	r := newLabRig(t)
	t.Cleanup(r.rescue)
	if out, err := r.command("revert").CombinedOutput(); err != nil || !strings.Contains(string(out), "nothing is left standing") {
		t.Errorf("reverting beside a lab that lives: %v\n%s", err, out)
	}
	init, gameday := r.init(), r.cmd.Process.Pid
	// Whichever of the two lives on for a moment reverts what stands. One that is stopped does not.
	hang(t, gameday)
	for deadline := time.Now().Add(20 * time.Second); state(t, gameday) != "T"; {
		if time.Now().After(deadline) {
			t.Fatalf("gameday is not stopped, but %s", state(t, gameday))
		}
	}
	if err := errors.Join(syscall.Kill(init, syscall.SIGKILL), syscall.Kill(gameday, syscall.SIGKILL)); err != nil {
		t.Fatal(err)
	}
	_ = r.cmd.Wait()
	for _, g := range r.groups {
		if !exists(g) {
			t.Errorf("%s is gone already: this proves nothing", g)
		}
	}
	out, err := r.command("run", "--record", "again", "day.hcl").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitResidue || !strings.Contains(string(out), "freeze (process_pause) on idle") {
		t.Errorf("another run: %v\n%s", err, out)
	}
	out, err = r.command("revert", "--quiet").CombinedOutput()
	if err != nil {
		t.Errorf("revert: %v\n%s", err, out)
	}
	for _, want := range []string{"reverted freeze (process_pause) on idle", "reverted burn (cpu_stress) on web",
		"closed mess (command) on web, of run", "its lab is gone, and what ran in it; its revert command was not run"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("revert does not say %q:\n%s", want, out)
		}
	}
	r.clean()
}

// TestLabInitKilled kills the first process of the lab alone: gameday itself reverts what the lab has left, thaws what could not die,
// and ends.
func TestLabInitKilled(t *testing.T) {
	t.Parallel()
	r := newLabRig(t)
	t.Cleanup(r.rescue)
	began := time.Now()
	if err := syscall.Kill(r.init(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- r.cmd.Wait() }()
	select {
	case <-ended:
		t.Logf("ended after %v", time.Since(began).Round(time.Millisecond))
	case <-time.After(20 * time.Second):
		t.Error("gameday waits for a lab that cannot end")
		r.rescue()
		_ = r.cmd.Process.Kill()
		<-ended
	}
	if code := r.cmd.ProcessState.ExitCode(); code != exitInconclusive {
		t.Errorf("exit code %d\n%s", code, r.out.String())
	}
	if !strings.Contains(r.out.String(), "reverted freeze (process_pause) on idle") {
		t.Errorf("it said:\n%s", r.out.String())
	}
	r.clean()
}

// TestNoticeWithoutLedger removes the record of a lab that was killed: where no control group of a fault is left there is
// nothing to look for, and elsewhere a run says so and goes on.
func TestNoticeWithoutLedger(t *testing.T) {
	for name, c := range map[string]struct {
		group string
		stays bool
	}{"nothing left": {"other", false}, "a group left": {"gameday-0a1b", true}} {
		t.Run(name, func(t *testing.T) {
			machine, was := t.TempDir(), groupsFolder
			groupsFolder = t.TempDir()
			t.Cleanup(func() { groupsFolder = was })
			if err := os.MkdirAll(filepath.Join(groupsFolder, "cpu", c.group), 0o755); err != nil {
				t.Fatal(err)
			}
			n, err := lab.PostNotice(machine, filepath.Join(machine, "gone", "ledger"))
			if err == nil {
				err = n.Release()
			}
			if err != nil {
				t.Fatal(err)
			}
			standing, err := orphansOfLabs(machine)
			if len(standing) != 0 || errors.Is(err, errNoLedger) != c.stays {
				t.Errorf("standing %v, %v", standing, err)
			}
			if _, err := os.Stat(n.Path()); (err == nil) != c.stays {
				t.Errorf("the notice: %v", err)
			}
			if _, err := revertLabs(machine); errors.Is(err, errNoLedger) != c.stays {
				t.Errorf("reverting: %v", err)
			}
		})
	}
}
