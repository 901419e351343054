package claims

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"gameday/schedules"
)

// Unfinished returns the claims of occasions that were begun, that nobody is at any more, and of which nobody kept how they ended:
// whoever had begun them died. A claim that cannot be read is an error, beside the others.
func (f *Folder) Unfinished() ([]Claim, error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, fmt.Errorf("reading what did not end: %w", err)
	}
	var out []Claim
	var errs []error
	for _, e := range entries {
		base, is := strings.CutSuffix(e.Name(), ".json")
		if !is || strings.HasPrefix(e.Name(), ".") || !strings.Contains(e.Name(), "@") {
			continue
		}
		c, err := f.unfinished(base)
		if err != nil {
			errs = append(errs, fmt.Errorf("reading what did not end: %w", err))
		} else if c != nil {
			out = append(out, *c)
		}
	}
	return out, errors.Join(errs...)
}

// unfinished returns a claim whose holder died, or nil.
func (f *Folder) unfinished(base string) (*Claim, error) {
	file, err := os.Open(filepath.Join(f.dir, base+".json"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var c Claim
	if err := json.NewDecoder(file).Decode(&c); err != nil {
		return nil, fmt.Errorf("%s: %w", file.Name(), err)
	}
	if c.Outcome != schedules.Begun {
		return nil, nil
	}
	switch err := syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, nil // somebody is at it
	case err != nil:
		return nil, fmt.Errorf("looking whether %s is in progress: %w", file.Name(), err)
	}
	// Whoever ends keeps how before they let go of the lock, so that this is looked at after the lock.
	if _, err := os.Stat(filepath.Join(f.dir, base+".end")); !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return &c, nil
}
