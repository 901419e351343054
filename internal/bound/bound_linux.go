// Package bound starts programs for tests and measurements that end with them, however those end.
package bound

import (
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Start starts a program that gets a signal when this process dies. The kernel binds a child to the thread that made it and
// not to the process: it has a thread of its own, for as long as it lives. Who starts it waits for it.
func Start(cmd *exec.Cmd, death syscall.Signal) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = death
	begun := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		pid := 0
		if err == nil {
			pid = cmd.Process.Pid
		}
		begun <- err
		for err == nil || err == unix.EINTR {
			var info unix.Siginfo
			if err = unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT, nil); err == nil {
				return
			}
		}
	}()
	return <-begun
}
