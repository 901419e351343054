package stress

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"gameday/faults"
)

// limiting is one exhaustion of one process. A worker sets the limit and, when the guard is gone or the lease is over,
// sets it back: a limit does not go away by itself.
type limiting struct {
	limitPlan
	undo limitUndo
	w    *worker
}

func (p limitPlan) bind() (faults.Injection, error) { return &limiting{limitPlan: p}, nil }

// Check says whether the process is there and its limit may be changed.
func (l *limiting) Check(context.Context) error {
	if !hooked {
		return errNoHook
	}
	_, err := l.look()
	return err
}

// look computes the undo, which has no token yet.
func (l *limiting) look() (limitUndo, error) {
	pid := l.process.PID
	u := limitUndo{Process: l.process, Since: ticksSinceBoot()}
	var now unix.Rlimit
	err := onlyOn(l.process, func() error { return unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &now) })
	if errors.Is(err, unix.EPERM) {
		return u, fmt.Errorf("reading the limits of pid %d: %w; the guard must run as the process's user, or with "+
			"CAP_SYS_RESOURCE", pid, err)
	}
	if err != nil {
		return u, fmt.Errorf("reading the limits of pid %d: %w", pid, err)
	}
	open, err := openFDs(pid)
	if err != nil {
		return u, err
	}
	u.Soft, u.Set = now.Cur, limitFor(open, l.leave)
	if u.Set >= u.Soft {
		return u, fmt.Errorf("pid %d may open only %s more as it is (%d open, limit %d), which is not more than leave = %d; "+
			"leave fewer", pid, plural(max(0, freeBelow(open, u.Soft)), "descriptor"), len(open), u.Soft, l.leave)
	}
	return u, nil
}

// Undo reads the limit.
func (l *limiting) Undo(context.Context) (json.RawMessage, error) {
	var err error
	if l.undo, err = l.look(); err != nil {
		return nil, err
	}
	if l.undo.Token, err = newToken(); err != nil {
		return nil, err
	}
	return json.Marshal(l.undo)
}

// Inject starts the worker, which sets the limit.
func (l *limiting) Inject(ctx context.Context, lease time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !hooked {
		return errNoHook
	}
	var err error
	j := job{Lease: lease, Limit: &limitJob{Process: l.process, Soft: l.undo.Soft, Set: l.undo.Set, Since: l.undo.Since}}
	l.w, err = startWorker(ctx, l.undo.Token, j)
	if err != nil {
		return err
	}
	faults.Reach(ctx, faults.MidInject)
	_, err = l.w.await(ctx, stepStanding)
	return err
}

// Effect reads the limit back, and what the process has open.
func (l *limiting) Effect(context.Context) (faults.Effect, error) {
	if l.w.gone() {
		return faults.Effect{}, l.w.why()
	}
	pid := l.process.PID
	var now unix.Rlimit
	err := onlyOn(l.process, func() error { return unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &now) })
	if err != nil {
		return faults.Effect{}, fmt.Errorf("reading the limits of pid %d back: %w", pid, err)
	}
	open, err := openFDs(pid)
	if err != nil {
		return faults.Effect{}, err
	}
	free := freeBelow(open, now.Cur)
	e := faults.Effect{Proven: now.Cur == l.undo.Set, Details: map[string]string{
		"pid": strconv.Itoa(pid), "limit": strconv.FormatUint(now.Cur, 10), "limit_before": strconv.FormatUint(l.undo.Soft, 10),
		"open": strconv.Itoa(len(open)), "free": strconv.Itoa(max(0, free)),
	}}
	e.Summary = fmt.Sprintf("pid %d has %s open and may open %d more: its limit is %d, it was %d",
		pid, plural(len(open), "descriptor"), max(0, free), now.Cur, l.undo.Soft)
	if !e.Proven {
		e.Summary = fmt.Sprintf("the limit of pid %d is %d and not %d: something else set it", pid, now.Cur, l.undo.Set)
	}
	return e, nil
}

// Renew lets the limit stand for another lease.
func (l *limiting) Renew(_ context.Context, lease time.Duration) error { return l.w.renew(lease) }

// Watch returns when the worker has set the limit back by itself.
func (l *limiting) Watch(ctx context.Context) (faults.Effect, error) {
	return faults.Effect{}, anyGone(ctx, []*worker{l.w})
}

// run sets the limit, and keeps it until the process is gone. The lock is that of the worker's end, which sets it back.
func (j *limitJob) run(say func(report), ending *sync.Mutex) error {
	ending.Lock()
	err := swapLimit(j.Process, j.Soft, j.Set)
	ending.Unlock()
	if err != nil {
		return err
	}
	say(report{Step: stepStanding})
	return stand(func() error {
		if !alive(j.Process) {
			return fmt.Errorf("pid %d has ended", j.Process.PID)
		}
		return nil
	})
}

func (j *limitJob) undo() error { return restoreFamily(j.Process, j.Set, j.Soft, j.Since) }

// prlimit is prlimit(2) for one process's limit of descriptors. Set is the new one, and was gets the one that it replaces, or
// else the present one; either may be nil.
type prlimit func(set, was *unix.Rlimit) error

func limitOf(pid int) prlimit {
	return func(set, was *unix.Rlimit) error { return unix.Prlimit(pid, unix.RLIMIT_NOFILE, set, was) }
}

// swapLimit sets the soft limit of a process from one value to another, and leaves it alone if it has a third.
func swapLimit(p faults.Process, from, to uint64) error {
	return onlyOn(p, func() error { return limitOf(p.PID).swap(p.PID, from, to) })
}

// maxSwaps bounds how often a limit is set anew because somebody else set it as well.
const maxSwaps = 100

// swap does it. What somebody set after the limit was read, and is replaced by it, is put back. That may be a hard limit which they
// have lowered: the kernel sets neither without the other.
func (l prlimit) swap(pid int, from, to uint64) error {
	var before unix.Rlimit // as it was read before this time
	for range maxSwaps {
		var now, was unix.Rlimit
		if err := l(nil, &now); err != nil {
			return fmt.Errorf("reading the limits of pid %d: %w", pid, err)
		}
		if now.Cur != from {
			return fmt.Errorf("%w: the limit of pid %d is %d, and was %d a moment ago", faults.ErrForeign, pid, now.Cur, from)
		}
		ours := unix.Rlimit{Cur: min(to, now.Max), Max: now.Max}
		err := l(&ours, &was)
		switch {
		case errors.Is(err, unix.EPERM) && now != before: // they may have lowered the hard one, which not everybody may raise
		case err != nil:
			return fmt.Errorf("setting the limit of pid %d: %w", pid, err)
		case was == now:
			return nil
		default:
			if err := l.putBack(ours, was); err != nil {
				return fmt.Errorf("setting the limit of pid %d back to %d, as somebody else has just set it: %w", pid, was.Cur, err)
			}
		}
		before = now
	}
	return errBusyLimit
}

// putBack sets a limit to theirs, which ours has replaced, and likewise what that replaces, if it is not ours any more.
func (l prlimit) putBack(ours, theirs unix.Rlimit) error {
	for range maxSwaps {
		var was unix.Rlimit
		err := l(&theirs, &was)
		if errors.Is(err, unix.EPERM) { // of a hard limit that they have lowered since, too
			if l(nil, &was) == nil && was != ours {
				return nil
			}
		}
		if err != nil || was == ours {
			return err
		}
		ours, theirs = theirs, was
	}
	return errBusyLimit
}

// errBusyLimit says that a limit is never left as it is.
var errBusyLimit = errors.New("somebody else sets the limit again and again")

// restoreLimit sets the limit back if it is still ours. A process that is gone, or whose limit somebody set since,
// needs nothing.
func restoreLimit(p faults.Process, from, to uint64) error {
	err := swapLimit(p, from, to)
	if errors.Is(err, faults.ErrForeign) || errors.Is(err, errProcessGone) {
		return nil
	}
	return err
}

// restoreFamily sets the limit back, and then that of every descendant that began since and inherited it: after the
// process has its own again, no more can inherit it.
func restoreFamily(p faults.Process, from, to, since uint64) error {
	errs := []error{restoreLimit(p, from, to)}
	if since == 0 {
		return errs[0]
	}
	children := descendants(p.PID)
	if !alive(p) { // they may be another's
		return errs[0]
	}
	for _, child := range children {
		if child.Start < since {
			continue
		}
		if err := restoreLimit(child, from, to); !errors.Is(err, unix.EPERM) { // one that runs as somebody else by now keeps it
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// descendants lists the living ones of a process that can be seen.
func descendants(pid int) []faults.Process {
	names, err := readNames("/proc")
	if err != nil {
		return nil
	}
	children := map[int][]faults.Process{}
	for _, name := range names {
		child, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + name + "/stat")
		if err != nil {
			continue // it has ended
		}
		_, start, err := statIdentity(stat)
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if err != nil || len(fields) < 2 {
			continue
		}
		if parent, err := strconv.Atoi(fields[1]); err == nil {
			children[parent] = append(children[parent], faults.Process{PID: child, Start: start})
		}
	}
	all := children[pid]
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i].PID]...)
		delete(children, all[i].PID)
	}
	return all
}

// ticksSinceBoot is the present time as the start times of processes are counted (proc_pid_stat(5)): in hundredths of a second.
func ticksSinceBoot() uint64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return 0
	}
	return uint64(now.Nano()) / 1e7
}

// errProcessGone says that a pid is not, or no longer, the process.
var errProcessGone = errors.New("the process is gone")

// onlyOn calls f if the process is there, and looks afterwards that it was there all the time: else the pid may have
// been another's in between.
func onlyOn(p faults.Process, f func() error) error {
	if !alive(p) {
		return fmt.Errorf("%w: pid %d is no longer the one that was chosen (started at tick %d)", errProcessGone, p.PID, p.Start)
	}
	err := f()
	if !alive(p) {
		return fmt.Errorf("%w: pid %d ended meanwhile", errProcessGone, p.PID)
	}
	return err
}

// openFDs lists a process's open descriptors.
func openFDs(pid int) ([]int, error) {
	names, err := readNames(fmt.Sprintf("/proc/%d/fd", pid))
	if errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("listing the descriptors of pid %d: %w; the guard must run as the process's user, or as root", pid, err)
	}
	if err != nil {
		return nil, fmt.Errorf("listing the descriptors of pid %d: %w", pid, err)
	}
	var open []int
	for _, name := range names {
		if fd, err := strconv.Atoi(name); err == nil {
			open = append(open, fd)
		}
	}
	return open, nil
}

// alive reports whether the very process runs: same pid, same start, and not waiting to be reaped.
func alive(p faults.Process) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID))
	if err != nil {
		return false
	}
	state, start, err := statIdentity(stat)
	return err == nil && start == p.Start && state != 'Z' && state != 'X'
}

// revertLimit sets the limit back and ends the worker. The limit comes first, so that the worker, which would set it back too,
// is there until it is done; and again afterwards, because a worker that was only just starting may have set it in between.
func revertLimit(ctx context.Context, e faults.Entry) error {
	u, err := readLimitUndo(e)
	if err != nil {
		return err
	}
	if err := restoreFamily(u.Process, u.Set, u.Soft, u.Since); err != nil {
		return err
	}
	if err := endWorkers(ctx, u.Token, true); err != nil {
		return err
	}
	faults.Reach(ctx, faults.MidRevert)
	if err := restoreFamily(u.Process, u.Set, u.Soft, u.Since); err != nil {
		return err
	}
	var now unix.Rlimit
	err = onlyOn(u.Process, func() error { return unix.Prlimit(u.Process.PID, unix.RLIMIT_NOFILE, nil, &now) })
	if errors.Is(err, errProcessGone) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the limit of pid %d back: %w", u.Process.PID, err)
	}
	if now.Cur == u.Set && now.Max > u.Set {
		return fmt.Errorf("the limit of pid %d is still %d", u.Process.PID, now.Cur)
	}
	return nil
}
