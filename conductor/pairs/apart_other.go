//go:build !linux

package pairs

import "syscall"

// group makes a group of processes.
func group() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
