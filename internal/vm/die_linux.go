package vm

import (
	"os/exec"
	"runtime"
	"syscall"
)

// startBound starts a command that dies with this process, however that ends, and returns a channel that gives its end.
// The kernel binds a child to the thread that made it and not to the process: the thread is kept for as long.
func startBound(cmd *exec.Cmd) (<-chan error, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started, ended := make(chan error), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
			close(ended)
		}
	}()
	return ended, <-started
}
