package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"

	"gameday/schedules"
)

// itemRun is a run of one scenario in a process of its own, which is this program.
type itemRun struct {
	item   schedules.Item
	record string // folder
	fence  fence
	audit  string
	heal   bool

	in        io.Reader
	out, errw io.Writer
	held      *os.File // passes on to the run, which has it for as long as it lives; nil is nothing
}

// heldVariable tells a run which file descriptor it was given to have, and to close for all that it starts itself.
const heldVariable = "GAMEDAY_HELD"

// keepHeld keeps what the run was given to have from whatever it starts.
func keepHeld() {
	if fd, err := strconv.Atoi(os.Getenv(heldVariable)); err == nil && fd > 2 {
		syscall.CloseOnExec(fd)
	}
	os.Unsetenv(heldVariable)
}

// runItem runs a scenario and returns its exit code. Signals go on to it; when it was killed, the code is that of residue.
func (a *app) runItem(x itemRun) (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, fmt.Errorf("finding gameday: %w", err)
	}
	args := []string{"run", x.item.File, "--scenario", x.item.Scenario, "--record", x.record}
	for _, v := range x.item.Vars {
		args = append(args, "--var", v)
	}
	for _, v := range x.item.VarFiles {
		args = append(args, "--var-file", v)
	}
	for flag, value := range map[string]string{"--policy": x.fence.policy, "--approved-by": x.fence.approvedBy, "--audit": x.audit} {
		if value != "" {
			args = append(args, flag, value)
		}
	}
	if x.heal {
		args = append(args, "--heal")
	}
	c := exec.Command(self, args...)
	c.Args[0] = "gameday" // whatever name the file has
	c.Stdin, c.Stdout, c.Stderr = x.in, x.out, x.errw
	if x.held != nil {
		c.ExtraFiles = []*os.File{x.held}
		c.Env = append(os.Environ(), heldVariable+"=3") // the first after the three that everything has
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	if err := c.Start(); err != nil {
		return 0, fmt.Errorf("running %s: %w", x.item.Scenario, err)
	}
	done := make(chan struct{})
	go func() {
		for {
			select {
			case s := <-signals:
				if s == syscall.SIGTERM { // a terminal tells both of the others
					_ = c.Process.Signal(s)
				}
			case <-done:
				return
			}
		}
	}()
	err = c.Wait()
	close(done)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() < 0: // nobody knows what it left
		a.say("the run of %s was killed: %v; `gameday revert` removes what it left", x.item.Scenario, err)
		return exitResidue, nil
	case errors.As(err, &exit):
		return exit.ExitCode(), nil
	case err != nil:
		return 0, fmt.Errorf("running %s: %w", x.item.Scenario, err)
	}
	return 0, nil
}
