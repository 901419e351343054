package stress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"gameday/faults"
)

// pollStep bounds one wait, so that the end of a context is seen.
const pollStep = 50 * time.Millisecond

// workersOf returns the pids of the injection's workers. One counts until it has given back all it held, and not while it
// only waits to be reaped.
func workersOf(token string) ([]int, error) {
	names, err := readNames("/proc")
	if err != nil {
		return nil, fmt.Errorf("looking for workers: %w", err)
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && isWorker(pid, token) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// readNames lists a folder without a look at each of its entries.
func readNames(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

// isWorker reports whether the process is one of the injection's workers.
func isWorker(pid int, token string) bool { return showsWorker(fmt.Sprintf("/proc/%d", pid), token) }

// showsWorker reads that from the process's folder. A worker that is dying loses its memory, and with that its command
// line, before its files and sockets are closed, of which it may have ten thousands. It is known by its short name then,
// which it keeps to the last.
func showsWorker(dir, token string) bool {
	line, err := os.ReadFile(filepath.Join(dir, "cmdline"))
	if err != nil {
		return false
	}
	if len(bytes.Trim(line, "\x00")) > 0 { // the kernel may have taken the memory back already, and left zeros
		return bytes.HasPrefix(line, []byte(workerName+"\x00"+token+"\x00"))
	}
	name, err := os.ReadFile(filepath.Join(dir, "comm"))
	if err != nil || strings.TrimSuffix(string(name), "\n") != shortName(token) {
		return false
	}
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	return err == nil && !ended(stat)
}

// ended reads from /proc/PID/stat whether all threads of a process are gone. While others are there, they hold what it has,
// although its first one may be a zombie by then.
func ended(stat []byte) bool {
	state, _, err := statIdentity(stat)
	if err != nil {
		return false
	}
	threads := string(bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])[17])
	return (state == 'Z' || state == 'X') && (threads == "0" || threads == "1")
}

// gentle is how long a worker that has something to clear away may take until it is killed.
const gentle = 500 * time.Millisecond

// endWorkers ends the injection's workers and waits until they are gone. One that has something to clear away is first asked
// to: whoever reverts may be killed in the middle of it, and then the worker does the rest.
func endWorkers(ctx context.Context, token string, clears bool) error {
	if clears {
		asked, cancel := context.WithTimeout(ctx, gentle)
		err := signalWorkers(asked, token, unix.SIGTERM, unix.SIGCONT) // a stopped one must be woken to hear
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
	}
	return signalWorkers(ctx, token, unix.SIGKILL)
}

// signalWorkers sends the signals to the injection's workers until there are none.
func signalWorkers(ctx context.Context, token string, signals ...unix.Signal) error {
	for again := false; ; again = true {
		pids, err := workersOf(token)
		if err != nil || len(pids) == 0 {
			return err
		}
		if again && ctx.Err() != nil {
			return fmt.Errorf("workers %v were told to end and have not: %w", pids, ctx.Err())
		}
		var fds []int
		var errs []error
		for _, pid := range pids {
			fd, err := signalWorker(pid, token, signals)
			if err != nil {
				errs = append(errs, err)
			} else if fd >= 0 {
				fds = append(fds, fd)
			}
		}
		for _, fd := range fds {
			errs = append(errs, awaitEnd(ctx, fd))
			unix.Close(fd)
		}
		if err := errors.Join(errs...); err != nil {
			return err
		}
	}
}

// signalWorker returns a pidfd of the worker that got the signals, or -1 when it was gone. The name is compared after the pidfd
// was opened: if it is right then, the pidfd cannot refer to a later process of the same pid.
func signalWorker(pid int, token string, signals []unix.Signal) (int, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return -1, nil
	}
	if err != nil {
		return -1, fmt.Errorf("opening worker %d: %w", pid, err)
	}
	if !isWorker(pid, token) {
		unix.Close(fd)
		return -1, nil
	}
	for _, s := range signals {
		if err = unix.PidfdSendSignal(fd, s, nil, 0); err != nil {
			break
		}
	}
	if err == nil || errors.Is(err, unix.ESRCH) {
		return fd, nil
	}
	unix.Close(fd)
	if errors.Is(err, unix.EPERM) {
		return -1, fmt.Errorf("ending worker %d: %w; revert as the user who ran the guard, or as root", pid, err)
	}
	return -1, fmt.Errorf("ending worker %d: %w", pid, err)
}

// awaitEnd waits until a process has ended: its pidfd is readable then, even if nobody has reaped it yet.
func awaitEnd(ctx context.Context, pidfd int) error {
	for {
		fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(pollStep.Milliseconds()))
		if n > 0 {
			return nil
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("waiting for a worker to end: %w", err)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("a worker was told to end and has not: %w", ctx.Err())
		}
	}
}

// revert ends the injection's workers, which frees all they held, and removes the cgroup.
func revert(ctx context.Context, e faults.Entry) error {
	u, err := readUndo(e)
	if err != nil {
		return err
	}
	if err := endWorkers(ctx, u.Token, u.Group != ""); err != nil {
		return err
	}
	faults.Reach(ctx, faults.MidRevert)
	var errs []error
	if u.Group != "" {
		errs = append(errs, removeGroup(ctx, u.Group))
	}
	if u.File != "" {
		errs = append(errs, removeFile(u.File))
	}
	return errors.Join(errs...)
}
