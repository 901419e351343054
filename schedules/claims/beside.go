package claims

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"gameday/schedules"
)

// besideDir is the folder of the lock of all calendars of a state folder. No calendar is called so.
const besideDir = ".deciding"

// LockBeside waits until nobody else begins anything of any calendar beside this one, in the folder that has them all, or ctx ends. Whoever
// needs Lock as well takes it first. It is held while one looks at what goes on and claims, and not while anything is asked.
func (f *Folder) LockBeside(ctx context.Context) (unlock func(), err error) {
	all, err := Open(filepath.Join(filepath.Dir(f.dir), besideDir))
	if err != nil {
		return nil, err
	}
	return all.Lock(ctx)
}

// Going is an occasion of another calendar that somebody is at.
type Going struct {
	Calendar string
	Claim
}

// Beside returns the occasions of all other calendars in the folder of this one that somebody is at, by calendar and file. A claim that nobody
// is at holds nothing, whatever it says and whether or not it can be read. An error says what somebody may be at without anybody knowing what
// that holds; it comes beside the others.
func (f *Folder) Beside() ([]Going, error) {
	state, own := filepath.Dir(f.dir), filepath.Base(f.dir)
	calendars, err := os.ReadDir(state)
	if err != nil {
		return nil, fmt.Errorf("looking what other calendars have in progress: %w", err)
	}
	var out []Going
	var errs []error
	for _, c := range calendars {
		if c.Name() == own || !schedules.CalendarName(c.Name()) || !isDir(filepath.Join(state, c.Name())) {
			continue
		}
		entries, err := os.ReadDir(filepath.Join(state, c.Name()))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, e := range entries {
			if !isClaim(e.Name()) {
				continue
			}
			claim, err := going(filepath.Join(state, c.Name(), e.Name()))
			if err != nil {
				errs = append(errs, err)
			} else if claim != nil {
				out = append(out, Going{c.Name(), *claim})
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return out, fmt.Errorf("looking what other calendars have in progress: %w", err)
	}
	return out, nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// going returns a claim that somebody is at, or nil.
func going(path string) (*Claim, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) { // somebody put it away
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	switch err := syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); {
	case err == nil:
		return nil, nil
	case !errors.Is(err, syscall.EWOULDBLOCK):
		return nil, fmt.Errorf("looking whether %s is in progress: %w", path, err)
	}
	var c Claim
	if err := json.NewDecoder(file).Decode(&c); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if c.Outcome != schedules.Begun {
		return nil, nil
	}
	return &c, nil
}

// Holding returns the first of some names that one of these has for itself.
func (g *Going) Holding(names []string) (string, bool) {
	for _, n := range names {
		if slices.Contains(g.Holds, n) {
			return n, true
		}
	}
	return "", false
}
