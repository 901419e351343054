//go:build !linux

package kuberig

import "syscall"

func dieWithUs() *syscall.SysProcAttr { return nil }
