package loadgen

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// drive runs a search against a world to its end, and returns its steps.
func drive(t interface {
	Helper()
	Fatalf(string, ...any)
}, b SearchBounds, world func(Step) StepOutcome) (Found, []Step) {
	t.Helper()
	s := NewSearch(b)
	var steps []Step
	for range 200 {
		step, more := s.Next()
		if !more {
			return s.Result(), steps
		}
		if step.Rate > b.Max*(1+1e-12) || !(step.Rate > 0) {
			t.Fatalf("a step of %g/s, with a bound of %g", step.Rate, b.Max)
		}
		steps = append(steps, step)
		s.Tell(world(step))
	}
	t.Fatalf("200 steps and no end: %+v", steps)
	return Found{}, nil
}

// carries is a world that carries a rate.
func carries(capacity float64) func(Step) StepOutcome {
	return func(s Step) StepOutcome {
		if s.Rate > capacity && s.Kind != Rest {
			return Broke
		}
		return Held
	}
}

// Whatever the system carries, what is found held, is confirmed, and is within the precision of what it carries.
func TestSearchFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := SearchBounds{Start: rapid.Float64Range(1, 1000).Draw(t, "start"), Precision: rapid.Float64Range(0.01, 0.3).Draw(t, "precision")}
		b.Max = b.Start * rapid.Float64Range(1, 1000).Draw(t, "max")
		capacity := b.Start * rapid.Float64Range(0.05, 2000).Draw(t, "capacity")
		found, steps := drive(t, b, carries(capacity))
		if !found.Confirmed || found.Rate > capacity {
			t.Fatalf("found %+v of %g", found, capacity)
		}
		if found.AtLeast != (capacity >= b.Max) {
			t.Fatalf("found %+v of %g, with a bound of %g", found, capacity, b.Max)
		}
		if want := min(capacity, b.Max); found.Rate < want/(1+b.Precision)*(1-1e-9) {
			t.Fatalf("found %+v of %g", found, want)
		}
		for i, s := range steps { // after each that broke the system may rest
			if i > 0 && steps[i-1].Kind != Rest && steps[i-1].Rate > capacity && s.Kind != Rest {
				t.Fatalf("no rest after %+v", steps[i-1])
			}
		}
	})
}

// Whatever happens, what is found was tried: the rate held, for longer if it is confirmed, and the one that broke did.
func TestSearchFindsWhatWasTried(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := SearchBounds{Start: 100, Max: rapid.Float64Range(100, 1e4).Draw(t, "max"), Precision: rapid.Float64Range(0.01, 0.5).Draw(t, "precision")}
		s := NewSearch(b)
		held, firm, broke := map[float64]bool{}, map[float64]bool{}, map[float64]bool{}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			step, more := s.Next()
			if !more {
				break
			}
			o := rapid.SampledFrom([]StepOutcome{Held, Held, Broke, Broke, Outgrew, Untold, Restless}).Draw(t, "outcome")
			s.Tell(o)
			if step.Kind == Rest {
				continue
			}
			switch o {
			case Held:
				held[step.Rate] = true
				firm[step.Rate] = firm[step.Rate] || step.Kind == Confirm
			case Broke:
				broke[step.Rate] = true
			}
		}
		s.Stop("enough")
		f := s.Result()
		if f.Rate > 0 && !held[f.Rate] || f.Confirmed && !firm[f.Rate] || f.Broke > 0 && !broke[f.Broke] || f.Confirmed && f.Rate == 0 {
			t.Fatalf("found %+v; held %v, for longer %v, broke %v", f, held, firm, broke)
		}
	})
}

// Near its capacity a system holds one time and breaks another. What is confirmed is not far off all the same.
func TestSearchInNoise(t *testing.T) {
	const runs = 2000
	random := rand.New(rand.NewPCG(1, 2))
	over, under, unconfirmed, sum := 0, 0, 0, 0.0
	for range runs {
		capacity := 100 * (1 + 50*random.Float64())
		found, _ := drive(t, SearchBounds{Start: 100, Max: 1e5}, func(s Step) StepOutcome {
			noise := 1 + 0.03*random.NormFloat64()
			if s.Kind == Confirm {
				noise = 1 + 0.015*random.NormFloat64() // it is held for longer
			}
			return carries(capacity * noise)(s)
		})
		sum += found.Rate / capacity / runs
		switch {
		case !found.Confirmed:
			unconfirmed++
		case found.Rate > capacity*1.04:
			over++
		case found.Rate < capacity*0.85:
			under++
		}
	}
	t.Logf("of %d searches %d found too much, %d too little, %d could not confirm; on average %.3f of the capacity", runs, over, under, unconfirmed, sum)
	if over > runs/100 || under > runs/50 || unconfirmed > runs/50 || sum < 0.93 || sum > 1.005 {
		t.Error("that is too many")
	}
}

func TestSearchEnds(t *testing.T) {
	b := SearchBounds{Start: 100, Max: 10_000}
	outgrows := func(limit, capacity float64) func(Step) StepOutcome {
		return func(s Step) StepOutcome {
			if s.Rate > limit {
				return Outgrew
			}
			return carries(capacity)(s)
		}
	}
	for _, tt := range []struct {
		name  string
		world func(Step) StepOutcome
		want  Found
		says  string
	}{
		{"generator", outgrows(1000, 1e6), Found{Rate: 951, AtLeast: true, Limit: ByGenerator, Confirmed: true}, "the generator itself came to its limit"},
		{"generator, then the system", outgrows(1000, 900), Found{Rate: 872, Broke: 911, Limit: ByGenerator, Confirmed: true}, "872/s held and 911/s did not"},
		{"generator at once", outgrows(10, 1e6), Found{Limit: ByGenerator}, "no rate held"},
		{"bound", carries(1e6), Found{Rate: 10_000, AtLeast: true, Limit: ByBound, Confirmed: true}, "it held all that was asked for"},
		{"nothing", carries(0), Found{Broke: 1.56}, "no rate held"},
		{"no data", func(s Step) StepOutcome {
			if s.Rate > 500 {
				return Untold
			}
			return Held
		}, Found{Rate: 400, AtLeast: true}, "no data"},
		{"never itself again", func(s Step) StepOutcome {
			if s.Kind == Rest {
				return Restless
			}
			return carries(500)(s)
		}, Found{Rate: 400, Broke: 800}, "did not come to itself"},
		{"only for a moment", func(s Step) StepOutcome {
			if s.Kind == Confirm {
				return Broke
			}
			return carries(1000)(s)
		}, Found{Rate: 800, Broke: 815}, "held for a step and not for longer"},
		{"confirmed a little lower", func(s Step) StepOutcome {
			if s.Kind == Confirm {
				return carries(940)(s)
			}
			return carries(1000)(s)
		}, Found{Rate: 903, Broke: 951, Confirmed: true}, "did not"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found, _ := drive(t, b, tt.world)
			if !strings.Contains(found.Why, tt.says) {
				t.Errorf("why: %s", found.Why)
			}
			why := found.Why
			found.Why, found.Rate, found.Broke = "", math.Trunc(found.Rate), math.Trunc(found.Broke*100)/100
			if found.Broke > 100 {
				found.Broke = math.Trunc(found.Broke)
			}
			if found != tt.want {
				t.Errorf("found %+v (%s), want %+v", found, why, tt.want)
			}
		})
	}
	s := NewSearch(b)
	s.Next()
	s.Tell(Held)
	s.Stop("somebody stopped it")
	if _, more := s.Next(); more || s.Result().Rate != 100 || s.Result().Confirmed {
		t.Errorf("stopped: %+v", s.Result())
	}
	if _, more := NewSearch(SearchBounds{}).Next(); more {
		t.Error("a search without a rate goes on")
	}
}
