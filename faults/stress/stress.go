// Package stress holds the faults that use a machine's resources up: processor time, memory, disk space and bandwidth,
// file descriptors, ports.
//
// A load is not the guard's own work. The guard starts its own program again as a worker, which holds what it took only
// as long as it lives: memory, unlinked files and sockets go back to the kernel with their process. And it does not
// live long:
//
//	guard ──renewals on a pipe──▶ worker ──▶ processor, memory, disk, ports
//	      ◀─reports on a pipe────    │
//	                                 ├ end of file on the pipe: the guard is dead, end at once
//	                                 ├ the kernel's own timer sends SIGKILL when the lease is over, even to a stopped worker
//	                                 └ every 100 ms: is enough left for others? If not, let go and say so
//
// Programs that may be guards call RunWorker first in main, when IsWorker says so.
package stress

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"gameday/faults"
)

// workerName is the name under which a worker runs: its first argument. The second is the injection's token.
const workerName = "gameday-stress"

// checkEvery is how often a load that stands looks whether enough is left for others.
const checkEvery = 100 * time.Millisecond

// headroom is how much more than its floor or reserve a load leaves that may choose its size: others use a little more
// or less all the time, and below the floor it lets go.
const headroom = 1.25

// undo is what a ledger entry says of a load.
type undo struct {
	// Token marks the injection's workers, its cgroup and its file.
	Token string `json:"token"`
	// Group is the folder of the cgroup that the worker gets; empty where none can be made.
	Group string `json:"group,omitempty"`
	// File is the path of a file that exists for an instant, on file systems that cannot make one without a name.
	File string `json:"file,omitempty"`
}

var tokenShape = regexp.MustCompile(`^[0-9a-f]{16}$`)

// readUndo refuses an entry that could make a revert touch what is not ours.
func readUndo(e faults.Entry) (undo, error) {
	var u undo
	if err := json.Unmarshal(e.Undo, &u); err != nil {
		return u, fmt.Errorf("reading the undo: %w", err)
	}
	if !tokenShape.MatchString(u.Token) {
		return u, fmt.Errorf("the undo has no token: %q", u.Token)
	}
	for _, path := range []string{u.Group, u.File} {
		if path != "" && (!filepath.IsAbs(path) || filepath.Base(path) != markOf(u.Token)) {
			return u, fmt.Errorf("the undo names %s, which does not carry the injection's mark %s", path, markOf(u.Token))
		}
	}
	return u, nil
}

// markOf is the name of whatever an injection makes in a folder.
func markOf(token string) string { return workerName + "-" + token }

// shortName is what a worker's process is called where the kernel has room for 15 bytes: in /proc/PID/comm, top, and what
// it writes down when memory runs out.
func shortName(token string) string {
	name := "gameday" + token
	return name[:min(15, len(name))]
}

// machine completes a kind that needs nothing of a place but its machine, and stands by workers.
func machine(k faults.Kind) faults.Kind {
	k.Needs, k.Reversible, k.Revert = faults.NeedMachine, true, revert
	return k
}

// letGoError says why a load ended by itself.
type letGoError struct{ why string }

// Error returns the reason.
func (e *letGoError) Error() string { return "the load let go by itself: " + e.why }

// Is makes it a lapse: the fault is gone, and nobody brings it back.
func (e *letGoError) Is(target error) bool { return target == faults.ErrLapsed }

// plural writes "1 worker", "4 workers".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// folder checks a path that must be given, and be absolute.
func folder(path string) error {
	detail := fmt.Sprintf("%q is not an absolute path.", path)
	switch {
	case path == "":
		detail = "The path is missing."
	case filepath.IsAbs(path) && !strings.ContainsRune(path, 0):
		return nil
	}
	return &faults.FieldError{Field: "path", Summary: "Invalid path",
		Detail: detail + " Name a folder on the place, such as \"/var/lib/postgresql\"."}
}
