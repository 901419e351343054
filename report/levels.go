package report

import (
	"fmt"
	"time"

	"gameday/clock"
	"gameday/loadgen/sli"
)

// Levels are the service levels over one stretch of a run: a phase, or the time in which a fault stood.
type Levels struct {
	Name  string // the phase, or the fault
	Fault bool   // it is about the time in which the fault stood
	Spans []clock.Span

	why   string // why nothing can be told
	judge *judge
	sum   *spanReadings
	gaps  map[string]levelGap // by stream
}

// Levels returns the stretches of the run over which service levels are told: the baseline and the control phase, the load phase as far
// as no fault was felt, the recovery phase, and each fault while it stood. The ramp is none: nothing stands still in
// it. What the plan does not have is left out; what did not come about is there, and unknown. A search for the capacity
// has none, for its rate changes all the time.
func (c *Scorecard) Levels() []*Levels {
	j := c.by
	var out []*Levels
	if j.plan.Search != nil {
		return nil
	}
	for _, p := range []Phase{Baseline, Control, Load, Recovery} {
		if j.planned(p) > 0 {
			out = append(out, j.phaseLevels(p))
		}
	}
	for _, f := range j.tl.Faults {
		l := &Levels{Name: f.Name, Fault: true, judge: j}
		stood, ok := f.Standing(j.tl.End)
		switch {
		case f.Onset().IsZero():
			l.why = f.Name + " was never injected: " + f.failure(j.complete())
		case !ok:
			l.why = f.Name + " stood at no time at all of its places"
		default:
			l.Spans = []clock.Span{stood}
		}
		out = append(out, l)
	}
	return out
}

func (j *judge) phaseLevels(p Phase) *Levels {
	l := &Levels{Name: string(p), judge: j}
	phase, reached := j.tl.Phase(p)
	switch {
	case !reached:
		l.why = fmt.Sprintf("the %s phase was not reached", p)
	case float64(j.came(phase)) < covered*float64(j.planned(p)):
		l.why = j.cut(phase)
	case p == Load:
		if l.Spans = j.quiet().spans; total(l.Spans) < second {
			l.why = "a fault was felt through the whole load phase"
		}
	default:
		l.Spans = []clock.Span{phase.Span}
	}
	return l
}

// Length returns how long the stretch is, without the gaps in it.
func (l *Levels) Length() time.Duration { return total(l.Spans) }

// Read returns an indicator over the whole stretch, of one stream or, for "", of all; and how many requests or arrivals
// it is of. why is empty when it is known, and says otherwise why it is not.
func (l *Levels) Read(stream, name string) (value float64, of uint64, why string) {
	if why := l.unknown(stream, name); why != "" {
		return 0, 0, why
	}
	if l.sum == nil {
		l.sum = l.judge.load.over(l.Spans...)
	}
	v, ok := l.sum.Read(stream, name)
	if !ok {
		return 0, 0, "there was nothing to measure it by"
	}
	return v, l.sum.sum.Of(stream, name), ""
}

// unknown says why an indicator cannot be told, whatever the windows say.
func (l *Levels) unknown(stream, name string) string {
	if l.why != "" {
		return l.why
	}
	if ofRequests(name) {
		for _, s := range sortedKeys(l.judge.lost) {
			if stream == "" || stream == s {
				return fmt.Sprintf("%s made no request that was counted, although its script said %q", s, l.judge.lost[s])
			}
		}
	}
	gap, asked := l.gaps[stream]
	if !asked {
		gap = l.gap(stream)
		if l.gaps == nil {
			l.gaps = map[string]levelGap{}
		}
		l.gaps[stream] = gap
	}
	if gap.recorded != "" || name == "error_ratio" || name == "check_ratio" {
		return gap.recorded
	}
	return gap.spoilt
}

// levelGap says why the traffic of a stream cannot be told: not enough of it was recorded, or its generator was at its
// own limit, which spoils how long answers took and how many arrivals were begun.
type levelGap struct{ recorded, spoilt string }

func (l *Levels) gap(stream string) (g levelGap) {
	j := l.judge
	if got := j.load.coverage(stream, l.Spans); got < covered {
		g.recorded = j.untold(stream, l.Spans, got)
		return g
	}
	for _, s := range j.load.streams {
		if stream != "" && s != stream {
			continue
		}
		if why := saturation(j.load.during(s, l.Spans...)); why != "" {
			g.spoilt = fmt.Sprintf("the generator of %s was at its own limit (%s)", s, why)
			return g
		}
	}
	return g
}

// Blocks cuts the stretch into blocks of a length in whole seconds, and answers for each, in order. Each of the outer
// slices is a part of the stretch without a break in it; what does not fill a block at its end is left out.
func (l *Levels) Blocks(length time.Duration) [][]*sli.Aggregate {
	var out [][]*sli.Aggregate
	for _, s := range l.Spans {
		var part []*sli.Aggregate
		last := l.judge.load.from(s.End.Add(-second).Add(1)) // windows count that lie wholly inside
		for at := s.Start; !at.Add(length).After(s.End); at = at.Add(length) {
			sum := &sli.Aggregate{}
			lo, hi := l.judge.load.from(at), l.judge.load.from(at.Add(length))
			for _, w := range l.judge.load.windows[lo:max(lo, min(hi, last))] {
				sum.Add(w)
			}
			part = append(part, sum)
		}
		if len(part) > 0 {
			out = append(out, part)
		}
	}
	return out
}
