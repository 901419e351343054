package faults

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Limits of the ledger's files.
const (
	entrySuffix   = ".json"
	draftPrefix   = ".draft-"
	maxEntrySize  = 1 << 20                // bytes; a larger file was not written by a Ledger
	draftLife     = time.Hour              // a draft this old was left by a crash before its fault was injected
	claimPatience = 250 * time.Millisecond // a lister holds a shared lock for an instant
)

// ErrHeld says that a process which is alive holds the entry.
var ErrHeld = errors.New("the entry is held by a guard that is alive")

var idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// Ledger is a folder with one file per injection that stands or may stand. Whoever opens an entry holds the file's
// lock (flock) until it closes the entry or dies: an entry that is there but not locked is an orphan, whatever
// became of its process id.
//
//	draft, locked ─fsync─▶ rename to <id>.json ─fsync folder─▶ fault injected … reverted ─▶ file removed ─fsync folder
//
// A Ledger has no state of its own; it may be used by several goroutines and processes at once.
type Ledger struct {
	dir string
}

// Held is an entry whose lock this process holds.
type Held struct {
	ledger *Ledger
	entry  Entry
	file   *os.File
}

// locks has the files of all entries that this process holds: one that nobody refers to any more would be closed, and its lock let go,
// by the garbage collector, and the entry would be an orphan while its guard lives.
var locks sync.Map // of *os.File

// hold returns an entry held by its locked file.
func (l *Ledger) hold(e Entry, file *os.File) *Held {
	locks.Store(file, nil)
	return &Held{ledger: l, entry: e, file: file}
}

// letGo gives up a lock.
func letGo(file *os.File) error {
	defer locks.Delete(file)
	return file.Close()
}

// Standing is one entry found in the ledger.
type Standing struct {
	ID    string // from the file's name
	Entry Entry  // zero if Err is set
	// Orphaned says that nobody holds the entry: its guard is dead.
	Orphaned bool
	// Err says why the file cannot be read as an entry: torn, garbage, or not a plain file.
	Err error
}

// OpenLedger returns the ledger in dir, which is made, readable by its owner alone, if it is not there.
func OpenLedger(dir string) (*Ledger, error) {
	if dir == "" {
		return nil, errors.New("opening the ledger: no folder given")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the ledger: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the ledger: %w", err)
	}
	l := &Ledger{dir: dir}
	l.sweepDrafts()
	return l, nil
}

// Dir returns the ledger's folder.
func (l *Ledger) Dir() string { return l.dir }

// ValidID reports whether id can be the name of an entry: letters, digits, dots, dashes and underscores, at most
// 128, the first a letter or a digit.
func ValidID(id string) bool { return idPattern.MatchString(id) }

// Open writes the entry and returns it held. When Open fails, nothing may be injected: a fault whose undo is not on
// disk could outlive everybody who knows of it.
func (l *Ledger) Open(e Entry) (*Held, error) {
	if !ValidID(e.ID) {
		return nil, fmt.Errorf("opening ledger entry: %q is not a valid id", e.ID)
	}
	data, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("opening ledger entry %s: %w", e.ID, err)
	}
	if len(data) >= maxEntrySize {
		return nil, fmt.Errorf("opening ledger entry %s: it has %d bytes, %d are allowed", e.ID, len(data), maxEntrySize)
	}
	if _, err := os.Lstat(l.path(e.ID)); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("opening ledger entry %s: %w", e.ID, cmp.Or(err, fs.ErrExist))
	}
	file, err := l.publish(e.ID, append(data, '\n'))
	if err != nil {
		return nil, fmt.Errorf("opening ledger entry %s: %w", e.ID, err)
	}
	return l.hold(e, file), nil
}

// publish writes data to a locked draft and renames it to the entry's name, each step on disk before the next. The
// lock belongs to the file, not to its name, so the entry is never seen unlocked.
func (l *Ledger) publish(id string, data []byte) (_ *os.File, err error) {
	file, err := l.draft(id, data)
	if err != nil {
		return nil, err
	}
	name := file.Name()
	if err = os.Rename(name, l.path(id)); err == nil {
		name = l.path(id)
		err = l.sync()
	}
	if err != nil {
		return nil, errors.Join(err, removeIfThere(name), file.Close())
	}
	return file, nil
}

// draft writes data to a locked file of its own, which is on disk when it returns.
func (l *Ledger) draft(id string, data []byte) (_ *os.File, err error) {
	file, err := os.CreateTemp(l.dir, draftPrefix+id+"-*")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeIfThere(file.Name()), file.Close())
		}
	}()
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, fmt.Errorf("locking: %w", err)
	}
	if _, err := file.Write(data); err != nil {
		return nil, err
	}
	return file, file.Sync()
}

// Entry returns what is written in the ledger.
func (h *Held) Entry() Entry { return h.entry }

// Close removes the entry: the fault is known to be gone. The lock is given up last, and only when the entry is gone: after
// an error the entry is still held, and Close may be called again.
func (h *Held) Close() error {
	err := errors.Join(removeIfThere(h.ledger.path(h.entry.ID)), h.ledger.sync())
	if err == nil {
		err = letGo(h.file)
	}
	if err != nil {
		return fmt.Errorf("closing ledger entry %s: %w", h.entry.ID, err)
	}
	return nil
}

// Release gives up the lock and leaves the entry, which is then an orphan: the fault still stands.
func (h *Held) Release() error { return letGo(h.file) }

// Standing returns all entries, the oldest first, those that cannot be read last. Drafts are left out: their faults
// were never injected. An error means that the folder itself cannot be read.
func (l *Ledger) Standing() ([]Standing, error) { return l.StandingBut(nil) }

// StandingBut is Standing without the entries for whose ids skip returns true: they are not even opened.
func (l *Ledger) StandingBut(skip func(id string) bool) ([]Standing, error) {
	names, err := os.ReadDir(l.dir)
	if err != nil {
		return nil, fmt.Errorf("reading the ledger: %w", err)
	}
	var all []Standing
	for _, n := range names {
		id, isEntry := strings.CutSuffix(n.Name(), entrySuffix)
		if !isEntry || strings.HasPrefix(id, ".") || (skip != nil && skip(id)) {
			continue
		}
		if s, there := l.look(id); there {
			all = append(all, s)
		}
	}
	slices.SortStableFunc(all, func(a, b Standing) int {
		if (a.Err == nil) != (b.Err == nil) {
			return cmp.Compare(bit(a.Err != nil), bit(b.Err != nil))
		}
		return cmp.Or(a.Entry.Opened.Compare(b.Entry.Opened), strings.Compare(a.ID, b.ID))
	})
	return all, nil
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// look reads one entry and asks whether it is locked, with a shared lock so that two who look do not see each
// other. It returns false when the entry was closed in the meantime.
func (l *Ledger) look(id string) (Standing, bool) {
	for range 20 { // an entry that was amended while it was read lies in another file now
		s, there := l.lookOnce(id)
		if there || errors.Is(s.Err, fs.ErrNotExist) {
			return s, there
		}
	}
	return Standing{ID: id}, false
}

func (l *Ledger) lookOnce(id string) (Standing, bool) {
	s := Standing{ID: id}
	file, err := l.openFile(id)
	if errors.Is(err, fs.ErrNotExist) {
		s.Err = err
		return s, false
	}
	if err != nil {
		s.Orphaned, s.Err = true, err
		return s, true
	}
	defer file.Close()
	s.Orphaned = unix.Flock(int(file.Fd()), unix.LOCK_SH|unix.LOCK_NB) == nil
	s.Entry, s.Err = readEntry(file, id)
	return s, !s.Orphaned || l.same(file, id)
}

// Claim takes the lock of an orphan, so that its fault can be reverted by one process only. It returns ErrHeld when
// the entry's guard is alive, and fs.ErrNotExist when somebody else closed it.
func (l *Ledger) Claim(id string) (*Held, error) {
	if !ValidID(id) {
		return nil, fmt.Errorf("claiming ledger entry: %q is not a valid id", id)
	}
	file, err := l.openFile(id)
	if err != nil {
		return nil, fmt.Errorf("claiming ledger entry %s: %w", id, err)
	}
	h, err := l.claim(file, id)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("claiming ledger entry %s: %w", id, err)
	}
	return h, nil
}

// LockFile takes a file's lock (flock) for as long as the file is open, and reports whether it could. Whoever only looks whether
// it is held has it for an instant, so another one tries until its patience is over.
func LockFile(file *os.File, limit time.Duration) bool {
	patience := time.NewTimer(limit)
	defer patience.Stop()
	again := time.NewTicker(limit / 25)
	defer again.Stop()
	for unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		select {
		case <-again.C:
		case <-patience.C:
			return false
		}
	}
	return true
}

func (l *Ledger) claim(file *os.File, id string) (*Held, error) {
	if !LockFile(file, claimPatience) {
		return nil, ErrHeld
	}
	if !l.same(file, id) {
		return nil, fs.ErrNotExist
	}
	e, err := readEntry(file, id)
	if err != nil {
		return nil, err
	}
	return l.hold(e, file), nil
}

// openFile opens an entry's file without following links or waiting on a pipe that somebody put there.
func (l *Ledger) openFile(id string) (*os.File, error) {
	file, err := os.OpenFile(l.path(id), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		file.Close()
		return nil, cmp.Or(err, errors.New("not a plain file"))
	}
	return file, nil
}

func readEntry(r io.Reader, id string) (Entry, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxEntrySize))
	if err != nil {
		return Entry{}, err
	}
	var e Entry
	if err := json.Unmarshal(data, &e); err != nil {
		return Entry{}, fmt.Errorf("the file is torn or not an entry: %w", err)
	}
	if e.ID != id || !ValidID(id) {
		return Entry{}, fmt.Errorf("the file holds entry %q", e.ID)
	}
	return e, nil
}

// same reports whether the entry's name still leads to the open file.
func (l *Ledger) same(file *os.File, id string) bool {
	open, err := file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(l.path(id))
	return err == nil && os.SameFile(open, named)
}

// sweepDrafts removes what crashes left before their faults were injected. Failing to is harmless: nobody reads
// drafts.
func (l *Ledger) sweepDrafts() {
	drafts, _ := filepath.Glob(filepath.Join(l.dir, draftPrefix+"*"))
	for _, d := range drafts {
		if info, err := os.Lstat(d); err == nil && time.Since(info.ModTime()) > draftLife {
			os.Remove(d)
		}
	}
}

func (l *Ledger) path(id string) string { return filepath.Join(l.dir, id+entrySuffix) }

// sync puts the folder's names on disk.
func (l *Ledger) sync() error {
	d, err := os.Open(l.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
