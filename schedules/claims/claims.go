// Package claims keeps on disk what became of each occasion, in a folder that several processes and machines may share. An
// occasion is claimed by whoever makes its file first; there is one file for each, written whole and on disk before anybody
// can see it, and never changed. So no occasion is begun twice, whoever dies when.
//
// While it is at it, the process that began an occasion holds a lock on its file, which its death lets go of. The file system
// must have hard links and locks, between machines as well if several share it: NFS since version 3 has.
package claims

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"gameday/schedules"
)

// ErrClaimed says that somebody else claimed an occasion first.
var ErrClaimed = errors.New("the occasion is claimed already")

// Claim is what became of an occasion.
type Claim struct {
	Schedule string            `json:"schedule"`
	Occasion string            `json:"occasion"`
	Outcome  schedules.Outcome `json:"outcome"`
	Why      string            `json:"why,omitempty"` // of one that was skipped
	At       time.Time         `json:"at"`
	By       string            `json:"by,omitempty"`   // who claimed it
	Host     string            `json:"host,omitempty"` // on which machine; empty where an older gameday claimed it
	// Moment is what was drawn or given, and Seed the beginning of the SHA-256 of the seed that it was drawn from.
	Moment time.Time `json:"moment,omitzero"`
	Seed   string    `json:"seed,omitempty"`
	Opens  time.Time `json:"opens,omitzero"`
	Closes time.Time `json:"closes,omitzero"`
	MadeUp int       `json:"made_up,omitempty"` // how many missed occasions it makes up for
	Holds  []string  `json:"holds,omitempty"`
	// Blind says that the schedule was blind when this was claimed, whatever its calendar says since. Of claims that older versions made it
	// is not known.
	Blind bool `json:"blind,omitempty"`
}

// End is how an occasion that was begun ended.
type End struct {
	At   time.Time `json:"at"`
	Code int       `json:"code"` // the worst exit code
	Runs []Run     `json:"runs"`
	// NotRun are the scenarios that were left out, and Why is the reason.
	NotRun []string `json:"not_run,omitempty"`
	Why    string   `json:"why,omitempty"`
}

// Run is one scenario that was run.
type Run struct {
	Scenario string `json:"scenario"`
	Record   string `json:"record"`
	Code     int    `json:"code"`
}

// Folder is the state of one calendar. It is safe for use by many processes.
type Folder struct{ dir string }

// Open returns a calendar's folder, which it makes if need be. Only its user may read it: it has the seed.
func Open(dir string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of what ran: %w", err)
	}
	return &Folder{dir}, nil
}

// Dir returns the folder's path.
func (f *Folder) Dir() string { return f.dir }

// seedFile is the name of the seed's file.
const seedFile = "seed"

// Seed returns the folder's seed: 32 random bytes, made the first time that anybody asks. Those who could read it would know
// the moments of blind game days.
func (f *Folder) Seed() (schedules.Seed, error) {
	for range 2 {
		text, err := os.ReadFile(filepath.Join(f.dir, seedFile))
		if err == nil {
			seed, err := hex.DecodeString(strings.TrimSpace(string(text)))
			if err != nil || len(seed) < 16 {
				return nil, fmt.Errorf("reading the seed: %s has no seed in hexadecimal; if it is lost, remove the file, and other moments are drawn", filepath.Join(f.dir, seedFile))
			}
			return seed, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("reading the seed: %w", err)
		}
		fresh := make([]byte, 32)
		_, _ = rand.Read(fresh) // it never fails
		made, err := f.create(seedFile, []byte(hex.EncodeToString(fresh)+"\n"))
		if err != nil && !errors.Is(err, ErrClaimed) {
			return nil, fmt.Errorf("keeping the seed: %w", err)
		}
		if made != nil {
			made.Close()
		}
	}
	return nil, errors.New("reading the seed: its file comes and goes")
}

// Lock waits until nobody else decides about this folder, or ctx ends.
func (f *Folder) Lock(ctx context.Context) (unlock func(), err error) {
	l, err := os.OpenFile(filepath.Join(f.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the folder of what ran: %w", err)
	}
	for {
		err := syscall.Flock(int(l.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { l.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			l.Close()
			return nil, fmt.Errorf("locking the folder of what ran, %s: %w", f.dir, err)
		}
		select {
		case <-ctx.Done():
			l.Close()
			return nil, fmt.Errorf("waiting for whoever else decides in %s: %w", f.dir, context.Cause(ctx))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Held is an occasion that this process has begun.
type Held struct {
	folder *Folder
	claim  Claim
	file   *os.File
}

// begun has the files of what this process holds: one that nobody refers to any more would be closed, and its lock let go, by the garbage
// collector.
var begun sync.Map // of *os.File

// name returns the name of an occasion's file.
func name(schedule, occasion string) string {
	return schedule + "@" + strings.ReplaceAll(occasion, ":", "") + ".json"
}

// Claim settles an occasion. It returns ErrClaimed when somebody else has. When it returns, the claim is on disk. Of an occasion
// that is begun, the lock is held until Close or the death of this process.
func (f *Folder) Claim(c Claim) (*Held, error) {
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("claiming %s of %s: %w", c.Occasion, c.Schedule, err)
	}
	file, err := f.create(name(c.Schedule, c.Occasion), append(data, '\n'))
	if err != nil {
		return nil, fmt.Errorf("claiming %s of %s: %w", c.Occasion, c.Schedule, err)
	}
	if c.Outcome != schedules.Begun {
		return nil, file.Close()
	}
	begun.Store(file, nil)
	return &Held{f, c, file}, nil
}

// create makes a file that must not be there, with its whole content, and returns it open and locked. A link to a file that is
// on disk already is what makes it seen: two of them cannot have the same name.
func (f *Folder) create(name string, data []byte) (*os.File, error) {
	draft, err := os.CreateTemp(f.dir, ".draft-*")
	if err != nil {
		return nil, err
	}
	defer os.Remove(draft.Name())
	err = syscall.Flock(int(draft.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		_, err = draft.Write(data)
	}
	if err == nil {
		err = draft.Sync()
	}
	if err == nil {
		err = os.Link(draft.Name(), filepath.Join(f.dir, name))
	}
	if errors.Is(err, fs.ErrExist) {
		err = ErrClaimed
	}
	if err == nil {
		err = syncDir(f.dir)
	}
	if err != nil {
		draft.Close()
		return nil, err
	}
	return draft, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// File is the claim's file, locked. Whoever is given it as well, as a run that outlives this process, keeps the occasion in progress.
func (h *Held) File() *os.File { return h.file }

// How long Close waits for space on a full disk. Without its end an occasion looks as if whoever began it had been killed.
const (
	endPatience = 3 * time.Minute
	endEvery    = 5 * time.Second
)

// Close lets go of an occasion, and keeps how it ended beside its claim. On a full disk it waits for some minutes until there is space.
func (h *Held) Close(e End) error {
	data, err := json.MarshalIndent(e, "", "  ")
	if err == nil {
		file := strings.TrimSuffix(name(h.claim.Schedule, h.claim.Occasion), ".json") + ".end"
		err = patiently(func() error { return h.folder.replace(file, append(data, '\n')) })
	}
	defer begun.Delete(h.file)
	if err = errors.Join(err, h.file.Close()); err != nil {
		return fmt.Errorf("keeping how %s of %s ended: %w", h.claim.Occasion, h.claim.Schedule, err)
	}
	return nil
}

// patiently tries what finds no space again for a while.
func patiently(try func() error) error {
	for until := time.Now().Add(endPatience); ; time.Sleep(endEvery) {
		err := try()
		if full := errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT); !full || time.Now().After(until) {
			return err
		}
	}
}

// replace writes a file anew: whole, or not at all.
func (f *Folder) replace(name string, data []byte) error {
	draft, err := os.CreateTemp(f.dir, ".draft-*")
	if err != nil {
		return err
	}
	defer os.Remove(draft.Name())
	_, err = draft.Write(data)
	if err = errors.Join(err, draft.Sync(), draft.Close()); err != nil {
		return err
	}
	if err := os.Rename(draft.Name(), filepath.Join(f.dir, name)); err != nil {
		return err
	}
	return syncDir(f.dir)
}

// sinceFile is the name of the file of since when each schedule is decided about.
const sinceFile = "since.json"

// State returns what was settled in this folder, and since when each schedule is decided about. A claim that cannot be read is an
// error: nobody knows what it says.
func (f *Folder) State() (schedules.State, error) {
	_, state, err := f.Reader().Read()
	return state, err
}

// Since keeps since when schedules are decided about. Those of others stay as they are.
func (f *Folder) Since(times map[string]time.Time) error {
	all, err := f.since()
	if err != nil {
		return fmt.Errorf("keeping since when is decided: %w", err)
	}
	for name, t := range times {
		all[name] = t.UTC().Round(0)
	}
	data, err := json.MarshalIndent(all, "", "  ")
	if err == nil {
		err = f.replace(sinceFile, append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("keeping since when is decided: %w", err)
	}
	return nil
}
