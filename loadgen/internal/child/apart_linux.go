package child

import "syscall"

// apart gives the child a session of its own, so that a terminal's Ctrl-C does not reach it, and a signal when the thread
// that started it dies. The end of its command pipe is what it relies on; the signal is the backstop.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
}
