package report

import (
	"math"
	"time"

	"gameday/clock"
	"gameday/loadgen"
	"gameday/loadgen/sli"
)

// maxPoints bounds how many points a line of the picture has. Longer runs are summed up over more than a second a
// point: summed, not thinned out, so that no outlier is lost.
const maxPoints = 600

// point is one step of the picture's lines. Ratios and quantiles are NaN without data.
type point struct {
	at           time.Duration // begin, since the run's start
	due, started float64       // per second
	errors       float64       // share
	p50, p95     float64       // seconds
	empty        bool          // no window at all
}

// series sums the windows of all streams up to at most maxPoints steps of whole seconds.
func (t *traffic) series(run clock.Span) (points []point, step time.Duration) {
	return t.steps(run, maxPoints)
}

// steps is series with another bound.
func (t *traffic) steps(run clock.Span, most int) (points []point, step time.Duration) {
	n := int(math.Ceil(run.Length().Seconds()))
	if n == 0 {
		return nil, second
	}
	step = time.Duration((n+most-1)/most) * second
	points = make([]point, int((run.Length()+step-1)/step))
	var sum sli.Aggregate
	rest := t.windows[t.from(run.Start):]
	for i := range points {
		at := time.Duration(i) * step
		end := 0
		for end < len(rest) && rest[end].Start.Sub(run.Start) < at+step {
			end++
		}
		points[i] = sumUp(&sum, rest[:end], run.Start.Add(at))
		points[i].at = at
		rest = rest[end:]
	}
	return points, step
}

// sumUp returns the point that the windows of a step, in order, add up to: for each of the step's seconds of which there is one. Seconds are
// those of the step, for streams begin theirs at any time: by the clock on the wall, one that begins just before a full second and one that
// begins just after it would be two seconds with half the arrivals each. What was in sum is gone.
func sumUp(sum *sli.Aggregate, ws []loadgen.Window, from time.Time) point {
	p := point{empty: len(ws) == 0, errors: math.NaN(), p50: math.NaN(), p95: math.NaN()}
	if p.empty {
		return p
	}
	sum.Reset()
	seconds, last := 0, time.Duration(math.MinInt64)
	for _, w := range ws {
		w.Stream = "" // all are one here
		sum.Add(w)
		p.due += float64(w.Due)
		p.started += float64(w.Started)
		if at := w.Start.Sub(from).Truncate(second); at != last {
			seconds, last = seconds+1, at
		}
	}
	p.due /= float64(seconds)
	p.started /= float64(seconds)
	p.errors, p.p50, p.p95 = known(sum, "error_ratio"), known(sum, "p50"), known(sum, "p95")
	return p
}

func known(r sli.Readings, name string) float64 {
	if v, ok := r.Read("", name); ok {
		return v
	}
	return math.NaN()
}

// scale maps values to heights, from 0 at the bottom to 1 at the top.
type scale struct {
	lo, hi float64
	log    bool
}

// linear returns a scale from 0 to the next round number.
func linear(top float64) scale { return scale{0, roundUp(top), false} }

// spread returns a scale for values that may span decades: logarithmic when the largest is more than twenty times the
// smallest, otherwise linear.
func spread(least, most float64) scale {
	if least <= 0 || math.IsInf(least, 0) || most <= 20*least {
		return linear(most)
	}
	return scale{math.Pow(10, math.Floor(math.Log10(least))), math.Pow(10, math.Ceil(math.Log10(most))), true}
}

// roundUp returns the next number of the form 1, 2 or 5 times a power of ten.
func roundUp(v float64) float64 {
	if !(v > 0) || math.IsInf(v, 0) {
		return 1
	}
	base := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 1.5, 2, 2.5, 3, 4, 5, 6, 8} {
		if v <= m*base*(1+1e-9) {
			return m * base
		}
	}
	return 10 * base
}

// at returns the height of a value.
func (s scale) at(v float64) float64 {
	if s.log {
		return clamp((math.Log10(max(v, s.lo)) - math.Log10(s.lo)) / (math.Log10(s.hi) - math.Log10(s.lo)))
	}
	return clamp((v - s.lo) / (s.hi - s.lo))
}

func clamp(v float64) float64 { return min(1, max(0, v)) }

// ticks returns the values to mark on the scale.
func (s scale) ticks() []float64 {
	if !s.log {
		return []float64{0, s.hi / 2, s.hi}
	}
	var out []float64
	for v := s.lo; v <= s.hi*1.0001 && len(out) < 12; v *= 10 {
		out = append(out, v)
	}
	return out
}

// timeTicks returns the distance between marks on a time axis, so that there are at most most of them.
func timeTicks(length time.Duration, most int) time.Duration {
	for _, s := range []int{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400} {
		if d := time.Duration(s) * second; length <= time.Duration(most)*d {
			return d
		}
	}
	return length/time.Duration(most) + second
}
