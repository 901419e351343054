package vm

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// folderPattern is how folders of machines are named. They stand in the system's folder for temporary files and not in
// a test's own, whose name may be too long for a socket's.
const folderPattern = "gameday-vm-*"

// makeFolder makes a folder for a machine, and removes those whose tests were killed. Each has a file that its test
// holds locked for life: a lock outlives no process.
func makeFolder() (dir string, release func(), err error) {
	left, err := filepath.Glob(filepath.Join(os.TempDir(), folderPattern))
	if err != nil {
		return "", nil, err
	}
	for _, dir := range left {
		if lock, err := lockFolder(dir, 0); err == nil {
			_ = os.RemoveAll(dir)
			lock.Close()
		}
	}
	dir, err = os.MkdirTemp("", folderPattern)
	if err != nil {
		return "", nil, fmt.Errorf("making a folder for a machine: %w", err)
	}
	lock, err := lockFolder(dir, os.O_CREATE)
	if err != nil {
		os.RemoveAll(dir)
		return "", nil, err
	}
	return dir, func() {
		_ = os.RemoveAll(dir)
		lock.Close()
	}, nil
}

// lockFolder takes a folder's lock, or fails if somebody has it. A folder without one is being made.
func lockFolder(dir string, flags int) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|flags, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("locking a folder of a machine: %w", err)
	}
	return lock, nil
}
