package process

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"gameday/faults"
)

// The ways to pause a process.
const (
	bySignal  = "signal"
	byFreezer = "freezer"
)

// maxFamily bounds how many processes one pause holds.
const maxFamily = 256

// PauseKind returns process_pause: a process stands still, holding all it has, and goes on where it was.
func PauseKind() faults.Kind {
	return faults.Kind{
		Name:       "process_pause",
		Summary:    "stop a process, and let it go on where it was",
		Needs:      faults.NeedProcess,
		Undoing:    "undone by guard; if guard and controller are both killed: `gameday revert`",
		Reversible: true,
		New:        func() faults.Config { return &Pause{} },
		Revert:     revertPause,
	}
}

// Pause holds the parameters of process_pause.
type Pause struct {
	// Method is "signal" (SIGSTOP and SIGCONT, the default) or "freezer" (the freezer of cgroup v2 or v1).
	Method string `hcl:"method,optional" json:"method,omitempty"`
	// Tree pauses the process's descendants as well.
	Tree bool `hcl:"tree,optional" json:"tree,omitempty"`
}

// Validate refuses a method that is neither.
func (p *Pause) Validate() error {
	methods := []string{bySignal, byFreezer}
	if p.Method == "" || slices.Contains(methods, p.Method) {
		return nil
	}
	detail := fmt.Sprintf("%q is no way to pause a process.", p.Method)
	if near := faults.Nearest(p.Method, methods); near != "" {
		detail += fmt.Sprintf(" Did you mean %q?", near)
	}
	return &faults.FieldError{Field: "method", Summary: "Invalid method",
		Detail: detail + ` Use "signal" for SIGSTOP and SIGCONT, or "freezer" for the cgroup's freezer.`}
}

// Bind returns the pause of the place's process.
func (p *Pause) Bind(at faults.Place) (faults.Injection, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	switch {
	case at.Process == nil:
		return nil, fmt.Errorf("process_pause needs a process, and %s is none: use a process target", at.Name)
	case at.Process.PID <= 1 || at.Process.Start == 0:
		return nil, fmt.Errorf("process_pause on %s: pid %d with start %d does not name one process",
			at.Name, at.Process.PID, at.Process.Start)
	case at.Process.PID == os.Getpid():
		return nil, fmt.Errorf("process_pause on %s: pid %d is the guard itself, which could not undo it", at.Name, at.Process.PID)
	}
	return newPause(*at.Process, p.method(), p.Tree)
}

// Preview returns "SIGSTOP to pid 4127 and its descendants".
func (p *Pause) Preview(at faults.Place) string {
	text := map[string]string{bySignal: "SIGSTOP to", byFreezer: "freezes"}[p.method()] + " "
	if at.Process == nil {
		return text + "the process"
	}
	text += fmt.Sprintf("pid %d", at.Process.PID)
	if p.Tree {
		text += " and its descendants"
	}
	return text
}

func (p *Pause) method() string {
	if p.Method == "" {
		return bySignal
	}
	return p.Method
}

// pauseUndo is what the ledger holds of a pause: exactly what we stopped, or are about to stop.
type pauseUndo struct {
	Method string `json:"method"`
	// Processes are those stopped by a signal, parents before children.
	Processes []faults.Process `json:"processes,omitempty"`
	// Cgroup is what was frozen.
	Cgroup *frozen `json:"cgroup,omitempty"`
}

// frozen is a cgroup that we freeze.
type frozen struct {
	Version int    `json:"version"` // of cgroups: 1 or 2
	Path    string `json:"path"`    // the cgroup's folder
	// Own says that we make the cgroup below Previous, move the processes there, and move them back.
	Own      bool   `json:"own,omitempty"`
	Previous string `json:"previous,omitempty"` // the folder that the processes are in otherwise
	// Inode tells the folder that was there before us, Path or with Own Previous, from a later one of the same name.
	Inode uint64 `json:"inode"`
}

// ownCgroup is the name of the cgroup that an injection makes.
func ownCgroup(o faults.Owner) string {
	sum := sha256.Sum256([]byte(o.Run + "\x00" + o.Injection))
	return "gameday-" + hex.EncodeToString(sum[:6])
}

// revertPause lets go on what the entry says that we stopped, and looks that it does.
func revertPause(ctx context.Context, e faults.Entry) error {
	var u pauseUndo
	if err := json.Unmarshal(e.Undo, &u); err != nil {
		return fmt.Errorf("reading the ledger's undo: %w", err)
	}
	switch {
	case u.Method == bySignal:
		return continueAll(ctx, u.Processes)
	case u.Method == byFreezer && u.Cgroup != nil:
		return u.Cgroup.release(ctx, faults.Owner{Run: e.Run, Injection: e.ID})
	}
	return fmt.Errorf("reading the ledger's undo: %q is no way to pause a process", u.Method)
}

// lapse says that a pause is over before its time.
type lapse struct{ text string }

func (l *lapse) Error() string { return l.text }

// Is makes it a faults.ErrLapsed, whose own words speak of leases.
func (l *lapse) Is(target error) bool { return target == faults.ErrLapsed }

func foreignError(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), faults.ErrForeign)
}

func vanished(p faults.Process) error {
	return fmt.Errorf("pid %d is no longer the process that was chosen (started at tick %d): it ended before it could be "+
		"paused; nothing was touched", p.PID, p.Start)
}
