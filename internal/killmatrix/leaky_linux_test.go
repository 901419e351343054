package killmatrix

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"gameday/faults"
)

// flaw is what is wrong with a kind that is made to prove that the matrix notices.
type flaw string

const (
	flawless     flaw = "matrix_flawless"      // nothing: it proves that the harness does not cry wolf
	forgetful    flaw = "matrix_forgetful"     // can revert only in the process that injected
	careless     flaw = "matrix_careless"      // reverts half of it and says that all is well
	hopeless     flaw = "matrix_hopeless"      // reverts, and says that it could not
	greedy       flaw = "matrix_greedy"        // removes somebody else's file too
	onceOnly     flaw = "matrix_once_only"     // fails when there is nothing to revert
	parent       flaw = "matrix_parent"        // leaves a process behind
	falseLease   flaw = "matrix_false_lease"   // says that the kernel lets go of it, which it does not
	slow         flaw = "matrix_slow"          // takes longer to revert than the bound
	absentMinded flaw = "matrix_absent_minded" // writes an undo from which nothing can be reverted
)

func flaws() []flaw {
	return []flaw{flawless, forgetful, careless, hopeless, greedy, onceOnly, parent, falseLease, slow, absentMinded}
}

// leakyKinds are faults that put two files into a folder, each with a flaw of its own.
func leakyKinds() []faults.Kind {
	var all []faults.Kind
	for _, f := range flaws() {
		needs := faults.NeedMachine
		if f == falseLease {
			needs = faults.NeedNetwork // the kinds that must lapse
		}
		all = append(all, faults.Kind{Name: string(f), Summary: "two files in a folder", Needs: needs,
			Undoing: "as it pleases", Reversible: true,
			New:    func() faults.Config { return &litter{flaw: f} },
			Revert: func(ctx context.Context, e faults.Entry) error { return f.revert(ctx, e) }})
	}
	return all
}

func leakyFixtures() map[string]fixture {
	all := map[string]fixture{}
	for _, f := range flaws() {
		all[string(f)] = fixture{build: litterWorld}
	}
	return all
}

func litterWorld(w *world) error {
	raw, err := json.Marshal(litter{Dir: w.folder()})
	if err != nil {
		return err
	}
	w.config = string(raw)
	w.touched = func() (bool, string) {
		_, err := os.Lstat(filepath.Join(w.folder(), "first"))
		return err == nil, fmt.Sprint("the first file: ", err)
	}
	if _, err := idleTarget(w); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(w.folder(), "neighbour"), []byte("somebody else's"), 0o644)
}

// litter is both Config and Injection.
type litter struct {
	Dir  string `json:"dir"`
	flaw flaw
}

func (l *litter) Validate() error { return nil }
func (l *litter) Bind(faults.Place) (faults.Injection, error) {
	if l.flaw == falseLease {
		return &leasedLitter{litter: l}, nil
	}
	return l, nil
}

// leasedLitter claims that its files vanish by themselves.
type leasedLitter struct{ *litter }

// Renew does nothing.
func (*leasedLitter) Renew(context.Context, time.Duration) error { return nil }

func (l *litter) Undo(context.Context) (json.RawMessage, error) {
	if l.flaw == absentMinded {
		return json.RawMessage(`{"dir":"/nowhere"}`), nil
	}
	return json.Marshal(l)
}

// injectedHere is what a forgetful kind remembers.
var injectedHere bool

func (l *litter) Inject(ctx context.Context, _ time.Duration) error {
	injectedHere = true
	if l.flaw == parent {
		cmd := as(roleLeftover)
		cmd.Stderr, cmd.SysProcAttr = nil, &syscall.SysProcAttr{Setsid: true}
		if err := startLeftover(cmd); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(l.Dir, "first"), nil, 0o644); err != nil {
		return err
	}
	faults.Reach(ctx, faults.MidInject)
	return os.WriteFile(filepath.Join(l.Dir, "second"), nil, 0o644)
}

// startLeftover starts a process that lives until its sandbox ends.
func startLeftover(cmd *exec.Cmd) error {
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.Stdin, cmd.ExtraFiles = read, []*os.File{write} // it keeps its own input open
	return errors.Join(cmd.Start(), read.Close(), write.Close())
}

func (l *litter) Effect(context.Context) (faults.Effect, error) {
	return faults.Effect{Proven: true, Summary: "litter"}, nil
}

func (f flaw) revert(ctx context.Context, e faults.Entry) error {
	var l litter
	if err := json.Unmarshal(e.Undo, &l); err != nil {
		return err
	}
	names := []string{"second", "first"}
	switch f {
	case forgetful:
		if !injectedHere {
			return nil
		}
	case careless:
		names = []string{"first"}
	case greedy:
		names = append(names, "neighbour")
	case slow:
		<-time.After(GuardBound + GuardBound/2)
	}
	for i, name := range names {
		if i == 1 {
			faults.Reach(ctx, faults.MidRevert)
		}
		err := os.Remove(filepath.Join(l.Dir, name))
		if err != nil && (f == onceOnly || !errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	if f == hopeless {
		return errors.New("it says that it could not")
	}
	return nil
}

// TestLeaksAreNoticed strikes kinds with a flaw where the flaw shows. The matrix is worth nothing if one passes.
func TestLeaksAreNoticed(t *testing.T) {
	if testing.Short() {
		t.Skip("it strikes real processes")
	}
	t.Parallel()
	s := needSandbox(t)
	for _, c := range []struct {
		flaw   flaw
		point  faults.Checkpoint
		victim Victim
		want   []Outcome
	}{
		{flawless, faults.Stands, Guard, []Outcome{ByRevert}},
		{flawless, faults.MidInject, Both, []Outcome{ByRevert}},
		{flawless, faults.MidRevert, Conductor, []Outcome{ByGuard}},
		{flawless, faults.BeforeClose, ReadOnly, []Outcome{ByGuard}},
		{flawless, faults.BeforeEntry, DiskFull, []Outcome{Refused}},
		{flawless, faults.BeforeEntry, Guard, []Outcome{Untouched}},
		{flawless, faults.Stands, Hung, []Outcome{ByGuard}},
		{flawless, faults.Stands, Target, []Outcome{ByGuard}},
		{forgetful, faults.Stands, Guard, []Outcome{Leaks}},
		{careless, faults.Stands, Conductor, []Outcome{Leaks}},
		{careless, faults.MidInject, Both, []Outcome{ByRevert}}, // what it forgets is not there yet
		{careless, faults.Stands, Group, []Outcome{Leaks}},
		{hopeless, faults.Stands, Conductor, []Outcome{Leaks}},
		{hopeless, faults.AfterEntry, Guard, []Outcome{Leaks}},
		{greedy, faults.Stands, Hung, []Outcome{Leaks}},
		{flawless, faults.Stands, Cut, []Outcome{ByGuard, NotRun}}, // without root there is no sshd
		{greedy, faults.Stands, Cut, []Outcome{Leaks, NotRun}},
		{greedy, faults.BeforeClose, Guard, []Outcome{Leaks}},
		{onceOnly, faults.Stands, Guard, []Outcome{Leaks}},
		{parent, faults.Stands, Both, []Outcome{Leaks}},
		{parent, faults.Stands, Group, []Outcome{ByRevert}}, // its child is struck as well
		{falseLease, faults.Stands, Both, []Outcome{Leaks, Late}},
		{slow, faults.Stands, Conductor, []Outcome{Late}},
		{absentMinded, faults.Stands, Guard, []Outcome{Leaks}},
	} {
		r := s.run(Cell{Kind: string(c.flaw), Point: c.point, Victim: c.victim})
		t.Logf("%s: %s, clean %v, spotless %v, entry %v %s", r.Cell, r.Outcome, r.Clean, r.Spotless, r.Entry, r.Why)
		if !slices.Contains(c.want, r.Outcome) {
			t.Errorf("%s is %s, want %v", r.Cell, r.Outcome, c.want)
		}
	}
}
