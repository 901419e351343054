package kuberig

import "syscall"

// dieWithUs ends a program with the thread that started it.
func dieWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
