package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// sandbox does nothing until it is asked to end.
func sandbox() {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	<-end
}

// pause becomes the program in its arguments once it is told to go on.
func pause(args []string) error {
	if len(args) == 0 {
		return errors.New("pause: which program?")
	}
	on := make(chan os.Signal, 1)
	signal.Notify(on, syscall.SIGCONT)
	<-on
	return become(args)
}

// namespaces are the options of nsexec that name one, each followed by a path.
var namespaces = map[string]int{"-m": unix.CLONE_NEWNS, "-i": unix.CLONE_NEWIPC, "-n": unix.CLONE_NEWNET, "-p": unix.CLONE_NEWPID}

// nsexec becomes the program after "--" in the namespaces before it. In a process namespace it is a child instead, which
// ends with the namespace if this process ends first.
func nsexec(args []string) error {
	runtime.LockOSThread()
	type entry struct {
		file *os.File
		kind int
	}
	var enter []entry
	child := false
	for len(args) > 0 && args[0] != "--" {
		kind, known := namespaces[args[0]]
		switch {
		case args[0] == "-l": // programs of the outer mount namespace: they are looked up before it is left
			args = args[1:]
			continue
		case !known || len(args) < 2:
			return fmt.Errorf("nsexec: cannot understand %q", args[0])
		}
		file, err := os.Open(args[1])
		if err != nil {
			return err
		}
		enter = append(enter, entry{file, kind})
		child = child || kind == unix.CLONE_NEWPID
		args = args[2:]
	}
	if len(args) < 2 {
		return errors.New("nsexec: which program?")
	}
	args = args[1:]
	if err := unix.Unshare(unix.CLONE_FS); err != nil { // without it no thread may enter a mount namespace
		return fmt.Errorf("nsexec: %w", err)
	}
	for _, e := range enter {
		if err := unix.Setns(int(e.file.Fd()), e.kind); err != nil {
			return fmt.Errorf("nsexec: entering %s: %w", e.file.Name(), err)
		}
	}
	if !child {
		return become(args)
	}
	return follow(args)
}

// follow runs a program as a child, hands signals on, and ends as it ends.
func follow(args []string) error {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGCONT)
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s)
		}
	}()
	err := cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		os.Exit(max(1, exit.ExitCode()))
	}
	return err
}

// become replaces this program.
func become(args []string) error {
	path := args[0]
	if !strings.Contains(path, "/") {
		found, err := exec.LookPath(path)
		if err != nil {
			return err
		}
		path = found
	}
	return syscall.Exec(path, args, os.Environ())
}
