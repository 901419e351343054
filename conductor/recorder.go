package conductor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"gameday/report"
)

// recorder writes record.jsonl as things happen: one event a line, each line in one write, so that a run that is killed
// leaves at most its last line torn. It is safe for concurrent use.
type recorder struct {
	mu      sync.Mutex
	file    *os.File
	start   time.Time // with its monotonic reading
	seq     uint64
	redact  func(string) string
	observe func(report.Event)
	err     error
	closed  bool // what is still said by those who outlive the run is not of it
}

// newRecorder creates the record in a folder that exists. It refuses to write over another record.
func newRecorder(dir string, start time.Time, redact func(string) string, observe func(report.Event)) (*recorder, error) {
	f, err := os.OpenFile(filepath.Join(dir, report.EventsFile), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("creating the record: %w", err)
	}
	return recordIn(f, start, redact, observe)
}

// recordIn is newRecorder in a file that is there already, where others may look at it. An error closes it.
func recordIn(f *os.File, start time.Time, redact func(string) string, observe func(report.Event)) (*recorder, error) {
	if err := lockRecord(context.Background(), f); err != nil { // nobody adds to a record that is being written
		return nil, errors.Join(fmt.Errorf("locking the record: %w", err), f.Close())
	}
	return &recorder{file: f, start: start, redact: redact, observe: observe}, nil
}

// The lock of a record is held for an instant by whoever looks whether it is held, for a moment by a run that has ended and closes its record, by whoever
// marks in it or overrides something for as long as it takes to read it, and by Finalize also while it asks its sources, which may take longer than anybody waits.
const (
	lockPatience = 5 * time.Second
	lockAgain    = 20 * time.Millisecond
)

// lockRecord keeps everybody else from writing a record, as long as the file is open. It tries until its patience is over, or ctx: then somebody writes
// the record for long, and the error is EWOULDBLOCK. Where files cannot be locked it keeps nobody from it.
func lockRecord(ctx context.Context, f *os.File) error {
	patience := time.NewTimer(lockPatience)
	defer patience.Stop()
	again := time.NewTicker(lockAgain)
	defer again.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil
		}
		select {
		case <-again.C:
		case <-patience.C:
			return err
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", err, ctx.Err())
		}
	}
}

// Writing reports whether somebody on this machine writes the record in a folder: its run goes on, or something is being added to it. The death of whoever does ends
// that. An error is fs.ErrNotExist where there is no record; another one says that it cannot be told.
func Writing(dir string) (bool, error) {
	f, err := os.Open(filepath.Join(dir, report.EventsFile))
	if err != nil {
		return false, fmt.Errorf("looking whether a record is being written: %w", err)
	}
	defer f.Close()
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking whether a record is being written: %w", err)
	}
	return false, nil
}

// now returns this machine's time as the record counts it: wall time at the start, advanced by the monotonic clock, so
// that a wall clock that jumps does not bend the record.
func (r *recorder) now() time.Time { return r.start.Add(time.Since(r.start)) }

// errOver says that an event came after the end of the run, and is not in its record.
var errOver = errors.New("the run is over")

// add writes one event. What cannot be written is remembered and ends the run: see failed.
func (r *recorder) add(kind report.EventKind, data any) { _ = r.keep(kind, data) }

// keep is add for those who say to somebody that the event is in the record. An error is errOver when the record is closed.
func (r *recorder) keep(kind report.EventKind, data any) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errOver
	}
	raw, err := json.Marshal(data)
	if err != nil {
		err = fmt.Errorf("recording %s: %w", kind, err)
		r.err = errors.Join(r.err, err)
		return err
	}
	raw = redactStrings(raw, r.redact)
	t := time.Since(r.start)
	r.seq++
	e := report.Event{Seq: r.seq, At: r.start.Add(t).UTC().Round(0), T: t, Kind: kind, Data: raw}
	line, err := json.Marshal(e)
	if err == nil {
		_, err = r.file.Write(append(line, '\n'))
	}
	if err != nil {
		err = fmt.Errorf("writing the record: %w", err)
		if r.err == nil {
			r.err = err
		}
	}
	if r.observe != nil {
		r.observe(e)
	}
	return err
}

// redactStrings takes secrets out of the texts of a JSON value, whatever way they are written there, and leaves its shape
// alone: a secret may look like a number, or have characters that JSON escapes.
func redactStrings(raw []byte, redact func(string) string) []byte {
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); {
		if raw[i] != '"' {
			out = append(out, raw[i])
			i++
			continue
		}
		end := i + 1
		for raw[end] != '"' {
			if raw[end] == '\\' {
				end++
			}
			end++
		}
		end++
		out = append(out, redactLiteral(raw[i:end], redact)...)
		i = end
	}
	return out
}

// redactLiteral is redactStrings for one string with its quotes.
func redactLiteral(literal []byte, redact func(string) string) []byte {
	var text string
	if err := json.Unmarshal(literal, &text); err != nil {
		return []byte(`""`)
	}
	clean := redact(text)
	if clean == text {
		return literal
	}
	out, err := json.Marshal(clean)
	if err != nil {
		return []byte(`""`)
	}
	return out
}

// failed returns the first error of writing.
func (r *recorder) failed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// close puts the record on disk.
func (r *recorder) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	return errors.Join(r.err, r.file.Sync(), r.file.Close())
}
