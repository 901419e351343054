package loadgen

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// course is an independent account of the multiple: what was asked for last, and when.
type course struct {
	begun time.Duration
	from  float64
	legs  []Leg
}

func (c course) at(elapsed time.Duration) float64 {
	from, left := c.from, elapsed-c.begun
	for _, l := range c.legs {
		if left < l.Over {
			return from + (l.To-from)*left.Seconds()/l.Over.Seconds()
		}
		from, left = l.To, left-l.Over
	}
	return from
}

// sums returns the partial sums of the unit exponentials of a seed, drawn by other code.
func sums(seed uint64, n int) []float64 {
	source := rand.NewPCG(seed, 0)
	out, sum := make([]float64, n), 0.0
	for i := range out {
		sum += -math.Log1p(-float64(source.Uint64()>>11) * math.Pow(2, -53))
		out[i] = sum
	}
	return out
}

func drawLegs(t *rapid.T) []Leg {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Leg {
		return Leg{rapid.SampledFrom([]float64{0, 0, 0.5, 1, 3}).Draw(t, "to"),
			time.Duration(rapid.OneOf(rapid.Just(0), rapid.IntRange(1, 300)).Draw(t, "over")) * time.Millisecond}
	}), 1, 20).Draw(t, "legs")
}

// Whatever is changed and however late the caller is, arrivals come in order, each once, never before they are due, and
// as many as the integral of the rate asks for. What was due at an instant stays so.
func TestPacerLosesAndDoublesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := Arrivals{Rate: rapid.Float64Range(0.1, 500).Draw(t, "rate"), Idle: rapid.Bool().Draw(t, "idle"),
			Poisson: rapid.Bool().Draw(t, "poisson"), Seed: rapid.Uint64().Draw(t, "seed")}
		p := NewPacer(a)
		now := course{from: 1}
		if a.Idle {
			now.from = 0
		}
		integral := 0.0 // of the course, by the midpoint rule: exact, as legs end on whole milliseconds
		var at, last time.Duration
		var taken uint64
		past := map[time.Duration]uint64{}
		for range rapid.IntRange(1, 8).Draw(t, "changes") {
			for range rapid.IntRange(0, 1500).Draw(t, "ms") {
				at += time.Millisecond
				integral += a.Rate * now.at(at-time.Millisecond/2) / 1000
				if at%(7*time.Millisecond) != 0 {
					continue // late on purpose
				}
				for next := p.Next(); next <= at; next = p.Next() {
					if next < last || p.Due(next) < taken+1 || next > 0 && p.Due(next-1) > taken {
						t.Fatalf("arrival %d at %s comes after %s; %d are due, %d a moment before", taken+1, next, last,
							p.Due(next), p.Due(next-1))
					}
					last = next
					p.Take()
					taken++
				}
				if p.Due(at) != taken || p.Taken() != taken {
					t.Fatalf("%d taken of %d due at %s", taken, p.Due(at), at)
				}
				if at%(49*time.Millisecond) == 0 {
					past[at] = taken
				}
			}
			now = course{at, now.at(at), drawLegs(t)}
			p.Ramp(at, now.legs[0].To, now.legs[0].Over, now.legs[1:]...)
			if got := p.Multiple(at); math.Abs(got-now.at(at)) > 1e-6 {
				t.Fatalf("the multiple is %g, want %g", got, now.at(at))
			}
		}
		for then, due := range past {
			if p.Due(then) != due {
				t.Fatalf("%d were due at %s, and now it is %d", due, then, p.Due(then))
			}
		}
		least, most := uint64(max(0, integral-1e-3)), uint64(integral+1e-3)
		if a.Poisson {
			least, most = 0, 0
			for _, sum := range sums(a.Seed, int(integral+10*math.Sqrt(integral)+100)) {
				if sum <= integral-1e-3 {
					least++
				}
				if sum <= integral+1e-3 {
					most++
				}
			}
		}
		if got := p.Due(at); got < least || got > most {
			t.Fatalf("%d are due, the integral is %g", got, integral)
		}
	})
}

func TestPacerHolds(t *testing.T) {
	p := NewPacer(Arrivals{Rate: 10})
	p.Ramp(time.Second, 0, 0)
	for p.Next() != Never {
		p.Take()
	}
	if p.Taken() != 10 {
		t.Errorf("%d arrivals before the hold", p.Taken())
	}
	p.Ramp(5*time.Second, 2, 0)
	if at := p.Next(); at != 5050*time.Millisecond {
		t.Errorf("after the hold the next is due at %s", at)
	}
	if m := p.Multiple(5 * time.Second); m != 2 {
		t.Errorf("the multiple is %g", m)
	}
}

// Legs are joined without losing a fraction, jumps take no time, and a leg at 0 is waited for.
func TestPacerFollowsLegs(t *testing.T) {
	p := NewPacer(Arrivals{Rate: 10, Idle: true})
	if p.Next() != Never {
		t.Errorf("an idle pacer has an arrival at %s", p.Next())
	}
	p.Ramp(0, 0, 3*time.Second, Leg{To: 1}, Leg{1, 150 * time.Millisecond}, Leg{To: 0}, Leg{0, time.Second}, Leg{To: 2})
	want := []time.Duration{3100, 4150 + 25, 4225, 4275}
	for i, w := range want {
		if at := p.Next(); at != w*time.Millisecond {
			t.Errorf("arrival %d is due at %s, want %s", i+1, at, w*time.Millisecond)
		}
		p.Take()
	}
	if m := p.Multiple(time.Hour); m != 2 {
		t.Errorf("in the end the multiple is %g", m)
	}
}

// A pacer that is told something new each second for a day remembers the last of it only, and goes on rightly.
func TestPacerForgets(t *testing.T) {
	p := NewPacer(Arrivals{Rate: 1})
	const seconds = 86_400
	for s := range seconds {
		p.Ramp(time.Duration(s)*time.Second, 1, 0)
	}
	if due := p.Due(seconds * time.Second); due != seconds {
		t.Errorf("%d of %d are due", due, seconds)
	}
	if lines := len(p.lines); lines > maxPast+1 {
		t.Errorf("%d lines are remembered", lines)
	}
}

// week is a program of a week by the minute.
func week() Program {
	points := make([]Point, 7*24*60+1)
	for i := range points {
		points[i] = Point{time.Duration(i) * time.Minute, 1 + math.Sin(float64(i)/200)/2}
	}
	return Replay(points, 60)
}

func TestPacerAllocatesNothing(t *testing.T) {
	for name, a := range map[string]Arrivals{"even": {Rate: 50_000}, "poisson": {Rate: 50_000, Poisson: true}} {
		p := NewPacer(a)
		p.Ramp(0, week().From, 0, week().Legs...)
		for range 2 * markEvery * maxMarks { // until what is remembered of chance has its full size
			p.Take()
		}
		if n := testing.AllocsPerRun(3*markEvery, func() {
			p.Due(p.Next() - time.Second)
			p.Take()
		}); n != 0 {
			t.Errorf("%s: an arrival allocates %g times", name, n)
		}
	}
}

func BenchmarkPacer(b *testing.B) {
	for _, c := range []struct {
		name string
		Arrivals
		program Program
	}{
		{"plain", Arrivals{Rate: 50_000}, Steady(1)},
		{"week", Arrivals{Rate: 50_000}, week()},
		{"poisson", Arrivals{Rate: 50_000, Poisson: true, Seed: 1}, Steady(1)},
		{"poisson week", Arrivals{Rate: 50_000, Poisson: true, Seed: 1}, week()},
	} {
		b.Run(c.name, func(b *testing.B) {
			p := NewPacer(c.Arrivals)
			p.Ramp(0, c.program.From, 0, c.program.Legs...)
			b.ReportAllocs()
			for b.Loop() {
				p.Next()
				p.Take()
			}
		})
	}
}

func TestScheduleFollowsTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now().Add(time.Second)
		s := NewSchedule(Arrivals{Rate: 100}, start)
		var seen []time.Duration
		owed := make(chan uint64)
		go func() {
			owed <- s.Run(t.Context(), func(intended time.Time) {
				if late := time.Since(intended); late < 0 || late > time.Microsecond {
					t.Errorf("an arrival is %s late", late)
				}
				seen = append(seen, intended.Sub(start))
			})
		}()
		at := func(d time.Duration) { time.Sleep(time.Until(start.Add(d))); synctest.Wait() }
		for _, step := range []struct {
			at    time.Duration
			count int
			to    float64
			over  time.Duration
		}{
			{time.Second, 100, 3, 0},
			{2 * time.Second, 400, 1, 2 * time.Second}, // 400 on the way down
			{4 * time.Second, 800, 0, 0},
			{9 * time.Second, 800, 2, 0},
			{10 * time.Second, 1000, 2, 0},
		} {
			at(step.at)
			if len(seen) != step.count || s.Due(time.Now()) != uint64(step.count) {
				t.Errorf("after %s %d came and %d were due, want %d", step.at, len(seen), s.Due(time.Now()), step.count)
			}
			s.Ramp(step.to, step.over)
		}
		s.Stop()
		if n := <-owed; n != 0 {
			t.Errorf("%d are owed", n)
		}
		at(20 * time.Second)
		if s.Due(time.Now()) != 1000 || s.Multiple(time.Now()) != 2 {
			t.Errorf("after the stop %d are due at a multiple of %g", s.Due(time.Now()), s.Multiple(time.Now()))
		}
	})
}

func TestScheduleMakesUpForASlowCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := NewSchedule(Arrivals{Rate: 10}, time.Now())
		count := 0
		owed := s.Run(ctx, func(time.Time) {
			if count++; count == 5 {
				time.Sleep(time.Second) // ten arrivals go by
			}
			if count == 12 {
				time.Sleep(time.Second)
				cancel()
			}
		})
		if count != 12 || owed != 13 {
			t.Errorf("%d came and %d are owed", count, owed)
		}
	})
}
