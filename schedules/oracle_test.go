package schedules

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The oracle goes through ten years minute by minute and looks at the clock on the wall, as somebody with a calendar, a list
// of freezes and much patience would. It shares nothing with the package but the schedules' plain values.

// minutes are the ten years, and some days around them.
type minutes struct{ from, to time.Time }

func (m minutes) index(t time.Time) int { return int(t.Sub(m.from) / time.Minute) }

// seen is an occasion as the oracle found it.
type seen struct {
	id     string
	opens  int // the minute
	starts []bool
	base   int // the minute of starts[0]
	done   bool
	first  int // minutes; -1 when there is none
	last   int
}

// may reports whether it may begin in a minute.
func (o *seen) may(m int) bool { return m >= o.base && m < o.base+len(o.starts) && o.starts[m-o.base] }

// bounds notes the first and the last minute in which it may begin.
func (o *seen) bounds() {
	o.first, o.last = -1, -1
	for i, may := range o.starts {
		if may {
			o.last = o.base + i
			if o.first < 0 {
				o.first = o.last
			}
		}
	}
}

// watched is a subject with everything that the oracle saw of it.
type watched struct {
	subject
	occasions []*seen
	spare     []bool // minutes in which a make-up run may begin, but for the next occasion
	busy      int    // until which minute it runs
}

// window is a window of one date, or the instant of an occasion without one.
type window struct {
	date       time.Time
	id         string    // empty when it is no occasion's
	open, shut time.Time // by the clock on the wall
	from, to   int
}

// windowsOn returns the windows that open on a date.
func windowsOn(s subject, date time.Time) []*window {
	times := []time.Duration{s.opens}
	for t := s.every; t != 0 && t < clockDay; t += s.every {
		times = append(times, t)
	}
	var out []*window
	for _, t := range times {
		x := &window{date: date, id: s.dates(date), open: date.Add(t), shut: date.Add(t + s.closes - s.opens)}
		if s.every != 0 && x.id != "" {
			x.id = x.open.Format("2006-01-02T15:04")
		}
		out = append(out, x)
	}
	return out
}

// windows walks through the minutes and notes when windows open and close by the clock on the wall.
func windows(s subject, m minutes) []*window {
	var open []*window
	var spans []*window
	last := time.Time{}
	pending := []*window{}
	for i := range m.index(m.to) {
		l := m.from.Add(time.Duration(i) * time.Minute).In(s.Zone)
		shown := time.Date(l.Year(), l.Month(), l.Day(), l.Hour(), l.Minute(), 0, 0, time.UTC)
		for d := time.Date(l.Year(), l.Month(), l.Day(), 0, 0, 0, 0, time.UTC); last.Before(d); { // a new date; a jump may leave some out
			if last.IsZero() {
				last = d.AddDate(0, 0, -1)
			}
			last = last.AddDate(0, 0, 1)
			pending = append(pending, windowsOn(s, last)...)
		}
		pending = slices.DeleteFunc(pending, func(x *window) bool {
			if shown.Before(x.open) {
				return false
			}
			x.from = i
			open = append(open, x)
			return true
		})
		open = slices.DeleteFunc(open, func(x *window) bool {
			if s.closes != s.opens || s.every != 0 {
				if s.every == 0 && shown.Before(x.shut) {
					return false
				}
			}
			x.to = i
			spans = append(spans, x)
			return true
		})
	}
	slices.SortStableFunc(spans, func(a, b *window) int { return a.open.Compare(b.open) })
	return spans
}

// unfrozen tells of each minute whether a run of so many minutes that begins in it is free of freezes.
func unfrozen(frozen []bool, length, n int) func(i int) bool {
	until := make([]int, n+1) // how many minutes are frozen before one
	for i := range n {
		until[i+1] = until[i]
		if frozen[i] {
			until[i+1]++
		}
	}
	return func(i int) bool { return i+length <= n && until[i] == until[i+length] }
}

// latestInstant is the last minute in which what comes at an instant may begin: before the next occasion.
func latestInstant(x *window, after []*window) int {
	latest := x.from + int(Late/time.Minute)
	for _, y := range after {
		if y.id != "" && y.from > x.from {
			return min(latest, y.from-1)
		}
	}
	return latest
}

// watch notes of a subject which occasions it has, and in which minutes they may begin.
func watch(s subject, m minutes, frozen []bool) *watched {
	w := &watched{subject: s}
	length := int(s.Length() / time.Minute)
	n := m.index(m.to)
	spans := windows(s, m)
	instant := s.Window == nil
	w.spare = make([]bool, n)
	runs := unfrozen(frozen, length, n)
	if instant {
		for i := range n {
			w.spare[i] = runs(i)
		}
	}
	for k, x := range spans {
		latest := x.to - length
		if instant {
			latest = latestInstant(x, spans[k+1:])
		} else if s.makeUpOn(x.date.Weekday()) {
			for i := x.from; i <= latest; i++ {
				w.spare[i] = runs(i)
			}
		}
		if x.id != "" {
			w.mayBegin(x, latest, runs)
		}
	}
	for _, o := range w.occasions {
		o.bounds()
	}
	return w
}

// mayBegin notes in which minutes of a window its occasion may begin; a window that the clock shows twice is one occasion's.
func (w *watched) mayBegin(x *window, latest int, runs func(i int) bool) {
	var o *seen
	if len(w.occasions) > 0 && w.occasions[len(w.occasions)-1].id == x.id {
		o = w.occasions[len(w.occasions)-1]
	} else {
		o = &seen{id: x.id, opens: x.from, base: x.from}
		w.occasions = append(w.occasions, o)
	}
	for len(o.starts) < latest+1-o.base {
		o.starts = append(o.starts, false)
	}
	for i := x.from; i <= latest; i++ {
		o.starts[i-o.base] = runs(i)
	}
}

// again returns a copy in which nothing has happened yet.
func (w *watched) again() *watched {
	out := *w
	out.occasions = nil
	for _, o := range w.occasions {
		c := *o
		out.occasions = append(out.occasions, &c)
	}
	return &out
}

// divine says what should have happened. What it sees of a subject it keeps in known: the minutes are the same every time.
func divine(all []subject, down []Span, known map[string]*watched) lived {
	var out lived
	m := minutes{yearsFrom.AddDate(0, 0, -20), yearsTo.AddDate(0, 0, 40)}
	frozen := make([]bool, m.index(m.to))
	for _, f := range freezes() {
		for i := max(0, m.index(f.From)); i < min(len(frozen), m.index(f.To)); i++ {
			frozen[i] = true
		}
	}
	away := make([]bool, len(frozen))
	for _, d := range down {
		for i := m.index(d.From); i < min(len(away), m.index(d.To)); i++ {
			away[i] = true
		}
	}
	var watching []*watched
	for _, s := range all {
		if w := known[s.Name]; w != nil {
			watching = append(watching, w.again())
			continue
		}
		f := frozen
		if len(s.Freezes) == 0 {
			f = make([]bool, len(frozen))
		}
		w := watch(s, m, f)
		start := m.index(yearsFrom)
		w.occasions = slices.DeleteFunc(w.occasions, func(o *seen) bool { return o.last >= 0 && o.last < start || o.last < 0 && o.opens < start })
		known[s.Name] = w
		watching = append(watching, w.again())
	}
	for i := m.index(yearsFrom); i < m.index(yearsTo); i++ {
		if !away[i] {
			oracleMinute(&out, m, watching, i)
		}
	}
	return out
}

// due is what the oracle finds due in a minute.
type due struct {
	w    *watched
	o    *seen
	made int
}

func oracleMinute(out *lived, m minutes, watching []*watched, i int) {
	var dues []due
	for _, w := range watching {
		var missed []*seen
		next := 1 << 60
		for _, o := range w.occasions {
			if o.opens > i {
				next = o.opens
				break
			}
			switch {
			case o.done:
			case o.last < 0:
				why := "frozen"
				if !slices.Contains(o.starts, true) && tooShort(w, o) {
					why = "the"
				}
				out.skip(w.Schedule, o.id, why)
				o.done = true
			case o.last < i:
				missed = append(missed, o)
			default:
				for _, x := range missed {
					out.skip(w.Schedule, x.id, "missed")
					x.done = true
				}
				missed = nil
				if o.may(i) {
					dues = append(dues, due{w, o, 0})
				}
			}
		}
		for k, x := range missed {
			newest := k == len(missed)-1
			if w.CatchUp == CatchUpOnce && newest {
				if j := spareFrom(w, i, next); j == i {
					dues = append(dues, due{w, x, len(missed)})
					continue
				} else if j > i {
					continue
				}
			}
			out.skip(w.Schedule, x.id, "missed")
			x.done = true
		}
		for len(w.occasions) > 0 && w.occasions[0].done && w.occasions[0].last < i {
			w.occasions = w.occasions[1:]
		}
	}
	slices.SortStableFunc(dues, func(a, b due) int { return a.o.first - b.o.first })
	for _, d := range dues {
		d.o.done = true
		why := ""
		if d.w.busy > i {
			why = "the"
		}
		for _, x := range watching {
			_, both := common(d.w.Holds(), x.Holds())
			if why == "" && x != d.w && x.busy > i && both {
				why = "schedule"
			}
		}
		if why != "" {
			out.skip(d.w.Schedule, d.o.id, why)
			continue
		}
		out.run(d.w.Schedule, d.o.id, m.from.Add(time.Duration(i)*time.Minute), d.made)
		d.w.busy = i + int(took(d.w.Schedule, d.o.id)/time.Minute)
	}
}

// spareFrom returns the first minute in which a make-up run may begin that ends before the next occasion, or -1.
func spareFrom(w *watched, i, next int) int {
	length := int(w.Length() / time.Minute)
	for j := i; j < len(w.spare) && j+length <= next; j++ {
		if w.spare[j] {
			return j
		}
	}
	return -1
}

// tooShort reports whether not even a window without freezes would hold a run.
func tooShort(w *watched, o *seen) bool { return w.Window != nil && len(o.starts) == 0 }

// TestTenYears compares ten years of decisions with what the oracle says: daylight saving in four zones, one of which changes
// by half an hour and one of which is 12:45 from UTC, freezes, leap days, nobody there, and runs in each other's way.
func TestTenYears(t *testing.T) {
	all := subjects(t)
	var plain []*Schedule
	for _, s := range all {
		if err := s.Validate(); err != nil {
			t.Fatalf("%s: %v", s.Name, err)
		}
		plain = append(plain, s.Schedule)
	}
	known := map[string]*watched{}
	for name, down := range map[string][]Span{"always there": nil, "with downtime": downtimes()} {
		t.Run(name, func(t *testing.T) {
			got, want := live(t, plain, down), divine(all, down, known)
			for _, l := range []*lived{&got, &want} {
				slices.Sort(l.runs)
				slices.Sort(l.skips)
			}
			if diff := cmp.Diff(want.runs, got.runs); diff != "" {
				t.Errorf("runs (-oracle +got):\n%s", diff[:min(len(diff), 4000)])
			}
			if diff := cmp.Diff(want.skips, got.skips); diff != "" {
				t.Errorf("skipped (-oracle +got):\n%s", diff[:min(len(diff), 4000)])
			}
			t.Logf("%d runs, %d skipped", len(got.runs), len(got.skips))
			if len(got.runs) < 10_000 {
				t.Errorf("only %d runs: the test shows little", len(got.runs))
			}
		})
	}
}
