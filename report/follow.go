package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Bounds of one look at a record that grows: how much of it is read, and how many events are told of.
const (
	followBytes  = 1 << 20
	followEvents = 4096
)

// Follower reads a record while its run writes it. It is for one goroutine.
type Follower struct {
	path string
	plan *Plan
	file *os.File // nil while there is no event
	read int64    // bytes of whole lines that were told of
	seq  uint64
	room []byte
	err  error
}

// Follow begins to read the record in a folder. A folder without a plan is ErrNotARecord: a run that is only just beginning
// writes it first.
func Follow(dir string) (*Follower, error) {
	plan, err := readPlan(filepath.Join(dir, PlanFile))
	if err != nil {
		return nil, err
	}
	return &Follower{path: filepath.Join(dir, EventsFile), plan: plan, room: make([]byte, 64<<10)}, nil
}

// Plan returns what was to happen.
func (f *Follower) Plan() *Plan { return f.plan }

// Next returns what was written since it was last asked: none when nothing was, and some of it when there is very much, so ask
// again until there is none. A last line without its end is one that is being written, or was cut off; it is left for later.
//
// What Read calls an error is one here, and stays one: it names the file and the line.
func (f *Follower) Next() ([]Event, error) {
	if f.err != nil {
		return nil, f.err
	}
	text, err := f.look()
	if err != nil {
		f.err = fmt.Errorf("following %s: %w", f.path, err)
		return nil, f.err
	}
	var out []Event
	for len(out) < followEvents {
		line, rest, whole := bytes.Cut(text, []byte("\n"))
		if !whole {
			return out, nil
		}
		e, err := f.event(line)
		if err != nil {
			f.err = fmt.Errorf("following %s:%d: %w", f.path, f.seq+1, err)
			return out, f.err
		}
		out, text = append(out, e), rest
		f.read += int64(len(line)) + 1
		f.seq++
	}
	return out, nil
}

// look reads on from the last whole line: as much as it takes for another one.
func (f *Follower) look() ([]byte, error) {
	if f.file == nil {
		file, err := os.Open(f.path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		f.file = file
	}
	info, err := f.file.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() < f.read { // a torn end may go; what was whole may not
		return nil, fmt.Errorf("the record is shorter than it was: %d bytes of %d", info.Size(), f.read)
	}
	for {
		n, err := f.file.ReadAt(f.room, f.read)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		full := n == len(f.room)
		switch {
		case !full || bytes.IndexByte(f.room[:n], '\n') >= 0 && n >= followBytes:
			return f.room[:n], nil
		case bytes.IndexByte(f.room[:n], '\n') < 0 && n > maxLine:
			return nil, fmt.Errorf("line %d is longer than %d MB", f.seq+1, maxLine>>20)
		}
		f.room = make([]byte, 2*len(f.room))
	}
}

// event reads a whole line.
func (f *Follower) event(line []byte) (Event, error) {
	var e Event
	if err := json.Unmarshal(line, &e); err != nil {
		return e, fmt.Errorf("not an event: %w", err)
	}
	if e.Seq != f.seq+1 {
		return e, fmt.Errorf("the event's number is %d, not %d: lines are missing or out of order", e.Seq, f.seq+1)
	}
	if check, known := shapes[e.Kind]; known {
		if err := check(e); err != nil {
			return e, fmt.Errorf("event %q: %w", e.Kind, err)
		}
	}
	return e, nil
}

// Close ends the reading.
func (f *Follower) Close() error {
	if f.file == nil {
		return nil
	}
	return f.file.Close()
}
