package report

import (
	"fmt"
	"slices"
	"sort"
	"time"

	"gameday/clock"
)

// unseen returns how much of a span is not known because generators of the stream did not tell of it, in time of the whole stream.
func (t *traffic) unseen(stream string, s clock.Span) time.Duration {
	var out time.Duration
	for i := range t.missed(stream, s) {
		w := &t.windows[i]
		overlap := s.Overlap(clock.Span{Start: w.Start, End: w.Start.Add(second)}).Length()
		out += time.Duration((1 - w.Seen()) * float64(overlap))
	}
	return out
}

// missed goes through a stream's windows in a span that not all of its generators told of.
func (t *traffic) missed(stream string, s clock.Span) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		all := t.partial[stream]
		from := sort.Search(len(all), func(i int) bool { return t.windows[all[i]].Start.Add(second).After(s.Start) })
		for _, i := range all[from:] {
			if !t.windows[i].Start.Before(s.End) || !yield(i) {
				return
			}
		}
	}
}

// absence is a generator that did not tell of some seconds.
type absence struct {
	stream, name string
	from         time.Time // begin of the first
	seconds, of  int
}

// absences returns which generators did not tell of some of the spans, of one stream or, for "", of all.
func (t *traffic) absences(stream string, spans ...clock.Span) []absence {
	var out []absence
	for _, name := range t.streams {
		if stream != "" && stream != name {
			continue
		}
		for _, s := range spans {
			for i := range t.missed(name, s) {
				w := &t.windows[i]
				for _, missing := range w.Missing {
					k := slices.IndexFunc(out, func(a absence) bool { return a.stream == name && a.name == missing })
					if k < 0 {
						k, out = len(out), append(out, absence{stream: name, name: missing, from: w.Start, of: w.Of})
					}
					out[k].seconds++
				}
			}
		}
	}
	return out
}

// end is the end of the last window.
func (t *traffic) end() time.Time {
	if len(t.windows) == 0 {
		return time.Time{}
	}
	return t.windows[len(t.windows)-1].Start.Add(second)
}

// untold says why too little of some spans is known: "traffic was recorded for only 80 % of the time", and which generators were
// missing, when that is why.
func (j *judge) untold(stream string, spans []clock.Span, got float64) string {
	text := fmt.Sprintf("traffic was recorded for only %s of the time", percent(got))
	away := j.load.absences(stream, spans...)
	if len(away) == 0 {
		return text
	}
	text = fmt.Sprintf("only %s of the traffic was recorded", percent(got))
	for i, a := range away[:min(len(away), mostHoles)] {
		text += map[bool]string{true: ": ", false: "; "}[i == 0]
		text += fmt.Sprintf("from %s on nothing is known of %s, which was to send 1/%d of %s", j.tl.since(a.from), a.name, a.of, a.stream)
	}
	if more := len(away) - mostHoles; more > 0 {
		text += fmt.Sprintf("; nor of %d more", more)
	}
	return text
}

// runnerAway says that a generator was missing, and what to do.
func (j *judge) runnerAway(a absence) (whose, hint string) {
	return fmt.Sprintf("from %s on nothing is known of %s, which was to send 1/%d of %s", j.tl.since(a.from), a.name, a.of, a.stream),
		fmt.Sprintf("%s of %s was lost: see the notes for what became of it, and run it again.", a.name, a.stream)
}

// partial says of each generator that did not tell of some seconds of the run what that means for what is printed.
func (j *judge) partial() []string {
	var out []string
	for _, a := range j.load.absences("", clock.Span{Start: j.tl.Start, End: j.tl.End}) {
		out = append(out, fmt.Sprintf("%s: nothing is known of %s, which was to send 1/%d of the traffic, in %s, the first of them at %s. "+
			"Rates and response times of those seconds are partial: they are of the others alone.", a.stream, a.name, a.of,
			count(a.seconds, "second"), j.tl.since(a.from)))
	}
	return out[:min(len(out), maxRemarks)]
}
