package claims

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"gameday/schedules"
)

// Kept is everything that a folder has of one occasion.
type Kept struct {
	Claim
	// Running says that whoever began it is still at it.
	Running bool
	// End is how it ended; nil when it was skipped, goes on, or whoever began it died before the end. Unread says why the file that tells
	// of its end cannot be read.
	End    *End
	Unread string
}

// Reader reads a folder again and again. What is settled for good is read once, so that looking often costs little, however many
// occasions there were. It is not safe for concurrent use.
type Reader struct {
	folder  *Folder
	known   map[string]remembered
	running []string // the files of what was in progress
}

// remembered is an occasion that nothing will change any more, unless somebody puts another file in the place of its own.
type remembered struct {
	file fs.FileInfo
	kept Kept
}

// Reader returns a reader of the folder.
func (f *Folder) Reader() *Reader { return &Reader{folder: f, known: map[string]remembered{}} }

// Read returns all that is kept of occasions, by their files' names, and the state for schedules.Decide without what others hold. A claim
// that cannot be read is an error, as it is for Folder.State.
func (r *Reader) Read() ([]Kept, schedules.State, error) {
	state := schedules.State{}
	var err error
	if state.Since, err = r.folder.since(); err != nil {
		return nil, state, err
	}
	entries, err := os.ReadDir(r.folder.dir)
	if err != nil {
		return nil, state, fmt.Errorf("reading what ran: %w", err)
	}
	var out []Kept
	now := make(map[string]remembered, len(r.known))
	var running []string
	for _, e := range entries {
		if !isClaim(e.Name()) {
			continue
		}
		one, final, err := r.read(e)
		if err != nil {
			return nil, state, fmt.Errorf("reading what ran: %w; nobody knows whether that occasion was begun", err)
		}
		if final {
			now[e.Name()] = one
		}
		if one.kept.Running {
			running = append(running, one.file.Name())
		}
		out = append(out, one.kept)
		k := &one.kept
		state.Settled = append(state.Settled, schedules.Settled{Schedule: k.Schedule, ID: k.Occasion, Outcome: k.Outcome, Why: k.Why, At: k.At, Running: k.Running, Holds: k.Holds})
	}
	r.known, r.running = now, running
	return out, state, nil
}

// Over reports whether something that was in progress when Read last read it is so no more, or cannot be read any more. It looks at nothing else, and so
// may be asked often.
func (r *Reader) Over() bool {
	return slices.ContainsFunc(r.running, func(name string) bool {
		_, running, err := readClaim(filepath.Join(r.folder.dir, name))
		return err != nil || !running
	})
}

// read tells of one occasion, and whether that stays so.
func (r *Reader) read(e fs.DirEntry) (one remembered, final bool, err error) {
	info, err := e.Info()
	if err != nil {
		return one, false, err
	}
	if old, ok := r.known[e.Name()]; ok && os.SameFile(old.file, info) && old.file.ModTime().Equal(info.ModTime()) && old.file.Size() == info.Size() {
		return old, true, nil
	}
	one = remembered{file: info}
	path := filepath.Join(r.folder.dir, e.Name())
	if one.kept.Claim, one.kept.Running, err = readClaim(path); err != nil {
		return one, false, err
	}
	if one.kept.Outcome != schedules.Begun {
		return one, true, nil
	}
	// How it ended is on disk before the lock is let go of, which was looked at first.
	text, err := os.ReadFile(strings.TrimSuffix(path, ".json") + ".end")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return one, false, nil // a network's file system may say so for a while yet
	case err == nil:
		one.kept.End = &End{}
		err = json.Unmarshal(text, one.kept.End)
	}
	if err != nil {
		one.kept.End, one.kept.Unread = nil, err.Error()
		return one, false, nil
	}
	return one, !one.kept.Running, nil
}

// Died returns the claims of occasions that were begun, that nobody is at any more, and of which nobody kept how they ended, as Folder.Unfinished does.
func Died(all []Kept) []Claim {
	var out []Claim
	for i := range all {
		if k := &all[i]; k.Outcome == schedules.Begun && !k.Running && k.End == nil && k.Unread == "" {
			out = append(out, k.Claim)
		}
	}
	return out
}

// isClaim reports whether a file's name is one of a claim.
func isClaim(name string) bool {
	return !strings.HasPrefix(name, ".") && strings.HasSuffix(name, ".json") && strings.Contains(name, "@")
}

// readClaim reads one claim, and whether whoever made it is still at it.
func readClaim(path string) (c Claim, running bool, err error) {
	file, err := os.Open(path)
	if err != nil {
		return c, false, err
	}
	defer file.Close()
	if err := json.NewDecoder(file).Decode(&c); err != nil {
		return c, false, fmt.Errorf("%s: %w", path, err)
	}
	if filepath.Base(path) != name(c.Schedule, c.Occasion) {
		return c, false, fmt.Errorf("%s is a claim of %s of %s, which has another name", path, c.Occasion, c.Schedule)
	}
	if c.Outcome == schedules.Begun {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
		if running = errors.Is(err, syscall.EWOULDBLOCK); err != nil && !running {
			return c, false, fmt.Errorf("looking whether %s is in progress: %w", path, err)
		}
	}
	return c, running, nil
}

// since reads since when each schedule is decided about.
func (f *Folder) since() (map[string]time.Time, error) {
	out := map[string]time.Time{}
	text, err := os.ReadFile(filepath.Join(f.dir, sinceFile))
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return out, fmt.Errorf("reading what ran: %w", err)
	}
	if err := json.Unmarshal(text, &out); err != nil {
		return out, fmt.Errorf("reading what ran: %s: %w", filepath.Join(f.dir, sinceFile), err)
	}
	return out, nil
}
