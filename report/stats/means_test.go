package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The figures are those of Welch's own kind of example, checked by hand: means 3 and 7, variances 2.5 and 10 over 5.
func TestMeans(t *testing.T) {
	m := MeansOf([]float64{1, 2, 3, 4, 5}, []float64{3, 5, 7, 9, 11})
	s := m.Shift(0.025)
	// se² = 0.5 + 2, freedom = 2.5²/(0.25/4 + 4/4) = 5.882, t(0.975) = 2.459.
	if math.Abs(s.Est-4) > 1e-12 || math.Abs(s.Hi-s.Lo-2*2.459*math.Sqrt(2.5)) > 0.01 {
		t.Errorf("%+v", s)
	}
	if p := m.Above(s.Lo); math.Abs(p-0.025) > 1e-4 {
		t.Errorf("p at the lower end is %g", p)
	}
	if p := m.Below(s.Hi); math.Abs(p-0.025) > 1e-4 {
		t.Errorf("p at the upper end is %g", p)
	}
	same := MeansOf([]float64{2, 2, 2}, []float64{3, 3, 3})
	if same.Shift(0.025) != (Shift{1, 1, 1}) || same.Above(0.5) != 0 || same.Above(1) != 1 || same.Below(1) != 1 ||
		same.Below(2) != 0 {
		t.Errorf("of values that do not vary: %+v", same)
	}
	if few := MeansOf([]float64{1}, []float64{1, 2}); few.Above(-100) != 1 || !math.IsInf(few.Shift(0.025).Hi, 1) {
		t.Errorf("of one value: %+v", few)
	}
}

// Ranks do not see that failures became ten times as many where most blocks have none; means do.
func TestMeansSeeWhatIsRare(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	blocks := func(each float64) (vs []float64, rs []Reading) {
		for range 120 {
			v := 0.0
			if r.Float64() < each {
				v = 0.01
			}
			vs, rs = append(vs, v), append(rs, Exactly(v))
		}
		return vs, rs
	}
	base, baseRanks := blocks(0.03)
	head, headRanks := blocks(0.3)
	if p := MeansOf(base, head).Above(0); p > 0.001 {
		t.Errorf("p is %g", p)
	}
	if s := Between(baseRanks, headRanks, 0.025); s != (Shift{}) {
		t.Errorf("ranks see %+v after all: use them", s)
	}
}
