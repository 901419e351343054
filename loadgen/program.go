package loadgen

import (
	"math"
	"time"
)

// Leg takes a multiple from where it is to To, in a straight line over Over. One that takes no time is a jump.
type Leg struct {
	To   float64       `json:"to"`
	Over time.Duration `json:"over"` // nanoseconds
}

// MaxLegs is how many legs a program may have: a day by the second fits.
const MaxLegs = 100_000

// Program is a multiple over time: it begins at From, follows the legs, and stays where the last one ends.
type Program struct {
	From float64 `json:"from"`
	Legs []Leg   `json:"legs,omitempty"`
}

// Steady returns a program that stays at a multiple.
func Steady(multiple float64) Program { return Program{From: multiple} }

// Steps returns a program that holds each of the multiples, of which there is one at least, and takes ramp from one to
// the next.
//
//	        ┌────
//	    ┌───┘
//	────┘
func Steps(multiples []float64, hold, ramp time.Duration) Program {
	p := Steady(multiples[0])
	for i, m := range multiples {
		if i > 0 {
			p.Legs = append(p.Legs, Leg{To: m, Over: ramp})
		}
		p.Legs = append(p.Legs, Leg{To: m, Over: hold})
	}
	return p
}

// Spike returns a program that stays at base but for one excursion to to: it begins at at, takes rise to get there, and
// fall to come back after hold.
//
//	     ┌──┐
//	     │  │
//	─────┘  └─────
func Spike(base, to float64, at, rise, hold, fall time.Duration) Program {
	return Program{From: base, Legs: []Leg{{base, at}, {to, rise}, {to, hold}, {base, fall}}}
}

// WaveLegs is how many legs a period of a sine has. A straight line between two points of a sine that are an angle δ
// apart is off by at most 1−cos(δ/2) of the amplitude: 0.24 % of the height from low to high.
const WaveLegs = 32

// Sine returns a program that swings between low and high for a length of time. It begins at from, on the way up.
//
//	   ⌒       ⌒
//	⟋    ⟍  ⟋    ⟍
//	       ⌣       ⌣
//
// With m for the middle, A for the amplitude and P for the period it is
//
//	m − A·cos(φ + 2πt/P)    where cos φ = (m−from)/A, 0 ≤ φ ≤ π
//
// in legs that end where the angle is a multiple of 2π/32, so that both extremes are met exactly.
func Sine(low, high, from float64, period, length time.Duration) Program {
	middle, amplitude := (low+high)/2, (high-low)/2
	begin := 0.0 // angle, in turns
	if amplitude > 0 {
		begin = math.Acos(min(1, max(-1, (middle-from)/amplitude))) / (2 * math.Pi)
	}
	value := func(turns float64) float64 { return middle - amplitude*math.Cos(2*math.Pi*turns) }
	p := Program{From: from}
	reached := time.Duration(0)
	for k := math.Floor(begin*WaveLegs) + 1; reached < length; k++ {
		turns := k / WaveLegs
		at := time.Duration(math.Round((turns - begin) * float64(period)))
		if at >= length {
			at, turns = length, begin+float64(length)/float64(period)
		}
		p.Legs = append(p.Legs, Leg{To: value(turns), Over: at - reached})
		reached = at
	}
	return p
}

// Replay returns a program through the points of a series of at least one, in straight lines, so many times as fast as
// they were. Its multiples are the points' values.
func Replay(points []Point, speed float64) Program {
	p := Steady(points[0].Value)
	reached := time.Duration(0)
	for _, next := range points[1:] {
		at := time.Duration(min(math.Round(float64(next.At-points[0].At)/speed), float64(Never/2)))
		p.Legs = append(p.Legs, Leg{To: next.Value, Over: at - reached})
		reached = at
	}
	return p
}

// Times returns the program with each multiple so many times as large.
func (p Program) Times(factor float64) Program {
	out := Program{From: p.From * factor, Legs: make([]Leg, len(p.Legs))}
	for i, l := range p.Legs {
		out.Legs[i] = Leg{To: l.To * factor, Over: l.Over}
	}
	return out
}

// Length returns how long the legs take.
func (p Program) Length() time.Duration {
	var sum time.Duration
	for _, l := range p.Legs {
		sum += l.Over
	}
	return sum
}

// At returns the multiple at a time since the program's begin. At a jump it is what the jump leads to.
func (p Program) At(elapsed time.Duration) float64 {
	at, _ := p.until(elapsed)
	return at
}

// Peak returns the largest multiple from the program's begin until a time since then.
func (p Program) Peak(elapsed time.Duration) float64 {
	_, peak := p.until(elapsed)
	return peak
}

// Rest returns what is left of the program at a time since its begin, as a program of its own.
func (p Program) Rest(elapsed time.Duration) Program {
	out := Program{From: p.At(elapsed)}
	for i, l := range p.Legs {
		if elapsed < l.Over {
			out.Legs = append(out.Legs, Leg{To: l.To, Over: l.Over - max(0, elapsed)})
			out.Legs = append(out.Legs, p.Legs[i+1:]...)
			break
		}
		elapsed -= l.Over
	}
	return out
}

func (p Program) until(elapsed time.Duration) (at, peak float64) {
	at, peak = p.From, p.From
	for _, l := range p.Legs {
		if elapsed < l.Over {
			at = Linear{From: at, To: l.To, Over: l.Over}.at(elapsed)
			return at, max(peak, at)
		}
		at, peak, elapsed = l.To, max(peak, l.To), elapsed-l.Over
	}
	return at, peak
}
