package killmatrix

import (
	"fmt"
	"slices"
	"time"

	"gameday/faults"
)

// Lease is how long a fault of the matrix may stand without being renewed. It is short, so that the whole matrix ends
// within minutes; nothing depends on its length.
const Lease = time.Second

// Bounds that every cell is held to.
const (
	// GuardBound is how long a guard that sees end of file may take until nothing is left.
	GuardBound = time.Second
	// LeaseBound is how long a fault that lapses in the kernel may stand when every process of ours is dead, and any
	// fault when its conductor hangs.
	LeaseBound = Lease + time.Second
)

// Victim is what the matrix strikes while an injection is at a checkpoint.
type Victim string

// The victims.
const (
	Conductor Victim = "conductor" // SIGKILL
	Guard     Victim = "guard"     // SIGKILL
	Both      Victim = "both"      // SIGKILL to the conductor and the guard
	Group     Victim = "group"     // SIGKILL to conductor, guard, and every process of their sessions or their offspring
	Target    Victim = "target"    // the target's process, or the last process of its namespace
	Hung      Victim = "hung"      // SIGSTOP to the conductor
	Cut       Victim = "cut"       // the connection by which the conductor reaches the guard: nothing arrives, nobody is told
	DiskFull  Victim = "disk_full" // not a byte is left on the ledger's disk
	ReadOnly  Victim = "read_only" // the ledger's folder cannot be written
	Reboot    Victim = "reboot"    // the whole machine, in a virtual one only
	ClockBack Victim = "clock-1h"  // the wall clock goes back an hour, in a virtual machine only
	ClockOn   Victim = "clock+1h"  // the wall clock goes on an hour, in a virtual machine only
)

// Victims lists those that can be struck on any machine, in the order of the page.
func Victims() []Victim {
	return []Victim{Conductor, Guard, Both, Group, Target, Hung, Cut, DiskFull, ReadOnly}
}

// MachineVictims lists those that need a machine of their own.
func MachineVictims() []Victim { return []Victim{Reboot, ClockBack, ClockOn} }

// GuardLives reports whether the guard, and with it the one that reverts, is left alive.
func (v Victim) GuardLives() bool { return !slices.Contains([]Victim{Guard, Both, Group, Reboot}, v) }

// Cell is one experiment.
type Cell struct {
	Kind   string            `json:"kind"`
	Point  faults.Checkpoint `json:"point"`
	Victim Victim            `json:"victim"`
}

// String returns "network_partition/standing/guard".
func (c Cell) String() string { return fmt.Sprintf("%s/%s/%s", c.Kind, c.Point, c.Victim) }

// Outcome is what became of a cell.
type Outcome string

// The outcomes, the good ones first.
const (
	Atomic    Outcome = "atomic"    // the kind's work is one step: there is no such point
	Refused   Outcome = "refused"   // the guard did not inject it, and said why
	Untouched Outcome = "untouched" // the fault never had an effect
	Gone      Outcome = "gone"      // the effect was over already
	ByGuard   Outcome = "guard"     // the guard reverted it, told or not
	ByKernel  Outcome = "lease"     // the kernel let go of it when the lease was over
	ByItself  Outcome = "itself"    // it ended with the processes that were killed, or by its own nature
	ByRevert  Outcome = "revert"    // it stood, the ledger named it, and gameday revert removed it
	ByNature  Outcome = "kept"      // it cannot be undone by its nature
	NotRun    Outcome = "not run"   // what the cell needs is not here
	Late      Outcome = "LATE"      // it was undone, but not within its bound
	Leaks     Outcome = "LEAKS"     // something is left, or something foreign was touched
	Broken    Outcome = "BROKEN"    // the experiment itself failed
)

// Bad reports whether a cell with the outcome fails the matrix.
func (o Outcome) Bad() bool { return o == Late || o == Leaks || o == Broken || o == "" }

// Result is what was seen in one cell.
type Result struct {
	Cell
	Outcome Outcome `json:"outcome"`
	// Clean is how long after the strike, or after the guard was told to revert, the effect was gone. It is 0 when there
	// was none.
	Clean time.Duration `json:"clean"`
	// Spotless is how long after that instant all was as before, with the ledger empty. It is 0 when that took a revert.
	Spotless time.Duration `json:"spotless"`
	// Machine says that the cell was run in a virtual machine.
	Machine bool `json:"machine,omitempty"`
	// Entry says that the ledger named an orphan afterwards, which gameday revert closed.
	Entry bool `json:"entry,omitempty"`
	// Why is the evidence: of a bad outcome, or why the cell was not run.
	Why string `json:"why,omitempty"`
}

// text is the cell as the page shows it. Times are in classes, so that another run of the matrix hardly changes it.
func (r Result) text() string {
	switch {
	case r.Outcome == Atomic || r.Outcome == NotRun || r.Outcome.Bad():
		return string(r.Outcome)
	case r.Outcome == ByRevert:
		return string(r.Outcome) + r.place()
	case r.Victim == Reboot || slices.Contains([]Outcome{Refused, Untouched, Gone, ByNature}, r.Outcome):
		return string(r.Outcome) + r.mark()
	}
	return fmt.Sprintf("%s, %s%s", r.Outcome, class(r.Clean), r.mark())
}

// mark tells that an entry had to be closed.
func (r Result) mark() string {
	if r.Entry {
		return " ¹" + r.place()
	}
	return r.place()
}

// place tells that the cell was run elsewhere.
func (r Result) place() string {
	if r.Machine {
		return " ²"
	}
	return ""
}

// class rounds a time to one of few.
func class(d time.Duration) string {
	switch {
	case d < 100*time.Millisecond:
		return "< 100 ms"
	case d < time.Second:
		return "< 1 s"
	case d <= LeaseBound:
		return "< lease + 1 s"
	}
	return "> lease + 1 s"
}

// Cells lists every cell of the kinds, in order.
func Cells(kinds []string, victims []Victim) []Cell {
	var all []Cell
	for _, k := range kinds {
		for _, p := range faults.Checkpoints() {
			for _, v := range victims {
				all = append(all, Cell{Kind: k, Point: p, Victim: v})
			}
		}
	}
	return all
}

// Diagonal picks few cells that meet every kind, every point and every victim: each kind gets up to limit points, each
// with a victim that moves on from point to point and from kind to kind.
func Diagonal(kinds []string, victims []Victim, limit int) []Cell {
	var all []Cell
	points := faults.Checkpoints()
	for i, k := range kinds {
		for j := range min(limit, len(points)) {
			p := points[(i*limit+j)%len(points)]
			all = append(all, Cell{Kind: k, Point: p, Victim: victims[(i*limit+j+(i*limit+j)/len(points))%len(victims)]})
		}
	}
	return all
}
