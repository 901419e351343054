package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// scratchPrefix is how the names of folders begin that are made for somebody who only looks.
const scratchPrefix = "gameday-look-"

// scratch is a folder for somebody who only looks. It is locked (flock) for as long as the process lives that made it.
type scratch struct {
	dir     string
	lock    *os.File
	unwatch func() // nil when nobody watches
}

// newScratch makes one, and first removes those that no living process holds: what made them was killed.
func newScratch() (*scratch, error) {
	sweepScratches(os.TempDir())
	for {
		dir, err := os.MkdirTemp("", scratchPrefix)
		if err != nil {
			return nil, err
		}
		lock, locked, err := lockDir(dir)
		if locked && err == nil {
			return &scratch{dir: dir, lock: lock}, nil
		}
		if lock != nil {
			_ = lock.Close()
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, errors.Join(err, os.Remove(dir))
		} // else somebody else took it for one that was left
	}
}

// sweepScratches removes folders in another that no living process holds. What cannot be removed is somebody else's, and left.
func sweepScratches(in string) {
	all, err := filepath.Glob(filepath.Join(in, scratchPrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range all {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() {
			continue
		}
		lock, locked, err := lockDir(dir)
		if locked && err == nil {
			_ = os.RemoveAll(dir)
		}
		if lock != nil {
			_ = lock.Close()
		}
	}
}

// lockDir takes a folder's lock, unless somebody holds it. It is an error when the folder is gone by then.
func lockDir(dir string) (lock *os.File, locked bool, err error) {
	lock, err = os.OpenFile(dir, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, false, err
	}
	if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return lock, false, nil
	}
	held, err := lock.Stat()
	if err != nil {
		return lock, true, err
	}
	there, err := os.Lstat(dir)
	if err == nil && !os.SameFile(held, there) {
		err = os.ErrNotExist
	}
	return lock, true, err
}

// remove removes it.
func (s *scratch) remove() error {
	err := os.RemoveAll(s.dir)
	_ = s.lock.Close()
	if s.unwatch != nil {
		s.unwatch()
	}
	return err
}
