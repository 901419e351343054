package guard_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"gameday/faults"
	"gameday/faults/guard"
	"gameday/internal/scriptrig"
)

// duel is two game days on one machine: two guards in two processes, one ledger.
type duel struct {
	t      *testing.T
	marks  string
	ledger string
}

func newDuel(t *testing.T) *duel {
	return &duel{t: t, marks: t.TempDir(), ledger: filepath.Join(t.TempDir(), "ledger")}
}

func (d *duel) guard() *guard.Client {
	d.t.Helper()
	c, err := guard.Start(d.t.Context(), guardAs(d.t, "guard", "--ledger", d.ledger))
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// ask is the request of a run for the n-th process.
func (d *duel) ask(run string, n int) guard.InjectRequest {
	r := askMarker(d.marks, fmt.Sprintf("%s-mark-%d", run, n), `{}`)
	r.Run, r.Scenario = run, "day-of-"+run
	r.Place.Process = &faults.Process{PID: 1000 + n, Start: 1}
	return r
}

// wantMarks compares what stands, by its marks and by the ledger.
func (d *duel) wantMarks(want ...string) {
	d.t.Helper()
	var files []string
	for _, dir := range []string{d.marks, d.ledger} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			d.t.Fatal(err)
		}
		files = files[:0]
		for _, e := range entries {
			files = append(files, strings.TrimSuffix(e.Name(), ".json"))
		}
		if strings.Join(files, " ") != strings.Join(want, " ") {
			d.t.Errorf("in %s stand %v, want %v", dir, files, want)
		}
	}
}

// TestTwoGameDays lets two runs share a machine: each sees the other's faults, and is refused the places that they hold.
func TestTwoGameDays(t *testing.T) {
	d := newDuel(t)
	first, second := d.guard(), d.guard()
	inject := func(c *guard.Client, r guard.InjectRequest) error {
		_, err := c.Inject(t.Context(), r)
		return err
	}
	for n, c := range map[int]*guard.Client{1: first, 2: second} {
		if err := inject(c, d.ask([]string{"", "a", "b"}[n], n)); err != nil {
			t.Fatalf("apart from each other: %v", err)
		}
	}
	err := inject(second, d.ask("b", 1))
	if !errors.Is(err, faults.ErrForeign) {
		t.Errorf("the second on the first's place: %v", err)
	}
	for _, name := range []string{"run a ", "scenario day-of-a", "fault mark (marker)", d.marks, "the same process (pid 1001)", "wait for that game day"} {
		if !strings.Contains(fmt.Sprint(err), name) {
			t.Errorf("the refusal does not name %q: %v", name, err)
		}
	}
	d.wantMarks("a-mark-1", "b-mark-2")
	// A run may do twice to a place what it likes.
	twice := d.ask("a", 1)
	twice.ID = "a-more-1"
	if err := inject(first, twice); err != nil {
		t.Errorf("the first on its own place: %v", err)
	}
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := inject(second, d.ask("b", 1)); err != nil {
		t.Errorf("when the first is over: %v", err)
	}
	d.wantMarks("b-mark-1", "b-mark-2")
}

// TestOrphanInTheWay refuses a place on which a dead guard left a fault, and says how to get it back.
func TestOrphanInTheWay(t *testing.T) {
	d := newDuel(t)
	dead, c := d.guard(), d.guard()
	if _, err := dead.Inject(t.Context(), d.ask("a", 1)); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(dead.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-dead.Ended()
	_, err := c.Inject(t.Context(), d.ask("b", 1))
	if !errors.Is(err, faults.ErrForeign) || !strings.Contains(err.Error(), "`gameday revert`") {
		t.Errorf("%v", err)
	}
	d.wantMarks("a-mark-1")
	l, err := faults.OpenLedger(d.ledger)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := faults.RevertOrphans(t.Context(), l, []faults.Kind{marker()}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Inject(t.Context(), d.ask("b", 1)); err != nil {
		t.Errorf("after the revert: %v", err)
	}
}

// TestRaceForAPlace lets two guards reach for the same places at the same time, many times: never do both get one.
func TestRaceForAPlace(t *testing.T) {
	d := newDuel(t)
	guards := map[string]*guard.Client{"a": d.guard(), "b": d.guard()}
	const rounds = 40
	var mu sync.Mutex
	won := map[string]int{}
	for n := range rounds {
		var wg sync.WaitGroup
		got := 0
		for run, c := range guards {
			wg.Go(func() {
				_, err := c.Inject(t.Context(), d.ask(run, n))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					got++
					won[run]++
				case !errors.Is(err, faults.ErrForeign):
					t.Error(err)
				}
			})
		}
		if wg.Wait(); got > 1 {
			t.Errorf("round %d: both runs have process %d", n, 1000+n)
		}
	}
	t.Logf("of %d places: %v", rounds, won)
	for _, c := range guards {
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	d.wantMarks()
}

// TestReadOnlyLedger refuses injections while the ledger cannot be written, and loses nothing that stands.
func TestReadOnlyLedger(t *testing.T) {
	if os.Geteuid() == 0 && os.Getenv(readOnlyVariable) == "" {
		asNobody(t)
		return
	}
	d := newDuel(t)
	c := d.guard()
	if _, err := c.Inject(t.Context(), d.ask("a", 1)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(d.ledger, 0o500); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Inject(t.Context(), d.ask("a", 2)); !strings.Contains(fmt.Sprint(err), "opening ledger entry a-mark-2") ||
		!strings.Contains(fmt.Sprint(err), "permission denied") {
		t.Errorf("injecting without a ledger: %v", err)
	}
	d.wantMarks("a-mark-1")
	// What stands is reverted, but its entry cannot be closed: that must be said, and the entry kept.
	if err := c.Revert(t.Context(), "a-mark-1"); !errors.Is(err, guard.ErrResidue) {
		t.Errorf("reverting: %v", err)
	}
	if left, err := os.ReadDir(d.marks); err != nil || len(left) != 0 {
		t.Errorf("the fault itself still stands: %v, %v", left, err)
	}
	if err := os.Chmod(d.ledger, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Errorf("the end, with a ledger again: %v", err)
	}
	d.wantMarks()
}

// readOnlyVariable says that the test binary has given up root, to whom no folder is read-only.
const readOnlyVariable = "GAMEDAY_GUARD_TEST_NOBODY"

// asNobody runs the calling test again as a user without powers, in a folder of its own.
func asNobody(t *testing.T) {
	const nobody = 65534
	dir, err := os.MkdirTemp("", "gameday-nobody-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "test")
	data, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	scriptrig.Write(t, program, string(data))
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	cmd := guardAs(t, "")
	cmd.Path, cmd.Args = program, []string{program, "-test.run=^" + t.Name() + "$"}
	cmd.Dir, cmd.Env = dir, append(os.Environ(), readOnlyVariable+"=1", "TMPDIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS") {
		t.Errorf("%v\n%s", err, out)
	}
}
