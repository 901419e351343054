package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/report"
)

// run3 is a game day whose traffic is sent by three processes.
const run3 = `scenario "three" {
  timeline {
    baseline = "3s"
    load     = "%[2]s"
    recovery = "1s"
  }
  traffic "visitors" {
    multiple = 2
    request "home" {
      url = "http://127.0.0.1:%[1]d/"
    }
    baseline {
      rate = 30
    }
    run_on "processes" {
      parallelism = 3
    }
  }
  steady_state {
    expect "availability" {
      that = sli.error_ratio < 0.05
      over = "2s"
    }
  }
  capacity {
    expect "fast" {
      that = sli.p95 < seconds("500ms")
    }
  }
}
`

// runnerRig is a service, and a gameday whose runners can be found.
type runnerRig struct{ *hostRig }

func newRunnerRig(t *testing.T, load string) *runnerRig {
	t.Helper()
	r := &runnerRig{&hostRig{t: t}}
	r.dir = gamedayFolder(t, nil)
	r.env = append(os.Environ(), "HOME="+r.dir, "GAMEDAY_LEDGER="+filepath.Join(r.dir, "ledger"), "TEST_MACHINE_POLICY="+filepath.Join(r.dir, "none.hcl"))
	if err := os.Symlink(filepath.Join(r.dir, "gameday"), filepath.Join(r.dir, "world")); err != nil {
		t.Fatal(err)
	}
	r.service, r.port = startWorld(t, r.dir, "-latency", "10ms")
	if err := os.WriteFile(filepath.Join(r.dir, "three.hcl"), fmt.Appendf(nil, run3, r.port, load), 0o644); err != nil {
		t.Fatal(err)
	}
	return r
}

// processes returns the runners of the rig's gameday and what they have started, those of a segment ("2/3") or, for "", of all.
func (r *runnerRig) processes(segment string) []int {
	r.t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		r.t.Fatal(err)
	}
	var out []int
	for _, link := range links {
		dir := filepath.Dir(link)
		cwd, err := os.Readlink(link)
		line, err2 := os.ReadFile(filepath.Join(dir, "cmdline"))
		args := strings.Split(string(line), "\x00")
		runner := slices.Contains(args, "runner") && (segment == "" || slices.Contains(args, segment))
		if err != nil || err2 != nil || cwd != r.dir || !runner {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			r.t.Fatal(err)
		}
		out = append(out, pid)
	}
	return out
}

// begin starts the game day, and returns in its load phase.
func (r *runnerRig) begin(record string) (c *exec.Cmd, out *strings.Builder, done chan error) {
	r.t.Helper()
	c = r.command("run", "--record", record, "three.hcl")
	out = &strings.Builder{}
	c.Stdout, c.Stderr = out, out
	if err := c.Start(); err != nil {
		r.t.Fatal(err)
	}
	done = make(chan error, 1)
	go func() { done <- c.Wait() }()
	r.await(time.Minute, "the load phase", func() bool {
		b, err := os.ReadFile(filepath.Join(r.dir, record, "record.jsonl"))
		return err == nil && strings.Contains(string(b), `"phase":"load"`)
	})
	return c, out, done
}

// TestRunnerKilled kills one of three runners under way, and in another run gameday itself: the first run goes on and its verdict says what is
// missing, and nothing is left of the second.
func TestRunnerKilled(t *testing.T) {
	t.Parallel()
	r := newRunnerRig(t, "12s")
	c, out, done := r.begin("rec")
	victims := r.processes("2/3")
	if len(victims) != 1 {
		t.Fatalf("the second runner is %v", victims)
	}
	if err := syscall.Kill(victims[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-done
	if code := c.ProcessState.ExitCode(); code != 3 {
		t.Errorf("it ended with %d", code)
	}
	said := strings.Join(strings.Fields(out.String()), " ")
	r.wants(said, "INCONCLUSIVE", "nothing is known of runner-2, which was to send 1/3 of the traffic", "runner-2 of visitors was lost",
		"signal: killed", "it was process "+strconv.Itoa(victims[0]))
	rec, err := report.Read(filepath.Join(r.dir, "rec"))
	if err != nil {
		t.Fatal(err)
	}
	missing := 0
	for _, w := range rec.Windows {
		if len(w.Missing) > 0 {
			missing++
			if w.Missing[0] != "runner-2" || w.Of != 3 {
				t.Errorf("missing are %v of %d", w.Missing, w.Of)
			}
		}
	}
	if missing < 8 {
		t.Errorf("%d seconds without it", missing)
	}
	text, err := os.ReadFile(filepath.Join(r.dir, "rec", "record.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "GAMEDAY_RUNNER_TOKEN") {
		t.Error("the record speaks of the token")
	}
	if left := r.processes(""); len(left) > 0 {
		t.Errorf("runners %v are left", left)
	}

	c, _, done = r.begin("rec2")
	if all := r.processes(""); len(all) < 3 {
		t.Fatalf("runners %v", all)
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-done
	if took := r.await(15*time.Second, "nothing left of the runners", func() bool { return len(r.processes("")) == 0 }); took > 12*time.Second {
		t.Errorf("they went on for %s", took)
	}
}
