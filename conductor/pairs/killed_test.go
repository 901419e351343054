package pairs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/internal/scriptrig"
	"gameday/report"
	"gameday/report/compare"
)

// awaitFile lets a command go on, and waits until it says that it has.
func awaitFile(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path+".go", nil, 0o644); err != nil {
		t.Error(err)
	}
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); runtime.Gosched() {
		if _, err := os.Stat(path); err == nil {
			return
		}
	}
	t.Errorf("%s does not come", path)
}

// TestKilledWhileCheckingOut: git is stopped in the middle of a checkout, and nothing of it is left.
func TestKilledWhileCheckingOut(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	r := newRig(t)
	dir := r.repository("1")
	begun := filepath.Join(t.TempDir(), "begun")
	r.git(dir, "config", "filter.slow.smudge", "touch "+begun+"; sleep 3; cat")
	r.write(filepath.Join(dir, ".git/info/attributes"), "*.hcl filter=slow")
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupted")
	go func() {
		awaitFile(t, begun)
		cancel(interrupted)
	}()
	if _, err := Run(ctx, r.options(nil)); !errors.Is(err, interrupted) || errors.Is(err, ErrUsage) {
		t.Errorf("%v", err)
	}
	if left := r.leftovers(dir); left != "" {
		t.Errorf("left: %s", left)
	}
}

// TestSweep: what a call left that was killed goes with the next one, and what belongs to one that is there stays.
func TestSweep(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	r := newRig(t)
	dir := r.repository("1")
	var made [2]*worktrees
	for i := range made {
		w, err := newWorktrees()
		if err != nil {
			t.Fatal(err)
		}
		if err := w.of(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := w.add(t.Context(), "base", "base"); err != nil {
			t.Fatal(err)
		}
		made[i] = w
	}
	killed, going := made[0], made[1]
	r.git(dir, "worktree", "lock", "--reason", "initializing", killed.made[0]) // as git does while it checks out
	killed.lock.Close()
	other := filepath.Join(os.TempDir(), folderPrefix+"of-something-else")
	r.write(filepath.Join(other, "file"), "")
	sweep(func(format string, args ...any) { r.said = append(r.said, fmt.Sprintf(format, args...)) })
	if len(r.said) != 1 || !strings.Contains(r.said[0], killed.dir) {
		t.Errorf("said %q", r.said)
	}
	if _, err := os.Stat(killed.dir); err == nil {
		t.Error("the checkouts of a call that was killed are left")
	}
	list := r.git(dir, "worktree", "list", "--porcelain")
	if strings.Contains(list, killed.dir) || !strings.Contains(list, going.dir) {
		t.Errorf("git knows of\n%s", list)
	}
	for _, path := range []string{going.made[0], other} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	if err := going.remove(); err != nil {
		t.Error(err)
	}
}

// An answer is an answer, also when a checkout cannot be removed because somebody else owns a part of it.
func TestCheckoutThatStays(t *testing.T) {
	if os.Geteuid() == 0 { // who can remove everything
		asNobody(t)
		return
	}
	t.Setenv("TMPDIR", t.TempDir())
	r := newRig(t)
	r.repository("1")
	var shut string
	r.hook = func(_ context.Context, name, folder string) (int, error) {
		if shut = filepath.Join(folder, "shut"); name == "01-base" {
			r.write(filepath.Join(shut, "file"), "")
			t.Cleanup(func() { os.Chmod(shut, 0o755) })
			return 0, os.Chmod(shut, 0o555)
		}
		return 0, nil
	}
	c, err := Run(t.Context(), r.options(func(o *Options) {
		o.Compare.Tolerances = map[string]report.Tolerance{"p95": {Relative: 2, Counts: true}}
	}))
	if err != nil || c == nil || c.Verdict != compare.Same {
		t.Errorf("%v, %v", c, err)
	}
	if last := r.said[len(r.said)-1]; !strings.Contains(last, "cannot be removed") {
		t.Errorf("said %q", r.said)
	}
}

// asNobody runs the same test again as a user without privileges.
func asNobody(t *testing.T) {
	t.Helper()
	const nobody = 65534
	dir, err := os.MkdirTemp("", "pairs-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	program, home := filepath.Join(dir, "test"), filepath.Join(dir, "home")
	if err := errors.Join(os.Chmod(dir, 0o755), os.Mkdir(home, 0o755), os.Chown(home, nobody, nobody)); err != nil {
		t.Fatal(err)
	}
	scriptrig.Write(t, program, string(self))
	again := exec.CommandContext(t.Context(), program, "-test.run", "^"+t.Name()+"$", "-test.v")
	again.Dir, again.Env = home, append(os.Environ(), "HOME="+home, "TMPDIR="+home)
	again.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if out, err := again.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()+" ") {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
}

// alive reports whether a process is there and no zombie.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return syscall.Kill(pid, 0) == nil && !os.IsNotExist(err)
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// left reports whether a process that was told to die does not.
func left(pid int) bool {
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		if !alive(pid) {
			return false
		}
		runtime.Gosched()
	}
	return true
}

// pidIn reads a process id that a command of a world has written.
func pidIn(t *testing.T, path string) int {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// TestInterrupted: when the context ends in the middle of a run, the world goes, its cleanup runs, and the checkouts
// go.
func TestInterrupted(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	r := newRig(t)
	dir := r.repository("1")
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupted")
	var server int
	r.hook = func(ctx context.Context, name, folder string) (int, error) {
		if name != "02-base" {
			return 0, nil
		}
		server = pidIn(t, filepath.Join(folder, "pid"))
		if !alive(server) {
			t.Error("the world is not there while it is needed")
		}
		cancel(interrupted)
		<-ctx.Done()
		return 4, nil
	}
	c, err := Run(ctx, r.options(func(o *Options) {
		o.Base.Command, o.Head.Command = "sleep 1000 & echo $! > pid", "sleep 1000 & echo $! > pid"
		o.Cleanup = "echo $GAMEDAY_SIDE $GAMEDAY_PAIR >> " + filepath.Join(dir, "cleaned")
	}))
	if !errors.Is(err, interrupted) || c == nil || c.Pairs != 1 {
		t.Errorf("%v, %v", c, err)
	}
	if left(server) {
		t.Errorf("the world's process %d is left", server)
	}
	cleaned, err := os.ReadFile(filepath.Join(dir, "cleaned"))
	if want := "base 1\nhead 1\nhead 2\nbase 2\n"; err != nil || string(cleaned) != want {
		t.Errorf("cleaned up %q, %v; want %q", cleaned, err, want)
	}
	if left := r.leftovers(dir); left != "" {
		t.Errorf("left: %s", left)
	}
}
