//go:build !linux

package main

import "syscall"

// notRoot changes nothing here: a lab, where everybody is root, needs Linux.
func notRoot() *syscall.SysProcAttr { return nil }
