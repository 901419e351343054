// Command init is the first process of a test's virtual machine: it mounts what a Linux system has, loads kernel
// modules, starts sshd and the agent that runs the test's commands, and reboots when it is asked to. Under other names
// it is reboot and shift-clock.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	if os.Getpid() == 1 {
		first()
	}
	if err := other(filepath.Base(os.Args[0]), os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", filepath.Base(os.Args[0]), err)
		os.Exit(1)
	}
}

// other is what the program does as anything but the first process.
func other(name string, args []string) error {
	switch name {
	case "agent":
		return agent()
	case "reboot":
		if slices.Contains(args, "-f") { // as a watchdog would: nothing is told, nothing is written
			return unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
		}
		return unix.Kill(1, signalReboot)
	case "shift-clock":
		return shiftClock(args)
	}
	return fmt.Errorf("no such program")
}

// signalReboot is what tells the first process to reboot, as it tells busybox's.
const signalReboot = syscall.SIGTERM

// shiftClock moves the wall clock by a duration at once, as an administrator or a broken time server does.
func shiftClock(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want one duration, such as -1h")
	}
	by, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	now := unix.NsecToTimeval(time.Now().Add(by).UnixNano())
	if err := unix.Settimeofday(&now); err != nil {
		return fmt.Errorf("setting the clock: %w", err)
	}
	return nil
}
