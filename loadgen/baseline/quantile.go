package baseline

import (
	"math"
	"slices"
	"sort"
	"strconv"
	"time"

	"github.com/aclements/go-moremath/stats"
)

// quantile measures a quantile of samples that are in order of time, each the mean over so long. There is at least one.
//
// The interval lies between two order statistics. How many of n independent samples fall below the true quantile ξ of order
// q is binomial, whatever the samples' distribution, so that
//
//	P(x₍l₎ > ξ) = P(B < l)   and   P(x₍u₎ < ξ) ≤ P(B ≥ u),   B ~ Bin(n, q)
//
// and l and u are the innermost ranks with which each is at most half of what the level leaves (Hahn and Meeker,
// Statistical Intervals, 1991, section 5.2). A rank beyond the last sample is no bound. Where fewer samples are worth n, the
// ranks are those of the fewer, at the same levels of the sample.
func quantile(samples []Sample, q float64, each time.Duration) *Measured {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = s.Value
	}
	slices.Sort(values)
	n := len(values)
	m := &Measured{
		Rate:      stats.Sample{Xs: values, Sorted: true}.Quantile(q),
		Statistic: strconv.FormatFloat(q, 'g', -1, 64) + " quantile",
		Samples:   n, Each: each,
		From: samples[0].At.Add(-each), To: samples[n-1].At,
	}
	m.Worth = worth(samples, m.Rate, each)
	l, u := ranks(m.Worth, q)
	scale := float64(n+1) / float64(m.Worth+1)
	if low := int(float64(l) * scale); low > 0 {
		m.Low = min(m.Rate, values[low-1])
	}
	if high := int(math.Ceil(float64(u)*scale - 1e-9)); high <= n {
		m.High = max(m.Rate, values[high-1])
	}
	return m
}

// ranks returns the ranks, from 1, of the order statistics of n samples between which the quantile of order q lies at the
// level Confidence: 0 and n+1 are no bounds.
func ranks(n int, q float64) (l, u int) {
	const tail = (1 - Confidence) / 2
	b := stats.BinomialDist{N: n, P: q}
	below := func(k int) float64 { return b.CDF(float64(k - 1)) } // P(B < k)
	l = sort.Search(n, func(i int) bool { return below(i+1) > tail })
	u = 1 + sort.Search(n, func(i int) bool { return 1-below(i+1) <= tail })
	return l, u
}

// maxLag bounds how far apart samples are compared.
const maxLag = 1000

// worth returns how many independent samples these are worth for a quantile. A sample is below the quantile or not; with
// the correlations ρ of that at a distance of one sample, two, and so on, n samples are worth
//
//	n / (1 + 2·(ρ₁ + ρ₂ + …))
//
// The sum ends before the first two neighbours that are not above 0 together: beyond them is noise (Geyer, Practical Markov
// chain Monte Carlo, Statistical Science 7, 1992, the initial positive sequence). Without it the interval of a metric that
// goes up by day and down by night would be several times too narrow.
func worth(samples []Sample, quantile float64, each time.Duration) int {
	n := len(samples)
	below := make([]float64, n) // less the mean
	mean := 0.0
	for i, s := range samples {
		if s.Value <= quantile {
			below[i] = 1
			mean += 1 / float64(n)
		}
	}
	variance := 0.0
	for i := range below {
		below[i] -= mean
		variance += below[i] * below[i] / float64(n)
	}
	if variance < 1e-12 {
		return n
	}
	rho := func(lag int) float64 {
		sum, pairs := 0.0, 0
		for i := lag; i < n; i++ {
			if samples[i].At.Sub(samples[i-lag].At) <= time.Duration(lag)*each {
				sum += below[i] * below[i-lag]
				pairs++
			}
		}
		return sum / float64(max(1, pairs)) / variance
	}
	sum := 0.0
	for lag := 1; lag < min(n, maxLag); lag += 2 {
		two := rho(lag) + rho(lag+1)
		if two <= 0 {
			break
		}
		sum += two
	}
	return max(1, int(float64(n)/(1+2*sum)))
}

// blocks is into how many stretches at most the seconds of a run are cut: between ten and thirty are advised (Schmeiser,
// Batch size effects in the analysis of simulation output, Operations Research 30, 1982).
const blocks = 20

// Seconds measures the mean of a rate that was counted second by second, without gaps, from an instant on.
//
// The interval is that of the means of blocks of seconds, x̄ ± t·s/√k with Student's t of k−1 degrees of freedom: seconds
// that follow upon each other are alike, the means of long stretches hardly are (Law and Kelton, Simulation Modeling and
// Analysis, the method of batch means). Seconds beyond the last whole block count for the mean alone.
func Seconds(counts []float64, from time.Time) (*Measured, error) {
	n := len(counts)
	length := max(1, (n+blocks-1)/blocks)
	var means []float64
	for b := range slices.Chunk(counts, length) {
		if len(b) == length {
			means = append(means, stats.Mean(b))
		}
	}
	k := len(means)
	if k < MinSamples {
		return nil, tooFew(n, time.Second)
	}
	m := &Measured{Rate: stats.Mean(counts), Statistic: "mean", Samples: n, Worth: k, Each: time.Second,
		From: from, To: from.Add(time.Duration(n) * time.Second)}
	t := stats.InvCDF(stats.TDist{V: float64(k - 1)})(1 - (1-Confidence)/2)
	half := t * stats.StdDev(means) / math.Sqrt(float64(k))
	m.Low, m.High = max(0, m.Rate-half), m.Rate+half
	return settled(m)
}
