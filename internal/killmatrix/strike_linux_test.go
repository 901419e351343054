package killmatrix

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"gameday/faults"
	"gameday/faults/process"
	"gameday/internal/vm"
)

func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// strike does to the victim what the cell says, and returns when it is done.
func (s *stage) strike(v Victim) error {
	conductor, guard := s.pids.conductor, s.pids.guard
	switch v {
	case Conductor:
		return s.killAll(conductor)
	case Guard:
		return s.killAll(guard)
	case Both:
		return s.killAll(guard, conductor)
	case Group:
		all, err := everyProcessOf(guard.PID, conductor.PID)
		if err != nil {
			return err
		}
		for _, p := range all { // a worker that sees its guard die must not have time to do anything about it
			_ = unix.Kill(p.PID, unix.SIGSTOP)
		}
		return s.killAll(all...)
	case Target:
		return s.w.kill()
	case Hung:
		return halt(conductor)
	case Cut:
		return s.cut()
	case DiskFull:
		return fill(s.w.disk())
	case ReadOnly:
		return lock(s.w.ledgerDir())
	case ClockBack:
		return shiftClock(-time.Hour)
	case ClockOn:
		return shiftClock(time.Hour)
	}
	return fmt.Errorf("there is no way to strike %s here", v)
}

// killAll sends SIGKILL to all before it waits for the first.
func (s *stage) killAll(victims ...faults.Process) error {
	for _, p := range victims {
		if err := unix.Kill(p.PID, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	for _, p := range victims {
		if !until(patience, func() bool { return buried(p) }) {
			return fmt.Errorf("pid %d does not die", p.PID)
		}
	}
	return nil
}

// killStranger kills a process that the worker did not start, and waits for its end.
func killStranger(p faults.Process) error { return (&stage{}).killAll(p) }

// buried reports whether a process has ended with all its threads. Its first thread may be dead, and the process look
// so, while others still hold its files.
func buried(p faults.Process) bool {
	if process.Alive(p) {
		return false
	}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.PID))
	return err != nil || len(threads) <= 1 || !sameStart(p)
}

// sameStart reports whether the pid is still that of the process, dead or alive.
func sameStart(p faults.Process) bool {
	now, err := process.Identify(p.PID)
	return err == nil && now.Start == p.Start
}

// everyProcessOf returns the leaders, their sessions, and all that descends from them.
func everyProcessOf(leaders ...int) ([]faults.Process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	type kin struct{ parent, session int }
	all := map[int]kin{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		parent, _ := strconv.Atoi(fields[1])
		session, _ := strconv.Atoi(fields[3])
		all[pid] = kin{parent, session}
	}
	var out []faults.Process
	for pid := range all {
		for at := pid; at > 1; at = all[at].parent {
			if slices.Contains(leaders, at) || slices.Contains(leaders, all[at].session) {
				if p, err := process.Identify(pid); err == nil {
					out = append(out, p)
				}
				break
			}
		}
	}
	return out, nil
}

// shiftClock moves the wall clock of a virtual machine. It refuses to touch any other.
func shiftClock(by time.Duration) error {
	if os.Getenv(vm.InsideVariable) == "" {
		return errors.New("this is no virtual machine: its clock is let alone")
	}
	now := unix.NsecToTimeval(time.Now().Add(by).UnixNano())
	return unix.Settimeofday(&now)
}

// fill leaves not a byte on a disk.
func fill(disk string) error {
	f, err := os.Create(filepath.Join(disk, "fill"))
	if err != nil {
		return err
	}
	defer f.Close()
	for _, block := range []int{4096, 1} {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, block))
		}
		if !errors.Is(err, unix.ENOSPC) {
			return err
		}
	}
	return nil
}

// lock lays a read-only view of a folder over it. The disk itself cannot be made read-only while an entry is open.
func lock(dir string) error {
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("locking %s: %w", dir, err)
	}
	return unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
}

// repair takes the ledger's trouble away.
func (w *world) repair(v Victim) error {
	switch v {
	case DiskFull:
		return os.Remove(filepath.Join(w.disk(), "fill"))
	case ReadOnly:
		return unix.Unmount(w.ledgerDir(), unix.MNT_DETACH)
	case ClockBack:
		return shiftClock(time.Hour)
	case ClockOn:
		return shiftClock(-time.Hour)
	}
	return nil
}

// orphan says what the ledger has: nothing (false), or one entry of the stage's, held by nobody (true). Anything else
// is an error, and so is a file that is not an entry.
func (s *stage) orphan() (bool, error) {
	l, err := faults.OpenLedger(s.w.ledgerDir())
	if err != nil {
		return false, err
	}
	standing, err := l.Standing()
	if err != nil {
		return false, err
	}
	var strange []string
	for _, e := range standing {
		if e.ID != s.id || e.Err != nil || !e.Orphaned {
			strange = append(strange, fmt.Sprintf("%s (orphaned %v): %v", e.ID, e.Orphaned, e.Err))
		}
	}
	if len(strange) > 0 || len(standing) > 1 {
		return true, fmt.Errorf("the ledger has %s", strings.Join(strange, ", "))
	}
	return len(standing) == 1, nil
}
