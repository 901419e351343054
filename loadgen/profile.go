package loadgen

import (
	"math"
	"sort"
	"time"
)

// Never is the time of an arrival that never comes.
const Never = time.Duration(math.MaxInt64)

// Profile is a rate of arrivals over time. It is pure: the same question has the same answer, at any time.
type Profile interface {
	// Rate returns the arrivals per second wanted at an instant, given as the time since the profile's start. It is 0
	// before the start and after the end.
	Rate(elapsed time.Duration) float64
	// Due returns how many arrivals are due by an instant: the whole part of the integral of Rate. It never falls.
	Due(elapsed time.Duration) uint64
	// At returns when arrival n (from 1) is due: the first instant with Due ≥ n, or Never.
	At(n uint64) time.Duration
	// Length returns how long the profile lasts.
	Length() time.Duration
}

// Linear is a rate that goes from From to To, in arrivals per second, in a straight line over Over. With a = From,
// b = To and L = Over in seconds, the arrivals up to t are the integral
//
//	Λ(t) = a·t + (b−a)/(2L)·t²
//
// and arrival n is due at the root of Λ(t) = n, in the form that loses no digits when a and b are close:
//
//	t = 2n / (a + √(a² + 2n·(b−a)/L))
type Linear struct {
	From, To float64
	Over     time.Duration
}

// Constant returns a profile with the same rate all the time.
func Constant(rate float64, length time.Duration) Linear {
	return Linear{From: rate, To: rate, Over: length}
}

// Length returns Over.
func (l Linear) Length() time.Duration { return max(0, l.Over) }

// Rate returns the arrivals per second at an instant.
func (l Linear) Rate(elapsed time.Duration) float64 {
	if elapsed < 0 || elapsed >= l.Over {
		return 0
	}
	return l.at(elapsed)
}

// at returns the rate on the line, which ends in To.
func (l Linear) at(elapsed time.Duration) float64 {
	if l.From == l.To || elapsed >= l.Over {
		return l.To
	}
	return l.From + (l.To-l.From)*(float64(max(0, elapsed))/float64(l.Over))
}

// arrivals returns Λ. For a falling line it is counted from the end backwards: both forms are sums of terms that only
// grow with time, so that rounding cannot make Λ fall.
func (l Linear) arrivals(elapsed time.Duration) float64 {
	t := min(max(0, elapsed), l.Length())
	if l.To < l.From {
		return l.total() - integral(l.To, l.From, l.Over, l.Over-t)
	}
	return integral(l.From, l.To, l.Over, t)
}

// total returns Λ of the whole line.
func (l Linear) total() float64 {
	return integral(min(l.From, l.To), max(l.From, l.To), l.Over, l.Length())
}

// integral returns Λ(t) of a line that rises from a to b over length.
func integral(a, b float64, length, t time.Duration) float64 {
	if length <= 0 {
		return 0
	}
	s := t.Seconds()
	if a == b {
		return a * s
	}
	return a*s + (b-a)/(2*length.Seconds())*(s*s)
}

// reach returns about when Λ is n; Never when the line ends before.
func (l Linear) reach(n float64) time.Duration {
	if n > l.total() {
		return Never
	}
	slope := 0.0
	if l.Over > 0 {
		slope = (l.To - l.From) / l.Over.Seconds()
	}
	root := math.Sqrt(max(0, l.From*l.From+2*n*slope))
	if n <= 0 || l.From+root == 0 {
		return 0
	}
	return min(time.Duration(2*n/(l.From+root)*float64(time.Second)), l.Over)
}

// Due returns how many arrivals are due by an instant.
func (l Linear) Due(elapsed time.Duration) uint64 { return uint64(l.arrivals(elapsed)) }

// At returns when arrival n is due.
func (l Linear) At(n uint64) time.Duration {
	return exactly(l.reach(float64(n)), l.Length(), func(t time.Duration) bool { return l.Due(t) >= n })
}

// exactly returns the first instant, to the nanosecond, at which due holds, given a guess from floating point that is
// off by little. due must not fall back to false. It is Never when due does not hold at the end.
func exactly(guess, end time.Duration, due func(time.Duration) bool) time.Duration {
	if !due(end) {
		return Never
	}
	lo, hi := time.Duration(0), end
	guess = min(max(guess, 0), end)
	for step := time.Duration(1); step > 0; step *= 8 {
		if g := guess - step; g > lo && !due(g) {
			lo = g
			break
		} else if g <= lo {
			break
		}
	}
	for step := time.Duration(1); step > 0; step *= 8 {
		if g := guess + step; g < hi && due(g) {
			hi = g
			break
		} else if g >= hi {
			break
		}
	}
	return lo + time.Duration(sort.Search(int(hi-lo), func(i int) bool { return due(lo + time.Duration(i)) }))
}

// Sequence is one line after the other. Fractions of an arrival carry over from one to the next.
type Sequence []Linear

// Length returns the sum of the lengths.
func (s Sequence) Length() time.Duration {
	var sum time.Duration
	for _, l := range s {
		sum += l.Length()
	}
	return sum
}

// Rate returns the arrivals per second at an instant.
func (s Sequence) Rate(elapsed time.Duration) float64 {
	for _, l := range s {
		if elapsed < l.Length() {
			return l.Rate(elapsed)
		}
		elapsed -= l.Length()
	}
	return 0
}

func (s Sequence) arrivals(elapsed time.Duration) float64 {
	var sum float64
	for _, l := range s {
		sum += l.arrivals(elapsed)
		if elapsed -= l.Length(); elapsed <= 0 {
			break
		}
	}
	return sum
}

// Due returns how many arrivals are due by an instant.
func (s Sequence) Due(elapsed time.Duration) uint64 { return uint64(s.arrivals(elapsed)) }

// At returns when arrival n is due.
func (s Sequence) At(n uint64) time.Duration {
	var before float64
	var start time.Duration
	for _, l := range s {
		if t := l.reach(float64(n) - before); t != Never {
			return exactly(start+t, s.Length(), func(t time.Duration) bool { return s.Due(t) >= n })
		}
		before += l.total()
		start += l.Length()
	}
	// The last arrival may be lost to rounding in one line's total, and still be in the sum's.
	return exactly(s.Length(), s.Length(), func(t time.Duration) bool { return s.Due(t) >= n })
}

var (
	_ Profile = Linear{}
	_ Profile = Sequence{}
)
