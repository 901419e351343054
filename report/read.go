package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"gameday/loadgen"
	"gameday/loadgen/sli"
)

// maxLine bounds one line of the record and the whole plan, in bytes: a damaged file must not take all memory.
const maxLine = 16 << 20

// ErrNotARecord says that a folder holds no plan, so it is not the record of a run.
var ErrNotARecord = errors.New("not a record of a run")

// Read reads the record of a run back from its folder.
//
// It forgives what a killed writer leaves behind: a last line that was cut off (Torn is set), and a missing end. It
// keeps events of a kind it does not know, for those were written by a newer version. Everything else that is not as
// written (garbage, a gap in the sequence, an expression that cannot be evaluated) is an error that names the file and
// the line, because a judgement over a damaged record would be worth nothing.
func Read(dir string) (*Record, error) {
	plan, err := readPlan(filepath.Join(dir, PlanFile))
	if err != nil {
		return nil, err
	}
	rec := &Record{Dir: dir, Plan: plan}
	path := filepath.Join(dir, EventsFile)
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return rec, nil // planned, and killed before the first event
	}
	if err != nil {
		return nil, fmt.Errorf("opening the record: %w", err)
	}
	defer f.Close()
	if err := rec.readEvents(f); err != nil {
		return nil, fmt.Errorf("reading %s:%w", path, err)
	}
	return rec, nil
}

func readPlan(path string) (*Plan, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("reading %s: %w: the plan is missing; give the folder that `gameday run` printed", path,
			ErrNotARecord)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the plan: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxLine+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if len(b) > maxLine {
		return nil, fmt.Errorf("reading %s: longer than %d MB, so it is not a plan", path, maxLine>>20)
	}
	plan := new(Plan)
	if err := json.Unmarshal(b, plan); err != nil {
		return nil, fmt.Errorf("reading %s:%d: %w", path, lineOf(b, err), err)
	}
	if err := plan.check(); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return plan, nil
}

// lineOf returns the line, from 1, at which json gave up.
func lineOf(b []byte, err error) int {
	offset := int64(len(b))
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &kind):
		offset = kind.Offset
	}
	offset = min(max(offset, 0), int64(len(b)))
	return 1 + bytes.Count(b[:offset], []byte("\n"))
}

// check refuses a plan whose expressions cannot be evaluated.
func (p *Plan) check() error {
	one := func(what string, e *sli.Expr) error {
		if e == nil {
			return fmt.Errorf("%s has no expression", what)
		}
		if err := e.Check(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	}
	for _, e := range p.Expects {
		if err := one(fmt.Sprintf("expectation %q", e.ID), e.That); err != nil {
			return err
		}
	}
	for _, a := range p.Aborts {
		if err := one(fmt.Sprintf("abort %q", a.Name), a.When); err != nil {
			return err
		}
	}
	return nil
}

// readEvents reads lines of events until the end. Errors begin with the line's number and a colon.
func (r *Record) readEvents(from io.Reader) error {
	in := bufio.NewReaderSize(from, 1<<16)
	for n := 1; ; n++ {
		line, whole, err := readLine(in)
		if err != nil {
			return fmt.Errorf("%d: %w", n, err)
		}
		if len(line) == 0 && !whole {
			return nil
		}
		var e Event
		if err := json.Unmarshal(line, &e); err != nil {
			if !whole {
				r.Torn = true
				return nil
			}
			return fmt.Errorf("%d: not an event: %w", n, err)
		}
		if e.Seq != uint64(n) {
			return fmt.Errorf("%d: the event's number is %d, not %d: lines are missing or out of order", n, e.Seq, n)
		}
		if err := r.add(e); err != nil {
			return fmt.Errorf("%d: event %q: %w", n, e.Kind, err)
		}
	}
}

// readLine returns the next line without its end. whole is false for a last line without one.
func readLine(in *bufio.Reader) (line []byte, whole bool, err error) {
	for {
		part, err := in.ReadSlice('\n')
		if len(line)+len(part) > maxLine {
			return nil, false, fmt.Errorf("the line is longer than %d MB", maxLine>>20)
		}
		line = append(line, part...)
		switch {
		case err == nil:
			return line[:len(line)-1], true, nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return line, false, nil
		default:
			return nil, false, err
		}
	}
}

// add checks an event's data against its kind and keeps it.
func (r *Record) add(e Event) error {
	if e.Kind == WindowClosed {
		w, err := decode[loadgen.Window](e)
		if err != nil {
			return err
		}
		w.Compact()
		r.Windows = append(r.Windows, w)
		e.Data = nil // said once is enough: a day has many windows
	} else if check, known := shapes[e.Kind]; known {
		if err := check(e); err != nil {
			return err
		}
	}
	r.Events = append(r.Events, e)
	return nil
}
