package baseline

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var epochDay = time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)

// series makes samples of five minutes that follow upon each other.
func series(values []float64) []Sample {
	out := make([]Sample, len(values))
	for i, v := range values {
		out[i] = Sample{At: epochDay.Add(time.Duration(i+1) * usualStep), Value: v}
	}
	return out
}

// TestRanks compares with ranks that tables give, and with the first n at which a quantile can be bounded at all.
func TestRanks(t *testing.T) {
	for _, c := range []struct {
		n    int
		q    float64
		l, u int
	}{
		{10, 0.5, 2, 9}, {20, 0.5, 6, 15}, {100, 0.5, 40, 61},
		{5, 0.5, 0, 6}, {6, 0.5, 1, 6},
		{71, 0.95, 63, 72}, {72, 0.95, 64, 72}, // 0.95^72 < 0.025 < 0.95^71
		{1, 0.95, 0, 2}, {3, 0.95, 2, 4},
	} {
		if l, u := ranks(c.n, c.q); l != c.l || u != c.u {
			t.Errorf("ranks(%d, %g) are %d and %d, want %d and %d", c.n, c.q, l, u, c.l, c.u)
		}
	}
}

// atMost is P(B ≤ k) for n trials, summed term by term.
func atMost(k, n int, q float64) float64 {
	sum := 0.0
	for i := 0; i <= k; i++ {
		a, _ := math.Lgamma(float64(n + 1))
		b, _ := math.Lgamma(float64(i + 1))
		c, _ := math.Lgamma(float64(n - i + 1))
		sum += math.Exp(a - b - c + float64(i)*math.Log(q) + float64(n-i)*math.Log(1-q))
	}
	return sum
}

// TestRanksAreInnermost holds each rank to its tail, and the next one inside to be beyond it.
func TestRanksAreInnermost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 5000).Draw(t, "n")
		q := rapid.Float64Range(0.01, 0.99).Draw(t, "q")
		l, u := ranks(n, q)
		const tail, slack = 0.025, 1e-9
		above, below := atMost(l-1, n, q), 1-atMost(u-1, n, q)
		if l > 0 && above > tail+slack || u <= n && below > tail+slack {
			t.Fatalf("ranks %d and %d of %d at %g leave %g and %g", l, u, n, q, above, below)
		}
		if atMost(l, n, q) <= tail-slack && l < n || u > 1 && 1-atMost(u-2, n, q) <= tail-slack {
			t.Fatalf("ranks %d and %d of %d at %g could be further in", l, u, n, q)
		}
	})
}

// holds returns the share of seeded trials in which the interval holds the truth, and of those in which it is bounded on both
// sides.
func holds(trials int, truth float64, one func(r *rand.Rand) *Measured) (share, bounded float64) {
	for i := range trials {
		m := one(rand.New(rand.NewPCG(uint64(i), 7)))
		if m.Low <= truth && (m.High == 0 || truth <= m.High) {
			share += 1 / float64(trials)
		}
		if m.Low > 0 && m.High > 0 {
			bounded += 1 / float64(trials)
		}
	}
	return share, bounded
}

// TestQuantileIntervalHolds draws samples of distributions whose quantiles are known: the interval must hold the truth in 93
// of 100 trials or more, in which it is said to in 95.
func TestQuantileIntervalHolds(t *testing.T) {
	exponential := func(r *rand.Rand) float64 { return 40 * r.ExpFloat64() }
	heavy := func(r *rand.Rand) float64 { return math.Exp(2 * r.NormFloat64()) }
	for _, c := range []struct {
		name  string
		draw  func(*rand.Rand) float64
		n     int
		q     float64
		truth float64
	}{
		{"exponential, few", exponential, 24, 0.5, 40 * math.Ln2},
		{"exponential, enough", exponential, 100, 0.95, -40 * math.Log(0.05)},
		{"exponential, many", exponential, 1000, 0.95, -40 * math.Log(0.05)},
		{"exponential, 0.99", exponential, 2000, 0.99, -40 * math.Log(0.01)},
		{"heavy tail", heavy, 300, 0.9, math.Exp(2 * 1.2815515655446004)},
	} {
		t.Run(c.name, func(t *testing.T) {
			share, bounded := holds(2000, c.truth, func(r *rand.Rand) *Measured {
				values := make([]float64, c.n)
				for i := range values {
					values[i] = c.draw(r)
				}
				return quantile(series(values), c.q, usualStep)
			})
			if share < 0.93 || share > 0.995 || bounded < 0.5 {
				t.Errorf("it holds the truth in %.3f of the trials, and is bounded in %.3f", share, bounded)
			}
		})
	}
}

// TestAlikeSamplesAreWorthLess draws samples that follow upon each other as a load does: taken for independent, they would
// give an interval that holds the truth far less often than it says.
func TestAlikeSamplesAreWorthLess(t *testing.T) {
	const n, phi, q = 1000, 0.9, 0.9
	sd := 1 / math.Sqrt(1-phi*phi)
	truth := 100 + sd*1.2815515655446004
	walk := func(r *rand.Rand) []Sample {
		x := sd * r.NormFloat64()
		values := make([]float64, n)
		for i := range values {
			values[i] = 100 + x
			x = phi*x + r.NormFloat64()
		}
		return series(values)
	}
	share, _ := holds(1000, truth, func(r *rand.Rand) *Measured { return quantile(walk(r), q, usualStep) })
	// Samples far apart are taken for independent: so are these when each stands for less time than lies between them.
	naive, _ := holds(1000, truth, func(r *rand.Rand) *Measured { return quantile(walk(r), q, time.Second) })
	if share < 0.90 || naive > 0.75 {
		t.Errorf("the interval holds the truth in %.3f of the trials, and in %.3f when samples are taken for independent", share, naive)
	}
}

// TestQuantileProperties holds every measurement to what it says of itself.
func TestQuantileProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(0, 1e6), 1, 300).Draw(t, "values")
		q := rapid.Float64Range(0.01, 0.99).Draw(t, "q")
		m := quantile(series(values), q, usualStep)
		if m.Low > m.Rate || m.High != 0 && m.High < m.Rate {
			t.Fatalf("%g is not between %g and %g", m.Rate, m.Low, m.High)
		}
		if m.Samples != len(values) || m.Worth < 1 || m.Worth > m.Samples {
			t.Fatalf("%d samples are worth %d of %d", m.Samples, m.Worth, len(values))
		}
		if m.From != epochDay || m.To != epochDay.Add(time.Duration(len(values))*usualStep) {
			t.Fatalf("from %s to %s", m.From, m.To)
		}
	})
}

// TestSeconds measures runs: the interval of a rate that is drawn each second holds it, also when seconds are alike.
func TestSeconds(t *testing.T) {
	alike := func(r *rand.Rand) *Measured {
		counts, x := make([]float64, 240), 0.0
		for i := range counts {
			x = 0.5*x + 3*r.NormFloat64()
			counts[i] = 40 + x
		}
		m, err := Seconds(counts, epochDay)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	share, bounded := holds(2000, 40, alike)
	if share < 0.93 || share > 0.97 || bounded < 1-1e-9 {
		t.Errorf("it holds the truth in %.3f of the trials", share)
	}
	even, err := Seconds([]float64{10, 10, 10, 10, 10}, epochDay)
	if err != nil || even.Rate != 10 || even.Low != 10 || even.High != 10 || even.Worth != 5 || even.To != epochDay.Add(5*time.Second) {
		t.Errorf("an even rate: %+v, %v", even, err)
	}
	if m, err := Seconds(make([]float64, 60), epochDay); err == nil {
		t.Errorf("nothing sent is %+v", m)
	}
	if m, err := Seconds([]float64{10, 10}, epochDay); err == nil {
		t.Errorf("two seconds are %+v", m)
	}
}

// TestSpans reads and prints how far to look back.
func TestSpans(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"14d": 14 * day, "2w": 14 * day, "1w1d12h": 8*day + 12*time.Hour, "90m": 90 * time.Minute, "1.5h": 90 * time.Minute, "1h": time.Hour, "0s": 0,
	} {
		if got, err := ParseSpan(text); err != nil || got != want {
			t.Errorf("%q is %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "d", "14", "14 d", "1d2w", "-1d", "1y", "fourteen days"} {
		if got, err := ParseSpan(text); err == nil {
			t.Errorf("%q is %s", text, got)
		}
	}
	for d, want := range map[time.Duration]string{
		14 * day: "14d", 90 * time.Minute: "1h30m", 0: "0s", time.Hour: "1h", 26*time.Hour + 5*time.Second: "1d2h5s", 1500 * time.Millisecond: "1.5s",
	} {
		if got := Span(d); got != want {
			t.Errorf("%d is printed %q, want %q", d, got, want)
		}
	}
}
