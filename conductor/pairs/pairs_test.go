package pairs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gameday/internal/runrig"
	"gameday/report"
	"gameday/report/compare"
)

// rig is a repository with two commits, and game days that never take place: how slow one is stands in the file that
// the build of its checkout has made.
type rig struct {
	t       *testing.T
	world   *runrig.World
	mu      sync.Mutex
	ran     []string // "01-base", in order
	sources []string // the scenario's file as each run saw it
	said    []string
	hook    func(ctx context.Context, name, folder string) (code int, err error)
}

func newRig(t *testing.T) *rig {
	w := runrig.New(3)
	w.Baseline, w.Load, w.Recovery, w.Outliers = 2, 20, 2, 0
	return &rig{t: t, world: w}
}

func (r *rig) write(path, content string) {
	r.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) git(dir string, args ...string) string {
	r.t.Helper()
	who := []string{"-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"}
	cmd := exec.Command("git", append(who, args...)...)
	cmd.Dir = dir
	cmd.Env = append(cleanEnviron(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// repository makes one with the branches base and head, the second of which is so much slower, and goes into a folder
// of it.
func (r *rig) repository(slow string) string {
	r.t.Helper()
	dir := r.t.TempDir()
	r.git(dir, "init", "-q", "-b", "base")
	r.write(filepath.Join(dir, "days/day.hcl"), "day of base")
	r.write(filepath.Join(dir, "days/src/source"), "1")
	r.git(dir, "add", ".")
	r.git(dir, "commit", "-q", "-m", "base")
	r.git(dir, "checkout", "-q", "-b", "head")
	r.write(filepath.Join(dir, "days/day.hcl"), "day of head")
	r.write(filepath.Join(dir, "days/src/source"), slow)
	r.git(dir, "commit", "-q", "-a", "-m", "head")
	r.t.Chdir(filepath.Join(dir, "days"))
	return dir
}

func (r *rig) options(change func(*Options)) Options {
	o := Options{Base: Side{Name: "base", Ref: "base"}, Head: Side{Name: "head", Ref: "head"},
		Scenario: "day.hcl", Pairs: 7, ReadyWithin: 30 * time.Second, Dir: filepath.Join(r.t.TempDir(), "runs"),
		Load: func(path string) (*Scenario, error) {
			const build = "cp days/src/source built"
			return &Scenario{Plan: r.world.Plan(), Build: build, Files: []string{path}, Folders: []string{filepath.Dir(path)}}, nil
		},
		Run: r.run,
		Say: func(format string, args ...any) { r.said = append(r.said, fmt.Sprintf(format, args...)) }}
	if change != nil {
		change(&o)
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		r.t.Fatal(err)
	}
	return o
}

// run stands for one game day.
func (r *rig) run(ctx context.Context, folder, scenario, record string, _ io.Writer) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ran = append(r.ran, filepath.Base(record))
	if b, err := os.ReadFile(filepath.Join(folder, scenario)); err == nil {
		r.sources = append(r.sources, string(b))
	}
	if r.hook != nil {
		if code, err := r.hook(ctx, filepath.Base(record), folder); code != 0 || err != nil {
			return code, err
		}
	}
	slow := 1.0
	if b, err := os.ReadFile(filepath.Join(folder, "../built")); err == nil {
		if slow, err = strconv.ParseFloat(string(b), 64); err != nil {
			return 0, err
		}
	}
	began := time.Date(2026, 11, 20, 9, len(r.ran), 0, 0, time.UTC)
	return 0, runrig.Write(record, r.world.Run(filepath.Base(record), began, r.world.Chance(0)*slow))
}

// leftovers returns what a call of Run has left of its checkouts.
func (r *rig) leftovers(dir string) string {
	r.t.Helper()
	out := r.git(dir, "worktree", "list", "--porcelain")
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "gameday-regress-*"))
	if err != nil {
		r.t.Fatal(err)
	}
	if strings.Count(out, "worktree ") != 1 || len(left) > 0 {
		return fmt.Sprintf("%s\n%v", out, left)
	}
	return ""
}

// TestRefs: each side is built from its own commit, both run the scenario of head, the order changes from pair to pair,
// and nothing is left but the records.
func TestRefs(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	r := newRig(t)
	dir := r.repository("1.4")
	o := r.options(nil)
	c, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if c.Verdict != compare.Worse || c.Pairs != 7 {
		t.Errorf("%s after %d pairs: %v", c.Verdict, c.Pairs, c.Why)
	}
	want := "01-base 01-head 02-head 02-base 03-base 03-head 04-head 04-base 05-base 05-head 06-head 06-base " +
		"07-base 07-head"
	if got := strings.Join(r.ran, " "); got != want {
		t.Errorf("ran %s", got)
	}
	if slices.ContainsFunc(r.sources, func(s string) bool { return s != "day of head" }) {
		t.Errorf("the scenarios were %q", r.sources)
	}
	records, _, err := report.Folders(o.Dir)
	if err != nil || len(records) != 14 {
		t.Errorf("%d records, %v", len(records), err)
	}
	if left := r.leftovers(dir); left != "" {
		t.Errorf("left: %s", left)
	}
	if last := r.said[len(r.said)-1]; !strings.HasPrefix(last, "after 7 of at most 7 pairs: worse") {
		t.Errorf("said %q", r.said)
	}
}

func TestScenarioFromBase(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	r := newRig(t)
	r.repository("1")
	c, err := Run(t.Context(), r.options(func(o *Options) {
		o.FromBase, o.Compare.Tolerances = true, map[string]report.Tolerance{"p95": {Relative: 2, Counts: true}}
	}))
	if err != nil || c.Verdict != compare.Same {
		t.Fatalf("%v, %v", c, err)
	}
	if slices.ContainsFunc(r.sources, func(s string) bool { return s != "day of base" }) {
		t.Errorf("the scenarios were %q", r.sources)
	}
}

// TestRefuses tries what cannot be: it is said, nothing runs, and nothing is left.
func TestRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Options)
		want   error
		why    string
	}{
		{"no such ref", func(o *Options) { o.Base.Ref = "none" }, ErrUsage, `no commit "none"`},
		{"a ref that looks like a flag", func(o *Options) { o.Base.Ref = "--all" }, ErrUsage, `no commit "--all"`},
		{"a build that fails", func(o *Options) { o.Build = "echo cannot find; exit 3" }, ErrUsage, "cannot find"},
		{"too few pairs", func(o *Options) { o.Pairs = 6 }, ErrUsage, "at least 7 pairs"},
		{"a budget that is too small", func(o *Options) { o.Budget = time.Minute }, ErrUsage, "the budget is 1m0s"},
		{"an absolute scenario", func(o *Options) { o.Scenario = "/day.hcl" }, ErrUsage, "relative"},
		{"a scenario with mistakes", func(o *Options) {
			o.Load = func(string) (*Scenario, error) { return nil, errors.New("3 problems") }
		}, nil, "3 problems"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			r := newRig(t)
			dir := r.repository("1")
			_, err := Run(t.Context(), r.options(c.change))
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.why) {
				t.Errorf("%v; want %v with %q", err, c.want, c.why)
			}
			if len(r.ran) > 0 {
				t.Errorf("ran %v", r.ran)
			}
			if left := r.leftovers(dir); left != "" {
				t.Errorf("left: %s", left)
			}
		})
	}
}

// TestRunsThatEndIt: what the exit codes of runs mean here.
func TestRunsThatEndIt(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for _, c := range []struct {
		code int
		err  error
		want error
		why  string
	}{
		{2, nil, ErrUsage, "02-head could not begin"},
		{5, nil, ErrResidue, "02-head"},
		{0, errors.New("no such program"), nil, "02-head: no such program"},
	} {
		r := newRig(t)
		dir := r.repository("1")
		r.hook = func(_ context.Context, name, _ string) (int, error) {
			if name == "02-head" {
				return c.code, c.err
			}
			return 0, nil
		}
		got, err := Run(t.Context(), r.options(nil))
		if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%d: %v", c.code, err)
		}
		if got == nil || got.Pairs != 1 {
			t.Errorf("%d: what the first pair showed is lost: %v", c.code, got)
		}
		if left := r.leftovers(dir); left != "" {
			t.Errorf("left: %s", left)
		}
	}
}

// A run that is stopped and leaves a fault standing says so: that somebody was impatient hides nothing.
func TestResidueOfAStoppedRun(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	r := newRig(t)
	r.repository("1")
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupted")
	r.hook = func(context.Context, string, string) (int, error) {
		cancel(interrupted)
		return codeResidue, nil
	}
	if _, err := Run(ctx, r.options(nil)); !errors.Is(err, ErrResidue) || !errors.Is(err, interrupted) {
		t.Errorf("%v", err)
	}
}

// TestOneRef: where only one side is checked out, both run the same scenario all the same, and the folder that people
// work in is not written to.
func TestOneRef(t *testing.T) {
	for _, c := range []struct {
		name, base, head string
		change           bool // the scenario in the folder
		fromBase         bool
		want             string // that all runs see; empty when it is refused
	}{
		{"base checked out, head as it is", "base", "", false, false, "day of head"},
		{"base checked out, head changed", "base", "", true, false, "day of today"},
		{"head checked out, base as it is", "", "head", false, false, "day of head"},
		{"head checked out, base changed", "", "head", true, false, ""},
		{"head checked out, base changed, whose scenario it is", "", "head", true, true, "day of today"},
		{"an older head checked out, base as it is", "", "base", false, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			r := newRig(t)
			dir := r.repository("1")
			day := filepath.Join(dir, "days/day.hcl")
			if c.change {
				r.write(day, "day of today")
			}
			before, err := os.ReadFile(day)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Run(t.Context(), r.options(func(o *Options) {
				o.Base.Ref, o.Head.Ref, o.FromBase = c.base, c.head, c.fromBase
				o.Compare.Tolerances = map[string]report.Tolerance{"p95": {Relative: 2, Counts: true}}
			}))
			if c.want == "" {
				if !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), "days/day.hcl is not the same in head") {
					t.Errorf("%v", err)
				}
			} else if err != nil {
				t.Error(err)
			}
			if slices.ContainsFunc(r.sources, func(s string) bool { return s != c.want }) {
				t.Errorf("the scenarios were %q", r.sources)
			}
			if after, err := os.ReadFile(day); err != nil || string(after) != string(before) {
				t.Errorf("the folder's scenario is now %q, %v", after, err)
			}
			if left := r.leftovers(dir); left != "" {
				t.Errorf("left: %s", left)
			}
		})
	}
}

// What is taken over from the other side is said: a program that needs no building must not be among it.
func TestTakenOverIsSaid(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	r := newRig(t)
	r.repository("1.4")
	if _, err := Run(t.Context(), r.options(nil)); err != nil {
		t.Fatal(err)
	}
	if want := "base runs the scenario of head, and takes from it: days/day.hcl"; !slices.Contains(r.said, want) {
		t.Errorf("said %q", r.said)
	}
}

// A scenario may be a link, and what a link leads to in the other checkout is left alone.
func TestLinksAreNotFollowed(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	r := newRig(t)
	dir := r.repository("1")
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	r.write(elsewhere, "of somebody else")
	link := func(branch, to string) {
		r.git(dir, "checkout", "-q", branch)
		day := filepath.Join(dir, "days/day.hcl")
		if err := errors.Join(os.Remove(day), os.Symlink(to, day)); err != nil {
			t.Fatal(err)
		}
		r.write(filepath.Join(dir, "days/src/linked"), "day of "+branch)
		r.git(dir, "add", ".")
		r.git(dir, "commit", "-q", "-a", "-m", "link")
	}
	link("base", elsewhere)
	link("head", "src/linked")
	if _, err := Run(t.Context(), r.options(nil)); err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(r.sources, func(s string) bool { return s != "day of head" }) {
		t.Errorf("the scenarios were %q", r.sources)
	}
	if b, err := os.ReadFile(elsewhere); err != nil || string(b) != "of somebody else" {
		t.Errorf("elsewhere it says %q now, %v", b, err)
	}
}

// A command that does not end is waited for, and that is said.
func TestLongCommandIsSaid(t *testing.T) {
	dir := t.TempDir()
	said := 0
	w := &world{side: &place{Side: Side{Name: "base", Command: "until test -e go; do sleep 0.05; done"}, folder: dir},
		within: 50 * time.Millisecond, grace: time.Second, say: func(format string, args ...any) {
			if said++; !strings.Contains(fmt.Sprintf(format, args...), "command of base has not ended after 50ms") {
				t.Errorf(format, args...)
			}
			if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o644); err != nil {
				t.Error(err)
			}
		}}
	if err := errors.Join(w.start(t.Context()), w.stop()); err != nil || said != 1 {
		t.Errorf("said %d times, %v", said, err)
	}
}

// However much a world has written, its end alone is shown.
func TestTailOfMuch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte(strings.Repeat("x", 1<<20)+"\nthe end\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := tail(path); len(got) > tailBytes+1000 || !strings.HasSuffix(got, "x\nthe end") {
		t.Errorf("%d bytes, ending %q", len(got), got[max(0, len(got)-20):])
	}
}

// TestWorldOfAnother: when a side's command fails during the run and no request does, something else has answered, and
// what was measured is not the side's. When requests fail, it is.
func TestWorldOfAnother(t *testing.T) {
	for _, errs := range []float64{0, 0.05} {
		t.Run(fmt.Sprint(errs), func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			r := newRig(t)
			r.repository("1")
			r.world.Errors = errs
			ended := filepath.Join(t.TempDir(), "ended")
			r.hook = func(_ context.Context, name, _ string) (int, error) {
				if name == "01-head" {
					awaitFile(t, ended)
					if leader := pidIn(t, ended); left(leader) {
						t.Errorf("process %d, which runs the command, is left", leader)
					}
				}
				return 0, nil
			}
			_, err := Run(t.Context(), r.options(func(o *Options) {
				o.Ready, o.Pairs = "true", 7
				o.Base.Command = "sleep 1000"
				o.Head.Command = "until test -e " + ended + ".go; do sleep 0.05; done; echo $PPID >" + ended + "~; mv " + ended + "~ " + ended +
					"; exit 98"
			}))
			wrong := err != nil && strings.Contains(err.Error(), "something else answers") &&
				strings.Contains(err.Error(), "exit status 98")
			if wrong != (errs == 0) {
				t.Errorf("with errors of %g: %v", errs, err)
			}
		})
	}
}

// TestWorlds starts worlds in every way, without any checkout.
func TestWorlds(t *testing.T) {
	for _, c := range []struct {
		name, command, ready string
		within               time.Duration
		runs                 bool
		why                  string
	}{
		{"prepared, with a process in the background", "sleep 1000 & echo $! > pid", "", 0, true, ""},
		{"in the foreground until it is ready", "echo $$ > pid; touch ready; exec sleep 1000", "test -e ready",
			30 * time.Second, true, ""},
		{"deaf to being asked", "trap '' TERM; echo $$ > pid; touch ready; sleep 1000 & wait; sleep 1000",
			"test -e ready", 30 * time.Second, true, ""},
		{"prepared badly", "echo out of disk >&2; exit 7", "", 0, false, "exit status 7"},
		{"ended before it was ready", "exit 9", "test -e never", 30 * time.Second, false, "exit status 9"},
		{"never ready", "sleep 1000", "test -e never", 300 * time.Millisecond, false, "not ready after 300ms"},
		{"ready without a command", "", "true", 30 * time.Second, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			log, err := os.Create(filepath.Join(dir, "log"))
			if err != nil {
				t.Fatal(err)
			}
			defer log.Close()
			side := &place{Side: Side{Name: "base", Command: c.command}, folder: dir}
			w := &world{side: side, pair: 1, ready: c.ready, within: c.within, grace: time.Second, log: log}
			err = w.start(t.Context())
			if c.runs != (err == nil) || err != nil && !strings.Contains(err.Error(), c.why) {
				t.Errorf("starting: %v, want %q", err, c.why)
			}
			pid := 0
			if c.runs && c.command != "" {
				if pid = pidIn(t, filepath.Join(dir, "pid")); !alive(pid) {
					t.Error("it is not there")
				}
			}
			if err := w.stop(); err != nil {
				t.Errorf("stopping: %v", err)
			}
			if pid != 0 && left(pid) {
				t.Errorf("process %d is left", pid)
			}
		})
	}
}

// TestEndedAlthoughReady: a command that has failed never makes its world ready, whoever answers in its place.
func TestEndedAlthoughReady(t *testing.T) {
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	side := &place{Side: Side{Name: "base", Command: "exit 9"}, folder: dir}
	w := &world{side: side, pair: 1, ready: "true", within: 30 * time.Second, grace: time.Second, log: log}
	if w.process, err = start(side, w.pair, side.Command, "", log); err != nil {
		t.Fatal(err)
	}
	<-w.process.done // which is known before anybody asks whether the world is ready
	if err := w.awaitReady(t.Context()); err == nil || !strings.Contains(err.Error(), "exit status 9") {
		t.Errorf("starting: %v", err)
	}
	if err := w.stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
}

// TestBudget: how many pairs there may be follows from how long the first takes, and no pair is begun that would end
// too late.
func TestBudget(t *testing.T) {
	always := func(int) time.Duration { return 5 * time.Minute }
	slower := func(run int) time.Duration { return time.Duration(5+run/4) * time.Minute }
	for _, c := range []struct {
		name   string
		budget time.Duration
		takes  func(run int) time.Duration
		most   int
		pairs  int
		why    string
		err    string
	}{
		{"room for eight", 85 * time.Minute, always, 8, 8, "p95", ""},
		{"room for all", 24 * time.Hour, always, 16, 8, "", ""},
		{"room for too few", 55 * time.Minute, always, 0, 0, "", "has room for 5"},
		{"slower than at first", 85 * time.Minute, slower, 8, 6, "the budget of 1h25m0s is spent", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			t.Chdir(dir)
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.hook = func(context.Context, string, string) (int, error) {
					time.Sleep(c.takes(len(r.ran)))
					return 0, nil
				}
				o := r.options(func(o *Options) {
					o.Base.Ref, o.Head.Ref, o.Pairs, o.Budget = "", "", 16, c.budget
					// Nothing is tolerated, so that it cannot be the same.
					o.Compare.Tolerances = map[string]report.Tolerance{"p95": {Counts: true}}
					if c.most == 16 {
						o.Compare.Tolerances = map[string]report.Tolerance{"p95": {Relative: 5, Counts: true}}
					}
				})
				got, err := Run(t.Context(), o)
				if c.err != "" {
					if !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), c.err) {
						t.Errorf("%v", err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				why := strings.Join(got.Why, "\n")
				if got.MostPairs != c.most || got.Pairs != c.pairs || !strings.Contains(why, c.why) {
					t.Errorf("%d of %d pairs: %v", got.Pairs, got.MostPairs, got.Why)
				}
			})
		})
	}
}
