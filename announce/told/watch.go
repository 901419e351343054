package told

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"gameday/announce"
)

// Fate is what became of a run that a message watches. While it goes on, or nobody knows, the message is not sent. Whoever tells how it ended lets go of the message
// by Drop, and keeps it from everybody until then; so one that has ended, and whose message may be sent, has ended without anybody being told.
type Fate int

// The fates. Of a run on another machine nothing is known.
const (
	FateUnknown Fate = iota
	FateGoesOn
	FateEnded
	FateDied
)

// fate returns what became of what a message watches. One that watches nothing is told as any other.
func (f *Folder) fate(k *Kept) Fate {
	switch {
	case k.Draft.Watch == "":
		return FateDied
	case f.Fate == nil:
		return FateUnknown
	}
	return f.Fate(k.Draft.Watch)
}

// Whoever comes upon a message that is not to be sent yet holds its lock for an instant.
const (
	lockPatience = 250 * time.Millisecond
	lockAgain    = 10 * time.Millisecond
)

// lock takes the lock of a message's file for as long as that is open. It tries until its patience is over: then somebody is sending the message.
func lock(file *os.File) error {
	patience := time.NewTimer(lockPatience)
	defer patience.Stop()
	again := time.NewTicker(lockAgain)
	defer again.Stop()
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return err
		}
		select {
		case <-again.C:
		case <-patience.C:
			return err
		}
	}
}

// Drop lets go of a message that is of no use any more, if it is there and not settled. While somebody is sending it, that is an error.
func (f *Folder) Drop(key, why, by string, now time.Time) error {
	name, err := fileOf(key)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(f.dir, name), os.O_RDWR|os.O_APPEND, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("letting go of an announcement: %w", err)
	}
	defer file.Close()
	if err := lock(file); err != nil {
		return fmt.Errorf("letting go of an announcement: locking %s: %w", file.Name(), err)
	}
	k, err := decode(file)
	if err != nil || k.Last().Settled() {
		return err
	}
	return appendLine(file, Line{At: now, What: Expired, By: by, Why: why})
}

// Watching is a message that waits for the death of this process: nobody else sends it before that, or before Drop. It is not safe for concurrent use.
type Watching struct{ file *os.File }

// watched has the files of what this process watches: one that nobody refers to any more would be closed, and its lock let go, by the garbage collector.
var watched sync.Map // of *os.File

// Watch writes down a message as Post does, and keeps everybody from sending it as long as this process lives, or until Drop. Where it is there already, it
// returns nil.
func (f *Folder) Watch(d announce.Draft, now time.Time) (*Watching, error) {
	file, err := f.post(d, now)
	if file == nil {
		return nil, err
	}
	watched.Store(file, nil)
	return &Watching{file}, err
}

// Drop lets go of a message that is of no use any more: nobody will send it.
func (w *Watching) Drop(why, by string, now time.Time) error {
	defer watched.Delete(w.file)
	if err := errors.Join(appendLine(w.file, Line{At: now, What: Expired, By: by, Why: why}), w.file.Close()); err != nil {
		return fmt.Errorf("letting go of an announcement: %w", err)
	}
	return nil
}
