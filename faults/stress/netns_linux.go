package stress

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"gameday/faults"
)

// openNetwork opens the place's network namespace: that of the process it was seen in, else of any other process. While
// the file is open, the namespace lives on after its last process.
func openNetwork(n faults.Namespace) (*os.File, error) {
	pids := []string{strconv.Itoa(n.PID)}
	more, err := readNames("/proc")
	if err != nil {
		return nil, fmt.Errorf("looking for the network namespace: %w", err)
	}
	for _, pid := range append(pids, more...) {
		if _, err := strconv.Atoi(pid); err != nil {
			continue
		}
		f, err := os.OpenFile("/proc/"+pid+"/ns/net", os.O_RDONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			continue
		}
		if sameNamespace(f, n) {
			return f, nil
		}
		f.Close()
	}
	return nil, fmt.Errorf("the network namespace %d of the place has no process that the guard may look at: it is gone, or the "+
		"guard must run as another user", n.Inode)
}

func sameNamespace(f *os.File, n faults.Namespace) bool {
	var st unix.Stat_t
	return unix.Fstat(int(f.Fd()), &st) == nil && st.Ino == n.Inode && uint64(st.Dev) == n.Device
}

// ownNetwork reports whether this process is in the namespace.
func ownNetwork(n faults.Namespace) bool {
	f, err := os.Open("/proc/self/ns/net")
	if err != nil {
		return false
	}
	defer f.Close()
	return sameNamespace(f, n)
}

// inNetwork calls f on a thread in the namespace. The thread stays there, and ends with its goroutine. It is never the
// first one, which would not end, and stands for the whole process in /proc.
func inNetwork(ns *os.File, f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			result <- inNetwork(ns, f) // cannot be given this thread, which waits here
			runtime.UnlockOSThread()
			return
		}
		if err := enterNetwork(ns); err != nil {
			result <- err
			return
		}
		result <- faults.Protect(f)
	}()
	return <-result
}

// enterNetwork moves this thread to the namespace, unless it is there already: that needs no privilege.
func enterNetwork(ns *os.File) error {
	var there, here unix.Stat_t
	if err := errors.Join(unix.Fstat(int(ns.Fd()), &there), unix.Stat("/proc/thread-self/ns/net", &here)); err != nil {
		return fmt.Errorf("entering the network namespace: %w", err)
	}
	if there.Ino == here.Ino && there.Dev == here.Dev {
		return nil
	}
	err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("entering the network namespace: %w; the guard needs CAP_SYS_ADMIN in it", err)
	}
	if err != nil {
		return fmt.Errorf("entering the network namespace: %w", err)
	}
	return nil
}
