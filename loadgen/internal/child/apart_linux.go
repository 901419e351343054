package child

import "syscall"

// orphaned is the signal that a child gets when its parent has died. It may come several times, once for each thread of the
// parent that the child is handed to, and also when only the thread that started it has ended. k6 takes a second SIGTERM for
// impatience, and leaves its teardown out.
const orphaned = syscall.SIGUSR1

// apart gives the child a session of its own, so that a terminal's Ctrl-C does not reach it, and a signal when its parent
// dies. The end of its command pipe is what it relies on; the signal is the backstop.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: orphaned}
}
