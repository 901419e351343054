package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"gameday/faults"
)

// namedFolders hold network namespaces that were given a name, as `ip netns add` does.
var namedFolders = []string{"/run/netns", "/run/docker/netns"}

// Open opens a network namespace by its number: that of the process it was seen in, else of any other process, else a named
// one. By then the number may be another one's, see Wide. The caller must close the file soon: while it is open, the
// namespace lives on after its last process. The error is ErrGone if there is none. Who may not look at a process that may
// be the one, and finds no other, is told so.
func Open(n faults.Namespace) (*os.File, error) {
	var hidden error
	if n.PID > 0 {
		f, err := OpenProcess(n.PID, n)
		if err == nil {
			return f, nil
		}
		if errors.Is(err, fs.ErrPermission) { // it may be a stranger who got the pid
			hidden = hiddenProcess(strconv.Itoa(n.PID))
		}
	}
	// Twice, because the only process there may have forked and ended behind a scan's back.
	for range 2 {
		f, err := scan(n)
		if !errors.Is(err, ErrGone) {
			return f, err
		}
	}
	if hidden != nil {
		return nil, hidden
	}
	return nil, ErrGone
}

// OpenProcess opens the namespace only if the process is in it.
func OpenProcess(pid int, n faults.Namespace) (*os.File, error) {
	return openIfSame(path(strconv.Itoa(pid)), n)
}

// scan looks at every process and name that this user may look at. One who may not look at a process could not have
// injected into its namespace either.
func scan(n faults.Namespace) (*os.File, error) {
	pids, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("looking for the network namespace: %w", err)
	}
	for _, d := range pids {
		if _, err := strconv.Atoi(d.Name()); err != nil {
			continue
		}
		if f, err := openIfSame(path(d.Name()), n); err == nil {
			return f, nil
		}
	}
	for _, folder := range namedFolders {
		names, _ := filepath.Glob(filepath.Join(folder, "*"))
		for _, name := range names {
			if f, err := openIfSame(name, n); err == nil {
				return f, nil
			}
		}
	}
	return nil, ErrGone
}

func path(pid string) string { return "/proc/" + pid + "/ns/net" }

// openIfSame opens path if it is the namespace, judging by the open file, which cannot change any more.
func openIfSame(path string, n faults.Namespace) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil || st.Ino != n.Inode || uint64(st.Dev) != n.Device {
		f.Close()
		return nil, errors.Join(ErrGone, err)
	}
	return f, nil
}

// Own returns the network namespace that this process is in.
func Own() (*faults.Namespace, error) {
	runtime.LockOSThread() // no other goroutine takes this thread elsewhere meanwhile
	defer runtime.UnlockOSThread()
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
		return nil, fmt.Errorf("looking at the guard's own network namespace: %w", err)
	}
	return &faults.Namespace{Inode: st.Ino, Device: uint64(st.Dev), PID: os.Getpid()}, nil
}

// Within calls f on a thread that is in the namespace, for sockets that must be made there. A panic of f is an error. It
// needs CAP_SYS_ADMIN, unless this process is there already. Several may be under way at once.
func Within(ns *os.File, f func() error) error {
	defer runtime.KeepAlive(ns) // what enter has of it is a number: a file that nobody refers to any more would be closed
	result := make(chan error, 1)
	go enter(ns, f, result)
	return <-result
}

// enter runs on a goroutine of its own. A thread that cannot be brought back is given up with its goroutine.
func enter(ns *os.File, f func() error, result chan<- error) {
	if first := lockThread(); first {
		result <- Within(ns, f) // cannot be given this thread, which waits here
		runtime.UnlockOSThread()
		return
	}
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		result <- fmt.Errorf("entering the network namespace: %w", err)
		return
	}
	defer home.Close()
	there, err := move(home, ns)
	if err != nil {
		runtime.UnlockOSThread()
		result <- fmt.Errorf("entering the network namespace: %w", err)
		return
	}
	err = faults.Protect(f)
	if there || unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
		runtime.UnlockOSThread() // otherwise the thread ends with this goroutine
	}
	result <- err
}

// lockThread locks the goroutine to its thread, and reports whether that is the process's first one. That is never lent:
// it stands for the whole process in /proc, where whoever looked meanwhile would find the process elsewhere, and it does
// not end with its goroutine.
func lockThread() (first bool) {
	runtime.LockOSThread()
	return unix.Gettid() == unix.Getpid()
}

// Scratch makes a network namespace that lives until the file is closed. It needs CAP_SYS_ADMIN.
func Scratch() (*os.File, error) {
	type made struct {
		ns  *os.File
		err error
	}
	result := make(chan made, 1)
	go func() {
		if first := lockThread(); first {
			ns, err := Scratch() // not on this thread, which waits here
			runtime.UnlockOSThread()
			result <- made{ns, err}
			return
		}
		// From here on the thread is not unlocked: it ends with this goroutine.
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			result <- made{nil, fmt.Errorf("making a network namespace: %w", err)}
			return
		}
		ns, err := os.Open("/proc/thread-self/ns/net")
		result <- made{ns, err}
	}()
	m := <-result
	return m.ns, m.err
}

// move takes the thread from one namespace to another, unless they are the same, which needs no privilege.
func move(from, to *os.File) (same bool, err error) {
	var here, there unix.Stat_t
	if err := errors.Join(unix.Fstat(int(from.Fd()), &here), unix.Fstat(int(to.Fd()), &there)); err != nil {
		return false, err
	}
	if here.Ino == there.Ino && here.Dev == there.Dev {
		return true, nil
	}
	return false, unix.Setns(int(to.Fd()), unix.CLONE_NEWNET)
}
