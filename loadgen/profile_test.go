package loadgen

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var rates = rapid.OneOf(rapid.Just(0.0), rapid.Float64Range(0.01, 20_000))

var linears = rapid.Custom(func(t *rapid.T) Linear {
	return Linear{
		From: rates.Draw(t, "from"), To: rates.Draw(t, "to"),
		Over: time.Duration(rapid.Int64Range(0, int64(20*time.Minute)).Draw(t, "over")),
	}
})

var profiles = rapid.Custom(func(t *rapid.T) Profile {
	if rapid.Bool().Draw(t, "sequence") {
		return Sequence(rapid.SliceOfN(linears, 0, 5).Draw(t, "lines"))
	}
	return linears.Draw(t, "line")
})

func TestProfileKnown(t *testing.T) {
	for _, test := range []struct {
		p    Profile
		at   time.Duration
		rate float64
		due  uint64
	}{
		{Constant(40, time.Minute), 30 * time.Second, 40, 1200},
		{Constant(40, time.Minute), 2 * time.Minute, 0, 2400},
		{Linear{From: 40, To: 120, Over: 10 * time.Second}, 5 * time.Second, 80, 300},
		{Linear{From: 120, To: 40, Over: 10 * time.Second}, 5 * time.Second, 80, 500},
		{Linear{From: 0, To: 10, Over: 2 * time.Second}, time.Second, 5, 2},
		{Sequence{Constant(0.5, 3*time.Second), Constant(0.5, 3*time.Second)}, 4 * time.Second, 0.5, 2},
	} {
		if r, d := test.p.Rate(test.at), test.p.Due(test.at); r != test.rate || d != test.due {
			t.Errorf("%v at %s: rate %g, due %d; want %g and %d", test.p, test.at, r, d, test.rate, test.due)
		}
	}
	if at := (Linear{From: 0, To: 10, Over: 2 * time.Second}).At(10); at != 2*time.Second {
		t.Errorf("the last arrival of a ramp is due at %s", at)
	}
	if at := Constant(10, time.Second).At(11); at != Never {
		t.Errorf("an arrival after the end is due at %s", at)
	}
}

func TestProfileDueNeverFalls(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := profiles.Draw(t, "profile")
		at := time.Duration(rapid.Int64Range(0, int64(p.Length())+1).Draw(t, "at"))
		last := p.Due(max(0, at-20))
		for e := max(0, at-20); e < at+20; e++ {
			d := p.Due(e)
			if d < last {
				t.Fatalf("due falls from %d to %d at %s", last, d, e)
			}
			last = d
		}
	})
}

func TestProfileDueIsTheIntegralOfRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := profiles.Draw(t, "profile")
		end := time.Duration(rapid.Int64Range(0, int64(p.Length())).Draw(t, "end"))
		const steps = 20_000
		sum, dt := 0.0, end/steps
		for i := range steps {
			sum += p.Rate(time.Duration(i)*dt+dt/2) * dt.Seconds()
		}
		if got := float64(p.Due(steps * dt)); math.Abs(got-sum) > 1+sum*1e-3+5*20_000*dt.Seconds() {
			t.Fatalf("due is %g, the integral %g", got, sum)
		}
	})
}

func TestProfileAtIsTheInverseOfDue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := profiles.Draw(t, "profile")
		total := p.Due(p.Length())
		if p.At(total+1) != Never {
			t.Fatalf("arrival %d of %d is due at %s", total+1, total, p.At(total+1))
		}
		if total == 0 {
			return
		}
		n := rapid.Uint64Range(1, total).Draw(t, "n")
		at := p.At(n)
		if at == Never || p.Due(at) < n || (at > 0 && p.Due(at-1) >= n) {
			t.Fatalf("arrival %d is due at %s; due then %d, and before %d", n, at, p.Due(at), p.Due(at-1))
		}
	})
}
