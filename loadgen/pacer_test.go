package loadgen

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// Whatever is changed and however late the caller is, arrivals come in order, each once, never before they are due, and
// as many as the integral of the rate.
func TestPacerLosesAndDoublesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Float64Range(0.1, 500).Draw(t, "rate")
		p := NewPacer(rate)
		multiple, integral := 1.0, 0.0 // of an independent account, in steps of 1 ms
		var ramp struct {
			from, to    float64
			begun, over time.Duration
		}
		ramp.to = 1
		var now, last time.Duration
		var taken uint64
		for range rapid.IntRange(1, 8).Draw(t, "changes") {
			for range rapid.IntRange(0, 1500).Draw(t, "ms") {
				before := multiple
				now += time.Millisecond
				multiple = ramp.to
				if since := now - ramp.begun; since < ramp.over {
					multiple = ramp.from + (ramp.to-ramp.from)*float64(since)/float64(ramp.over)
				}
				integral += rate * (before + multiple) / 2 / 1000
				if now%(7*time.Millisecond) != 0 {
					continue // late on purpose
				}
				for next := p.Next(); next <= now; next = p.Next() {
					if next < last || p.Due(next) < taken+1 {
						t.Fatalf("arrival %d at %s comes after %s, and %d are due", taken+1, next, last, p.Due(next))
					}
					last = next
					p.Take()
					taken++
				}
				if p.Due(now) != taken {
					t.Fatalf("%d taken of %d due at %s", taken, p.Due(now), now)
				}
			}
			ramp.from, ramp.begun = multiple, now
			ramp.to = rapid.SampledFrom([]float64{0, 0.5, 1, 3}).Draw(t, "to")
			ramp.over = time.Duration(rapid.IntRange(0, 2000).Draw(t, "over")) * time.Millisecond
			p.Ramp(now, ramp.to, ramp.over)
			if ramp.over == 0 {
				multiple = ramp.to
			}
			if got := p.Multiple(now); math.Abs(got-multiple) > 1e-6 {
				t.Fatalf("the multiple is %g, want %g", got, multiple)
			}
		}
		if got := float64(p.Due(now)); math.Abs(got-integral) > 2+integral*1e-3 {
			t.Fatalf("%g are due, the integral is %g", got, integral)
		}
	})
}

func TestPacerHolds(t *testing.T) {
	p := NewPacer(10)
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

func TestScheduleFollowsTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now().Add(time.Second)
		s := NewSchedule(100, start)
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
		s := NewSchedule(10, time.Now())
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
