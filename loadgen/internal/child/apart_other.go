//go:build !linux

package child

import "syscall"

// orphaned is sent by nobody here: only Linux tells a child that its parent has died.
const orphaned = syscall.SIGUSR1

// apart gives the child a session of its own.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
