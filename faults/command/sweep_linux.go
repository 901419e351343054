package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"gameday/faults"
)

const (
	// pidfdGroup makes pidfd_send_signal reach the whole process group (Linux 6.9).
	pidfdGroup = 1 << 2
	// sweepLimit bounds the wait for a killed command's end.
	sweepLimit = 2 * time.Second
)

// sweep kills the commands of an injection that still run: those whose guard was killed, as a living guard has ended them.
// It goes by the leader of a command's process group, which carries the injection in its environment and is in the guard's
// session. What a finished command left in the background has no leader any more and stays: it is the user's.
func sweep(ctx context.Context, injection string) error {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return fmt.Errorf("looking for commands that still run: %w", err)
	}
	var errs []error
	for _, d := range entries {
		pid, err := strconv.Atoi(d.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if err := endCommand(ctx, pid, injection); err != nil {
			errs = append(errs, fmt.Errorf("ending a command that still runs (pid %d): %w", pid, err))
		}
	}
	return errors.Join(errs...)
}

// endCommand kills the process group that pid leads, if it is a command of the injection, and waits for pid's end.
func endCommand(ctx context.Context, pid int, injection string) error {
	if !isCommand(pid, injection) {
		return nil
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil // it has ended
	}
	defer unix.Close(fd)
	if !isCommand(pid, injection) { // again: from here on the pidfd names it for good
		return nil
	}
	err = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, pidfdGroup)
	if errors.Is(err, unix.EINVAL) { // an older kernel
		if err = unix.PidfdSendSignal(fd, 0, nil, 0); err == nil {
			err = unix.Kill(-pid, unix.SIGKILL)
		}
	}
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	return awaitEnd(ctx, fd)
}

// awaitEnd waits until the process behind a pidfd has ended.
func awaitEnd(ctx context.Context, fd int) error {
	for end := time.Now().Add(sweepLimit); time.Now().Before(end) && ctx.Err() == nil; {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if n, _ := unix.Poll(fds, int(pollStep.Milliseconds())); n > 0 {
			return nil
		}
	}
	return errors.New("it was killed and does not end")
}

// isCommand reports whether a process leads the group of a command of the injection. A process of a session of its own is
// none: commands stay in the guard's.
func isCommand(pid int, injection string) bool {
	s, err := readStat(pid)
	if err != nil || s.group != pid || s.session == pid || s.state == 'Z' || s.state == 'X' {
		return false
	}
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return false
	}
	ours, command := false, false
	for v := range bytes.SplitSeq(env, []byte{0}) {
		ours = ours || string(v) == injectionVariable+injection
		command = command || bytes.HasPrefix(v, []byte(commandVariable))
	}
	return ours && command
}

// stat is the part of /proc/PID/stat that matters here.
type stat struct {
	state          byte
	group, session int
	start          uint64 // clock ticks since boot
}

// readStat reads fields 3, 5, 6 and 22, counted from the last closing parenthesis: the name in field 2 may hold any.
func readStat(pid int) (stat, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) < 20 || len(fields[0]) != 1 {
		return stat{}, fmt.Errorf("stat of pid %d has %d fields after the name, 20 are needed", pid, len(fields))
	}
	s := stat{state: fields[0][0]}
	var errs [3]error
	s.group, errs[0] = strconv.Atoi(string(fields[2]))
	s.session, errs[1] = strconv.Atoi(string(fields[3]))
	s.start, errs[2] = strconv.ParseUint(string(fields[19]), 10, 64)
	return s, errors.Join(errs[:]...)
}

// alive reports whether the very process runs: same pid, same start, and not dead.
func alive(p faults.Process) bool {
	s, err := readStat(p.PID)
	return err == nil && s.start == p.Start && s.state != 'Z' && s.state != 'X'
}
