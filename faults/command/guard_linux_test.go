package command

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/faults"
	"gameday/faults/guard"
)

// roleVariable makes the test binary a guard that has this kind alone, or the first process of a node.
const roleVariable = "GAMEDAY_COMMAND_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "guard":
		os.Exit(guard.Main([]faults.Kind{Kind()}, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	case "init":
		os.Exit(nodeInit(os.Args[1]))
	}
	os.Exit(m.Run())
}

func role(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), roleVariable+"="+name)
	return cmd
}

// startGuard starts a real guard in a process of its own.
func startGuard(t *testing.T) (*guard.Client, *faults.Ledger) {
	t.Helper()
	l, err := faults.OpenLedger(filepath.Join(t.TempDir(), "ledger"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := guard.Start(t.Context(), role(t, "guard", "--ledger", l.Dir()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c, l
}

func (s *scene) request() guard.InjectRequest {
	config, err := json.Marshal(s.config)
	if err != nil {
		s.t.Fatal(err)
	}
	return guard.InjectRequest{ID: testID, Run: "run-1", Scenario: "s", Fault: "own", Kind: "command", Config: config, Place: s.place,
		Lease: time.Minute, Deadline: time.Minute}
}

func (s *scene) wantLedger(l *faults.Ledger, want int) {
	s.t.Helper()
	standing, err := l.Standing()
	if err != nil || len(standing) != want {
		s.t.Errorf("the ledger has %+v, %v; want %d", standing, err, want)
	}
}

// TestGuardHolds goes the whole way through a guard, to its orderly end.
func TestGuardHolds(t *testing.T) {
	s := newScene(t)
	c, l := startGuard(t)
	if err := c.Check(t.Context(), s.request()); err != nil || s.has("mark") {
		t.Fatalf("checking: %v", err)
	}
	in, err := c.Inject(t.Context(), s.request())
	if err != nil || in.Effect.Summary != "there" || !s.has("mark") {
		t.Fatalf("injected %+v, %v", in, err)
	}
	s.wantLedger(l, 1)
	if err := c.Close(context.Background()); err != nil || s.has("mark") {
		t.Errorf("the end of the guard: %v, mark %v", err, s.has("mark"))
	}
	s.wantLedger(l, 0)
}

// TestGuardGivesUp injects something whose effect cannot be proven.
func TestGuardGivesUp(t *testing.T) {
	s := newScene(t)
	s.config.Effect = script("sleep 0.2; exit 1")
	c, l := startGuard(t)
	r := s.request()
	r.EffectTimeout = 700 * time.Millisecond
	if _, err := c.Inject(t.Context(), r); err == nil || s.has("mark") {
		t.Errorf("%v, mark %v", err, s.has("mark"))
	}
	s.wantLedger(l, 0)
	within(t, "nothing of it runs", func() bool { return len(marked(t, testID)) == 0 })
}

// TestGuardLetsFinalStand injects what cannot be undone: it is not held, and stays.
func TestGuardLetsFinalStand(t *testing.T) {
	s := newScene(t)
	s.config.Revert, s.config.CannotRevert = nil, true
	c, l := startGuard(t)
	if in, err := c.Inject(t.Context(), s.request()); err != nil || !in.Effect.Proven {
		t.Fatalf("%+v, %v", in, err)
	}
	if held, err := c.List(t.Context()); err != nil || len(held) != 0 {
		t.Errorf("held: %+v, %v", held, err)
	}
	s.wantLedger(l, 0)
	if err := c.Close(context.Background()); err != nil || !s.has("mark") {
		t.Errorf("%v, mark %v", err, s.has("mark"))
	}
}

// TestGuardKilled kills the guard in the middle of an inject, and while the fault stands. The ledger alone is enough to end the
// command that still runs, with its whole group, and to clear away what it did.
func TestGuardKilled(t *testing.T) {
	for name, inject := range map[string]string{
		"mid-inject": "sleep 300 & echo half > mark; sleep 301",
		"standing":   "sleep 300 & echo $! > mark",
	} {
		s := newScene(t)
		s.config.Inject, s.config.Timeout = script(inject), "1m"
		s.config.Revert = script(`pid=$(cat mark 2>/dev/null); case $pid in [0-9]*) kill $pid;; esac; rm -f mark`)
		c, l := startGuard(t)
		done := make(chan error, 1)
		go func() {
			_, err := c.Inject(context.Background(), s.request())
			done <- err
		}()
		if name == "standing" {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		within(t, name+": it is applied", func() bool { return s.has("mark") && len(s.read("mark")) > 0 })
		if err := syscall.Kill(c.PID(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-c.Ended()
		if len(marked(t, testID)) == 0 {
			t.Fatalf("%s: nothing runs on without the guard, so nothing is tested", name)
		}
		for range 2 {
			results, err := faults.RevertOrphans(t.Context(), l, []faults.Kind{Kind()}, nil)
			for _, r := range results {
				if r.Err != nil {
					t.Errorf("%s: %v", name, r.Err)
				}
			}
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			s.wantLedger(l, 0)
		}
		within(t, name+": all are gone", func() bool { return len(marked(t, testID)) == 0 })
		if s.has("mark") {
			t.Errorf("%s: the mark stands", name)
		}
	}
}

// TestCheckpoints names the instants at which the kill matrix stops.
func TestCheckpoints(t *testing.T) {
	s := newScene(t)
	s.config.Inject = script("echo half > mark; while test ! -e go; do sleep 0.01; done")
	var reached []faults.Checkpoint
	ctx := faults.WithReach(s.owned(t.Context()), func(at faults.Checkpoint) {
		reached = append(reached, at)
		if at == faults.MidInject {
			within(t, "half of it", func() bool { return s.has("mark") })
			if err := os.WriteFile(filepath.Join(s.dir, "go"), nil, 0o600); err != nil {
				t.Error(err)
			}
		}
		if at == faults.MidRevert && s.has("mark") {
			t.Error("the revert command has not run")
		}
	})
	in, e, err := s.settle(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Inject(ctx, time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := faults.RevertEntry(ctx, []faults.Kind{Kind()}, e); err != nil {
		t.Fatal(err)
	}
	if len(reached) != 2 || reached[0] != faults.MidInject || reached[1] != faults.MidRevert {
		t.Errorf("reached %v", reached)
	}
}

// TestWhoseLimit reverts and renews with commands that take too long, under a timeout that would let them: what cut them is said, and
// a longer timeout is not advised.
func TestWhoseLimit(t *testing.T) {
	s := newScene(t)
	s.config.Revert, s.config.Renew, s.config.Timeout = script("sleep 60"), script("sleep 60"), "50s"
	in, e := s.inject()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := faults.RevertEntry(ctx, []faults.Kind{Kind()}, e)
	if err == nil || strings.Contains(err.Error(), "raise timeout") || !strings.Contains(err.Error(), "a guard gives a revert 10s") {
		t.Errorf("revert: %v", err)
	}
	in.(*injection).renewed = time.Time{}
	err = in.(faults.Renewer).Renew(s.owned(t.Context()), 400*time.Millisecond)
	if err == nil || strings.Contains(err.Error(), "raise timeout") || !strings.Contains(err.Error(), "half a lease") {
		t.Errorf("renew: %v", err)
	}
}
