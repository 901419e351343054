package stats

import (
	"math"
	"slices"
	"sync"
)

// MostPairs bounds the pairs of a sequential test: its exact bounds are computed over every pattern of signs.
const MostPairs = 20

// Spent is the share of the false alarm rate alpha that may be used up by the time t of 1: a spending function of Lan
// and DeMets (1983, Biometrika 70:659), of the power family of Kim and DeMets (1987, Biometrika 74:149), alpha·t². It
// is between Pocock's, which ends soonest and finds least, and O'Brien and Fleming's, which hardly ends before its
// time.
func Spent(alpha, t float64) float64 {
	t = min(1, max(0, t))
	return alpha * t * t
}

// Bounds returns, for each number of pairs from 0 to most, the least signed-rank sum that ends a test that looks after
// every pair and may take most of them; 0 where no sum can. The probability of ever reaching one, when the differences
// are symmetric about the value tested, is at most alpha, and after n pairs at most Spent(alpha, n/most).
//
// The sums are those of Wilcoxon's signed-rank test, computed anew at each look. Their joint distribution over the
// looks is exact and the same for every continuous symmetric distribution: the sign of a new difference is a fair coin,
// and the rank of its size among those so far is uniform and independent of them (Rényi). So the state is the pattern
// of signs by rank, and a new pair puts a bit in at any place. What a look does not spend, because sums are whole
// numbers, later ones have. Looks at which a test ends for another reason only lower the rate. The result is shared: it
// must not be changed.
func Bounds(most int, alpha float64) []int {
	key := boundsKey{min(most, MostPairs), alpha}
	if known, ok := boundsOf.Load(key); ok {
		return known.([]int)
	}
	b := computeBounds(key.most, alpha)
	boundsOf.Store(key, b)
	return b
}

type boundsKey struct {
	most  int
	alpha float64
}

// boundsOf remembers what Bounds has computed, which takes longer than all else of a look.
var boundsOf sync.Map

func computeBounds(most int, alpha float64) []int {
	bounds := make([]int, most+1)
	alive := []float64{1} // probability of each pattern of signs that has not reached a bound
	spent := 0.0
	for n := 1; n <= most; n++ {
		alive = grown(alive, n)
		sums := sumsOf(n)
		tail := make([]float64, n*(n+1)/2+2)
		for pattern, p := range alive {
			tail[sums[pattern]] += p
		}
		for w := len(tail) - 2; w >= 0; w-- {
			tail[w] += tail[w+1]
		}
		allowed := Spent(alpha, float64(n)/float64(most)) - spent
		c := len(tail) - 1
		for c > 0 && tail[c-1] <= allowed+rounding {
			c--
		}
		if tail[c] == 0 { // nothing can be reached
			continue
		}
		bounds[n] = c
		spent += tail[c]
		for pattern := range alive {
			if sums[pattern] >= c {
				alive[pattern] = 0
			}
		}
	}
	return bounds
}

// grown adds the n-th difference to every pattern: with either sign, at any of n ranks.
func grown(alive []float64, n int) []float64 {
	out := make([]float64, 1<<n)
	share := 1 / float64(2*n)
	for pattern, p := range alive {
		if p == 0 {
			continue
		}
		for r := range n {
			low, high := pattern&(1<<r-1), pattern>>r
			with := low | high<<(r+1)
			out[with] += p * share
			out[with|1<<r] += p * share
		}
	}
	return out
}

// sumsOf returns the signed-rank sum of each pattern of n signs: rank i+1 counts when bit i is set.
func sumsOf(n int) []int {
	sums := make([]int, 1<<n)
	for i := range n {
		for p := 1 << i; p < 1<<(i+1); p++ {
			sums[p] = sums[p-1<<i] + i + 1
		}
	}
	return sums
}

// Paired estimates the shift within pairs from their differences: the median of the averages of all two of them,
// Walsh's averages. Its interval holds every shift that a signed-rank sum of bound does not reject, from either side:
// with the bound of a look it is a repeated confidence interval (Jennison and Turnbull 1989, JRSS B 51:305), which
// holds at all looks at once. Bound 0 rejects nothing. A difference may be infinite, as when something came about on
// one side alone.
func Paired(differences []float64, bound int) Shift {
	n := len(differences)
	var low, mid, high []float64
	for i, a := range differences {
		for _, b := range differences[i:] {
			v := a/2 + b/2
			if math.IsNaN(v) { // +Inf with −Inf: it supports neither end
				low, mid, high = append(low, math.Inf(-1)), append(mid, 0), append(high, math.Inf(1))
				continue
			}
			low, mid, high = append(low, v), append(mid, v), append(high, v)
		}
	}
	s := Shift{Median(mid), math.Inf(-1), math.Inf(1)}
	if bound > 0 && n > 0 && bound <= len(low) {
		slices.Sort(low)
		slices.Sort(high)
		s.Lo, s.Hi = low[len(low)-bound], high[bound-1]
	}
	return s
}
