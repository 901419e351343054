package kept

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Hold takes hold of the label of a record whose run is about to begin. The hold is that of the file that it returns: it passes on to a process
// that is started with the file, and ends when all that have it are dead or have closed it. So whoever begins a run and is killed leaves no
// moment in which the run goes on and nobody can see it. The folder's file system must have locks, between machines as well if several share
// it: NFS has.
func Hold(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, LabelFile), os.O_RDWR, 0) // NFS wants it so
	if err != nil {
		return nil, fmt.Errorf("holding the record's label: %w", err)
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX) // whoever looks holds it for an instant
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("holding the record's label %s: %w", f.Name(), err)
	}
	return f, nil
}

// Busy reports whether somebody holds the label of a record: its run goes on, or is about to begin. Records without a label are held by nobody.
func Busy(dir string) bool {
	f, err := os.Open(filepath.Join(dir, LabelFile))
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}
