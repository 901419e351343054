package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"gameday/faults"
)

const (
	// maxPasses bounds how often a pause looks for children that were born meanwhile.
	maxPasses = 16
	// looksApart is the time between two looks at the time that a process has run.
	looksApart = 30 * time.Millisecond
	// watchEvery is how soon the end of a pause by other hands is seen.
	watchEvery = 100 * time.Millisecond
	// settleLimit is how long a process may take to be seen running after it was told to.
	settleLimit = 500 * time.Millisecond
)

func newPause(p faults.Process, method string, tree bool) (faults.Injection, error) {
	if method == byFreezer {
		return &freezing{root: p, tree: tree, hierarchies: freezers}, nil
	}
	return &stopping{root: p, tree: tree}, nil
}

// stopping is one pause by signals.
type stopping struct {
	root faults.Process
	tree bool
	undo pauseUndo // as it stands in the ledger; not changed once Inject has returned
}

// Check asks the kernel whether the guard may signal the process.
func (s *stopping) Check(context.Context) error {
	fd, err := openPidfd(s.root)
	if err != nil {
		return err
	}
	if fd < 0 {
		return vanished(s.root)
	}
	defer unix.Close(fd)
	return send(fd, s.root.PID, 0)
}

// Undo lists the processes that are to be stopped, after making sure that nobody else has.
func (s *stopping) Undo(context.Context) (json.RawMessage, error) {
	all, err := family(s.root, s.tree)
	if err != nil {
		return nil, err
	}
	if all, err = allUntouched(all); err != nil {
		return nil, err
	}
	s.undo = pauseUndo{Method: bySignal, Processes: all}
	return json.Marshal(s.undo)
}

// Inject stops the processes that the ledger names, parents first, so that none of them sees a child stop. Children that
// were born since are written to the ledger and stopped in the next pass; who has got his SIGSTOP bears no more.
func (s *stopping) Inject(ctx context.Context, _ time.Duration) error {
	from := 0
	for range maxPasses {
		if err := s.stopFrom(ctx, from); err != nil {
			return err
		}
		from = len(s.undo.Processes)
		if !s.tree {
			return nil
		}
		all, err := grow(s.undo.Processes)
		if err != nil {
			return err
		}
		if len(all) == from {
			return nil
		}
		if err := s.own(ctx, all[:from], all[from:]); err != nil {
			return err
		}
	}
	return fmt.Errorf("the descendants of pid %d are still multiplying after %d passes", s.root.PID, maxPasses)
}

// own writes newcomers to the ledger, before they are touched.
func (s *stopping) own(ctx context.Context, known, newcomers []faults.Process) error {
	in, err := freezers()
	if err != nil {
		return err
	}
	all := slices.Clone(known)
	for _, p := range newcomers {
		err := untouched(p, in)
		if err != nil && Alive(p) {
			return err
		}
		if err == nil {
			all = append(all, named(p))
		}
	}
	return s.amend(ctx, all)
}

func (s *stopping) amend(ctx context.Context, all []faults.Process) error {
	u := pauseUndo{Method: bySignal, Processes: all}
	raw, err := json.Marshal(u)
	if err != nil {
		return err
	}
	if err := faults.Amend(ctx, raw); err != nil {
		return err
	}
	s.undo = u
	return nil
}

// stopFrom stops the processes from a position of the list on.
func (s *stopping) stopFrom(ctx context.Context, from int) error {
	all := s.undo.Processes
	for i, p := range all[from:] {
		if err := ctx.Err(); err != nil {
			return err
		}
		if from+i > 0 {
			faults.Reach(ctx, faults.MidInject)
		}
		err := stop(p)
		switch {
		case errors.Is(err, faults.ErrForeign): // what was not stopped by us must not be continued by us
			return errors.Join(err, s.amend(ctx, all[:from+i]))
		case err != nil && (from+i == 0 || Alive(p)):
			return err
		}
	}
	return nil
}

// stop sends one process SIGSTOP, unless somebody else has, or it is gone.
func stop(p faults.Process) error {
	fd, err := openPidfd(p)
	if err != nil {
		return err
	}
	if fd < 0 {
		return vanished(p)
	}
	defer unix.Close(fd)
	if l := lookAt(p); l.some || l.traced {
		return foreignError("pid %d was stopped by somebody else just now", p.PID)
	}
	return send(fd, p.PID, unix.SIGSTOP)
}

// openPidfd returns a descriptor that refers to the very process, or -1 when that is gone. The start time is compared
// after opening: if it is right, the descriptor cannot refer to a later process that was given the same pid.
func openPidfd(p faults.Process) (int, error) {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) { // EINVAL: the number is a thread's by now
		return -1, nil
	}
	if errors.Is(err, unix.ENOSYS) {
		return -1, fmt.Errorf("opening pid %d: %w: pausing a process needs Linux 5.3 or later", p.PID, err)
	}
	if err != nil {
		return -1, fmt.Errorf("opening pid %d: %w", p.PID, err)
	}
	if !Alive(p) {
		unix.Close(fd)
		return -1, nil
	}
	return fd, nil
}

// send sends a signal; 0 only asks whether it could be sent.
func send(fd, pid int, signal unix.Signal) error {
	err := unix.PidfdSendSignal(fd, signal, nil, 0)
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("signalling pid %d: %w; the guard must run as root (with CAP_KILL) or as the process's user", pid, err)
	case errors.Is(err, unix.ESRCH):
		return nil // it has just ended, which whoever looks next will see
	case err != nil:
		return fmt.Errorf("signalling pid %d: %w", pid, err)
	}
	return nil
}

// Effect waits until every thread of every process is in state T and none of them runs any more.
func (s *stopping) Effect(ctx context.Context) (faults.Effect, error) {
	return standstill(ctx, bySignal, s.undo.Processes, func(_ faults.Process, l look) (bool, string) {
		return l.stopped, "in state " + string(l.state)
	})
}

// judge says whether a process is paused, and if not, how that shows.
type judge func(faults.Process, look) (bool, string)

// standstill waits until still says of each process that it is paused, and its time on the processors has not moved
// between two looks. Those of a family that have ended do not count, but for the first.
func standstill(ctx context.Context, method string, all []faults.Process, still judge) (faults.Effect, error) {
	pids := make([]string, len(all))
	for i, p := range all {
		pids[i] = strconv.Itoa(p.PID)
	}
	details := map[string]string{"method": method, "pids": strings.Join(pids, " ")}
	before := looks(all)
	for {
		if !sleep(ctx, looksApart) {
			return faults.Effect{Details: details, Summary: moving(all, before, before, still)}, nil
		}
		after := looks(all)
		if after[0].gone {
			return faults.Effect{Details: details, Summary: fmt.Sprintf("pid %d ended while it was being paused", all[0].PID)}, nil
		}
		if moving(all, before, after, still) == "" {
			details["idle_for"] = looksApart.String()
			return faults.Effect{Proven: true, Details: details, Summary: count(all) + " stand still"}, nil
		}
		before = after
	}
}

// sight is a look at a process, and how long it had run by then.
type sight struct {
	look
	ran uint64
}

func looks(all []faults.Process) []sight {
	out := make([]sight, len(all))
	for i, p := range all {
		out[i] = sight{lookAt(p), ran(p)}
	}
	return out
}

// moving returns the first process that does not stand still, and how that shows, or "".
func moving(all []faults.Process, before, after []sight, still judge) string {
	for i, p := range all {
		if after[i].gone {
			continue
		}
		if ok, how := still(p, after[i].look); !ok {
			return fmt.Sprintf("pid %d does not stand still: it is %s", p.PID, how)
		}
		if before[i].ran != after[i].ran {
			return fmt.Sprintf("pid %d still runs", p.PID)
		}
	}
	return ""
}

func count(all []faults.Process) string {
	text := fmt.Sprintf("pid %d", all[0].PID)
	switch n := len(all) - 1; {
	case n == 1:
		text += " and 1 descendant"
	case n > 1:
		text += fmt.Sprintf(" and %d descendants", n)
	}
	return text
}

// sleep waits, and returns false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// Watch reports that the chosen process is gone or about to be, or was continued by somebody else.
func (s *stopping) Watch(ctx context.Context) (faults.Effect, error) {
	return watch(ctx, s.root, func() string {
		if own, err := readStat(s.root.PID); err == nil && own.state == 'T' {
			return ""
		}
		switch l := lookAt(s.root); {
		case l.killed:
			return killedWhilePaused(s.root)
		case l.gone || l.some || l.traced:
			return ""
		}
		return fmt.Sprintf("somebody else continued pid %d", s.root.PID)
	})
}

func killedWhilePaused(p faults.Process) string {
	return fmt.Sprintf("pid %d was killed while it was paused", p.PID)
}

// dying is how long a process that does not stand still any more may take until it is gone.
const dying = 50 * time.Millisecond

// watch looks at a paused process until it is gone, or over gives a reason why the pause is.
func watch(ctx context.Context, p faults.Process, over func() string) (faults.Effect, error) {
	for {
		why := over()
		if why != "" {
			sleep(ctx, dying) // one that is about to end is not stopped any more either
		}
		if !Alive(p) {
			why = fmt.Sprintf("pid %d ended while it was paused", p.PID)
		}
		if why != "" {
			return faults.Effect{}, &lapse{why}
		}
		if !sleep(ctx, watchEvery) {
			return faults.Effect{}, ctx.Err()
		}
	}
}

// continueAll continues those of the processes that are there and stopped, children before their parents.
func continueAll(ctx context.Context, all []faults.Process) error {
	var errs []error
	for i, p := range slices.Backward(all) {
		if i < len(all)-1 {
			faults.Reach(ctx, faults.MidRevert)
		}
		errs = append(errs, resume(ctx, p))
	}
	return errors.Join(errs...)
}

// resume sends one process SIGCONT. One that is gone, or that runs because it was never stopped or somebody else
// continued it, is left alone.
func resume(ctx context.Context, p faults.Process) error {
	fd, err := openPidfd(p)
	if err != nil || fd < 0 {
		return err
	}
	defer unix.Close(fd)
	if s, err := readStat(p.PID); err != nil || s.state != 'T' { // else its first thread tells enough
		if l := lookAt(p); l.gone || !l.some {
			return nil
		}
	}
	if err := send(fd, p.PID, unix.SIGCONT); err != nil {
		return err
	}
	for end := time.Now().Add(settleLimit); ; {
		if l := lookAt(p); l.gone || !l.some {
			return nil // as a rule at once: the kernel wakes a process while it takes the signal
		}
		if !sleep(ctx, 2*time.Millisecond) || time.Now().After(end) {
			return fmt.Errorf("pid %d is stopped although it was continued: somebody else stops it as well; see who, then "+
				"kill -CONT %d", p.PID, p.PID)
		}
	}
}
