package main

import (
	"fmt"
	"math"
	"slices"
)

// spread is what several rounds of one measurement gave.
type spread []float64

// sorted returns the values in order.
func (s spread) sorted() []float64 { return slices.Sorted(slices.Values(s)) }

// quantile returns the smallest value that is not below a share q of all of them (nearest rank); NaN of none.
func (s spread) quantile(q float64) float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	rank := int(math.Ceil(q * float64(len(s))))
	return s.sorted()[min(max(rank, 1), len(s))-1]
}

// median returns the middle value, or the mean of the two in the middle; NaN of none.
func (s spread) median() float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	v := s.sorted()
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// text returns "median [min–max]" with a number of decimals.
func (s spread) text(decimals int) string {
	if len(s) == 0 {
		return "–"
	}
	if len(s) == 1 {
		return fmt.Sprintf("%.*f", decimals, s[0])
	}
	return fmt.Sprintf("%.*f [%.*f–%.*f]", decimals, s.median(), decimals, slices.Min(s), decimals, slices.Max(s))
}

// ratios divides two series round by round, so that what disturbed a whole round cancels.
func ratios(over, under spread) spread {
	out := make(spread, min(len(over), len(under)))
	for i := range out {
		out[i] = over[i] / under[i]
	}
	return out
}

// met returns the last column of a target: at most limit.
func met(value, limit float64) string {
	switch {
	case math.IsNaN(value):
		return "unknown"
	case value <= limit:
		return "met"
	}
	return "MISSED"
}

// atLeast returns the last column of a target that may not be below limit.
func atLeast(value, limit float64) string { return met(-value, -limit) }
