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
	"slices"
	"strconv"
	"time"

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
//
// A copy that is not whole (see Whole) is ErrHalfCopied, also where what there is of it could be read.
func Read(dir string) (*Record, error) {
	if err := CheckCopy(dir); err != nil {
		return nil, err
	}
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
	r := reader{rec: rec, in: bufio.NewReaderSize(f, 1<<18)}
	for _, p := range plan.Phases {
		r.end = max(r.end, p.At+p.Length)
	}
	if err := r.events(); err != nil {
		return nil, fmt.Errorf("reading %s:%w", path, err)
	}
	if !slices.IsSortedFunc(rec.Windows, inOrder) {
		slices.SortStableFunc(rec.Windows, inOrder)
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
		if a.Incident != "" {
			continue
		}
		if err := one(fmt.Sprintf("abort %q", a.Name), a.When); err != nil {
			return err
		}
	}
	return nil
}

// reader reads the events of one record.
type reader struct {
	rec     *Record
	in      *bufio.Reader
	end     time.Duration // of the run, as it was planned
	long    []byte
	windows loadgen.Reader
	room    []byte // for the data of events
}

// events reads lines of events until the end. Errors begin with the line's number and a colon.
func (r *reader) events() error {
	for n := uint64(1); ; n++ {
		line, whole, err := r.line()
		if err != nil {
			return fmt.Errorf("%d: %w", n, err)
		}
		if len(line) == 0 && !whole {
			return nil
		}
		if r.written(line, n) {
			continue
		}
		var e Event
		if err := json.Unmarshal(line, &e); err != nil {
			if !whole {
				r.rec.Torn = true
				return nil
			}
			return fmt.Errorf("%d: not an event: %w", n, err)
		}
		if e.Seq != n {
			return fmt.Errorf("%d: the event's number is %d, not %d: lines are missing or out of order", n, e.Seq, n)
		}
		if err := r.add(e); err != nil {
			return fmt.Errorf("%d: event %q: %w", n, e.Kind, err)
		}
	}
}

// line returns the next line without its end, until the next call. whole is false for a last line without one.
func (r *reader) line() (line []byte, whole bool, err error) {
	r.long = r.long[:0]
	for {
		part, err := r.in.ReadSlice('\n')
		if len(r.long)+len(part) > maxLine {
			return nil, false, fmt.Errorf("the line is longer than %d MB", maxLine>>20)
		}
		if errors.Is(err, bufio.ErrBufferFull) || len(r.long) > 0 {
			r.long = append(r.long, part...)
			part = r.long
		}
		switch {
		case err == nil:
			return part[:len(part)-1], true, nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return part, false, nil
		default:
			return nil, false, err
		}
	}
}

// written takes a line as this version writes it, as nearly every line of a record is. ok is false for any other: it
// may be as good, or no event at all, and nothing was taken.
func (r *reader) written(line []byte, number uint64) (ok bool) {
	e, ok := cutEvent(line, number)
	if _, known := kinds[string(e.Kind)]; !ok || !known && !json.Valid(e.Data) {
		return false
	}
	return r.add(e) == nil
}

// cutEvent takes a line apart without looking into its data, which stays where it is.
func cutEvent(line []byte, number uint64) (e Event, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte(`{"seq":`))
	seq, rest, _ := bytes.Cut(rest, []byte(`,"at":"`))
	at, rest, _ := bytes.Cut(rest, []byte(`","t":`))
	t, rest, _ := bytes.Cut(rest, []byte(`,"kind":"`))
	kind, rest, _ := bytes.Cut(rest, []byte(`","data":{`))
	plain := !bytes.ContainsFunc(kind, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') })
	if !ok || !plain || !bytes.HasSuffix(rest, []byte(`}}`)) || e.At.UnmarshalText(at) != nil {
		return Event{}, false
	}
	var digits [20]byte
	n, err := strconv.ParseInt(string(t), 10, 64)
	if err != nil || !bytes.Equal(t, strconv.AppendInt(digits[:0], n, 10)) ||
		!bytes.Equal(seq, strconv.AppendUint(digits[:0], number, 10)) {
		return Event{}, false
	}
	e.Seq, e.T, e.Kind = number, time.Duration(n), kinds[string(kind)]
	if e.Kind == "" {
		e.Kind = EventKind(kind)
	}
	e.Data = line[len(line)-len(rest)-1 : len(line)-1]
	return e, true
}

// add checks an event's data against its kind and keeps both.
func (r *reader) add(e Event) error {
	rec := r.rec
	if e.Kind == WindowClosed {
		if len(e.Data) == 0 {
			return errNoData
		}
		w, err := r.windows.Read(e.Data)
		if err != nil {
			return dataError(err)
		}
		rec.Windows = append(room(rec.Windows, e.T, r.end), w)
		if e.At.After(rec.heard) {
			rec.heard = e.At
		}
	} else {
		if check, known := shapes[e.Kind]; known {
			if err := check(e); err != nil {
				return err
			}
		}
		e.Data = r.copy(e.Data)
		rec.Events = append(room(rec.Events, e.T, r.end), e)
	}
	rec.began, rec.lasted = cmpTime(rec.began, e.At), max(rec.lasted, e.T)
	return nil
}

// copy returns data that stays when the line is gone.
func (r *reader) copy(data []byte) []byte {
	if len(data) > cap(r.room)-len(r.room) {
		r.room = make([]byte, 0, max(len(data), 1<<16))
	}
	n := len(r.room)
	r.room = append(r.room, data...)
	return r.room[n:len(r.room):len(r.room)]
}

// room makes room in a list for one event more. A list that is long is not made a little longer again and again, but as
// long as it will be when the run comes to its planned end, though at most eight times as long at once.
func room[T any](list []T, now, end time.Duration) []T {
	n := len(list)
	if n < cap(list) || n < 1024 {
		return list
	}
	rest := float64(n) * (float64(end)/float64(max(now, 1)) - 1)
	return slices.Grow(list, n/16+int(min(max(0, rest), 7*float64(n))))
}
