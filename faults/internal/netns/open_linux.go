package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"gameday/faults"
)

// Door opens a network namespace; its caller closes the file. There are two: Seen.Open for the way in, Wide for the way
// back.
type Door func() (*os.File, error)

// Wide is the door for looking after what stands at a place, and for taking it away: Open, which may find another
// namespace that got the number of one that is gone. Whoever goes through it touches only what carries the marks of the
// injection. A process that has the pid of the place's own, and is not that, is not asked.
func Wide(p faults.Place) Door {
	return func() (*os.File, error) {
		n := *p.Network
		if passed(p, n.PID) {
			n.PID = 0
		}
		return Open(n)
	}
}

// Held is a door to a namespace that is open already.
func Held(ns *os.File) Door { return func() (*os.File, error) { return Again(ns) } }

// Again opens the same namespace once more.
func Again(ns *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(ns.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("keeping the network namespace: %w", err)
	}
	return os.NewFile(uintptr(fd), ns.Name()), nil
}

// OpenAlive opens the namespace of a place that was looked at a moment ago, for the first look or the first change there:
// See and Seen.Open in one.
func OpenAlive(p faults.Place) (*os.File, error) {
	if p.Network == nil {
		return nil, fmt.Errorf("%s has no network namespace", p.Name)
	}
	return See(p).Open()
}

// Open opens the namespace if one of the processes by which it was seen is still the same and still there, or if it is
// this process's own. Otherwise the error is ErrGone, or says that the process may not be looked at. The caller must close
// the file soon: while it is open, the namespace lives on after its last process.
func (s Seen) Open() (*os.File, error) {
	if own, err := Own(); err == nil && Same(own, &s.network) {
		return openOwn(s.network)
	}
	var hidden error
	for _, w := range s.witnesses {
		f, err := OpenProcess(w.pid, s.network)
		if errors.Is(err, fs.ErrPermission) {
			hidden = errors.Join(hidden, hiddenProcess(strconv.Itoa(w.pid)))
		}
		if err != nil {
			continue
		}
		// Asked after it was opened: a start time that is still the same is that of who was there when it was.
		if start, err := startOf(w.pid); err == nil && start == w.start {
			return f, nil
		}
		f.Close()
	}
	if hidden != nil {
		return nil, hidden
	}
	return nil, s.gone()
}

// openOwn opens this process's own namespace by the thread that it runs on: the first one, which /proc/PID shows, may have been
// lent by a library.
func openOwn(n faults.Namespace) (*os.File, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return openIfSame("/proc/thread-self/ns/net", n)
}

// hiddenProcess says that this user may not look where a process is.
func hiddenProcess(pid string) error {
	return fmt.Errorf("looking for the network namespace: not allowed to look at process %s; try again as root", pid)
}
