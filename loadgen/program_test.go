package loadgen

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestPrograms(t *testing.T) {
	type at = map[time.Duration]float64
	const s = time.Second
	day := []Point{{time.Hour, 10}, {time.Hour + 30*time.Minute, 40}, {2 * time.Hour, 20}}
	for _, c := range []struct {
		name    string
		program Program
		at      at
		length  time.Duration
		peak    float64
	}{
		{"steady", Steady(3), at{0: 3, time.Hour: 3}, 0, 3},
		{"steps", Steps([]float64{1, 2, 4}, 30*s, 2*s),
			at{0: 1, 30 * s: 1, 31 * s: 1.5, 32 * s: 2, 62 * s: 2, 63 * s: 3, 64 * s: 4, time.Hour: 4}, 94 * s, 4},
		{"steps that jump", Steps([]float64{2, 1}, 10*s, 0), at{0: 2, 10*s - 1: 2, 10 * s: 1}, 20 * s, 2},
		{"spike", Spike(1, 10, 60*s, s, 20*s, 5*s),
			at{0: 1, 60 * s: 1, 60*s + s/2: 5.5, 61 * s: 10, 81 * s: 10, 83*s + s/2: 5.5, 86 * s: 1, time.Hour: 1}, 86 * s, 10},
		{"spike without a slope", Spike(3, 0, s, 0, s, 0), at{s - 1: 3, s: 0, 2*s - 1: 0, 2 * s: 3}, 2 * s, 3},
		{"sine", Sine(1, 3, 1, 40*s, 50*s),
			at{0: 1, 10 * s: 2, 20 * s: 3, 30 * s: 2, 40 * s: 1, 50 * s: 2, time.Hour: 2}, 50 * s, 3},
		{"sine from its middle", Sine(1, 3, 2, 40*s, 40*s), at{0: 2, 10 * s: 3, 20 * s: 2, 30 * s: 1, 40 * s: 2}, 40 * s, 3},
		{"sine from its top", Sine(1, 3, 3, 40*s, 40*s), at{0: 3, 20 * s: 1, 40 * s: 3}, 40 * s, 3},
		{"replay", Replay(day, 60), at{0: 10, 15 * s: 25, 30 * s: 40, 45 * s: 30, 60 * s: 20, time.Hour: 20}, 60 * s, 40},
		{"replay, scaled", Replay(day, 60).Times(0.1), at{0: 1, 30 * s: 4, 60 * s: 2}, 60 * s, 4},
		{"one point", Replay(day[:1], 1), at{0: 10, s: 10}, 0, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			for at, want := range c.at {
				if got := c.program.At(at); math.Abs(got-want) > 1e-9 {
					t.Errorf("at %s the multiple is %g, want %g", at, got, want)
				}
			}
			if l := c.program.Length(); l != c.length {
				t.Errorf("it takes %s, want %s", l, c.length)
			}
			if got := c.program.Peak(Never); math.Abs(got-c.peak) > 1e-9 {
				t.Errorf("its peak is %g, want %g", got, c.peak)
			}
			if got, want := c.program.Peak(0), c.program.At(0); got < want {
				t.Errorf("its peak at its begin is %g, and it begins at %g", got, want)
			}
		})
	}
	if got := Spike(1, 10, 60*s, 10*s, s, s).Peak(65 * s); math.Abs(got-5.5) > 1e-9 {
		t.Errorf("half up a spike the peak is %g", got)
	}
}

// The legs of a sine are nowhere off by more than half a percent of its height, and end when they should.
func TestSineIsClose(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		low := rapid.Float64Range(0, 5).Draw(t, "low")
		high := low + rapid.Float64Range(0.01, 20).Draw(t, "height")
		from := low + rapid.Float64Range(0, 1).Draw(t, "from")*(high-low)
		period := time.Duration(rapid.Int64Range(int64(time.Second), int64(time.Hour)).Draw(t, "period"))
		length := time.Duration(rapid.Int64Range(0, 5*int64(period)).Draw(t, "length"))
		p := Sine(low, high, from, period, length)
		if p.Length() != length || len(p.Legs) > int(length/period+2)*WaveLegs {
			t.Fatalf("%d legs take %s, not %s", len(p.Legs), p.Length(), length)
		}
		middle, amplitude := (low+high)/2, (high-low)/2
		begin := math.Acos(min(1, max(-1, (middle-from)/amplitude)))
		for i := range 200 {
			at := time.Duration(float64(length) * float64(i) / 200)
			want := middle - amplitude*math.Cos(begin+2*math.Pi*float64(at)/float64(period))
			if got := p.At(at); math.Abs(got-want) > 0.005*(high-low) {
				t.Fatalf("at %s it is %g, and the sine %g", at, got, want)
			}
		}
	})
}

// A pacer on a replayed series sends what lies under the series, the faster the less.
func TestReplaySendsTheSeries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var points []Point
		area, at := 0.0, time.Duration(0)
		for range rapid.IntRange(2, 200).Draw(t, "points") {
			p := Point{at, rapid.Float64Range(0, 100).Draw(t, "rate")}
			if n := len(points); n > 0 {
				area += (p.Value + points[n-1].Value) / 2 * (p.At - points[n-1].At).Seconds()
			}
			points = append(points, p)
			at += time.Duration(rapid.IntRange(1, 120).Draw(t, "gap")) * time.Second
		}
		speed := rapid.Float64Range(0.5, 100).Draw(t, "speed")
		program := Replay(points, speed)
		p := NewPacer(Arrivals{Rate: 1, Idle: true})
		p.Ramp(0, program.From, 0, program.Legs...)
		// Times are rounded to the nanosecond, and a change by up to 100 in a leg of that length is nothing.
		if got, want := float64(p.Due(program.Length())), area/speed; math.Abs(got-want) > 1.001 {
			t.Fatalf("%g are due, and %g lie under the series", got, want)
		}
	})
}

func TestTimesLeavesTheProgramAlone(t *testing.T) {
	p := Steps([]float64{1, 2}, time.Second, 0)
	p.Times(10)
	if diff := cmp.Diff(Steps([]float64{1, 2}, time.Second, 0), p); diff != "" {
		t.Error(diff)
	}
}

// What is left of a program goes on as the program does, and takes what is left of its time.
func TestRestGoesOn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Program{From: rapid.Float64Range(0, 5).Draw(t, "from"), Legs: drawLegs(t)}
		whole := p.Length()
		cut := time.Duration(rapid.Int64Range(0, int64(whole)+int64(time.Second)).Draw(t, "cut"))
		rest := p.Rest(cut)
		if want := max(0, whole-cut); rest.Length() != want {
			t.Fatalf("what is left takes %s, want %s", rest.Length(), want)
		}
		later := time.Duration(rapid.Int64Range(0, int64(whole)).Draw(t, "later"))
		if got, want := rest.At(later), p.At(cut+later); math.Abs(got-want) > 1e-6 {
			t.Fatalf("after %s and %s it is %g, want %g", cut, later, got, want)
		}
	})
	if got := (Program{From: 2}).Rest(-time.Second); got.From != 2 || len(got.Legs) > 0 {
		t.Errorf("a steady program goes on as %+v", got)
	}
}
