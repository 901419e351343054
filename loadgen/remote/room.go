package remote

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	// memory is a folder that is no disk, where there is one.
	memory = "/dev/shm"
	// roomPrefix begins the name of a room.
	roomPrefix = "gameday-generator-"
	// fresh is how long a room may be without its lock after it was made.
	fresh = time.Minute
)

// room is the folder of a stream, for what the engine reads from files: a script, keys. It is locked as long as the process lives
// that made it.
type room struct {
	dir  string
	lock *os.File
}

// newRoom makes a room, and takes away those whose processes were killed before they could.
func newRoom() (*room, error) {
	sweep(memory)
	sweep(os.TempDir())
	parent := ""
	if info, err := os.Stat(memory); err == nil && info.IsDir() {
		parent = memory
	}
	dir, err := os.MkdirTemp(parent, roomPrefix)
	if err != nil {
		if dir, err = os.MkdirTemp("", roomPrefix); err != nil {
			return nil, fmt.Errorf("making room for the stream: %w", err)
		}
	}
	lock, err := hold(dir)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making room for the stream: %w", err), os.RemoveAll(dir))
	}
	return &room{dir: dir, lock: lock}, nil
}

// remove takes the room away. It may be called more than once.
func (r *room) remove() error {
	err := os.RemoveAll(r.dir)
	_ = r.lock.Close() // which a second time is an error
	return err
}

// hold locks a folder, unless somebody holds it.
func hold(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// sweep removes rooms in a folder that nobody holds. What cannot be removed is somebody else's.
func sweep(parent string) {
	entries, _ := filepath.Glob(filepath.Join(parent, roomPrefix+"*"))
	for _, dir := range entries {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() || time.Since(info.ModTime()) < fresh {
			continue
		}
		if lock, err := hold(dir); err == nil {
			_ = os.RemoveAll(dir)
			_ = lock.Close()
		}
	}
}
