package network

import (
	"math"
	"sync"
)

// Names of distributions. The first is the default.
const (
	normal       = "normal"
	uniform      = "uniform"
	pareto       = "pareto"
	paretonormal = "paretonormal"
)

func distributionNames() []string { return []string{normal, uniform, pareto, paretonormal} }

// A distribution travels to the kernel as a table of quantiles, in units of the standard deviation divided by
// distUnit; the kernel draws one of its elements at random, multiplies it by the jitter, and adds the delay. Elements
// have 16 bits, so that nothing is farther than four standard deviations from the mean.
const (
	distSize = 4096
	distUnit = 8192
)

// shapeOfPareto is the exponent of the Pareto distribution. With 3 its variance is finite and its tail still heavy.
const shapeOfPareto = 3.0

// quantile functions, from a probability between 0 and 1, of mean 0 and standard deviation 1 before they are cut off:
//
//	normal        √2 · erf⁻¹(2p-1)
//	pareto        (q - μ) / σ with q = (1-p)^(-1/a), μ = a/(a-1), σ² = a/((a-1)²(a-2)), a = 3
//	paretonormal  ¼ normal + ¾ pareto
var quantiles = map[string]func(p float64) float64{
	normal:       normalQuantile,
	pareto:       paretoQuantile,
	paretonormal: func(p float64) float64 { return normalQuantile(p)/4 + paretoQuantile(p)*3/4 },
}

func normalQuantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }

func paretoQuantile(p float64) float64 {
	const a = shapeOfPareto
	mean, variance := a/(a-1), a/((a-1)*(a-1)*(a-2))
	return (math.Pow(1-p, -1/a) - mean) / math.Sqrt(variance)
}

var distributions = sync.OnceValue(func() map[string][]int16 {
	tables := map[string][]int16{}
	for name, q := range quantiles {
		tables[name] = tabulate(q)
	}
	return tables
})

// distribution returns the table of a name, or nil for uniform, which the kernel computes without.
func distribution(name string) []int16 { return distributions()[name] }

// tabulate takes a quantile function at the middle of distSize equal steps. What 16 bits cannot hold is cut off; the
// rest is then moved and stretched until its mean is 0 and its standard deviation 1 again, so that delay and jitter are
// what was asked for.
func tabulate(q func(float64) float64) []int16 {
	const largest = math.MaxInt16
	values := make([]float64, distSize)
	for i := range values {
		values[i] = q((float64(i) + 0.5) / distSize)
	}
	offset, scale := 0.0, 1.0
	clip := func(v float64) float64 { return min(max((v-offset)*scale*distUnit, -largest), largest) }
	const rounds = 100 // each brings both nearer; some ten are enough
	for range rounds {
		var sum, squares float64
		for _, v := range values {
			c := clip(v) / distUnit
			sum += c
			squares += c * c
		}
		mean := sum / distSize
		offset += mean / scale
		scale /= math.Sqrt(squares/distSize - mean*mean)
	}
	table := make([]int16, distSize)
	for i, v := range values {
		table[i] = int16(math.Round(clip(v)))
	}
	return table
}
