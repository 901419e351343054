package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/faults"
	"gameday/faults/guard"
)

// guardFor starts a guard that knows only pauses.
func guardFor(t *testing.T) (*guard.Client, *faults.Ledger, context.CancelFunc, <-chan error) {
	t.Helper()
	l, err := faults.OpenLedger(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	inRead, inWrite := io.Pipe()
	outRead, outWrite := io.Pipe()
	served := make(chan error, 1)
	go func() {
		err := guard.Serve(ctx, inRead, outWrite, guard.Options{Kinds: []faults.Kind{PauseKind()}, Ledger: l, Version: "test"})
		inRead.Close()
		outWrite.Close()
		served <- err
	}()
	t.Cleanup(cancel)
	return guard.Connect(inWrite, outRead), l, cancel, served
}

func request(p faults.Process, pause Pause) guard.InjectRequest {
	config, _ := json.Marshal(pause)
	return guard.InjectRequest{ID: "run-pause-1", Run: fmt.Sprintf("run-%d", os.Getpid()), Fault: "pause", Kind: "process_pause", Config: config,
		Place: faults.Place{Name: "payments", Process: &p}, Lease: 5 * time.Second, Deadline: time.Minute}
}

// TestGuardHoldsPause has the whole way through a guard: the entry on disk before a newcomer is stopped, the effect, what
// the ledger says while it stands, and the end at the client's end.
func TestGuardHoldsPause(t *testing.T) {
	p := newPatient(t)
	child := p.forks("")
	c, l, _, served := guardFor(t)
	if err := c.Check(t.Context(), request(p.Process, Pause{Tree: true})); err != nil {
		t.Fatal(err)
	}
	in, err := c.Inject(t.Context(), request(p.Process, Pause{Tree: true}))
	if err != nil || !in.Effect.Proven {
		t.Fatalf("%+v, %v", in, err)
	}
	standing, err := l.Standing()
	if err != nil || len(standing) != 1 || !strings.Contains(string(standing[0].Entry.Undo), p.Exe) {
		t.Errorf("the ledger has %+v, %v", standing, err)
	}
	if s := []string{state(t, p.Process), state(t, child)}; !slices.Equal(s, []string{"T", "T"}) {
		t.Errorf("states %q", s)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	runs(t, p.Process)
	runs(t, child)
	if left, _ := filepath.Glob(filepath.Join(l.Dir(), "*")); len(left) > 0 {
		t.Errorf("the ledger still has %q", left)
	}
}

// TestGuardTellsOfVanished reports a process that was killed while it was paused, once, and closes its entry.
func TestGuardTellsOfVanished(t *testing.T) {
	methods(t, func(t *testing.T, pause Pause, _ ...hierarchy) {
		p := newPatient(t)
		c, l, _, _ := guardFor(t)
		defer c.Close(t.Context())
		if _, err := c.Inject(t.Context(), request(p.Process, pause)); err != nil {
			t.Fatal(err)
		}
		signalTo(t, p.Process, syscall.SIGKILL)
		e := <-c.Events()
		if e.Type != guard.EventLapsed || !strings.Contains(e.Why, "while it was paused") {
			t.Errorf("event %+v", e)
		}
		if standing, err := l.Standing(); err != nil || len(standing) != 0 {
			t.Errorf("the ledger still has %+v, %v", standing, err)
		}
		refused, err := c.Renew(t.Context(), time.Second, "run-pause-1")
		if err != nil || !errors.Is(refused["run-pause-1"], guard.ErrUnknown) {
			t.Errorf("renewed: %v, %v", refused, err)
		}
	})
}

// TestOrphanedPause is what is left when guard and controller are both killed: the process stands still, the ledger names
// it, and reverting orphans lets it go on.
func TestOrphanedPause(t *testing.T) {
	methods(t, func(t *testing.T, pause Pause, only ...hierarchy) {
		p := newPatient(t)
		x, err := prescribe(t, pause, p.Process, only...)
		if err != nil {
			t.Fatal(err)
		}
		l, err := faults.OpenLedger(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		held, err := l.Open(x.entry)
		if err != nil {
			t.Fatal(err)
		}
		x.inject()
		x.proven()
		if err := held.Release(); err != nil { // as the kernel does for a guard that was killed
			t.Fatal(err)
		}
		rests(t, p.Process)
		standing, err := l.Standing()
		if err != nil || len(standing) != 1 || !standing[0].Orphaned || !strings.Contains(string(standing[0].Entry.Undo), p.Command) {
			t.Errorf("the ledger has %+v, %v", standing, err)
		}
		results, err := faults.RevertOrphans(t.Context(), l, []faults.Kind{PauseKind()}, nil)
		if err != nil || len(results) != 1 || !results[0].Reverted || results[0].Err != nil {
			t.Errorf("reverted %+v, %v", results, err)
		}
		runs(t, p.Process)
		if left, err := os.ReadDir(l.Dir()); err != nil || len(left) > 0 {
			t.Errorf("the ledger still has %v, %v", left, err)
		}
	})
}
