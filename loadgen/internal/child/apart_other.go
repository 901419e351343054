//go:build !linux

package child

import "syscall"

// apart gives the child a session of its own; only Linux has the signal besides.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
