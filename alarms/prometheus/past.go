package prometheus

import (
	"math"
	"slices"
	"time"

	"gameday/alarms"
	"gameday/alarms/internal/fold"
	"gameday/clock"
)

// What is asked about the past.
const (
	pastSpan = 14 * 24 * time.Hour
	// A server answers up to 11,000 points of each series at once.
	atOnce     = 10_000
	mostChunks = 4
	// mostSamples bounds all values together.
	mostSamples = 400_000
)

// past asks what the rule measured in the two weeks before the run, and what each threshold worth a thought would have
// made of it. n is how many series there were in the run.
func (s *study) past(n int) {
	p := alarms.Past{Span: clock.Span{Start: s.ask.Run.Start.Add(-pastSpan), End: s.ask.Run.Start}}
	each := min(mostChunks*atOnce, mostSamples/max(1, n))
	p.Step = roundUp(max(s.rule.Interval, pastSpan/time.Duration(max(1, each)), time.Second))
	lines := map[string][]sample{}
	for from := p.Span.Start; from.Before(p.Span.End); from = from.Add(atOnce * p.Step) {
		to := from.Add((atOnce - 1) * p.Step)
		if to.After(p.Span.End) {
			to = p.Span.End
		}
		found, err := s.values(s.out.Limit.Left, clock.Span{Start: from, End: to}, p.Step)
		if err != nil {
			s.lacks("what it measured in the two weeks before", err)
			for _, t := range s.ladder(&alarms.Past{}) {
				s.out.Levels = append(s.out.Levels, alarms.Level{Threshold: t})
			}
			return
		}
		for _, one := range found {
			key := fold.Key(one.Metric)
			for _, x := range one.Samples {
				if !math.IsNaN(x.Value) {
					lines[key] = append(lines[key], x)
				}
			}
		}
	}
	p.Series = len(lines)
	s.sum(&p, lines)
	for _, t := range s.ladder(&p) {
		s.out.Levels = append(s.out.Levels, s.level(t, p.Step, lines))
	}
	s.out.Past = &p
}

// sum finds for how long there were values, and what they were like.
func (s *study) sum(p *alarms.Past, lines map[string][]sample) {
	moments := map[int64]bool{}
	var all []float64
	for _, line := range lines {
		for _, x := range line {
			moments[x.At.UnixMilli()] = true
			all = append(all, x.Value)
		}
	}
	if len(all) == 0 {
		return
	}
	p.Data = min(p.Span.Length(), time.Duration(len(moments))*p.Step)
	slices.Sort(all)
	p.Middle, p.Worst = finite(all[len(all)/2]), finite(all[0])
	if s.out.Limit.Up() {
		p.Worst = finite(all[len(all)-1])
	}
}

// finite makes a number of infinity, which JSON does not have.
func finite(v float64) float64 { return min(max(v, -math.MaxFloat64), math.MaxFloat64) }

// steps is how many thresholds are tried between the calm and the fault.
const steps = 12

// ladder returns the thresholds worth a thought, in order: the rule's own; those between the worst of the calm and the worst
// that the run held for as long as the rule asks; and the one halfway between the rule's and all that ever was.
func (s *study) ladder(p *alarms.Past) []float64 {
	c := s.out.Limit
	out := []float64{c.Threshold}
	add := func(v, unit float64) {
		if unit < 1 { // divided by a whole number, 0.3 is 0.3
			v = math.Round(v*math.Round(1/unit)) / math.Round(1/unit)
		} else {
			v = math.Round(v/unit) * unit
		}
		if !math.IsNaN(v) && !math.IsInf(v, 0) && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	calm, sustained, ok := s.extremes()
	if ok && worse(c, sustained, calm) {
		unit := fine(sustained - calm)
		for i := range steps {
			add(calm+(sustained-calm)*float64(i+1)/float64(steps+1), unit)
		}
	}
	if p.Data > 0 {
		nearest := p.Worst
		if ok && worse(c, calm, nearest) {
			nearest = calm
		}
		if worse(c, c.Threshold, nearest) {
			add(nearest+(c.Threshold-nearest)/2, fine(c.Threshold-nearest))
		}
	}
	slices.Sort(out)
	return out
}

// fine returns a power of ten by which a difference can be divided into a few dozen parts.
func fine(difference float64) float64 {
	return math.Pow(10, math.Floor(math.Log10(math.Abs(difference)))-1)
}

// extremes returns the worst value of the calm, and the worst that held for the rule's `for` after it.
func (s *study) extremes() (calm, sustained float64, ok bool) {
	c := s.out.Limit
	quiet, after := false, false
	note := func(known *bool, to *float64, v float64) {
		if !*known || worse(c, v, *to) {
			*known, *to = true, v
		}
	}
	end := s.ask.Calm.End.Sub(s.ask.Run.Start).Seconds()
	apart := 1.5 * s.out.Step.Seconds()
	for _, t := range s.out.Values {
		for i, x := range t.Points {
			if x[0] < end {
				note(&quiet, &calm, x[1])
				continue
			}
			held := x[1]
			last, whole := i, s.out.For <= 0
			for n := i + 1; n < len(t.Points) && !whole && t.Points[n][0]-t.Points[last][0] <= apart; n++ {
				if worse(c, held, t.Points[n][1]) {
					held = t.Points[n][1]
				}
				last, whole = n, t.Points[n][0]-x[0] >= s.out.For.Seconds()
			}
			if whole {
				note(&after, &sustained, held)
			}
		}
	}
	return calm, sustained, quiet && after
}

// level tells what a threshold would have made of the past. A value is taken to last until the next look.
func (s *study) level(threshold float64, step time.Duration, lines map[string][]sample) alarms.Level {
	keep := inSeconds(s.rule.KeepFiring)
	var fired []clock.Span
	for _, line := range lines {
		var since, last time.Time
		var open *clock.Span
		for _, x := range line {
			if !s.out.Limit.Over(x.Value, threshold) || (!last.IsZero() && x.At.Sub(last) > step+step/2) {
				since, open = time.Time{}, nil
			}
			last = x.At
			if !s.out.Limit.Over(x.Value, threshold) {
				continue
			}
			if since.IsZero() {
				since = x.At
			}
			if open != nil {
				open.End = x.At.Add(step + keep)
			} else if x.At.Sub(since)+step >= s.out.For {
				fired = append(fired, clock.Span{Start: x.At, End: x.At.Add(step + keep)})
				open = &fired[len(fired)-1]
			}
		}
	}
	l := alarms.Level{Threshold: threshold}
	for _, f := range clock.Merge(fired) {
		l.Fired++
		l.Firing += f.Length()
	}
	return l
}
