package serve

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gameday/schedules"
	"gameday/schedules/claims"
)

// maxCalendar bounds a calendar's text, in bytes, as package scenarios does.
const maxCalendar = 4 << 20

// calendar is one of the files that are served.
type calendar struct {
	file string
	// copy is where the text is kept that was last read without a mistake; kept says that it is there.
	copy string
	kept bool
	text []byte
	seen fs.FileInfo // of the file when it was last read

	*Calendar        // nil: it was never read without a mistake
	trouble   string // why what is in the file does not count
	folder    *claims.Folder
	reader    *claims.Reader
	seed      schedules.Seed

	all      []claims.Kept
	state    schedules.State
	read     bool                 // all and state are what is on disk
	had      bool                 // something was read of the folder once
	unread   string               // why they are not
	ahead    string               // what is dated later than now
	told     map[toldKey]toldMark // of which occasions what was told; nil before the first look
	deciding *child
	failed   map[string]failure // schedules of which a process could not decide
}

// begin reads all calendars for the first time.
func (e *Engine) begin(now time.Time) error {
	names := map[string]string{}
	for _, f := range e.Files {
		abs, err := filepath.Abs(f)
		if err != nil {
			return fmt.Errorf("finding the calendar %s: %w", f, err)
		}
		sum := sha256.Sum256([]byte(abs))
		base := strings.TrimSuffix(filepath.Base(abs), filepath.Ext(abs))
		c := &calendar{file: abs, copy: filepath.Join(OwnDir(e.State), "calendars", base+"-"+hex.EncodeToString(sum[:4])+".hcl"), failed: map[string]failure{}}
		e.calendars = append(e.calendars, c)
		if err := e.load(c); err == nil {
			// as it should be
		} else if e.recall(c, err); c.trouble == "" {
			return err
		}
		if c.Calendar == nil {
			continue
		}
		if other, taken := names[c.Name]; taken {
			return fmt.Errorf("the calendars %s and %s have the same name, %q, and would share what ran: give one of them another, by name = \"…\"", other, f, c.Name)
		}
		names[c.Name] = f
	}
	e.checked = now
	return nil
}

// recall goes on with the text that was kept, when what is in the file now cannot be read. Where none was kept, there is no trouble
// but a mistake of whoever starts this.
func (e *Engine) recall(c *calendar, why error) {
	text, err := os.ReadFile(c.copy)
	if err != nil {
		return
	}
	c.kept, c.text = true, text
	if cal, err := e.Load(c.file, text); err == nil {
		err = e.adopt(c, cal)
		if err == nil {
			e.complain(c, fmt.Sprintf("%s goes on as it was, for what is in it now does not count: %v", c.file, why))
			return
		}
	}
	e.complain(c, fmt.Sprintf("nothing of %s is begun, for what is in it does not count: %v", c.file, why))
}

// complain says once what is wrong with a calendar.
func (e *Engine) complain(c *calendar, text string) {
	if c.trouble != text {
		c.trouble = text
		e.Say(text)
	}
}

// reload reads the calendars again: each time that a file has another date or size, and every minute, for what it names may have changed.
func (e *Engine) reload(now time.Time) {
	all := !now.Before(e.checked.Add(askEvery)) || now.Before(e.checked)
	for _, c := range e.calendars {
		if !all && !c.edited() {
			continue
		}
		err := e.load(c)
		if err != nil && c.text != nil {
			e.keep(c, c.text)
		}
		switch {
		case err == nil && c.trouble != "":
			c.trouble = ""
			e.Say(fmt.Sprintf("what is in %s counts again", c.file))
		case err == nil:
		case c.Calendar == nil:
			e.complain(c, fmt.Sprintf("nothing of %s is begun, for what is in it does not count: %v", c.file, err))
		default:
			e.complain(c, fmt.Sprintf("%s goes on as it was, for what is in it now does not count: %v", c.file, err))
		}
	}
	if all {
		e.checked = now
	}
}

// edited reports whether a calendar's file is another one than was last read.
func (c *calendar) edited() bool {
	info, err := os.Stat(c.file)
	if err != nil || c.seen == nil {
		return (err == nil) != (c.seen != nil)
	}
	return !info.ModTime().Equal(c.seen.ModTime()) || info.Size() != c.seen.Size() || !os.SameFile(info, c.seen)
}

// over reports whether an occasion that went on at the last look does no more. Of those that this server began it hears when their process ends, but not
// of what one did that is no more, or somebody beside it.
func (c *calendar) over() bool { return c.reader != nil && c.reader.Over() }

// load reads a calendar's file, and takes what is in it if there is no mistake.
func (e *Engine) load(c *calendar) error {
	info, err := os.Stat(c.file)
	if err != nil {
		c.seen = nil
		return fmt.Errorf("reading the calendar: %w", err)
	}
	c.seen = info
	if info.Size() > maxCalendar {
		return fmt.Errorf("reading the calendar: it has %d bytes, and may have %d", info.Size(), maxCalendar)
	}
	text, err := os.ReadFile(c.file)
	if err != nil {
		return fmt.Errorf("reading the calendar: %w", err)
	}
	cal, err := e.Load(c.file, text)
	if err != nil {
		return err
	}
	for _, o := range e.calendars {
		if o != c && o.Calendar != nil && o.Name == cal.Name {
			return fmt.Errorf("its name is %q, as that of %s, so that they would share what ran", cal.Name, o.file)
		}
	}
	if err := e.adopt(c, cal); err != nil {
		return err
	}
	e.keep(c, text)
	return nil
}

// adopt takes a calendar with the state that it has, or changes nothing. Under another name it is another one: nothing that was seen or is being decided
// is of it.
func (e *Engine) adopt(c *calendar, cal *Calendar) (err error) {
	folder, seed := c.folder, c.seed
	other := folder == nil || c.Calendar == nil || c.Name != cal.Name
	if other {
		if folder, err = claims.Open(filepath.Join(e.State, cal.Name)); err != nil {
			return err
		}
	}
	if left, err := os.ReadDir(folder.Dir()); other || !c.had || err == nil && len(left) > 0 { // else it is lost, and a seed would be made in its place
		if seed, err = e.Seed(folder.Dir()); err != nil {
			return err
		}
	}
	if other {
		c.folder, c.reader, c.told, c.had = folder, folder.Reader(), nil, false
		c.all, c.state, c.deciding, c.failed = nil, schedules.State{}, nil, map[string]failure{}
	}
	c.seed, c.Calendar = seed, cal
	e.Adopted(cal)
	return nil
}

// keep keeps the text of a calendar without mistakes: for the processes that run by it, and for a start at a time when the file has one.
// Where it cannot be kept they read the file. What somebody took away or changed is kept anew.
func (e *Engine) keep(c *calendar, text []byte) {
	c.text = text
	if old, err := os.ReadFile(c.copy); err == nil && bytes.Equal(old, text) {
		c.kept = true
		return
	}
	c.kept = replace(c.copy, text) == nil
}

// replace writes a file anew: whole, or not at all.
func replace(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".draft-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
