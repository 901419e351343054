package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"gameday/internal/scriptrig"
	"gameday/rehearsals/kept"
	"gameday/report"
)

// shortDay is a game day of a few seconds in which nothing happens: its name, what stands before it, and where requests go.
const shortDay = `%[2]s
scenario "%[1]s" {
  timeline {
    baseline = "2s"
    load     = "2s"
    recovery = "1s"
  }
  traffic "nobody" {
    request "get" { url = "%[3]s" }
    baseline { rate = 2 }
  }
  steady_state {
    expect "is sent" {
      that = sli.rate < 100
      over = "1s"
    }
  }
}
`

// shortLab is a world for one.
const shortLab = `lab "small" {
  node "web" {
    process "web" {
      command = ["world", "-listen", ":8080"]
      listen  = 8080
    }
  }
}`

// rehearsed is a rehearsal in a folder of its own, of short game days: a, b and so on.
type rehearsed struct {
	*brakeRig
	names []string
	tries int
}

func newRehearsed(t *testing.T, calendar, world, url string, names ...string) *rehearsed {
	t.Helper()
	r := &rehearsed{brakeRig: newRig(t), names: names}
	itself(t, filepath.Join(r.dir, "gameday"))
	files := map[string]string{"launch.hcl": calendar}
	for _, name := range names {
		files[name+".hcl"] = fmt.Sprintf(shortDay, name, world, url)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// itself makes a file of this program: one that starts itself again by its path must not start the tests.
func itself(t *testing.T, path string) {
	t.Helper()
	self, err := os.Executable()
	if err == nil {
		err = os.Remove(path)
	}
	if err == nil && os.Link(self, path) != nil { // another file system
		var b []byte
		if b, err = os.ReadFile(self); err == nil {
			scriptrig.Write(t, path, string(b))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// begun is a `gameday rehearse` that was begun.
type begun struct {
	*exec.Cmd
	ended chan struct{}
	code  int // its exit code when it has ended; it is not reaped before the end of the test
}

// begin starts `gameday rehearse`, in a process group of its own.
func (r *rehearsed) begin(args ...string) *begun {
	r.t.Helper()
	s := &begun{Cmd: r.command(append([]string{"rehearse", "launch.hcl"}, args...)...), ended: make(chan struct{})}
	// Files, for what it starts must not wait for whoever reads.
	r.tries++
	out, err := os.Create(filepath.Join(r.dir, fmt.Sprint("said-", r.tries)))
	if err != nil {
		r.t.Fatal(err)
	}
	s.Stdout, s.Stderr, s.SysProcAttr = out, out, &syscall.SysProcAttr{Setpgid: true}
	if err := errors.Join(s.Start(), out.Close()); err != nil {
		r.t.Fatal(err)
	}
	go func() {
		defer close(s.ended)
		if err := s.see(); err != nil {
			r.t.Error(err)
		}
	}()
	r.t.Cleanup(func() {
		_ = syscall.Kill(-s.Process.Pid, syscall.SIGKILL) // whatever of it is left
		<-s.ended
		_ = s.Wait() // not before: the kernel would give its number to others
	})
	return s
}

// cldExited is CLD_EXITED of waitid(2).
const cldExited = 1

// see waits until it has ended, and leaves its number to it.
func (s *begun) see() error {
	var how struct { // siginfo_t, as <asm-generic/siginfo.h> has it for the death of a child on 64 bits
		_, _, code, _, _, _, status int32
		_                           [25]int32
	}
	for {
		err := unix.Waitid(unix.P_PID, s.Process.Pid, (*unix.Siginfo)(unsafe.Pointer(&how)), unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			s.code = -1 // of one that was killed, as ProcessState has it
			if how.code == cldExited {
				s.code = int(how.status)
			}
			return err
		}
	}
}

// said returns what the last one that was begun has said.
func (r *rehearsed) said() string {
	b, _ := os.ReadFile(filepath.Join(r.dir, fmt.Sprint("said-", r.tries)))
	return string(b)
}

// await waits until something holds.
func (r *rehearsed) await(what string, holds func() bool) {
	r.t.Helper()
	limit := time.After(90 * time.Second)
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for !holds() {
		select {
		case <-poll.C:
		case <-limit:
			r.t.Fatalf("%s: not after 90 seconds; it said\n%s", what, r.said())
		}
	}
}

// ends waits for the end, and expects an exit code and what was said.
func (r *rehearsed) ends(s *begun, code int, want ...string) {
	r.t.Helper()
	r.await("the end", func() bool { return isClosed(s.ended) })
	text := strings.Join(strings.Fields(r.said()), " ")
	for _, w := range want {
		if !strings.Contains(text, w) {
			r.t.Errorf("it does not say %q, but\n%s", w, r.said())
		}
	}
	if got := s.code; got != code {
		r.t.Errorf("exit code %d, want %d:\n%s", got, code, r.said())
	}
}

// holds reports whether a file of a scenario's newest record has a text; an empty one asks whether it is there.
func (r *rehearsed) holds(scenario, file, text string) bool {
	all, _ := filepath.Glob(filepath.Join(r.dir, "runs", "*-"+scenario, file))
	if len(all) == 0 {
		return false
	}
	b, err := os.ReadFile(all[len(all)-1])
	return err == nil && bytes.Contains(b, []byte(text))
}

// idle reports whether no run goes on.
func (r *rehearsed) idle() bool {
	dirs, _ := filepath.Glob(filepath.Join(r.dir, "runs", "2*"))
	return !slices.ContainsFunc(dirs, kept.Busy)
}

// runs returns the runs of a scenario that were begun, the oldest first.
func (r *rehearsed) runs(scenario string) []*report.Scorecard {
	r.t.Helper()
	dirs, err := filepath.Glob(filepath.Join(r.dir, "runs", "*-"+scenario+"*"))
	if err != nil {
		r.t.Fatal(err)
	}
	var out []*report.Scorecard
	for _, dir := range dirs {
		if !recorded(dir) {
			continue
		}
		card, _, err := kept.Score(dir)
		if err != nil {
			r.t.Fatal(err)
		}
		out = append(out, card)
	}
	return out
}

// TestRehearseKilled kills a rehearsal alone at several points of its life: the run that it had begun goes on, whoever goes on with the
// rehearsal waits for it, and runs the rest. No scenario is run twice, and none of a lane beside another.
func TestRehearseKilled(t *testing.T) {
	t.Parallel()
	const lane = `rehearsal "west" {
  scenarios = ["a.hcl", "b.hcl", "c.hcl"]
}
`
	for _, p := range []struct {
		name, scenario, file, text string
	}{
		{"labelled", "a", kept.LabelFile, ""},
		{"begun", "a", report.EventsFile, ""},
		{"in the load phase", "a", report.EventsFile, `"phase_started","data":{"phase":"load"}`},
		{"at its end", "a", report.EventsFile, `"run_ended"`},
		{"before the second", "b", kept.LabelFile, ""},
		{"in the last", "c", report.EventsFile, `"phase_started","data":{"phase":"load"}`},
	} {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			r := newRehearsed(t, lane, "", "http://127.0.0.1:9/", "a", "b", "c")
			first := r.begin()
			r.await(p.name, func() bool { return r.holds(p.scenario, p.file, p.text) })
			if err := first.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			<-first.ended
			second := r.begin()
			third := r.begin() // one of the two does nothing
			r.await("both end", func() bool { return isClosed(second.ended) && isClosed(third.ended) })
			// 0 when it ran the rest, 2 when the other did, 3 when there was nothing left that nobody ran.
			codes := []int{second.code, third.code}
			slices.Sort(codes)
			if !slices.Contains([]string{"[0 2]", "[2 3]", "[3 3]"}, fmt.Sprint(codes)) {
				t.Errorf("they exit with %d", codes)
			}
			r.await("the last run ends", r.idle)
			last := r.begin()
			r.ends(last, 0, "go already, and not run again: a, b, c", " GO rehearsal west")
			var all []*report.Scorecard
			for _, name := range r.names {
				got := r.runs(name)
				if len(got) != 1 {
					t.Fatalf("%s was run %d times", name, len(got))
				}
				all = append(all, got...)
			}
			for i := range all[1:] {
				if end := all[i].Started.Add(all[i].Length); all[i+1].Started.Before(end) {
					t.Errorf("%s began at %s, beside %s, which ended at %s", all[i+1].Scenario, all[i+1].Started, all[i].Scenario, end)
				}
			}
		})
	}
}

// TestRehearseKilledWhole kills a rehearsal with all that belongs to it: what was in progress is inconclusive, and is run again.
func TestRehearseKilledWhole(t *testing.T) {
	t.Parallel()
	r := newRehearsed(t, "rehearsal \"west\" {\n  scenarios = [\"a.hcl\", \"b.hcl\"]\n}\n", "", "http://127.0.0.1:9/", "a", "b")
	first := r.begin()
	r.await("b runs", func() bool { return r.holds("b", report.EventsFile, `"phase_started"`) })
	if err := syscall.Kill(-first.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-first.ended
	r.await("nobody holds a label", r.idle)
	r.ends(r.begin("--show"), 3, "b: it was inconclusive: the record has no end")
	r.ends(r.begin(), 0, "go already, and not run again: a", "to be run: b", " GO rehearsal west", "b was run once before: ")
	if a, b := r.runs("a"), r.runs("b"); len(a) != 1 || len(b) != 2 || b[0].Verdict != report.Inconclusive || b[1].Verdict != report.Passed {
		t.Errorf("a was run %d times, and b %d times", len(a), len(b))
	}
}

// TestRehearseKilledLanes kills a rehearsal of two lanes: both runs go on although nobody reads what they print any more.
func TestRehearseKilledLanes(t *testing.T) {
	if !canLab(t) {
		t.Skip("this system forbids labs")
	}
	t.Parallel()
	const lanes = `rehearsal "west" {
  scenario "a.hcl" {
    lane = "one"
  }
  scenario "b.hcl" {
    lane = "two"
  }
}
`
	r := newRehearsed(t, lanes, shortLab, "http://web:8080/", "a", "b")
	first := r.begin()
	r.await("both run", func() bool {
		return r.holds("a", report.EventsFile, `"phase_started"`) && r.holds("b", report.EventsFile, `"phase_started"`)
	})
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-first.ended
	r.ends(r.begin(), 3, "run by somebody else now, and left to them: a, b", "goes on")
	r.await("both end", r.idle)
	r.ends(r.begin(), 0, "go already, and not run again: a, b", " GO rehearsal west")
}
