package pairs

import "syscall"

// group makes a group of processes that is told to end when this program is killed.
func group() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
