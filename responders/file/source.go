// Package file reads what people did from a file of JSON lines: an export of a paging system that has no source here, or
// what a facilitator writes down. It may grow while the game day lasts, and be finished after it.
package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"gameday/clock"
	"gameday/responders"
)

// mostBytes bounds the file: its account must find room in one line of the record.
const mostBytes = 6 << 20

// Source is one file. Its methods may be called concurrently; Watch by one goroutine at a time.
type Source struct {
	name, path, grade string
	slack             time.Duration
	automation        []string
}

var _ responders.Source = (*Source)(nil)

// New returns a source, named as in "file.exercise". It opens nothing yet.
func New(name string, c Config) (*Source, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &Source{name: name, path: c.Path, grade: c.Grade, slack: defaultError, automation: slices.Clone(c.Automation)}
	if s.grade == "" {
		s.grade = defaultGrade
	}
	if c.Error != "" {
		s.slack, _ = time.ParseDuration(c.Error) // Validate has read it
	}
	return s, nil
}

// Lasting says that the file is there after the run.
func (s *Source) Lasting() {}

// read reads the file as it is. One that is not there has nothing in it.
func (s *Source) read() ([]byte, error) {
	f, err := os.OpenFile(s.path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe is refused, and not waited for
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("opening the file of responses: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", s.path)
	}
	text, err := io.ReadAll(io.LimitReader(f, mostBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", s.path, err)
	}
	if len(text) > mostBytes {
		return nil, fmt.Errorf("%s is longer than %d MB", s.path, mostBytes>>20)
	}
	return text, nil
}

// Preflight reads what is there. A file that is not is no mistake: it may be written afterwards.
func (s *Source) Preflight(context.Context) ([]responders.Finding, error) {
	text, err := s.read()
	if err == nil {
		_, _, err = s.parse(text)
	}
	if err != nil {
		return []responders.Finding{{Blocks: true, Summary: s.name + " cannot be read", Detail: err.Error()}}, nil
	}
	if text == nil {
		f := responders.Finding{Summary: s.path + " is not there yet",
			Detail: "What people do is unknown until it is written. `gameday finalize` reads it after the run."}
		if info, err := os.Stat(filepath.Dir(s.path)); err != nil || !info.IsDir() {
			f.Blocks, f.Detail = true, "There is no folder to write it in: "+filepath.Dir(s.path)
		}
		return []responders.Finding{f}, nil
	}
	return nil, nil
}

// Watch emits nothing: a line may be mended as long as the file is not asked for, and what was emitted would stay.
func (s *Source) Watch(ctx context.Context, _ func(responders.Event)) error {
	<-ctx.Done()
	return nil
}

// History returns the events in the span, and the stretches of it of which the file says that it is complete. A line that
// cannot be read is an error: what it says may be what is asked for.
func (s *Source) History(_ context.Context, span clock.Span) ([]responders.Event, responders.Coverage, error) {
	text, err := s.read()
	if err != nil {
		return nil, responders.Coverage{}, err
	}
	p, _, err := s.parse(text)
	if err != nil {
		return nil, responders.Coverage{}, err
	}
	events := []responders.Event{}
	for _, e := range p.events {
		if !e.At.Hi.Before(span.Start) && !e.At.Lo.After(span.End) {
			events = append(events, e)
		}
	}
	c := responders.Coverage{Spans: []clock.Span{}, Offset: clock.Offset{Err: s.slack}}
	for _, one := range clock.Merge(p.covered) {
		if o := one.Overlap(span); o.Length() > 0 {
			c.Spans = append(c.Spans, o)
		}
	}
	if clock.Share(c.Spans, span) < 1 {
		c.Why = []string{fmt.Sprintf("%s does not say that it is complete: a line such as {\"complete\": {\"from\": …, \"to\": …}} does", s.path)}
	}
	return events, c, nil
}
