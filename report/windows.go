package report

import (
	"cmp"
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
	windows  []loadgen.Window // by start, then stream
	readings []seen[Reading]
	streams  []string // those of the plan, and any other that has windows
}

func newTraffic(rec *Record) *traffic {
	t := &traffic{windows: rec.Windows, readings: all[Reading](rec, ReadingTaken)}
	order := func(a, b loadgen.Window) int {
		return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.Stream, b.Stream))
	}
	if !slices.IsSortedFunc(t.windows, order) {
		t.windows = slices.Clone(t.windows)
		slices.SortStableFunc(t.windows, order)
	}
	known := map[string]bool{}
	add := func(name string) {
		if !known[name] {
			known[name] = true
			t.streams = append(t.streams, name)
		}
	}
	for _, p := range rec.Plan.Traffic {
		add(p.Name)
	}
	for _, w := range t.windows {
		add(w.Stream)
	}
	return t
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

// coverage returns the share of the spans that the windows of one stream cover; of all streams, the least.
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
		var have []clock.Span
		for _, w := range t.windows {
			if w.Stream == name {
				have = append(have, clock.Span{Start: w.Start, End: w.Start.Add(second)})
			}
		}
		have = clock.Merge(have)
		var need, got time.Duration
		for _, s := range spans {
			need += s.Length()
			got += time.Duration(clock.Share(have, s) * float64(s.Length()))
		}
		if need == 0 {
			return 0
		}
		least = min(least, float64(got)/float64(need))
	}
	return least
}

// over returns the readings of all windows that lie wholly inside one of the spans.
func (t *traffic) over(spans ...clock.Span) *spanReadings {
	r := &spanReadings{t: t, spans: spans, sum: new(sli.Aggregate)}
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
	for _, x := range r.t.readings {
		if x.V.SLI != name || !slices.ContainsFunc(r.spans, func(s clock.Span) bool { return inSpan(x.At, s) }) {
			continue
		}
		asked++
		if x.V.Known {
			known++
			sum += x.V.Value
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
