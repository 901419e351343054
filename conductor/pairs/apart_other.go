//go:build !linux

package pairs

import (
	"os"
	"syscall"
)

// Group makes a group of processes.
func Group() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// nameOf returns nothing: who holds a pipe is told on Linux alone.
func nameOf(*os.File) string { return "" }

// signalOutside does nothing: daemons that have left their group are not found here.
func signalOutside(string, int, syscall.Signal) {}
