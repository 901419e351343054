package stress

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"gameday/faults"
)

// maxLeave bounds the descriptors and ports that a load may leave: more is no exhaustion.
const maxLeave = 1 << 20

// FDKind returns fd_exhaustion: one process gets no more file descriptors.
func FDKind() faults.Kind {
	return faults.Kind{
		Name:       "fd_exhaustion",
		Summary:    "let a process open no more files and sockets",
		Needs:      faults.NeedProcess,
		Undoing:    "its soft limit is set back, by a worker too when the guard dies or the lease runs out",
		Reversible: true,
		New:        func() faults.Config { return &FD{} },
		Revert:     revertLimit,
	}
}

// FD holds the parameters of fd_exhaustion.
type FD struct {
	// Leave is how many more descriptors the process may open.
	Leave int `hcl:"leave,optional" json:"leave,omitempty"`
}

// Validate checks the range.
func (f *FD) Validate() error { return numberField("leave", f.Leave, 0, maxLeave) }

// Bind returns the exhaustion of the place's process.
func (f *FD) Bind(p faults.Place) (faults.Injection, error) {
	if err := f.Validate(); err != nil {
		return nil, err
	}
	switch {
	case p.Process == nil:
		return nil, fmt.Errorf("fd_exhaustion needs a process, and %s is none: use a process target", p.Name)
	case p.Process.PID <= 1 || p.Process.Start == 0:
		return nil, fmt.Errorf("fd_exhaustion on %s: pid %d with start %d does not name one process",
			p.Name, p.Process.PID, p.Process.Start)
	case p.Process.PID == os.Getpid():
		return nil, fmt.Errorf("fd_exhaustion on %s: pid %d is the guard itself", p.Name, p.Process.PID)
	}
	return limitPlan{process: *p.Process, leave: f.Leave}.bind()
}

// Preview returns "pid 4127 may open no more descriptors".
func (f *FD) Preview(p faults.Place) string {
	who := "the process"
	if p.Process != nil {
		who = fmt.Sprintf("pid %d", p.Process.PID)
	}
	if f.Leave == 0 {
		return who + " may open no more descriptors"
	}
	return fmt.Sprintf("%s may open %s more", who, plural(f.Leave, "descriptor"))
}

// limitPlan is an exhaustion computed without a machine.
type limitPlan struct {
	process faults.Process
	leave   int
}

// limitJob is a worker's part: it sets the soft limit, and sets it back at its end.
type limitJob struct {
	Process faults.Process `json:"process"`
	Soft    uint64         `json:"soft"`            // as it was found
	Set     uint64         `json:"set"`             // as it is made
	Since   uint64         `json:"since,omitempty"` // as in limitUndo
}

// limitUndo is what the ledger says of an exhaustion.
type limitUndo struct {
	Token   string         `json:"token"`
	Process faults.Process `json:"process"`
	Soft    uint64         `json:"soft"`
	Set     uint64         `json:"set"`
	// Since is the tick, counted as the start times of processes are, from when on children inherit the limit that the
	// fault made; 0 when that was not noted.
	Since uint64 `json:"since,omitempty"`
}

// readLimitUndo refuses an entry that could make a revert touch what is not ours.
func readLimitUndo(e faults.Entry) (limitUndo, error) {
	var u limitUndo
	if err := json.Unmarshal(e.Undo, &u); err != nil {
		return u, fmt.Errorf("reading the undo: %w", err)
	}
	if !tokenShape.MatchString(u.Token) || u.Process.PID <= 1 || u.Process.Start == 0 {
		return u, fmt.Errorf("the undo names no process: %s", e.Undo)
	}
	return u, nil
}

// limitFor returns the limit under which a process that has these descriptors can open exactly leave more. A limit is
// not about their count: the kernel gives the lowest number that is free, and refuses when that is not below the limit.
func limitFor(open []int, leave int) uint64 {
	open = slices.Clone(open)
	slices.Sort(open)
	limit := 0
	for _, fd := range slices.Compact(open) {
		free := fd - limit // numbers from limit up to fd
		if free > leave {
			return uint64(limit + leave)
		}
		leave -= free
		limit = fd + 1
	}
	return uint64(limit + leave)
}

// freeBelow counts the numbers below limit that are not open.
func freeBelow(open []int, limit uint64) int {
	free := int(limit)
	slices.Sort(open)
	for _, fd := range slices.Compact(open) {
		if uint64(fd) < limit {
			free--
		}
	}
	return free
}
