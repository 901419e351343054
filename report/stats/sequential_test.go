package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// signedRanks is the sum of the ranks of those differences that are above zero.
func signedRanks(ds []float64) int {
	byRank := slices.Clone(ds)
	slices.SortFunc(byRank, func(a, b float64) int {
		if math.Abs(a) < math.Abs(b) {
			return -1
		}
		return 1
	})
	sum := 0
	for i, d := range byRank {
		if d > 0 {
			sum += i + 1
		}
	}
	return sum
}

// reached reports after how many pairs a bound is first reached, 0 for never.
func reached(bounds []int, ds []float64) int {
	for n := 1; n < len(bounds) && n <= len(ds); n++ {
		if bounds[n] > 0 && signedRanks(ds[:n]) >= bounds[n] {
			return n
		}
	}
	return 0
}

// permutations calls f with every order of the numbers from 1 to n.
func permutations(n int, f func([]float64)) {
	vs := make([]float64, n)
	for i := range vs {
		vs[i] = float64(i + 1)
	}
	var walk func(int)
	walk = func(k int) {
		if k == n {
			f(vs)
			return
		}
		for i := k; i < n; i++ {
			vs[k], vs[i] = vs[i], vs[k]
			walk(k + 1)
			vs[k], vs[i] = vs[i], vs[k]
		}
	}
	walk(0)
}

// Every order of sizes with every pattern of signs: the share that reaches a bound by each look is what may be spent by
// then, and no bound could be one lower.
func TestBoundsSpendWhatTheyMay(t *testing.T) {
	const most = 7
	for _, alpha := range []float64{0.3, 0.1, 0.05, 0.025} {
		bounds := Bounds(most, alpha)
		share := func(bounds []int) []float64 {
			counts := make([]float64, most+1)
			permutations(most, func(vs []float64) {
				signed := make([]float64, most)
				for signs := range 1 << most {
					for i, v := range vs {
						signed[i] = v
						if signs>>i&1 == 0 {
							signed[i] = -v
						}
					}
					if n := reached(bounds, signed); n > 0 {
						counts[n]++
					}
				}
			})
			total := 0.0
			for n := range counts {
				total += counts[n] / (5040 << most)
				counts[n] = total
			}
			return counts
		}
		spent := share(bounds)
		for n := 1; n <= most; n++ {
			if may := Spent(alpha, float64(n)/most); spent[n] > may+1e-12 {
				t.Errorf("alpha %g: %g is spent after %d pairs, and %g may be", alpha, spent[n], n, may)
			}
		}
		if bounds[most] == 0 {
			continue
		}
		lower := slices.Clone(bounds)
		lower[most]--
		if got := share(lower)[most]; got <= alpha {
			t.Errorf("alpha %g: the last bound could be lower: %g", alpha, got)
		}
	}
}

// The rate of false alarms of the whole procedure, for differences that are symmetric and far from normal.
func TestBoundsHoldForAnySymmetricNoise(t *testing.T) {
	const most, alpha, rounds = 12, 0.05, 20000
	bounds := Bounds(most, alpha)
	if again := Bounds(most, alpha); !slices.Equal(again, bounds) {
		t.Errorf("%v, and then %v", bounds, again)
	}
	for name, draw := range map[string]func(*rand.Rand) float64{
		"normal":   (*rand.Rand).NormFloat64,
		"outliers": func(r *rand.Rand) float64 { return r.NormFloat64() * (1 + 20*math.Floor(r.Float64()+0.1)) },
		"cauchy":   func(r *rand.Rand) float64 { return math.Tan(math.Pi * (r.Float64() - 0.5)) },
	} {
		r := rand.New(rand.NewPCG(3, 4))
		alarms := 0
		for range rounds {
			ds := make([]float64, most)
			for i := range ds {
				ds[i] = draw(r)
			}
			if reached(bounds, ds) > 0 {
				alarms++
			}
		}
		// Three standard deviations of what chance does to the count.
		if rate := float64(alarms) / rounds; rate > alpha+0.005 || rate < alpha-0.012 {
			t.Errorf("%s: %.4f false alarms, and %g are allowed", name, rate, alpha)
		}
	}
}

// An end of the repeated interval is where the signed-rank sum reaches the bound.
func TestPairedIsTheTestTurnedAbout(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "n")
		ds := distinct(t, n)
		bound := rapid.IntRange(1, n*(n+1)/2).Draw(t, "bound")
		s := Paired(ds, bound)
		for _, delta := range distinct(t, 4) {
			above, below := make([]float64, n), make([]float64, n)
			for i, d := range ds {
				above[i], below[i] = d-delta, delta-d
			}
			if got, want := s.Lo > delta, signedRanks(above) >= bound; got != want {
				t.Fatalf("%v at %g with bound %d: the lower end %g says %t, the sum %d", ds, delta, bound, s.Lo, got,
					signedRanks(above))
			}
			if got, want := s.Hi < delta, signedRanks(below) >= bound; got != want {
				t.Fatalf("%v at %g with bound %d: the upper end %g says %t, the sum %d", ds, delta, bound, s.Hi, got,
					signedRanks(below))
			}
		}
	})
}

func TestPairedOfInfinities(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		name  string
		ds    []float64
		bound int
		want  Shift
	}{
		{"nothing", nil, 1, Shift{math.NaN(), -inf, inf}},
		{"no bound", []float64{1, 2}, 0, Shift{1.5, -inf, inf}},
		{"never in head", []float64{inf, inf, inf}, 6, Shift{inf, inf, inf}},
		{"never in either, by turns", []float64{inf, -inf, inf, -inf}, 10, Shift{0, -inf, inf}},
	} {
		got := Paired(c.ds, c.bound)
		if math.IsNaN(c.want.Est) && math.IsNaN(got.Est) {
			got.Est, c.want.Est = 0, 0
		}
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}
