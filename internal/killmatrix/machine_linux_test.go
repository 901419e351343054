package killmatrix

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/faults"
	"gameday/internal/vm"
)

// Machine is a whole machine that the matrix may do anything to: one with netem, whose clock may jump and whose power
// may be cut.
type Machine interface {
	// Begin runs this test binary there in a role. It ends when in is closed, or with the machine.
	Begin(role string, env ...string) (in io.WriteCloser, out io.Reader)
	// PowerCut takes the power away from everything at once, and returns when the machine has booted.
	PowerCut(ctx context.Context) error
}

// virtual is a Machine of package vm.
type virtual struct {
	*vm.Machine
	t *testing.T
}

// Folders in the machine. The disk outlives a power cut.
const (
	machineBinary = "/matrix/killmatrix.test"
	machineDisk   = "/disk"
)

// startMachine boots a machine with this very program on it, or skips the test.
func startMachine(t *testing.T) *virtual {
	t.Helper()
	m := &virtual{Machine: vm.Start(t, vm.Options{Memory: 1536, Disk: 512, SSH: true, Programs: []string{"ssh", "ssh-keygen"}}), t: t}
	m.install()
	return m
}

func (v *virtual) install() {
	self, err := os.Executable()
	if err == nil {
		err = v.Copy(v.t.Context(), self, machineBinary)
	}
	if err != nil {
		v.t.Fatal(err)
	}
}

// Begin runs the program in the machine, for at most an hour.
func (v *virtual) Begin(role string, env ...string) (io.WriteCloser, io.Reader) {
	inRead, inWrite := io.Pipe()
	outRead, outWrite := io.Pipe()
	go func() {
		ctx, cancel := context.WithTimeout(v.t.Context(), time.Hour)
		defer cancel()
		var said bytes.Buffer
		code, err := v.Exec(ctx, vm.Command{Args: []string{machineBinary},
			Env:   append([]string{roleVariable + "=" + role, vm.InsideVariable + "=1", "TMPDIR=" + machineDisk}, env...),
			Dir:   "/",
			Stdin: inRead, Stdout: outWrite, Stderr: &said})
		if err == nil && code != 0 {
			err = fmt.Errorf("%s in the machine ended with %d: %s", role, code, said.String())
		}
		inRead.Close()
		outWrite.CloseWithError(errors.Join(err, io.EOF))
	}()
	return inWrite, outRead
}

// PowerCut cuts the power and puts the program there again, which is not on the disk.
func (v *virtual) PowerCut(ctx context.Context) error {
	if err := v.Machine.PowerCut(ctx); err != nil {
		return err
	}
	v.install()
	return nil
}

// openOn opens a sandbox on a machine.
func openOn(m Machine) (*sandbox, error) {
	in, out := m.Begin(roleOutside)
	s := &sandbox{in: in, out: bufio.NewReader(out)}
	line, err := s.out.ReadString('\n')
	if err != nil || line != "ready\n" {
		in.Close()
		return nil, fmt.Errorf("the sandbox in the machine said %q: %w", line, err)
	}
	return s, nil
}

// lasting is what is told of a cell whose machine is about to lose its power.
type lasting struct {
	ID     string   // of the injection
	Ledger string   // folder
	Roots  []string // folders of the world
	Before []string // what the folders held before the fault
}

// awaitReboot tells the test that the injection is at its point, and stays there until the power goes.
func (e *experiment) awaitReboot(touched bool) error {
	note := lasting{ID: e.s.id, Ledger: e.w.ledgerDir(), Roots: []string{e.w.folder(), e.w.temp()}}
	for l := range strings.Lines(e.expected[0]) {
		if strings.HasPrefix(l, "file ") || strings.HasPrefix(l, "folder ") {
			note.Before = append(note.Before, strings.ReplaceAll(strings.TrimSpace(l), "SITE", e.w.dir))
		}
	}
	raw, err := json.Marshal(note)
	if err != nil {
		return err
	}
	r := e.Result
	switch r.Outcome, r.Why = Untouched, string(raw); {
	case touched && e.kind.Reversible:
		r.Outcome = ByItself
	case touched:
		r.Outcome = ByNature
	case e.Point == faults.MidRevert || e.Point == faults.BeforeClose:
		r.Outcome = Gone
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, errors.New("the power was not cut"))
}

// playAfter reads notes of cells and says for each what the reboot has left: nothing, or an entry that could be
// reverted.
func playAfter() error {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var note lasting
		if err := in.Decode(&note); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		entry, err := note.revert()
		r := Result{Entry: entry, Machine: true}
		if err != nil {
			r.Outcome, r.Why = Leaks, err.Error()
		}
		if err := out.Encode(r); err != nil {
			return err
		}
	}
}

// revert reverts what the ledger names, twice, and compares the folders.
func (n lasting) revert() (entry bool, err error) {
	ledger, err := faults.OpenLedger(n.Ledger)
	if err != nil {
		return false, err
	}
	for round := range 2 {
		results, err := faults.RevertOrphans(context.Background(), ledger, allKinds(), nil)
		if err != nil {
			return entry, err
		}
		for _, r := range results {
			if !r.Reverted || r.Err != nil || r.ID != n.ID || round > 0 {
				return entry, fmt.Errorf("revert %d: %s reverted %v: %w", round+1, r.ID, r.Reverted, r.Err)
			}
			entry = true
		}
	}
	if left, err := ledger.Standing(); err != nil || len(left) > 0 {
		return entry, fmt.Errorf("the ledger has %+v: %w", left, err)
	}
	after, err := listFiles(n.Roots...)
	if err != nil {
		return entry, err
	}
	slices.Sort(after)
	slices.Sort(n.Before)
	if !slices.Equal(after, n.Before) {
		return entry, fmt.Errorf("after the reboot:\n%s", difference(strings.Join(n.Before, "\n"), strings.Join(after, "\n")))
	}
	return entry, nil
}

// crowd is how many cells wait for one power cut together.
const crowd = 8

// rebootAll holds cells at their points, some at a time, cuts the power under them, and looks afterwards.
func rebootAll(t *testing.T, m Machine, cells []Cell) []Result {
	var results []Result
	for part := range slices.Chunk(cells, crowd) {
		held := map[int]Result{}
		for _, c := range part {
			s, err := openOn(m)
			if err != nil {
				t.Fatal(err)
			}
			r := s.run(c)
			for range 2 {
				if r.Outcome == Broken {
					r = s.run(c)
				}
			}
			r.Machine = true
			results = append(results, r)
			if r.Why != "" && !r.Outcome.Bad() {
				held[len(results)-1] = r
			} else {
				s.in.Close()
			}
		}
		if len(held) == 0 {
			continue
		}
		if err := m.PowerCut(t.Context()); err != nil {
			t.Fatal(err)
		}
		in, out := m.Begin(roleAfter)
		from := json.NewDecoder(out)
		for i, h := range held {
			var after Result
			if _, err := io.WriteString(in, h.Why+"\n"); err != nil {
				t.Fatal(err)
			}
			if err := from.Decode(&after); err != nil {
				t.Fatal(err)
			}
			if after.Cell = h.Cell; after.Outcome == "" {
				after.Outcome = h.Outcome
			}
			results[i] = after
		}
		in.Close()
	}
	for _, r := range results {
		report(t, r)
	}
	return results
}

// machineCells are those that need a machine: clocks that jump, power that is cut, and what the kernel here has no netem
// for.
func machineCells(names []string, notRun []Cell) (here, reboots []Cell) {
	here = notRun
	for _, c := range Cells(names, MachineVictims()) {
		if c.Victim == Reboot {
			reboots = append(reboots, c)
		} else {
			here = append(here, c)
		}
	}
	slices.SortStableFunc(here, func(a, b Cell) int { return strings.Compare(a.Kind, b.Kind) })
	return here, reboots
}

// machineRecord keeps what was seen in the machine, so that the page has it although not every run has a machine.
const machineRecord = "testdata/machine.json"

// record is what is kept.
type record struct {
	// Faults is what digestFaults said then. When it says otherwise now, the page says that the cells are older.
	Faults  string   `json:"faults"`
	Results []Result `json:"results"`
}

// digestFaults stands for the code that the matrix is about: all that is linked into a guard but tests.
func digestFaults() (string, error) {
	sum := sha256.New()
	root := filepath.FromSlash("../../faults")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		fmt.Fprintf(sum, "%s %d\n%s", filepath.ToSlash(path), len(text), text)
		return err
	})
	return hex.EncodeToString(sum.Sum(nil)[:8]), err
}

// withRecorded replaces what was not run by what an earlier run saw in a machine, and adds the victims that only that
// has. Old says that faults have changed since.
func withRecorded(t *testing.T, results []Result) (_ []Result, old bool) {
	r := readRecord(t)
	now, err := digestFaults()
	if err != nil {
		t.Fatal(err)
	}
	return merge(results, r.Results), r.Faults != now
}

func readRecord(t *testing.T) record {
	var r record
	text, err := os.ReadFile(machineRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return r
	}
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// writeRecord keeps what was seen and nothing else: neither what failed nor what an older run saw in its place.
func writeRecord(t *testing.T, seen []Result) {
	digest, err := digestFaults()
	if err != nil {
		t.Fatal(err)
	}
	seen = slices.DeleteFunc(slices.Clone(seen), func(r Result) bool { return r.Outcome.Bad() })
	text, err := json.MarshalIndent(record{digest, seen}, "", " ")
	if err == nil {
		err = errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(machineRecord, append(text, '\n'), 0o644))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// merge adds what a machine has seen, in the place of what was not run, or was run in a machine before.
func merge(results, more []Result) []Result {
	out := slices.Clone(results)
	for _, r := range more {
		i := slices.IndexFunc(out, func(o Result) bool { return o.Cell == r.Cell })
		switch {
		case i < 0:
			out = append(out, r)
		case out[i].Outcome == NotRun || out[i].Machine && r.Machine:
			out[i] = r
		}
	}
	return out
}

// onMachine runs in a virtual machine what was not run here, and the victims that only it can be.
func onMachine(t *testing.T, results []Result) []Result {
	m := startMachine(t)
	var notRun []Cell
	var names []string
	for _, r := range results {
		if r.Outcome == NotRun {
			notRun = append(notRun, r.Cell)
		}
		if !slices.Contains(names, r.Kind) {
			names = append(names, r.Kind)
		}
	}
	cells, reboots := machineCells(names, notRun)
	var clocks []Cell // alone: a clock that jumps under another cell would be a second experiment
	for _, c := range cells {
		if c.Victim == ClockBack || c.Victim == ClockOn {
			clocks = append(clocks, c)
		}
	}
	cells = slices.DeleteFunc(cells, func(c Cell) bool { return slices.Contains(clocks, c) })
	seen := runAll(t, openMany(t, m, *workers), cells)
	seen = append(seen, runAll(t, openMany(t, m, 1), clocks)...)
	seen = append(seen, rebootAll(t, m, reboots)...)
	for i := range seen {
		seen[i].Machine = true
	}
	if *update {
		writeRecord(t, seen)
	}
	return seen
}

func openMany(t *testing.T, m Machine, n int) []*sandbox {
	var all []*sandbox
	for range n {
		s, err := openOn(m)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}
