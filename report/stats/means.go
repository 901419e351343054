package stats

import (
	"math"

	moremath "github.com/aclements/go-moremath/stats"
)

// Test compares two samples.
type Test interface {
	// Shift estimates the shift from base to head; each end of its interval is wrong with at most the probability side.
	Shift(side float64) Shift
	// Above and Below return the one-sided p of a shift of at most, and of at least, delta.
	Above(delta float64) float64
	Below(delta float64) float64
}

// Ranks is the test by ranks: Between, Above and Below.
type Ranks struct{ Base, Head []Reading }

// Shift estimates the shift, as Between does.
func (r Ranks) Shift(side float64) Shift { return Between(r.Base, r.Head, side) }

// Above returns the p-value of a shift of at most delta.
func (r Ranks) Above(delta float64) float64 { return Above(r.Base, r.Head, delta) }

// Below returns the p-value of a shift of at least delta.
func (r Ranks) Below(delta float64) float64 { return Below(r.Base, r.Head, delta) }

// Means is Welch's t test of the means of two samples. It is for shares of blocks of seconds: most blocks hold no
// failed request at all, so that ranks and medians would not see ten times as many failures, and means do.
type Means struct {
	shift, deviation, freedom float64
	enough                    bool
}

// MeansOf returns the test of two samples; with fewer than two values in either it tells nothing.
func MeansOf(base, head []float64) Means {
	n, m := float64(len(base)), float64(len(head))
	if n < 2 || m < 2 {
		return Means{}
	}
	a, b := moremath.Variance(base)/n, moremath.Variance(head)/m
	t := Means{moremath.Mean(head) - moremath.Mean(base), math.Sqrt(a + b), 1, true}
	if a+b > 0 {
		t.freedom = (a + b) * (a + b) / (a*a/(n-1) + b*b/(m-1))
	}
	return t
}

// Shift estimates the shift of the means.
func (t Means) Shift(side float64) Shift {
	switch {
	case !t.enough:
		return Shift{math.NaN(), math.Inf(-1), math.Inf(1)}
	case t.deviation == 0:
		return Shift{t.shift, t.shift, t.shift}
	}
	reach := moremath.InvCDF(moremath.TDist{V: t.freedom})(1-side) * t.deviation
	return Shift{t.shift, t.shift - reach, t.shift + reach}
}

// Above returns the p-value of a shift of at most delta.
func (t Means) Above(delta float64) float64 {
	switch {
	case !t.enough, t.deviation == 0 && t.shift <= delta:
		return 1
	case t.deviation == 0:
		return 0
	}
	return moremath.TDist{V: t.freedom}.CDF((delta - t.shift) / t.deviation)
}

// Below returns the p-value of a shift of at least delta.
func (t Means) Below(delta float64) float64 {
	t.shift = -t.shift
	return t.Above(-delta)
}
