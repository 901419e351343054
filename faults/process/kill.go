package process

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"

	"gameday/faults"
)

// signals are those that end a process which does nothing about them. Others would leave nothing to prove.
var signals = []struct {
	name   string
	number syscall.Signal
}{
	{"SIGKILL", syscall.SIGKILL},
	{"SIGTERM", syscall.SIGTERM},
	{"SIGINT", syscall.SIGINT},
	{"SIGQUIT", syscall.SIGQUIT},
	{"SIGABRT", syscall.SIGABRT},
	{"SIGSEGV", syscall.SIGSEGV},
	{"SIGBUS", syscall.SIGBUS},
}

const defaultSignal = "SIGKILL"

// KillKind returns process_kill: a signal that ends one process, which somebody else must bring back.
func KillKind() faults.Kind {
	return faults.Kind{
		Name:    "process_kill",
		Summary: "end a process with a signal",
		Needs:   faults.NeedProcess,
		Undoing: "cannot be undone: must recover by itself",
		New:     func() faults.Config { return &Kill{} },
	}
}

// Kill holds the parameters of process_kill.
type Kill struct {
	// Signal is the signal's name; SIGKILL when empty.
	Signal string `hcl:"signal,optional" json:"signal,omitempty"`
}

// Validate refuses a signal that is unknown or does not end a process.
func (k *Kill) Validate() error {
	if k.Signal == "" {
		return nil
	}
	names := make([]string, 0, len(signals))
	for _, s := range signals {
		if s.name == k.Signal {
			return nil
		}
		names = append(names, s.name)
	}
	detail := fmt.Sprintf("%q is not a signal that ends a process.", k.Signal)
	near := faults.Nearest(k.Signal, names)
	if near == "" {
		near = faults.Nearest("SIG"+k.Signal, names)
	}
	if near != "" {
		detail += fmt.Sprintf(" Did you mean %q?", near)
	}
	return &faults.FieldError{Field: "signal", Summary: "Invalid signal",
		Detail: detail + " Use one of " + strings.Join(names, ", ") + "."}
}

// Bind returns the kill of the place's process.
func (k *Kill) Bind(p faults.Place) (faults.Injection, error) {
	if err := k.Validate(); err != nil {
		return nil, err
	}
	switch {
	case p.Process == nil:
		return nil, fmt.Errorf("process_kill needs a process, and %s is none: use a process target", p.Name)
	case p.Process.PID <= 1 || p.Process.Start == 0:
		return nil, fmt.Errorf("process_kill on %s: pid %d with start %d does not name one process",
			p.Name, p.Process.PID, p.Process.Start)
	case p.Process.PID == os.Getpid():
		return nil, fmt.Errorf("process_kill on %s: pid %d is the guard itself", p.Name, p.Process.PID)
	}
	return newKilling(*p.Process, k.name(), k.number())
}

// Preview returns "SIGKILL to pid 4127".
func (k *Kill) Preview(p faults.Place) string {
	if p.Process == nil {
		return k.name()
	}
	return fmt.Sprintf("%s to pid %d", k.name(), p.Process.PID)
}

func (k *Kill) name() string {
	if k.Signal == "" {
		return defaultSignal
	}
	return k.Signal
}

func (k *Kill) number() syscall.Signal {
	for _, s := range signals {
		if s.name == k.name() {
			return s.number
		}
	}
	return syscall.SIGKILL
}

// killUndo stands in the ledger for the instant between the entry and the signal.
type killUndo struct {
	Note string `json:"note"`
}

// Undo says that there is none, after making sure that the process is still the one that was chosen.
func (k *killing) Undo(context.Context) (json.RawMessage, error) {
	if !Alive(k.process) {
		return nil, k.goneError()
	}
	return json.Marshal(killUndo{Note: "cannot be undone: must recover by itself"})
}

func (k *killing) goneError() error {
	return fmt.Errorf("pid %d is no longer the process that was chosen (started at tick %d): it ended before it could be "+
		"killed; nothing was touched", k.process.PID, k.process.Start)
}
