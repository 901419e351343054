package process

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"gameday/faults"
)

// pollStep bounds one wait, so that the end of a context is seen.
const pollStep = 50 * time.Millisecond

// killing is one kill of one process.
type killing struct {
	process faults.Process
	name    string
	number  syscall.Signal
	pidfd   int // refers to the process itself, not to its number; 0 when not open
}

func newKilling(p faults.Process, name string, number syscall.Signal) (faults.Injection, error) {
	return &killing{process: p, name: name, number: number}, nil
}

// Inject sends the signal. The pidfd is opened first and the start time compared after: if the start time is
// right, the pidfd cannot refer to a later process that was given the same pid.
func (k *killing) Inject(ctx context.Context, _ time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	fd, err := unix.PidfdOpen(k.process.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return k.goneError()
	}
	if err != nil {
		return fmt.Errorf("opening pid %d: %w", k.process.PID, err)
	}
	if !Alive(k.process) {
		unix.Close(fd)
		return k.goneError()
	}
	if err := unix.PidfdSendSignal(fd, k.number, nil, 0); err != nil {
		unix.Close(fd)
		if errors.Is(err, unix.EPERM) {
			return fmt.Errorf("sending %s to pid %d: %w; the guard must run as root or as the process's user",
				k.name, k.process.PID, err)
		}
		return fmt.Errorf("sending %s to pid %d: %w", k.name, k.process.PID, err)
	}
	k.pidfd = fd
	return nil
}

// Effect waits until the process has ended: its pidfd is readable then, even if nobody has reaped it yet.
func (k *killing) Effect(ctx context.Context) (faults.Effect, error) {
	details := map[string]string{"pid": strconv.Itoa(k.process.PID), "signal": k.name}
	for k.pidfd != 0 {
		step := pollStep
		if end, ok := ctx.Deadline(); ok {
			step = min(step, max(0, time.Until(end)))
		}
		fds := []unix.PollFd{{Fd: int32(k.pidfd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(step.Milliseconds()))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return faults.Effect{}, fmt.Errorf("waiting for pid %d to end: %w", k.process.PID, err)
		}
		if n > 0 {
			unix.Close(k.pidfd)
			k.pidfd = 0
			break
		}
		if ctx.Err() != nil {
			return faults.Effect{Details: details,
				Summary: fmt.Sprintf("pid %d got %s and still runs: it may handle or ignore that signal",
					k.process.PID, k.name)}, nil
		}
	}
	return faults.Effect{Proven: true, Details: details,
		Summary: fmt.Sprintf("pid %d ended by %s", k.process.PID, k.name)}, nil
}
