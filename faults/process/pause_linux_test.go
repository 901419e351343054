package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"gameday/faults"
)

// methods runs a test for each way to pause that this machine has.
func methods(t *testing.T, test func(t *testing.T, p Pause, only ...hierarchy)) {
	t.Run("signal", func(t *testing.T) { test(t, Pause{}) })
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprintf("freezer v%d", version), func(t *testing.T) {
			h, _ := freezer(t, version)
			test(t, Pause{Method: byFreezer}, h)
		})
	}
}

// TestPause pauses a process and lets it go on, each seen in the kernel's state, and leaves its cgroups as they were.
func TestPause(t *testing.T) {
	methods(t, func(t *testing.T, pause Pause, only ...hierarchy) {
		p := newPatient(t)
		child := p.forks("")
		before := cgroups(t, p.Process)
		x, err := prescribe(t, pause, p.Process, only...)
		if err != nil {
			t.Fatal(err)
		}
		if s := state(t, p.Process); s == "T" || cgroups(t, p.Process) != before {
			t.Fatalf("touched before the entry: state %s", s)
		}
		x.inject()
		e := x.proven()
		if want := fmt.Sprintf("pid %d stand still", p.PID); e.Summary != want {
			t.Errorf("effect %+v, want %q", e, want)
		}
		if s := state(t, p.Process); pause.Method == "" && s != "T" {
			t.Errorf("state %s", s)
		}
		rests(t, p.Process)
		runs(t, child)
		x.revert()
		runs(t, p.Process)
		if after := cgroups(t, p.Process); after != before {
			t.Errorf("cgroups before\n%safter\n%s", before, after)
		}
		if g := e.Details["cgroup"]; g != "" {
			if _, err := os.Stat(g); !os.IsNotExist(err) {
				t.Errorf("cgroup %s is left: %v", g, err)
			}
		}
	})
}

// TestPauseTree pauses a family, one of whom is born while the others are being stopped.
func TestPauseTree(t *testing.T) {
	methods(t, func(t *testing.T, pause Pause, only ...hierarchy) {
		pause.Tree = true
		p := newPatient(t)
		all := []faults.Process{p.Process, p.forks(""), p.forks("")}
		all = append(all, p.forks("down "))
		before := cgroups(t, p.Process)
		x, err := prescribe(t, pause, p.Process, only...)
		if err != nil {
			t.Fatal(err)
		}
		if got := x.listed(); len(got) != 4 || !same(got[0], all[0]) || !same(got[1], all[1]) || !same(got[2], all[2]) || !same(got[3], all[3]) {
			t.Fatalf("the ledger lists %+v, want %+v", got, all)
		}
		if len(only) == 0 {
			// The parent has its SIGSTOP, its first child has not: that one still has a child.
			x.reach = func(faults.Checkpoint) {
				x.reach = func(faults.Checkpoint) {}
				all = append(all, p.forksThrough(all[1]))
			}
		}
		x.inject()
		x.proven()
		for _, q := range all {
			if s := state(t, q); len(only) == 0 && s != "T" {
				t.Errorf("pid %d is in state %s", q.PID, s)
			}
		}
		rests(t, all...)
		if listed := x.listed(); len(listed) != len(all) {
			t.Errorf("the ledger lists %+v, want %+v", listed, all)
		}
		x.revert()
		for _, q := range all {
			runs(t, q)
			if after := cgroups(t, q); after != before {
				t.Errorf("cgroups before\n%safter\n%s", before, after)
			}
		}
	})
}

// forksThrough lets a child of the patient fork although the patient is stopped: the test writes to the child's own input.
func (p *patient) forksThrough(child faults.Process) faults.Process {
	p.t.Helper()
	in, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/0", child.PID), os.O_WRONLY, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	defer in.Close()
	patientIn := p.in
	p.in = in
	defer func() { p.in = patientIn }()
	return p.forks("")
}

// TestPauseForeign leaves alone what somebody else has stopped, traces or has frozen, and whatever belongs to it.
func TestPauseForeign(t *testing.T) {
	methods(t, func(t *testing.T, pause Pause, only ...hierarchy) {
		p := newPatient(t)
		child := p.forks("")
		refused := func(what string, pause Pause, of faults.Process) {
			t.Helper()
			if _, err := prescribe(t, pause, of, only...); !errors.Is(err, faults.ErrForeign) {
				t.Errorf("%s: %v", what, err)
			}
		}
		signalTo(t, child, syscall.SIGSTOP)
		until(t, "the child is stopped", func() bool { return state(t, child) == "T" })
		refused("stopped", pause, child)
		pause.Tree = true
		refused("a stopped child", pause, p.Process)
		pause.Tree = false
		if state(t, child) != "T" || state(t, p.Process) == "T" {
			t.Errorf("states %s, %s", state(t, child), state(t, p.Process))
		}
		signalTo(t, child, syscall.SIGCONT)
		p.hears("continued")

		release := seize(t, p.Process)
		refused("traced", pause, p.Process)
		release()

		for _, version := range []int{1, 2} {
			t.Run(fmt.Sprintf("frozen v%d", version), func(t *testing.T) {
				h, folder := freezer(t, version)
				home, err := h.folderOf(p.PID)
				if err != nil {
					t.Fatal(err)
				}
				moveTo(t, folder, p.Process)
				if err := setFrozen(version, folder, true); err != nil {
					t.Fatal(err)
				}
				until(t, "it is frozen", func() bool { return settledFrozen(version, folder) })
				refused("frozen", pause, p.Process)
				if !settledFrozen(version, folder) {
					t.Error("thawed")
				}
				if err := setFrozen(version, folder, false); err != nil {
					t.Fatal(err)
				}
				moveTo(t, home, p.Process)
			})
		}
	})
}

func signalTo(t *testing.T, p faults.Process, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(p.PID, s); err != nil {
		t.Fatal(err)
	}
}

// TestPauseStoppedMeanwhile lets somebody else stop the process between the entry and the signal: it is theirs, and the
// entry says so.
func TestPauseStoppedMeanwhile(t *testing.T) {
	p := newPatient(t)
	child := p.forks("")
	x, err := prescribe(t, Pause{Tree: true}, p.Process)
	if err != nil {
		t.Fatal(err)
	}
	signalTo(t, child, syscall.SIGSTOP)
	until(t, "the child is stopped", func() bool { return state(t, child) == "T" })
	if err := x.injection.Inject(x.ctx, 0); !errors.Is(err, faults.ErrForeign) {
		t.Errorf("injected: %v", err)
	}
	if l := x.listed(); len(l) != 1 || !same(l[0], p.Process) {
		t.Errorf("the ledger lists %+v", l)
	}
	x.revert()
	runs(t, p.Process)
	if s := state(t, child); s != "T" {
		t.Errorf("what somebody else stopped is in state %s", s)
	}
}

// TestPauseContinuedMeanwhile reports a process that somebody else let go on, and leaves it alone.
func TestPauseContinuedMeanwhile(t *testing.T) {
	p := newPatient(t)
	x, err := prescribe(t, Pause{}, p.Process)
	if err != nil {
		t.Fatal(err)
	}
	x.inject()
	x.proven()
	signalTo(t, p.Process, syscall.SIGCONT)
	p.hears("continued")
	if _, err := x.injection.(faults.Watcher).Watch(x.ctx); !errors.Is(err, faults.ErrLapsed) || !strings.Contains(err.Error(), "somebody else continued") {
		t.Errorf("watched: %v", err)
	}
	x.revert()
	p.tell("ping")
	p.hears("pong") // and not "continued" again
}

// TestPauseKilled kills a process while it is paused: that is told, and reverting succeeds.
func TestPauseKilled(t *testing.T) {
	methods(t, func(t *testing.T, pause Pause, only ...hierarchy) {
		p := newPatient(t)
		x, err := prescribe(t, pause, p.Process, only...)
		if err != nil {
			t.Fatal(err)
		}
		x.inject()
		e := x.proven()
		ctx, cancel := context.WithCancel(x.ctx)
		cancel()
		if _, err := x.injection.(faults.Watcher).Watch(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("watched while it is paused: %v", err)
		}
		signalTo(t, p.Process, syscall.SIGKILL)
		if _, err := x.injection.(faults.Watcher).Watch(x.ctx); !errors.Is(err, faults.ErrLapsed) || !strings.Contains(err.Error(), fmt.Sprintf("pid %d", p.PID)) {
			t.Errorf("watched: %v", err)
		}
		x.revert()
		if g := e.Details["cgroup"]; g != "" {
			if _, err := os.Stat(g); !os.IsNotExist(err) {
				t.Errorf("cgroup %s is left: %v", g, err)
			}
		}
		until(t, "it is gone", func() bool { return !Alive(p.Process) })
	})
}

// TestPauseRecycled never signals a process that has the pid of one of ours, nor injects into one.
func TestPauseRecycled(t *testing.T) {
	methods(t, func(t *testing.T, pause Pause, only ...hierarchy) {
		p := newPatient(t)
		forged := p.Process
		forged.Start--
		if _, err := prescribe(t, pause, forged, only...); err == nil || !strings.Contains(err.Error(), "nothing was touched") {
			t.Errorf("undo: %v", err)
		}
		x, err := prescribe(t, pause, p.Process, only...)
		if err != nil {
			t.Fatal(err)
		}
		switch i := x.injection.(type) { // it was replaced between the entry and the signal
		case *stopping:
			i.undo.Processes = []faults.Process{forged}
		case *freezing:
			i.root = forged
		}
		if err := x.injection.Inject(x.ctx, 0); err == nil || !strings.Contains(err.Error(), "nothing was touched") {
			t.Errorf("inject: %v", err)
		}
		runs(t, p.Process)
	})
	p := newPatient(t)
	forged := p.Process
	forged.Start--
	signalTo(t, p.Process, syscall.SIGSTOP)
	until(t, "it is stopped", func() bool { return state(t, p.Process) == "T" })
	raw, _ := json.Marshal(pauseUndo{Method: bySignal, Processes: []faults.Process{forged}})
	x := &treatment{t: t, ctx: t.Context(), entry: faults.Entry{Kind: "process_pause", Undo: raw}}
	x.revert()
	if s := state(t, p.Process); s != "T" {
		t.Errorf("another process of that pid was continued: state %s", s)
	}
}

// TestPauseVanished injects into a process that ended after it was resolved, or after the entry was written.
func TestPauseVanished(t *testing.T) {
	methods(t, func(t *testing.T, pause Pause, only ...hierarchy) {
		p := newPatient(t)
		x, err := prescribe(t, pause, p.Process, only...)
		if err != nil {
			t.Fatal(err)
		}
		signalTo(t, p.Process, syscall.SIGKILL)
		until(t, "it is gone", func() bool { return !Alive(p.Process) })
		if err := x.injection.Inject(x.ctx, 0); err == nil || !strings.Contains(err.Error(), "nothing was touched") {
			t.Errorf("inject: %v", err)
		}
		x.revert()
		if _, err := prescribe(t, pause, p.Process, only...); err == nil || !strings.Contains(err.Error(), "nothing was touched") {
			t.Errorf("undo: %v", err)
		}
	})
}

// TestPauseHalf reverts a pause that was given up half-way.
func TestPauseHalf(t *testing.T) {
	methods(t, func(t *testing.T, pause Pause, only ...hierarchy) {
		pause.Tree = true
		p := newPatient(t)
		child := p.forks("")
		before := cgroups(t, p.Process)
		x, err := prescribe(t, pause, p.Process, only...)
		if err != nil {
			t.Fatal(err)
		}
		type halt struct{}
		reached := 0
		x.reach = func(at faults.Checkpoint) {
			if at == faults.MidInject {
				reached++
				panic(halt{})
			}
		}
		func() {
			defer func() { _ = recover() }()
			_ = x.injection.Inject(x.ctx, 0)
		}()
		if reached != 1 {
			t.Fatalf("reached mid_inject %d times", reached)
		}
		x.reach = func(at faults.Checkpoint) {
			if at == faults.MidRevert {
				reached++
			}
		}
		x.revert()
		if reached < 2 {
			t.Error("never reached mid_revert")
		}
		for _, q := range []faults.Process{p.Process, child} {
			runs(t, q)
			if after := cgroups(t, q); after != before {
				t.Errorf("cgroups before\n%safter\n%s", before, after)
			}
		}
	})
}
