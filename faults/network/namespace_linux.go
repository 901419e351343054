package network

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

// errGone says that no process and no name keeps the namespace any more, so the kernel has freed all that was in
// it.
var errGone = errors.New("the network namespace is gone")

// namedFolders hold network namespaces that were given a name, as `ip netns add` does.
var namedFolders = []string{"/run/netns", "/run/docker/netns"}

// openNamespace opens the place's network namespace: that of the process it was seen in, else of any other
// process, else a named one. The caller must close the file soon: while it is open, the namespace lives on after
// its last process.
func openNamespace(n faults.Namespace) (*os.File, error) {
	if n.PID > 0 {
		f, err := openIfSame(nsPath(strconv.Itoa(n.PID)), n)
		if err == nil {
			return f, nil
		}
		if errors.Is(err, fs.ErrPermission) {
			return nil, fmt.Errorf(
				"looking for the network namespace: not allowed to look at process %d; try again as root", n.PID)
		}
	}
	// Twice, because the only process there may have forked and ended behind a scan's back.
	for range 2 {
		f, err := scan(n)
		if !errors.Is(err, errGone) {
			return f, err
		}
	}
	return nil, errGone
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
		if f, err := openIfSame(nsPath(d.Name()), n); err == nil {
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
	return nil, errGone
}

func nsPath(pid string) string { return "/proc/" + pid + "/ns/net" }

// openIfSame opens path if it is the namespace, judging by the open file, which cannot change any more.
func openIfSame(path string, n faults.Namespace) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil || st.Ino != n.Inode || uint64(st.Dev) != n.Device {
		f.Close()
		return nil, errors.Join(errGone, err)
	}
	return f, nil
}

// within calls f on a thread that is in the namespace, for sockets that must be made there. A thread that cannot be
// brought back is given up with its goroutine.
func within(ns *os.File, f func() error) error {
	result := make(chan error, 1)
	go func() { result <- enter(ns, func() error { return faults.Protect(f) }) }()
	return <-result
}

// enter runs on a goroutine of its own.
func enter(ns *os.File, f func() error) error {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("entering the network namespace: %w", err)
	}
	defer home.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("entering the network namespace: %w", err)
	}
	err = f()
	if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
		runtime.UnlockOSThread() // otherwise the thread ends with this goroutine
	}
	return err
}

// ownNamespace returns the network namespace that this process is in.
func ownNamespace() (*faults.Namespace, error) {
	runtime.LockOSThread() // no other goroutine takes this thread elsewhere meanwhile
	defer runtime.UnlockOSThread()
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
		return nil, fmt.Errorf("looking at the guard's own network namespace: %w", err)
	}
	return &faults.Namespace{Inode: st.Ino, Device: uint64(st.Dev), PID: os.Getpid()}, nil
}
