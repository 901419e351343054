package loadgen

import (
	"time"
)

// maxSplices bounds how many past lines a Pacer remembers.
const maxSplices = 64

// Pacer is a schedule that can be changed while it runs: a base rate times a multiple, which begins at 1. It counts
// time as elapsed since its start and reads no clock. Arrivals that were due before a change keep the time they were
// due; the fraction of an arrival that had built up carries over. It is not safe for concurrent use.
type Pacer struct {
	rate    float64
	lines   []spliced
	changed time.Duration // when the last Ramp began
	taken   uint64
}

// spliced is a line of the schedule from start on, until the next one's start. Arrivals up to start are base.
type spliced struct {
	start    time.Duration
	base     float64
	multiple Linear
	rates    Linear // rate times multiple
}

// NewPacer returns a schedule of rate arrivals per second, at a multiple of 1.
func NewPacer(rate float64) *Pacer {
	p := &Pacer{rate: max(0, rate)}
	p.lines = []spliced{p.line(0, 0, Constant(1, Never))}
	return p
}

// Ramp changes the multiple from what it is at the elapsed time at to to, in a straight line that takes over, and
// leaves it there. Time may not go backwards: an at before the last change counts as the last change's.
func (p *Pacer) Ramp(at time.Duration, to float64, over time.Duration) {
	at, to = max(at, p.changed), max(0, to)
	p.changed = at
	from, base := p.Multiple(at), p.arrivals(at)
	for len(p.lines) > 1 && p.lines[len(p.lines)-1].start >= at {
		p.lines = p.lines[:len(p.lines)-1]
	}
	if over > 0 {
		ramp := p.line(at, base, Linear{From: from, To: to, Over: over})
		p.add(ramp)
		at, base = at+over, base+ramp.rates.total()
	}
	p.add(p.line(at, base, Constant(to, Never-at)))
}

func (p *Pacer) line(start time.Duration, base float64, multiple Linear) spliced {
	rates := Linear{From: p.rate * multiple.From, To: p.rate * multiple.To, Over: multiple.Over}
	return spliced{start: start, base: base, multiple: multiple, rates: rates}
}

func (p *Pacer) add(s spliced) {
	if last := len(p.lines) - 1; p.lines[last].start == s.start {
		p.lines[last] = s
		return
	}
	p.lines = append(p.lines, s)
	if len(p.lines) > maxSplices {
		p.lines = append(p.lines[:0], p.lines[1:]...)
	}
}

// on returns the line that an elapsed time falls on.
func (p *Pacer) on(elapsed time.Duration) spliced {
	i := len(p.lines) - 1
	for i > 0 && p.lines[i].start > elapsed {
		i--
	}
	return p.lines[i]
}

func (p *Pacer) arrivals(elapsed time.Duration) float64 {
	s := p.on(elapsed)
	return s.base + s.rates.arrivals(elapsed-s.start)
}

// Multiple returns the multiple at an elapsed time.
func (p *Pacer) Multiple(elapsed time.Duration) float64 {
	s := p.on(elapsed)
	return s.multiple.at(elapsed - s.start)
}

// Due returns how many arrivals are due by an elapsed time, as far as is planned now.
func (p *Pacer) Due(elapsed time.Duration) uint64 { return uint64(p.arrivals(elapsed)) }

// Next returns when the next arrival that was not taken is due, or Never while the multiple holds at 0. It may be in
// the past, when the caller is late.
func (p *Pacer) Next() time.Duration {
	n := p.taken + 1
	i := len(p.lines) - 1
	for i > 0 && float64(n) <= p.lines[i].base {
		i--
	}
	s := p.lines[i]
	guess := s.rates.reach(float64(n) - s.base)
	if guess == Never && i == len(p.lines)-1 {
		return Never
	}
	return exactly(s.start+min(guess, s.rates.Length()), Never, func(t time.Duration) bool { return p.Due(t) >= n })
}

// Take marks the next arrival as handed out.
func (p *Pacer) Take() { p.taken++ }

// Taken returns how many arrivals were handed out.
func (p *Pacer) Taken() uint64 { return p.taken }
