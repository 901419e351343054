package report

import (
	"cmp"
	"iter"
	"slices"
	"sort"
	"time"

	"gameday/clock"
	"gameday/loadgen"
	"gameday/loadgen/sli"
)

// second is the length of a window.
const second = time.Second

// covered is the share of a span that must be observed before what was not seen in it counts as absent.
const covered = 0.95

// traffic is the windows and own readings of a record, ordered so that spans of them can be taken.
type traffic struct {
	windows  []loadgen.Window        // by start, then stream
	readings []reading               // by time
	streams  []string                // those of the plan, and any other that has windows
	had      map[string][]clock.Span // by stream, when there were windows
	partial  map[string][]int        // by stream, those of its windows that not all of its generators told of
	long     []*spanReadings         // answers for long spans, which are asked for again
}

// reading is one value of an indicator of the scenario's own.
type reading struct {
	sli   string
	at    time.Time
	known bool
	value float64
}

// inOrder is the order of windows.
func inOrder(a, b loadgen.Window) int {
	return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.Stream, b.Stream))
}

func newTraffic(rec *Record) *traffic {
	t := &traffic{windows: rec.Windows, readings: readings(rec), had: map[string][]clock.Span{}, partial: map[string][]int{}}
	if !slices.IsSortedFunc(t.windows, inOrder) {
		t.windows = slices.Clone(t.windows)
		slices.SortStableFunc(t.windows, inOrder)
	}
	for _, p := range rec.Plan.Traffic {
		if _, known := t.had[p.Name]; !known {
			t.had[p.Name] = nil
			t.streams = append(t.streams, p.Name)
		}
	}
	for i := range t.windows {
		w := &t.windows[i]
		if w.Seen() < 1 {
			t.partial[w.Stream] = append(t.partial[w.Stream], i)
		}
		had, known := t.had[w.Stream]
		if !known {
			t.streams = append(t.streams, w.Stream)
		}
		end := w.Start.Add(second)
		if n := len(had); n > 0 && !w.Start.After(had[n-1].End) {
			had[n-1].End = laterOf(had[n-1].End, end)
			continue
		}
		t.had[w.Stream] = append(had, clock.Span{Start: w.Start, End: end})
	}
	return t
}

// readings returns those of a record by their time.
func readings(rec *Record) []reading {
	n := 0
	for i := range rec.Events {
		if rec.Events[i].Kind == ReadingTaken {
			n++
		}
	}
	out := make([]reading, 0, n)
	for _, e := range rec.Events {
		if e.Kind != ReadingTaken {
			continue
		}
		if r, err := decodeReading(e); err == nil {
			out = append(out, reading{r.SLI, e.At, r.Known, r.Value})
		}
	}
	slices.SortStableFunc(out, func(a, b reading) int { return a.at.Compare(b.at) })
	return out
}

// from returns the index of the first window that starts at or after an instant.
func (t *traffic) from(at time.Time) int {
	return sort.Search(len(t.windows), func(i int) bool { return !t.windows[i].Start.Before(at) })
}

// inside returns the windows that lie wholly inside the span.
func (t *traffic) inside(s clock.Span) []loadgen.Window {
	lo, hi := t.from(s.Start), t.from(s.End.Add(-second).Add(1))
	if hi < lo {
		hi = lo
	}
	return t.windows[lo:hi]
}

// of returns a stream's windows.
func (t *traffic) of(stream string) iter.Seq[*loadgen.Window] { return ofStream(t.windows, stream) }

// during returns a stream's windows that lie wholly inside one of the spans.
func (t *traffic) during(stream string, spans ...clock.Span) iter.Seq[*loadgen.Window] {
	return func(yield func(*loadgen.Window) bool) {
		for _, s := range spans {
			for w := range ofStream(t.inside(s), stream) {
				if !yield(w) {
					return
				}
			}
		}
	}
}

func ofStream(ws []loadgen.Window, stream string) iter.Seq[*loadgen.Window] {
	return func(yield func(*loadgen.Window) bool) {
		for i := range ws {
			if ws[i].Stream == stream && !yield(&ws[i]) {
				return
			}
		}
	}
}

// coverage returns the share of the spans that the windows of one stream cover; of all streams, the least. A second that only
// some of its generators told of is covered as far as they share the stream.
func (t *traffic) coverage(stream string, spans []clock.Span) float64 {
	names := []string{stream}
	if stream == "" {
		names = t.streams
	}
	least := 1.0
	if len(names) == 0 {
		return 0
	}
	for _, name := range names {
		var need, got time.Duration
		for _, s := range spans {
			need += s.Length()
			got += time.Duration(clock.Share(t.had[name], s)*float64(s.Length())) - t.unseen(name, s)
		}
		if need == 0 {
			return 0
		}
		least = min(least, float64(got)/float64(need))
	}
	return least
}

// longSpan is from how many windows on an answer is kept: adding up a day takes a while.
const longSpan = 100

// over returns the readings of all windows that lie wholly inside one of the spans.
func (t *traffic) over(spans ...clock.Span) *spanReadings {
	for _, r := range t.long {
		if slices.Equal(r.spans, spans) {
			return r
		}
	}
	r := t.into(new(sli.Aggregate), spans)
	if r.n >= longSpan {
		t.long = append(t.long, r)
	}
	return r
}

// into is over, with a sum that is made anew of what it was.
func (t *traffic) into(sum *sli.Aggregate, spans []clock.Span) *spanReadings {
	sum.Reset()
	r := &spanReadings{t: t, spans: slices.Clone(spans), sum: sum}
	for _, s := range spans {
		for _, w := range t.inside(s) {
			r.sum.Add(w)
			r.n++
		}
	}
	return r
}

// spanReadings answers for indicators over some spans. Own indicators are the mean of their readings; they are unknown
// when more than one in twenty of their readings had no answer.
type spanReadings struct {
	t     *traffic
	spans []clock.Span
	sum   *sli.Aggregate
	n     int // windows
}

var _ sli.Readings = (*spanReadings)(nil)

// Read returns an indicator's value over the spans; ok is false without data.
func (r *spanReadings) Read(stream, name string) (float64, bool) {
	if ownName(name) {
		return r.own(name)
	}
	if r.n == 0 {
		return 0, false
	}
	return r.sum.Read(stream, name)
}

func (r *spanReadings) own(name string) (float64, bool) {
	var sum float64
	var known, asked int
	list := r.t.readings
	for _, s := range clock.Merge(r.spans) { // so that none counts twice
		for _, x := range list[sort.Search(len(list), func(i int) bool { return !list[i].at.Before(s.Start) }):] {
			if !inSpan(x.at, s) {
				break
			}
			if x.sli != name {
				continue
			}
			asked++
			if x.known {
				known++
				sum += x.value
			}
		}
	}
	if known == 0 || float64(known) < covered*float64(asked) {
		return 0, false
	}
	return sum / float64(known), true
}

func inSpan(at time.Time, s clock.Span) bool { return !at.Before(s.Start) && at.Before(s.End) }

// without returns the parts of span that lie in none of the holes.
func without(span clock.Span, holes []clock.Span) []clock.Span {
	var out []clock.Span
	at := span.Start
	for _, h := range clock.Merge(holes) {
		h = h.Overlap(span)
		if h.Length() == 0 {
			continue
		}
		if h.Start.After(at) {
			out = append(out, clock.Span{Start: at, End: h.Start})
		}
		at = h.End
	}
	if span.End.After(at) {
		out = append(out, clock.Span{Start: at, End: span.End})
	}
	return out
}

func total(spans []clock.Span) time.Duration {
	var d time.Duration
	for _, s := range spans {
		d += s.Length()
	}
	return d
}
