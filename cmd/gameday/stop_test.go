package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gameday/conductor"
	"gameday/faults"
	"gameday/report"
)

// deafRun is a run that is listed and whose socket is there, and that answers nobody: as one that was stopped.
type deafRun struct {
	t      *testing.T
	folder string // beside its ledger
	conductor.Running
	out, errw bytes.Buffer
}

func newDeafRun(t *testing.T) *deafRun {
	t.Helper()
	r := &deafRun{t: t, folder: t.TempDir()}
	r.Running = conductor.Running{Run: "hung-0a1b2c", Scenario: "small", Dir: filepath.Join(r.folder, "rec"), At: time.Now()}
	t.Setenv(faults.LedgerVariable, r.ledger())
	if err := os.Mkdir(r.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(r.Dir, report.SocketFile))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	r.list()
	limit, patience := stopLimit, askPatience
	t.Cleanup(func() { stopLimit, askPatience = limit, patience })
	stopLimit, askPatience = 400*time.Millisecond, 100*time.Millisecond
	return r
}

func (r *deafRun) ledger() string { return filepath.Join(r.folder, "ledger") }

// list lists the run, with what a test has changed in it.
func (r *deafRun) list() {
	r.t.Helper()
	release, err := conductor.Register(conductor.RegistryDir(r.ledger()), r.Running)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(release)
}

// entry opens an entry of a run in a ledger, as a guard that lives holds it.
func (r *deafRun) entry(dir, run, fault string) *faults.Held {
	r.t.Helper()
	l, err := faults.OpenLedger(dir)
	if err != nil {
		r.t.Fatal(err)
	}
	h, err := l.Open(faults.Entry{ID: run + "-" + fault + "-1", Run: run, Fault: fault, Kind: "process_pause", Place: faults.Place{Name: "web"},
		Opened: time.Now()})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { h.Release() })
	return h
}

// stopAll calls `stop --all`, and checks its exit code and what it says.
func (r *deafRun) stopAll(code int, says ...string) {
	r.t.Helper()
	err := (&app{out: &r.out, errw: &r.errw}).stopAll("a test")
	got := 0
	if c := (*codeError)(nil); errors.As(err, &c) {
		got = c.code
	} else if err != nil {
		r.t.Fatal(err)
	}
	text := fmt.Sprintf("%s%s%v", r.out.String(), r.errw.String(), err)
	if got != code {
		r.t.Errorf("exit code %d, want %d", got, code)
	}
	for _, s := range says {
		if bare, not := strings.CutPrefix(s, "!"); not == strings.Contains(text, bare) {
			r.t.Errorf("it should say %q", s)
		}
	}
	if r.t.Failed() {
		r.t.Log(text)
	}
}

// TestStopAllCounts checks that what a run left is counted in its ledger when the run itself does not tell.
func TestStopAllCounts(t *testing.T) {
	t.Run("nothing stands", func(t *testing.T) {
		r := newDeafRun(t)
		r.entry(r.ledger(), "another-run", "cut")
		r.stopAll(0, "does not answer", "nothing of it stands", "!stopped hung-0a1b2c")
	})
	t.Run("in the ledger", func(t *testing.T) {
		r := newDeafRun(t)
		r.entry(r.ledger(), r.Run, "freeze")
		r.stopAll(exitResidue, "freeze (process_pause) on web", "does not answer", "gameday revert", "!nothing of it stands")
	})
	t.Run("in a lab", func(t *testing.T) {
		r := newDeafRun(t)
		r.entry(filepath.Join(r.Dir, "ledger"), r.Run, "freeze")
		r.stopAll(exitResidue, "freeze (process_pause) on web", "its lab goes with it")
	})
	t.Run("that cannot be read", func(t *testing.T) {
		r := newDeafRun(t)
		h := r.entry(r.ledger(), r.Run, "freeze")
		if err := os.WriteFile(filepath.Join(r.ledger(), h.Entry().ID+".json"), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		r.stopAll(exitResidue, h.Entry().ID, "cannot be read")
	})
	t.Run("a ledger that cannot be read", func(t *testing.T) {
		r := newDeafRun(t)
		if err := os.WriteFile(r.ledger(), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		r.stopAll(exitResidue, "cannot be told", "!nothing of it stands")
	})
	t.Run("until it is gone", func(t *testing.T) {
		r := newDeafRun(t)
		stopLimit = 20 * time.Second
		h := r.entry(r.ledger(), r.Run, "freeze")
		time.AfterFunc(300*time.Millisecond, func() { h.Close() })
		r.stopAll(0, "nothing of it stands")
	})
	t.Run("on hosts nobody knows", func(t *testing.T) {
		r := newDeafRun(t)
		r.Hosts = []string{"web-1"}
		r.list()
		r.stopAll(exitResidue, "gameday revert --host web-1", "!nothing of it stands")
	})
}

// TestStopAllWithoutHalt checks that runs are asked to stop, and what they left is counted, also where the halt cannot be
// written.
func TestStopAllWithoutHalt(t *testing.T) {
	r := newDeafRun(t)
	if err := os.Mkdir(faults.HaltFile(r.ledger()), 0o700); err != nil { // a halt cannot take its place
		t.Fatal(err)
	}
	r.stopAll(exitInconclusive, "hung-0a1b2c (small) does not answer", "new runs are not refused", "again")
	r.entry(r.ledger(), r.Run, "freeze")
	r.out.Reset()
	r.stopAll(exitResidue, "freeze (process_pause) on web", "new runs are not refused")
}

// TestHaltOfRoot checks that root's halt is the machine's, wherever root's own ledger is.
func TestHaltOfRoot(t *testing.T) {
	if !isRoot() {
		if os.Getenv("CI") != "" {
			t.Fatal("CI runs this as root")
		}
		t.Skip("only root stops the game days of all users")
	}
	r := newDeafRun(t)
	old := machineHalt
	t.Cleanup(func() { machineHalt = old })
	machineHalt = filepath.Join(t.TempDir(), "gameday", "halt")
	other := conductor.Running{Run: "other-3d4e5f", Scenario: "small", Dir: t.TempDir(), At: time.Now()}
	release, err := conductor.Register(filepath.Join(filepath.Dir(machineHalt), "running"), other)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	r.entry(filepath.Join(filepath.Dir(machineHalt), "ledger"), other.Run, "cut")
	r.stopAll(exitResidue, "cut (process_pause) on web, of run other-3d4e5f")
	for _, path := range []string{faults.HaltFile(r.ledger()), machineHalt} {
		if faults.Halted(path) == nil {
			t.Errorf("%s is not there", path)
		}
	}
	if err := (&app{out: &r.out, errw: &r.errw}).liftStop("done"); err != nil {
		t.Fatal(err)
	}
	if h := faults.Halted(faults.HaltFile(r.ledger()), machineHalt); h != nil {
		t.Errorf("a halt is left: %v", h)
	}
}
