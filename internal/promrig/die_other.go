//go:build !linux

package promrig

import "syscall"

func dieWithUs() *syscall.SysProcAttr { return nil }
