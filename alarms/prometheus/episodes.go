package prometheus

import (
	"maps"
	"slices"
	"time"

	"gameday/alarms"
	"gameday/alarms/internal/fold"
	"gameday/clock"
)

// The series that a Prometheus writes about its alerts.
const (
	alertsSeries   = "ALERTS"           // 1 with alertstate pending or firing, at each evaluation
	forStateSeries = "ALERTS_FOR_STATE" // the start of the pending phase, in whole seconds since the epoch
)

// line is all that the series say about the alert with one set of labels, in the server's clock.
type line struct {
	key      string
	labels   map[string]string
	marks    []mark
	since    map[int64]time.Time // evaluation (Unix ms) → pending start, whole seconds
	interval time.Duration       // of the rule's evaluation
	standing standing
}

// mark is one evaluation that found the alert active.
type mark struct {
	at     time.Time
	firing bool
}

// standing is what the rules API said when it was asked, before the series were read.
type standing struct {
	evaluated time.Time // the rule's last evaluation, the zero time when there is no such rule
	active    bool      // the alert was active then
}

// stretch is a run of evaluations that found the alert active with one and the same pending start.
type stretch struct {
	marks []mark
	since time.Time // zero when ALERTS_FOR_STATE had no value
}

func (s stretch) first() mark { return s.marks[0] }
func (s stretch) last() mark  { return s.marks[len(s.marks)-1] }

// enter adds a series to the line of its alert.
func enter(lines map[string]*line, one series) {
	labels := maps.Clone(one.Metric)
	name, state := labels["__name__"], labels["alertstate"]
	delete(labels, "__name__")
	delete(labels, "alertstate")
	key := fold.Key(labels)
	l := lines[key]
	if l == nil {
		l = &line{key: key, labels: labels, since: map[int64]time.Time{}}
		lines[key] = l
	}
	for _, v := range one.Samples {
		switch {
		case name == forStateSeries:
			l.since[v.At.UnixMilli()] = time.Unix(int64(v.Value), 0)
		case name == alertsSeries && v.Value != 0:
			l.marks = append(l.marks, mark{at: v.At, firing: state == "firing"})
		}
	}
}

// sort puts the evaluations in order, drops those that overlapping selectors returned twice, and settles the interval.
func (l *line) sort() {
	slices.SortFunc(l.marks, func(a, b mark) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		if a.firing == b.firing {
			return 0
		}
		if a.firing {
			return 1
		}
		return -1
	})
	l.marks = slices.Compact(l.marks)
	if l.interval <= 0 {
		var at []time.Time
		for _, m := range l.marks {
			at = append(at, m.at)
		}
		l.interval = typical(at)
	}
}

// stretches cuts the evaluations wherever the pending start changes, or, where it is not known, at a gap of more than
// two intervals. A single quiet evaluation makes a gap of exactly two, so the pending start is what tells a flap.
func (l *line) stretches() []stretch {
	var out []stretch
	for _, m := range l.marks {
		since := l.since[m.at.UnixMilli()]
		if n := len(out); n > 0 {
			last := &out[n-1]
			same := since.Equal(last.since)
			if since.IsZero() || last.since.IsZero() {
				same = m.at.Sub(last.last().at) <= 2*l.interval+l.interval/10
			}
			if same {
				last.marks = append(last.marks, m)
				if last.since.IsZero() {
					last.since = since
				}
				continue
			}
		}
		out = append(out, stretch{marks: []mark{m}, since: since})
	}
	return out
}

// episodes returns the alert's episodes. Stretches that are apart only because the server stood still are one episode:
// a restart forgets the pending start, and would otherwise look like a new alarm.
func (l *line) episodes(p *past, offset clock.Offset) []alarms.Episode {
	var groups [][]stretch
	for _, s := range l.stretches() {
		if n := len(groups); n > 0 && l.restarted(groups[n-1][len(groups[n-1])-1], s, p) {
			groups[n-1] = append(groups[n-1], s)
			continue
		}
		groups = append(groups, []stretch{s})
	}
	out := make([]alarms.Episode, 0, len(groups))
	for _, g := range groups {
		e := alarms.Episode{Pending: pending(g[0], offset), Firing: l.firing(g, offset)}
		e.Ended = l.ended(g[len(g)-1].last().at, p, offset)
		out = append(out, e)
	}
	return out
}

// restarted reports whether a stretch goes on with an earlier one: the server stopped working while the alert was
// active, and found it active again as soon as it could. A server that starts evaluates its rules some seconds before
// it scrapes, so the second stretch may begin inside the hole that its scrapes show.
func (l *line) restarted(a, b stretch, p *past) bool {
	began := b.first().at
	if !b.since.IsZero() && b.since.Before(began) {
		began = b.since
	}
	for _, hole := range p.holes() {
		stopped := !hole.Start.After(a.last().at.Add(l.interval+l.interval/2)) && hole.End.After(a.last().at)
		resumed := !began.After(hole.End.Add(2*l.interval + p.scrape))
		if stopped && resumed && hole.Start.Before(b.first().at) {
			return true
		}
	}
	return false
}

// holes returns the stretches after each spell of work in which none is seen. Before the first spell nothing is known.
func (p *past) holes() []clock.Span {
	var out []clock.Span
	for i, u := range p.up {
		end := p.to
		if i+1 < len(p.up) {
			end = p.up[i+1].Start
		}
		if end.After(u.End) {
			out = append(out, clock.Span{Start: u.End, End: end})
		}
	}
	return out
}

// pending returns when the condition began to hold: the evaluation itself when it was written, else the whole second
// that ALERTS_FOR_STATE remembers.
func pending(s stretch, offset clock.Offset) clock.Interval {
	first := s.first().at
	if s.since.IsZero() || first.Before(s.since.Add(time.Second)) {
		return offset.Ours(first, time.Millisecond)
	}
	return offset.Ours(s.since, time.Second)
}

// firing returns when the alert fired, zero when it did not. After a gap in the samples it fired somewhere in it.
func (l *line) firing(group []stretch, offset clock.Offset) clock.Interval {
	var before time.Time
	for _, s := range group {
		for _, m := range s.marks {
			if !m.firing {
				before = m.at
				continue
			}
			at := offset.Ours(m.at, time.Millisecond)
			from := before
			if from.IsZero() {
				// Firing from its first sample on: either there is no pending phase, or it was not read.
				from = s.since
				if from.IsZero() || m.at.Before(from.Add(time.Second)) {
					return at
				}
			} else if m.at.Sub(from) <= 2*l.interval+l.interval/10 {
				return at
			}
			return clock.Interval{Lo: offset.Ours(from, time.Millisecond).Lo, Hi: at.Hi}
		}
	}
	return clock.Interval{}
}

// ended returns when the alert was quiet again, between its last active evaluation and the one after it; zero when that
// evaluation is not known to have happened.
func (l *line) ended(last time.Time, p *past, offset clock.Offset) clock.Interval {
	next := last.Add(l.interval)
	for i, u := range p.up {
		over := u.End.Before(next.Add(l.interval / 2))
		switch {
		case u.End.Before(last.Add(-l.interval)) || u.Start.After(last):
			continue
		case over && i+1 < len(p.up):
			// It stood still right after; the first evaluation after that is the one that found it quiet.
			next = p.up[i+1].Start.Add(l.interval + p.scrape)
		case over && !l.quiet(last):
			return clock.Interval{}
		case over && l.standing.evaluated.After(next):
			next = l.standing.evaluated
		}
	}
	if next.After(p.to.Add(-l.interval)) && !l.quiet(last) {
		return clock.Interval{}
	}
	return clock.Interval{Lo: offset.Ours(last, time.Millisecond).Lo, Hi: offset.Ours(next, time.Millisecond).Hi}
}

// quiet reports whether the rule is known to have been evaluated after an instant and to have found the alert inactive.
func (l *line) quiet(last time.Time) bool {
	return !l.standing.active && l.standing.evaluated.After(last)
}
