package stress

import (
	"bufio"
	"encoding/json"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"gameday/faults"
	"gameday/faults/guard"
)

// TestNothingOutlives ends or stops whoever holds a fault, in every way, and measures until the kernel has nothing of
// it.
func TestNothingOutlives(t *testing.T) {
	all := samples(t)
	const lease = 2 * time.Second
	for _, cell := range []struct {
		name  string
		who   func(conductor, guardian int, workers []int)
		limit time.Duration
	}{
		{"conductor killed", func(c, _ int, _ []int) { kill(syscall.SIGKILL, c) }, time.Second},
		{"guard killed", func(_, g int, _ []int) { kill(syscall.SIGKILL, g) }, time.Second},
		{"conductor and guard killed", func(c, g int, _ []int) { kill(syscall.SIGKILL, c, g) }, time.Second},
		{"workers stopped, then conductor and guard killed", func(c, g int, w []int) {
			kill(syscall.SIGSTOP, w...)
			kill(syscall.SIGKILL, c, g)
		}, time.Second},
		{"conductor stopped", func(c, _ int, _ []int) { kill(syscall.SIGSTOP, c) }, lease + time.Second},
		{"guard stopped", func(_, g int, _ []int) { kill(syscall.SIGSTOP, g) }, lease + time.Second},
		{"conductor and guard stopped", func(c, g int, _ []int) { kill(syscall.SIGSTOP, c, g) }, lease + time.Second},
	} {
		for _, kind := range sorted(all) {
			t.Run(kind+"/"+cell.name, func(t *testing.T) {
				r := all[kind]
				r.Lease = lease
				dir := ledgerDir(t)
				conductor, guardian := conduct(t, dir, r)
				e := standing(t, dir)
				if err := traces(e); err == nil {
					t.Fatal("nothing stands: the test would find nothing whatever happens")
				}
				cell.who(conductor, guardian, mustWorkers(t, e))
				took := eventually(t, cell.limit, func() error { return traces(e) })
				t.Logf("clean after %v", took.Round(time.Millisecond))
			})
		}
	}
}

// conduct starts a conductor that holds a fault, and returns its pid and its guard's.
func conduct(t *testing.T, dir string, r guard.InjectRequest) (conductor, guardian int) {
	t.Helper()
	raw, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	cmd := selfAs("conductor", dir)
	cmd.Env = append(cmd.Env, requestVariable+"="+string(raw))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { endConductor(cmd, in.Close, guardian) })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	guardian = number(t, line)
	return cmd.Process.Pid, guardian
}

// endConductor ends what a cell left of its own.
func endConductor(cmd *exec.Cmd, done func() error, guardian int) {
	_ = done()
	if guardian > 0 {
		kill(syscall.SIGKILL, guardian)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

func kill(s syscall.Signal, pids ...int) {
	for _, pid := range pids {
		_ = syscall.Kill(pid, s)
	}
}

func mustWorkers(t *testing.T, e faults.Entry) []int {
	t.Helper()
	var u undo
	if err := json.Unmarshal(e.Undo, &u); err != nil {
		t.Fatal(err)
	}
	pids, err := workersOf(u.Token)
	if err != nil || len(pids) == 0 {
		t.Fatalf("workers %v, %v", pids, err)
	}
	return pids
}

// TestWorkersKilled ends everybody at once: what cannot go away by itself is in the ledger, and a revert from a fresh
// process mends it, twice.
func TestWorkersKilled(t *testing.T) {
	all := samples(t)
	for _, kind := range sorted(all) {
		t.Run(kind, func(t *testing.T) {
			dir := ledgerDir(t)
			conductor, guardian := conduct(t, dir, all[kind])
			e := standing(t, dir)
			kill(syscall.SIGKILL, append(mustWorkers(t, e), conductor, guardian)...)
			mend(t, dir)
			for range 2 {
				if err := faults.RevertEntry(t.Context(), allKinds(), e); err != nil {
					t.Errorf("reverting what is gone: %v", err)
				}
			}
			if err := traces(e); err != nil {
				t.Error(err)
			}
		})
	}
}

// mend reverts the ledger's orphans, as `gameday revert` does.
func mend(t *testing.T, dir string) {
	t.Helper()
	l, err := faults.OpenLedger(dir)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, patient, func() error { // until the guard's lock is gone with it
		results, err := faults.RevertOrphans(t.Context(), l, allKinds(), nil)
		for _, r := range results {
			if r.Err != nil {
				t.Error(r.Err)
			}
		}
		if left, _ := l.Standing(); err == nil && len(left) > 0 {
			return faults.ErrHeld
		}
		return err
	})
}

// TestKilledHalfway kills the guard where its work is half done: at most an empty cgroup is left, which a revert
// removes.
func TestKilledHalfway(t *testing.T) {
	all := samples(t)
	for _, at := range []faults.Checkpoint{faults.AfterEntry, faults.MidInject, faults.Stands, faults.MidRevert, faults.BeforeClose} {
		for _, kind := range sorted(all) {
			t.Run(kind+"/"+string(at), func(t *testing.T) {
				dir := ledgerDir(t)
				c := startGuard(t, dir, killVariable+"="+string(at))
				if _, err := c.Inject(t.Context(), all[kind]); err == nil {
					_ = c.Revert(t.Context(), "i1")
				}
				l, err := faults.OpenLedger(dir)
				if err != nil {
					t.Fatal(err)
				}
				if left, _ := l.Standing(); len(left) == 0 {
					if at != faults.MidInject {
						t.Fatal("the guard was not killed there")
					}
					return // injected in one step
				}
				e := standing(t, dir)
				mend(t, dir)
				if err := traces(e); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
