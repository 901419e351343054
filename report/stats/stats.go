// Package stats holds the tests by which two sets of measurements are compared. They assume nothing about the
// distribution of what is measured but that runs are independent of each other: latencies are skewed, and now and then
// a run is far off. Everything is a pure function of its arguments. Values are in whatever unit the caller compares in;
// the sign of a difference is head less base.
package stats

import (
	"math"
	"slices"
	"sort"

	moremath "github.com/aclements/go-moremath/stats"
)

// Reading is a value known only to lie in [Lo, Hi]: a score with parts that are unknown, say. Hi may be +Inf.
type Reading struct {
	Lo float64 `json:"lo"`
	Hi float64 `json:"hi"`
}

// Exactly returns the reading of a value that is known.
func Exactly(v float64) Reading { return Reading{v, v} }

// Mid returns the middle of the reading; of one that is open above, its lower end.
func (r Reading) Mid() float64 {
	if math.IsInf(r.Hi, 1) {
		return r.Lo
	}
	return r.Lo + (r.Hi-r.Lo)/2
}

// Shift is how much larger the values of head are than those of base.
type Shift struct {
	Est float64 `json:"estimate"` // Hodges and Lehmann's: the median of all differences
	Lo  float64 `json:"lo"`       // of the interval; −Inf when there are too few values for one
	Hi  float64 `json:"hi"`       // +Inf likewise
}

// Within reports whether the whole interval lies in [lo, hi].
func (s Shift) Within(lo, hi float64) bool { return s.Lo >= lo && s.Hi <= hi }

// exactLimit is the largest sample for which the distribution of U is computed rather than approximated.
const exactLimit = 50

// rounding absorbs what adding up probabilities loses.
const rounding = 1e-12

// Between estimates the shift from base to head. Each end of its interval is wrong with at most the probability side:
// 0.025 gives a 95 % interval.
//
// The interval is that of Hodges and Lehmann (1963, Annals of Mathematical Statistics 34:598): of the n·m differences
// head − base in order, from the k-th to the k-th from above, where k is the largest number with P(U < k) ≤ side under
// the distribution of Mann and Whitney's U. So a shift lies outside of it exactly when the U test at that level rejects
// it; ties only widen it. Readings that are not exact widen it as well: its lower end supposes the least head and the
// largest base, its upper end the opposite.
func Between(base, head []Reading, side float64) Shift {
	n, m := len(base), len(head)
	if n == 0 || m == 0 {
		return Shift{math.NaN(), math.Inf(-1), math.Inf(1)}
	}
	least, middle, most := make([]float64, 0, n*m), make([]float64, 0, n*m), make([]float64, 0, n*m)
	for _, b := range base {
		for _, h := range head {
			least = append(least, h.Lo-b.Hi)
			middle = append(middle, h.Mid()-b.Mid())
			most = append(most, h.Hi-b.Lo)
		}
	}
	s := Shift{Median(middle), math.Inf(-1), math.Inf(1)}
	if k := critical(n, m, side); k > 0 {
		slices.Sort(least)
		slices.Sort(most)
		s.Lo, s.Hi = least[k-1], most[n*m-k]
	}
	return s
}

// critical returns the largest k with P(U < k) ≤ side for samples of n and m, 0 when there is none.
func critical(n, m int, side float64) int {
	if n > exactLimit || m > exactLimit {
		mean, sd := float64(n*m)/2, math.Sqrt(float64(n*m*(n+m+1))/12)
		return max(0, int(math.Floor(mean+sd*normal.InvCDF(side)+0.5)))
	}
	u := moremath.UDist{N1: n, N2: m}
	return sort.Search(n*m/2, func(k int) bool { return u.CDF(float64(k)) > side+rounding })
}

var normal = moremath.NormalDist{Mu: 0, Sigma: 1}

// Above returns the probability of head lying at least so far above base + delta as it does if the true shift were
// delta or less: the one-sided p of Mann and Whitney's U test on base moved by delta, exact for small samples, with or
// without ties. With inexact readings it is the largest that they allow.
func Above(base, head []Reading, delta float64) float64 {
	moved, other := make([]float64, len(base)), make([]float64, len(head))
	for i, b := range base {
		moved[i] = b.Hi + delta
	}
	for i, h := range head {
		other[i] = h.Lo
	}
	t, err := moremath.MannWhitneyUTest(moved, other, moremath.LocationLess)
	if err != nil { // nothing to compare, or all values the same: no sign of a shift
		return 1
	}
	return t.P
}

// Below is Above for the other direction: the p of a shift of delta or more.
func Below(base, head []Reading, delta float64) float64 {
	return Above(mirrored(base), mirrored(head), -delta)
}

func mirrored(rs []Reading) []Reading {
	out := make([]Reading, len(rs))
	for i, r := range rs {
		out[i] = Reading{-r.Hi, -r.Lo}
	}
	return out
}

// Fisher returns the one-sided p-values of Fisher's exact test for so many yeses of so many: that the share of head is
// as small as it is by chance, and that it is as large.
func Fisher(baseYes, base, headYes, head int) (smaller, larger float64) {
	d := moremath.HypergeometicDist{N: base + head, K: baseYes + headYes, Draws: head}
	smaller, larger = 0, 0
	for x := max(0, headYes+baseYes-base); x <= min(head, headYes+baseYes); x++ {
		p := d.PMF(float64(x))
		if x <= headYes {
			smaller += p
		}
		if x >= headYes {
			larger += p
		}
	}
	return min(1, smaller), min(1, larger)
}

// Holm returns the p-values adjusted for being several, by Holm's step-down method (1979, Scandinavian Journal of
// Statistics 6:65): to reject those at or below a level keeps the probability of any false rejection at that level,
// however they hang together.
func Holm(ps []float64) []float64 {
	order := make([]int, len(ps))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case ps[a] < ps[b]:
			return -1
		case ps[a] > ps[b]:
			return 1
		}
		return 0
	})
	out := make([]float64, len(ps))
	largest := 0.0
	for rank, i := range order {
		largest = max(largest, min(1, float64(len(ps)-rank)*ps[i]))
		out[i] = largest
	}
	return out
}

// Lag1 estimates the autocorrelation of neighbours in a series that may be in pieces: 1 when each is like the one
// before it, 0 when it tells nothing. A series that does not vary has none. The estimate's own bias of about −1/n is
// taken out.
func Lag1(pieces [][]float64) float64 {
	var sum float64
	n := 0
	for _, p := range pieces {
		for _, v := range p {
			sum += v
			n++
		}
	}
	if n < 3 {
		return 0
	}
	mean := sum / float64(n)
	var own, next float64
	neighbours := 0
	for _, p := range pieces {
		for i, v := range p {
			own += (v - mean) * (v - mean)
			if i > 0 {
				next += (v - mean) * (p[i-1] - mean)
				neighbours++
			}
		}
	}
	if own == 0 || neighbours == 0 {
		return 0
	}
	return (next/float64(neighbours))/(own/float64(n)) + 1/float64(n)
}

// Median returns the middle of the values; NaN of none. It reorders them.
func Median(vs []float64) float64 {
	n := len(vs)
	if n == 0 {
		return math.NaN()
	}
	slices.Sort(vs)
	if n%2 == 1 || vs[n/2-1] == vs[n/2] { // also for infinities
		return vs[n/2]
	}
	return vs[n/2-1] + (vs[n/2]-vs[n/2-1])/2
}
