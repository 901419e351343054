//go:build !linux

package lab

import (
	"errors"
	"os"
	"syscall"
)

var errLinux = errors.New("a lab builds its test hosts from Linux namespaces, and this is not Linux; run the " +
	"scenario on a Linux machine, or point its targets at hosts that exist and leave the lab block out")

// Abandoned is a signal that nobody sends here.
var Abandoned os.Signal = syscall.SIGHUP

// RunRole does nothing: only Linux has the roles.
func RunRole() { takeRole() }

// Enter fails: labs need Linux.
func Enter(EnterOptions) (exit int, err error) { return 0, errLinux }

// Possible says that labs need Linux.
func Possible() error { return errLinux }
