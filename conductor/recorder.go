package conductor

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
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
}

// newRecorder creates the record in a folder that exists. It refuses to write over another record.
func newRecorder(dir string, start time.Time, redact func(string) string, observe func(report.Event)) (*recorder, error) {
	f, err := os.OpenFile(filepath.Join(dir, report.EventsFile), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("creating the record: %w", err)
	}
	return &recorder{file: f, start: start, redact: redact, observe: observe}, nil
}

// now returns this machine's time as the record counts it: wall time at the start, advanced by the monotonic clock, so
// that a wall clock that jumps does not bend the record.
func (r *recorder) now() time.Time { return r.start.Add(time.Since(r.start)) }

// add writes one event. What cannot be written is remembered and ends the run: see failed.
func (r *recorder) add(kind report.EventKind, data any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	raw, err := json.Marshal(data)
	if err != nil {
		r.err = errors.Join(r.err, fmt.Errorf("recording %s: %w", kind, err))
		return
	}
	if text := r.redact(string(raw)); json.Valid([]byte(text)) {
		raw = []byte(text)
	}
	t := time.Since(r.start)
	r.seq++
	e := report.Event{Seq: r.seq, At: r.start.Add(t).UTC().Round(0), T: t, Kind: kind, Data: raw}
	line, err := json.Marshal(e)
	if err == nil {
		_, err = r.file.Write(append(line, '\n'))
	}
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("writing the record: %w", err)
	}
	if r.observe != nil {
		r.observe(e)
	}
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
	return errors.Join(r.err, r.file.Sync(), r.file.Close())
}
