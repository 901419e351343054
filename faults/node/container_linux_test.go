package node

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"gameday/faults"
	"gameday/internal/dockerrig"
)

// TestRealContainer restarts a container of a real engine, with and without a restart policy, and asks the kernel. The policy
// does not start it before its time, and works as before afterwards.
func TestRealContainer(t *testing.T) {
	e := dockerrig.ForTest(t)
	if err := e.Import(t.Context(), "sleeper", sleeper(t)); err != nil {
		t.Fatal(err)
	}
	for _, policy := range []string{"", "always", "unless-stopped"} {
		t.Run("policy "+policy, func(t *testing.T) { restartReal(t, e, policy) })
	}
	t.Run("reverted by a fresh process", func(t *testing.T) { revertReal(t, e) })
	t.Run("made to be removed", func(t *testing.T) {
		id := runSleeper(t, e, dockerrig.Container{Name: "fleeting", Remove: true})
		if _, err := realRestart(t, e, id).Undo(t.Context()); err == nil {
			t.Error("it would never come back")
		}
	})
}

func restartReal(t *testing.T, e *dockerrig.Engine, policy string) {
	id := runSleeper(t, e, dockerrig.Container{Name: "ledger-" + policy + "0", Restart: policy})
	r := realRestart(t, e, id)
	raw, err := r.Undo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	old := state(t, e, id)
	if err := r.Inject(t.Context(), time.Second); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Effect(t.Context()); err != nil || !got.Proven {
		t.Errorf("%+v, %v", got, err)
	}
	if runs(old.Pid) {
		t.Errorf("pid %d still runs", old.Pid)
	}
	got, err := r.Watch(t.Context())
	if err != nil || !got.Proven {
		t.Fatalf("%+v, %v", got, err)
	}
	if took := time.Since(r.off); took < r.down || took > r.down+5*time.Second {
		t.Errorf("down for %v, want %v: %s", took, r.down, got.Summary)
	}
	now := state(t, e, id)
	if now.Pid == old.Pid || now.StartedAt == old.StartedAt {
		t.Errorf("before %+v, after %+v", old, now)
	}
	awaitProgram(t, now)
	for range 2 {
		if err := RestartKind().Revert(t.Context(), faults.Entry{Undo: raw}); err != nil {
			t.Error(err)
		}
	}
	if again := state(t, e, id); again != now {
		t.Errorf("reverting changed %+v to %+v", now, again)
	}
	if policy == "" {
		return
	}
	// A crash is the policy's business again.
	if err := syscall.Kill(now.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, "the restart policy brings it back", func() bool {
		s := state(t, e, id)
		return s.Running && s.Pid != now.Pid && runs(s.Pid)
	})
}

// revertReal leaves a container dead, as a guard does that is killed, and reverts in another process.
func revertReal(t *testing.T, e *dockerrig.Engine) {
	id := runSleeper(t, e, dockerrig.Container{Name: "orphan", Restart: "always"})
	r := realRestart(t, e, id)
	raw, err := r.Undo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Inject(t.Context(), time.Second); err != nil {
		t.Fatal(err)
	}
	entry, err := json.Marshal(faults.Entry{Kind: "node_restart", Undo: raw})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		fresh := exec.Command("/proc/self/exe")
		fresh.Env = append(os.Environ(), roleVariable+"="+string(entry))
		if out, err := fresh.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		s := state(t, e, id)
		if !s.Running {
			t.Errorf("%+v", s)
		}
		awaitProgram(t, s)
	}
}

// roleVariable makes the test binary a sleeper, or the reverter of an entry.
const roleVariable = "GAMEDAY_NODE_TEST_ROLE"

func TestMain(m *testing.M) {
	role := os.Getenv(roleVariable)
	if filepath.Base(os.Args[0]) == "sleeper" {
		wait := make(chan os.Signal, 1)
		signal.Notify(wait, syscall.SIGTERM)
		<-wait
		return
	}
	if role == "" {
		os.Exit(m.Run())
	}
	var entry faults.Entry
	err := json.Unmarshal([]byte(role), &entry)
	if err == nil {
		err = RestartKind().Revert(context.Background(), entry)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// sleeper returns this test binary under a name that makes it wait for its end.
func sleeper(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "sleeper")
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	return path
}

func runSleeper(t *testing.T, e *dockerrig.Engine, c dockerrig.Container) string {
	t.Helper()
	c.Image, c.Command = "sleeper", []string{"/sleeper"}
	id, err := e.Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// realRestart is a restart that takes a second.
func realRestart(t *testing.T, e *dockerrig.Engine, id string) *containerRestart {
	t.Helper()
	i, err := (&Restart{DownFor: "1s"}).Bind(faults.Place{Name: "ledger", Node: &faults.Node{Name: "ledger", Engine: e.Socket, Container: id}})
	if err != nil {
		t.Fatal(err)
	}
	return i.(*containerRestart)
}

func state(t *testing.T, e *dockerrig.Engine, id string) dockerrig.State {
	t.Helper()
	s, err := e.State(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// runs reports whether the kernel has the process, and the test program is what it runs.
func runs(pid int) bool {
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	return err == nil && filepath.Base(exe) == "sleeper"
}

// awaitProgram waits until the kernel runs the test program in a container that the engine says is running: an engine says so when
// it has told the container's first process to become that program, which the process has yet to do.
func awaitProgram(t *testing.T, s dockerrig.State) {
	t.Helper()
	await(t, fmt.Sprintf("the program runs in %+v", s), func() bool { return runs(s.Pid) })
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := dockerrig.Poll(ctx, func() (bool, error) { return done(), nil }); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}
