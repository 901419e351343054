package lab

import (
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Descriptors that the roles find open. Lab init and the probe have the first two, and lab init perhaps the third; a node init has
// the others.
const (
	lifelineFD = 3 // read: signals to pass on, one byte each; its end means that the outer process died
	statusFD   = 4 // write: one status
	noticeFD   = 5 // the lab's notice, whose lock lives as long as lab init

	linkFD = 3 // a socket to lab init
	logsFD = 4 // the folder for logs
)

// RunRole must be the first call of main, and of TestMain in tests that use a lab: a program that was executed again as
// lab init or as a node's first process does that work here and exits. In all other cases RunRole returns.
func RunRole() {
	switch takeRole() {
	case roleInit:
		unix.CloseOnExec(noticeFD)
		os.Exit(asFirst(runInit))
	case roleNode:
		os.Exit(asFirst(runNode))
	case roleProbe:
		os.Exit(asFirst(runProbe))
	}
}

// asFirst runs a role that must be PID 1, and prints the error that nobody else could.
func asFirst(role func() (int, error)) int {
	// What these roles start must not hold the pipes that tell of their end.
	unix.CloseOnExec(3)
	unix.CloseOnExec(4)
	if os.Getpid() != 1 {
		fmt.Fprintf(os.Stderr, "gameday: %s is set, but this process is not the first of a lab; unset it\n", roleVariable)
		return 2
	}
	code, err := role()
	if err != nil {
		fmt.Fprintln(os.Stderr, "gameday: "+err.Error())
	}
	return code
}

// tell sends the outer process a status. When nobody reads it any more, nobody needs it.
func tell(s status) {
	line, err := json.Marshal(s)
	if err != nil {
		return
	}
	_, _ = unix.Write(statusFD, append(line, '\n'))
}
