package sshrig

import (
	"os/exec"
	"syscall"
)

// dieWithTest has a program end with the test that started it, also when that is killed.
func dieWithTest(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
