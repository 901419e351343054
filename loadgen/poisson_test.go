package loadgen

import (
	"math"
	"slices"
	"testing"
	"time"
)

// instants returns when the first n arrivals of a pacer are due.
func instants(p *Pacer, n int) []time.Duration {
	out := make([]time.Duration, n)
	for i := range out {
		out[i] = p.Next()
		p.Take()
	}
	return out
}

// distance is the statistic of Kolmogorov and Smirnov against the unit exponential distribution: the largest difference
// between the share of samples up to a value, and 1 − exp(−value). Times √n it stays below 1.63 in 99 of 100 cases.
func distance(samples []float64) float64 {
	slices.Sort(samples)
	n, most := float64(len(samples)), 0.0
	for i, x := range samples {
		f := 1 - math.Exp(-x)
		most = max(most, math.Abs(f-float64(i)/n), math.Abs(float64(i+1)/n-f))
	}
	return most
}

// At a constant rate the times between arrivals are exponentially distributed.
func TestPoissonGaps(t *testing.T) {
	const n, rate = 20_000, 200.0
	for seed := range uint64(5) {
		at := instants(NewPacer(Arrivals{Rate: rate, Poisson: true, Seed: seed}), n)
		gaps, sum := make([]float64, n), 0.0
		for i := range at {
			before := time.Duration(0)
			if i > 0 {
				before = at[i-1]
			}
			gaps[i] = (at[i] - before).Seconds() * rate
			sum += gaps[i]
		}
		if mean := sum / n; math.Abs(mean-1) > 4/math.Sqrt(n) {
			t.Errorf("seed %d: the mean gap is %.4f of 1/rate", seed, mean)
		}
		if d := distance(gaps) * math.Sqrt(n); d > 1.63 {
			t.Errorf("seed %d: the gaps are not exponential: %.2f", seed, d)
		}
		even := instants(NewPacer(Arrivals{Rate: rate}), 2)
		if gap := even[1] - even[0]; gap != 5*time.Millisecond {
			t.Errorf("evenly, the gap is %s", gap)
		}
	}
}

// Under a rate that changes, the times between arrivals are exponential once they are counted by the rate's integral,
// here that of a true sine, not of its legs.
func TestPoissonGapsUnderASine(t *testing.T) {
	const rate, low, high = 200.0, 1.0, 3.0
	const period, n = 20.0, 20_000
	integral := func(s float64) float64 {
		w := 2 * math.Pi / period
		return rate * ((low+high)/2*s - (high-low)/2*math.Sin(w*s)/w)
	}
	program := Sine(low, high, low, period*time.Second, time.Minute)
	p := NewPacer(Arrivals{Rate: rate, Poisson: true, Seed: 7})
	p.Ramp(0, program.From, 0, program.Legs...)
	gaps, before := make([]float64, n), 0.0
	for i, at := range instants(p, n) {
		if at > time.Minute {
			t.Fatalf("the program is over before arrival %d", i+1)
		}
		reached := integral(at.Seconds())
		gaps[i], before = reached-before, reached
	}
	if d := distance(gaps) * math.Sqrt(n); d > 1.63 {
		t.Errorf("the gaps are not exponential: %.2f", d)
	}
}

// Counts a second vary as much as their mean; those of even arrivals not at all.
func TestPoissonCounts(t *testing.T) {
	const seconds, rate = 5000, 50.0
	spread := func(a Arrivals) (mean, variance float64) {
		p := NewPacer(a)
		counts := make([]float64, seconds)
		for s := range counts {
			end := time.Duration(s+1) * time.Second
			for p.Next() <= end {
				p.Take()
			}
			counts[s] = float64(p.Due(end) - p.Due(end-time.Second))
			mean += counts[s]
		}
		mean /= seconds
		for _, c := range counts {
			variance += (c - mean) * (c - mean) / (seconds - 1)
		}
		return mean, variance
	}
	mean, variance := spread(Arrivals{Rate: rate, Poisson: true, Seed: 1})
	// The ratio of the two has a standard deviation of √(2/seconds), which is 0.02.
	if math.Abs(mean-rate) > 4*math.Sqrt(rate/seconds) || math.Abs(variance/mean-1) > 0.08 {
		t.Errorf("by chance the mean is %.2f and the variance %.2f", mean, variance)
	}
	if mean, variance := spread(Arrivals{Rate: rate}); mean != rate || variance != 0 {
		t.Errorf("evenly the mean is %.2f and the variance %.2f", mean, variance)
	}
}

// The same seed has the same arrivals, whether the program is told at once or as it goes; another seed has others.
func TestPoissonIsSeeded(t *testing.T) {
	a := Arrivals{Rate: 100, Poisson: true, Seed: SeedFor(1, "shoppers")}
	at := instants(NewPacer(a), 1000)
	if !slices.Equal(at, instants(NewPacer(a), 1000)) {
		t.Error("two pacers of the same seed differ")
	}
	for _, seed := range []uint64{SeedFor(1, "robots"), SeedFor(2, "shoppers")} {
		if b := instants(NewPacer(Arrivals{Rate: 100, Poisson: true, Seed: seed}), 1000); slices.Equal(at, b) {
			t.Errorf("seed %d has the same arrivals", seed)
		}
	}
	whole, piecemeal := NewPacer(a), NewPacer(a)
	whole.Ramp(time.Second, 3, 2*time.Second, Leg{1, time.Second})
	piecemeal.Ramp(time.Second, 3, 2*time.Second)
	for piecemeal.Next() <= 3*time.Second {
		piecemeal.Take()
	}
	piecemeal.Ramp(3*time.Second, 1, time.Second)
	rest := instants(piecemeal, 500)
	if all := instants(whole, int(piecemeal.Taken())); !slices.Equal(all[len(all)-500:], rest) {
		t.Error("a program told in two parts has other arrivals than the same program told at once")
	}
}

// What was due long ago is still counted rightly, although only some of it is remembered.
func TestPoissonRemembersLittle(t *testing.T) {
	p := NewPacer(Arrivals{Rate: 50_000, Poisson: true, Seed: 3})
	due := map[time.Duration]uint64{}
	for s := range 61 {
		end := time.Duration(s) * time.Second
		for p.Next() <= end {
			p.Take()
		}
		due[end] = p.Taken()
	}
	if n := len(p.chance.marks); n > 2*maxMarks {
		t.Errorf("%d places are remembered", n)
	}
	if oldest := p.chance.marks[0].n; oldest <= due[10*time.Second] {
		t.Fatalf("arrival %d is remembered: the test asks for nothing that was forgotten", oldest)
	}
	for end, want := range due {
		if got := p.Due(end); got != want {
			t.Errorf("at %s %d were due, and now it is %d", end, want, got)
		}
	}
	if ahead := p.Due(70 * time.Second); ahead < 3_490_000 || ahead > 3_510_000 {
		t.Errorf("%d will be due at 70s", ahead)
	}
}
