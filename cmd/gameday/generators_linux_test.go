package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/internal/scriptrig"
	"gameday/report"
)

// shared is a game day whose traffic comes from here and from a host.
const shared = `scenario "shared" {
  timeline {
    baseline = "2s"
    load     = "%[3]s"
    recovery = "1s"
  }
  traffic "visitors" {
    multiple   = 2
    generators = ["here", "web1"]
    request "home" {
      url = "http://127.0.0.1:%[1]d/"
    }
    baseline {
      rate = 20
    }
    generator_hosts {
      config = %[2]q
    }
  }
  steady_state {
    expect "availability" {
      that = sli.error_ratio < 0.05
      over = "2s"
    }
  }
  capacity {
    expect "reached" {
      that = sli.reached_ratio > 0.95
    }
  }
}
`

// share gives a rig another game day.
func (r *hostRig) share(load string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, "shared.hcl"), fmt.Appendf(nil, shared, r.port, r.Config, load), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// TestTrafficFromTwoMachines plans and runs a game day whose traffic comes from here and from a host, and takes the program off the
// host again.
func TestTrafficFromTwoMachines(t *testing.T) {
	t.Parallel()
	r := newHostRig(t, "4s")
	r.share("4s")
	plan := r.gameday(0, "plan", "shared.hcl")
	r.wants(strings.Join(strings.Fields(plan), " "), "2x = 40/s", "1/2 each from here and web1")
	if strings.Contains(plan, "Warning") || len(r.copies()) > 0 {
		t.Errorf("a plan with warnings, or copies %v:\n%s", r.copies(), plan)
	}
	r.wants(r.gameday(0, "run", "--record", "rec", "shared.hcl"), "PASSED")
	if n := len(r.copies()); n != 1 {
		t.Errorf("%d copies on the host", n)
	}
	record, err := report.Read(filepath.Join(r.dir, "rec"))
	if err != nil {
		t.Fatal(err)
	}
	if g := record.Plan.Traffic[0].Generators; len(g) != 2 || g[1] != "web1" {
		t.Errorf("the plan in the record has %v", g)
	}
	text, err := os.ReadFile(filepath.Join(r.dir, "rec", "record.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	r.wants(string(text), `"generators":[{"name":"here"`, `{"name":"web1"`)
	r.gameday(0, "hosts", "remove", "--ssh-config", r.Config, "web1")
	if len(r.copies()) > 0 {
		t.Errorf("copies %v stay", r.copies())
	}
	r.Stop()
	r.wants(r.gameday(0, "plan", "shared.hcl"), "A run would not begin: host web1 cannot be reached by ssh")
	r.wants(r.gameday(3, "run", "--record", "rec2", "shared.hcl"), "host web1 cannot be reached by ssh")
}

// scriptedThere is a game day whose traffic, a k6 script's, comes from a host.
const scriptedThere = `scenario "scripted" {
  timeline {
    baseline = "2s"
    load     = "2s"
    recovery = "1s"
  }
  traffic "visitors" {
    script     = "get.js"
    env        = { TARGET = "http://127.0.0.1:%[1]d/" }
    generators = ["web1"]
    baseline { rate = 20 }
    generator_hosts {
      config = %[2]q
      %[3]s
    }
  }
  steady_state {
    expect "availability" {
      that = sli.error_ratio < 0.05
      over = "2s"
    }
  }
}
`

// TestScriptFromAnotherMachine brings a host what runs scripts, and takes it off again; and says beforehand when a program that is there
// already has none, or one of another version.
func TestScriptFromAnotherMachine(t *testing.T) {
	t.Parallel()
	r := newHostRig(t, "4s")
	write := func(more string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(r.dir, "scripted.hcl"), fmt.Appendf(nil, scriptedThere, r.port, r.Config, more), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("")
	if plan := r.gameday(0, "plan", "scripted.hcl"); strings.Contains(plan, "Warning") {
		t.Errorf("a plan with warnings:\n%s", plan)
	}
	r.wants(r.gameday(0, "run", "--record", "rec", "scripted.hcl"), "PASSED")
	copies := func() []string {
		found, err := filepath.Glob(filepath.Join(r.Home, ".cache", "gameday", "gameday-k6-*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if len(copies()) != 1 || len(r.copies()) != 1 || len(r.running()) > 0 {
		t.Errorf("copies %v and %v, processes %v", copies(), r.copies(), r.running())
	}
	r.gameday(0, "hosts", "remove", "--ssh-config", r.Config, "web1")
	if len(copies()) > 0 {
		t.Errorf("copies %v stay", copies())
	}

	older := filepath.Join(t.TempDir(), "gameday")
	scriptrig.Write(t, older, "#!/bin/sh\necho gameday version v0.0.1\n")
	write(fmt.Sprintf("program = %q", older))
	r.wants(strings.Join(strings.Fields(r.gameday(0, "plan", "scripted.hcl")), " "), `the program there says it is "gameday version v0.0.1", and this is `,
		"leave program out of generator_hosts, and a run brings it")

	there := t.TempDir() // a program of its own: beside a link it would be looked for where that leads
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	scriptrig.Write(t, filepath.Join(there, "gameday"), string(program))
	write(fmt.Sprintf("program = %q", filepath.Join(there, "gameday")))
	missing := "host web1: no k6 script can be run there: gameday-k6 is not there: looked in " + there + " and in $PATH"
	r.wants(strings.Join(strings.Fields(r.gameday(0, "plan", "scripted.hcl")), " "), "A run would not begin: "+missing)
	r.wants(strings.Join(strings.Fields(r.gameday(3, "run", "--record", "missing", "scripted.hcl")), " "), missing, "Nothing was sent")
	scriptrig.Write(t, filepath.Join(there, "gameday-k6"), "#!/bin/sh\necho plain k6\n")
	r.wants(strings.Join(strings.Fields(r.gameday(3, "run", "--record", "other", "scripted.hcl")), " "), "is no gameday-k6 of gameday's")
	if err := os.Remove(filepath.Join(there, "gameday-k6")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(programFolder, "gameday-k6"), filepath.Join(there, "gameday-k6")); err != nil {
		t.Fatal(err)
	}
	r.wants(r.gameday(0, "run", "--record", "given", "scripted.hcl"), "PASSED")
	if len(copies()) > 0 || len(r.copies()) > 0 {
		t.Errorf("copies %v and %v", copies(), r.copies())
	}
}

// TestGeneratorKilled kills the program on the host under way, and in another run gameday itself: the run ends and says who it was,
// and nothing is left there.
func TestGeneratorKilled(t *testing.T) {
	t.Parallel()
	r := newHostRig(t, "60s")
	r.share("60s")
	for _, name := range []string{"program", "gameday"} {
		t.Run(name, func(t *testing.T) {
			c := r.command("run", "--record", "rec-"+name, "shared.hcl")
			var out strings.Builder
			c.Stdout, c.Stderr = &out, &out
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- c.Wait() }()
			record := filepath.Join(r.dir, "rec-"+name, "record.jsonl")
			r.await(time.Minute, "the load phase", func() bool {
				b, err := os.ReadFile(record)
				return err == nil && strings.Contains(string(b), `"phase":"load"`)
			})
			pids := r.running()
			if len(pids) != 2 {
				t.Fatalf("the program and its engine on the host are %v", pids)
			}
			victim := pids[0]
			if name == "gameday" {
				victim = c.Process.Pid
			}
			if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			select {
			case <-done:
			case <-time.After(60 * time.Second):
				_ = c.Process.Kill()
				<-done
				t.Fatalf("the run goes on:\n%s", out.String())
			}
			if name == "program" {
				r.wants(out.String(), "generator web1: it ended without a word")
			}
			r.await(time.Minute, "nothing left on the host", func() bool { return len(r.running()) == 0 })
		})
	}
}

// copies are the generators on the host.
func (r *hostRig) copies() []string {
	r.t.Helper()
	found, err := filepath.Glob(filepath.Join(r.Home, ".cache", "gameday", "gameday-generator-*"))
	if err != nil {
		r.t.Fatal(err)
	}
	return found
}

// running are the processes of generators on the host, the eldest first.
func (r *hostRig) running() []int {
	r.t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		r.t.Fatal(err)
	}
	var out []int
	for _, link := range links {
		exe, err := os.Readlink(link)
		if err != nil || !strings.HasPrefix(exe, filepath.Join(r.Home, ".cache")) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		if err != nil {
			r.t.Fatal(err)
		}
		out = append(out, pid)
	}
	if len(out) > 1 && out[0] > out[1] {
		out[0], out[1] = out[1], out[0]
	}
	return out
}
