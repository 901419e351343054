package lab

import (
	"errors"
	"os"
	"time"
)

// DefaultGrace is how long a conductor may unwind when its lab must end.
const DefaultGrace = 10 * time.Second

// EnterOptions adjusts Enter. The zero value is what a command wants.
type EnterOptions struct {
	// Grace is how long the conductor may unwind after the signal Abandoned when the outer process died; DefaultGrace if zero.
	Grace time.Duration
	// Stdin, Stdout and Stderr are the conductor's; the process's own if nil.
	Stdin, Stdout, Stderr *os.File
	// Notice, if not nil, is held by the lab's first process from its start for as long as it lives, and no longer by the caller. It
	// is withdrawn when there is no lab.
	Notice *Notice
	// Ended, if not nil, is called once the lab's first process has ended, and before what is left in the lab is waited for: a process
	// that a fault has frozen does not die under cgroup v1 until it is thawed, and the lab's end waits for it.
	Ended func()
}

// errNoRole says that a program forgot what would otherwise make it start itself without end.
var errNoRole = errors.New("a lab executes this program again in other roles, but its main function " +
	"(in tests: TestMain) does not call lab.RunRole first")

// status is what lab init tells the outer process before it ends.
type status struct {
	Error string `json:"error,omitempty"` // the lab could not be set up
	Exit  int    `json:"exit"`            // the conductor's exit code; 128 + signal when a signal ended it
}

// or returns f, or g when f is nil.
func or(f, g *os.File) *os.File {
	if f == nil {
		return g
	}
	return f
}
