package stats

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func exact(vs ...float64) []Reading {
	out := make([]Reading, len(vs))
	for i, v := range vs {
		out[i] = Exactly(v)
	}
	return out
}

// atLeast is the exact one-sided p of the U test, by going through every way to share the values out. Ties count half.
func atLeast(base, head []float64) float64 {
	all := slices.Concat(base, head)
	seen := u(base, head)
	var as, more int
	for set := range 1 << len(all) {
		if bits.OnesCount(uint(set)) != len(head) {
			continue
		}
		var b, h []float64
		for i, v := range all {
			if set>>i&1 == 1 {
				h = append(h, v)
			} else {
				b = append(b, v)
			}
		}
		as++
		if u(b, h) >= seen {
			more++
		}
	}
	return float64(more) / float64(as)
}

func u(base, head []float64) (n float64) {
	for _, b := range base {
		for _, h := range head {
			switch {
			case h > b:
				n++
			case h == b:
				n += 0.5
			}
		}
	}
	return n
}

// distinct draws so many values of which no two have the same difference to any other.
func distinct(t *rapid.T, n int) []float64 {
	r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
	out := make([]float64, n)
	for i := range out {
		out[i] = r.NormFloat64()
	}
	return out
}

// An end of the interval is where the exact test at its level changes its mind.
func TestIntervalIsTheTestTurnedAbout(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, m := rapid.IntRange(1, 5).Draw(t, "n"), rapid.IntRange(1, 5).Draw(t, "m")
		side := rapid.SampledFrom([]float64{0.025, 0.05, 0.1}).Draw(t, "side")
		vs := distinct(t, n+m)
		base, head := vs[:n], vs[n:]
		s := Between(exact(base...), exact(head...), side)
		for _, delta := range distinct(t, 4) {
			moved := slices.Clone(base)
			for i := range moved {
				moved[i] += delta
			}
			p := atLeast(moved, head)
			if got, want := s.Lo > delta, p <= side+rounding; got != want {
				t.Fatalf("%v and %v at %g: the interval from %g says %t, the test %g says %t", base, head, delta, s.Lo, got, p,
					want)
			}
		}
	})
}

// The p-values are those of going through every way to share the values out, with ties too.
func TestAboveIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Map(rapid.IntRange(0, 4), func(i int) float64 { return float64(i) }), 1, 5)
		base, head := values.Draw(t, "base"), values.Draw(t, "head")
		delta := float64(rapid.IntRange(-2, 2).Draw(t, "delta"))
		moved := make([]float64, len(base))
		for i, v := range base {
			moved[i] = v + delta
		}
		if got, want := Above(exact(base...), exact(head...), delta), atLeast(moved, head); math.Abs(got-want) > 1e-9 {
			t.Fatalf("p is %g, want %g", got, want)
		}
	})
}

func TestBetween(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		name       string
		base, head []Reading
		want       Shift
	}{
		{"four and four apart", exact(1, 2, 3, 4), exact(11, 12, 13, 14), Shift{10, 7, 13}},
		{"three are too few", exact(1, 2, 3), exact(11, 12, 13), Shift{10, -inf, inf}},
		{"all the same", exact(5, 5, 5, 5), exact(5, 5, 5, 5), Shift{0, 0, 0}},
		{"readings that are not exact", []Reading{{1, 2}, {1, 2}, {1, 2}, {1, 2}}, []Reading{{3, 5}, {3, 5}, {3, 5}, {3, 5}},
			Shift{2.5, 1, 4}},
	} {
		if got := Between(c.base, c.head, 0.025); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
	if got := Between(nil, exact(1), 0.025); !math.IsNaN(got.Est) || !math.IsInf(got.Lo, -1) || !math.IsInf(got.Hi, 1) {
		t.Errorf("of nothing: %+v", got)
	}
}

// Beyond fifty values the distribution is approximated: it must join the exact one.
func TestCriticalValuesJoin(t *testing.T) {
	exact, near := critical(50, 50, 0.025), critical(51, 50, 0.025)
	if near < exact || near > exact+50 {
		t.Errorf("critical values %d of 50 and 50, %d of 51 and 50", exact, near)
	}
}

// Swapping the sides mirrors the interval and the p-values.
func TestMirror(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Quarters, which add up exactly, and often to the same.
		quarters := rapid.Map(rapid.IntRange(-20, 20), func(i int) float64 { return float64(i) / 4 })
		values := rapid.SliceOfN(quarters, 1, 8)
		base, head := exact(values.Draw(t, "base")...), exact(values.Draw(t, "head")...)
		a, b := Between(base, head, 0.025), Between(head, base, 0.025)
		if a.Lo != -b.Hi || a.Hi != -b.Lo {
			t.Fatalf("%+v and %+v", a, b)
		}
		delta := quarters.Draw(t, "delta")
		if x, y := Above(base, head, delta), Below(head, base, -delta); math.Abs(x-y) > 1e-12 {
			t.Fatalf("p is %g, and of the mirror %g", x, y)
		}
	})
}

func TestFisher(t *testing.T) {
	for _, c := range []struct {
		a, as, b, bs    int
		smaller, larger float64
	}{
		{3, 4, 1, 4, 17.0 / 70, 69.0 / 70}, // the lady tasting tea
		{6, 6, 0, 6, 1.0 / 924, 1},
		{0, 6, 6, 6, 1, 1.0 / 924},
		{4, 4, 4, 4, 1, 1},
	} {
		smaller, larger := Fisher(c.a, c.as, c.b, c.bs)
		if math.Abs(smaller-c.smaller) > 1e-9 || math.Abs(larger-c.larger) > 1e-9 {
			t.Errorf("%d of %d and %d of %d: %g and %g, want %g and %g", c.a, c.as, c.b, c.bs, smaller, larger, c.smaller,
				c.larger)
		}
	}
}

func TestHolm(t *testing.T) {
	got := Holm([]float64{0.01, 0.04, 0.03, 0.005})
	want := []float64{0.03, 0.06, 0.06, 0.02}
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-12 {
			t.Fatalf("adjusted to %v, want %v", got, want)
		}
	}
}

func TestLag1(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for _, want := range []float64{0, 0.5, 0.9} {
		series := make([]float64, 4000)
		for i := 1; i < len(series); i++ {
			series[i] = want*series[i-1] + r.NormFloat64()
		}
		if got := Lag1([][]float64{series[:1000], series[1000:]}); math.Abs(got-want) > 0.05 {
			t.Errorf("autocorrelation %g, want %g", got, want)
		}
	}
	for name, pieces := range map[string][][]float64{"nothing": nil, "two": {{1, 2}}, "constant": {{3, 3, 3, 3}},
		"apart": {{1}, {2}, {3}}} {
		if got := Lag1(pieces); got != 0 {
			t.Errorf("of %s: %g", name, got)
		}
	}
}
