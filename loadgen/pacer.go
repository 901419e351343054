package loadgen

import (
	"sort"
	"time"
)

// maxPast bounds how many past lines a Pacer remembers when it is changed.
const maxPast = 1 << 12

// Arrivals says how the arrivals of a stream come.
type Arrivals struct {
	// Rate is how many come per second at a multiple of 1.
	Rate float64 `json:"rate"`
	// Idle makes the multiple begin at 0 instead of 1: none comes until it is changed.
	Idle bool `json:"idle,omitempty"`
	// Poisson makes them come by chance, as those of people do who know nothing of each other, instead of evenly.
	Poisson bool `json:"poisson,omitempty"`
	// Seed decides what chance brings: the same seed and the same program have the same arrivals, to the nanosecond.
	Seed uint64 `json:"seed,omitempty"`
	// Segment is which of the arrivals are sent here; those of all segments together are the stream's, at the same instants.
	Segment Segment `json:"segment,omitzero"`
}

// Pacer is a schedule that can be changed while it runs: a base rate times a multiple, which begins at 1 or, when it is
// idle, at 0. It counts time as elapsed since its start and reads no clock. Arrivals that were due before a change keep
// the time they were due; the fraction of an arrival that had built up carries over. It is not safe for concurrent use.
//
// With Λ(t) for the integral of the rate from the start to t, arrival n (from 1) is due when Λ reaches n if arrivals
// come evenly, and the sum of n draws from the unit exponential distribution if they are a Poisson process. Of a segment, the
// whole stream's arrivals are computed, and those of the other segments passed over.
type Pacer struct {
	rate    float64
	segment Segment
	lines   []spliced
	line    int           // at or before the one on which the next arrival is due
	changed time.Duration // when the last Ramp began
	taken   uint64
	chance  *chance // nil when arrivals come evenly
}

// spliced is a line of the schedule from start on, until the next one's start. Λ at start is base.
type spliced struct {
	start    time.Duration
	base     float64
	multiple Linear
	rates    Linear // rate times multiple
}

// at returns Λ at a time since the line's start.
func (s *spliced) at(since time.Duration) float64 { return s.base + s.rates.arrivals(since) }

// NewPacer returns a schedule.
func NewPacer(a Arrivals) *Pacer {
	p := &Pacer{rate: max(0, a.Rate), segment: a.Segment}
	if a.Poisson {
		p.chance = newChance(a.Seed)
		p.draw(p.segment.Nth(1) - 1)
	}
	multiple := 1.0
	if a.Idle {
		multiple = 0
	}
	p.lines = []spliced{p.spliced(0, 0, Constant(multiple, Never))}
	return p
}

// Ramp changes the multiple from what it is at the elapsed time at to to, in a straight line that takes over, follows
// the legs after it, and leaves it where the last one ends. Time may not go backwards: an at before the last change
// counts as the last change's.
func (p *Pacer) Ramp(at time.Duration, to float64, over time.Duration, then ...Leg) {
	at = max(at, p.changed)
	p.changed = at
	from, base := p.Multiple(at), p.integral(at)
	p.lines = p.lines[:sort.Search(len(p.lines), func(i int) bool { return p.lines[i].start >= at })]
	if past := len(p.lines) - maxPast; past > 0 {
		p.lines = append(p.lines[:0], p.lines[past:]...)
	}
	p.line = 0
	for i := -1; i < len(then); i++ {
		leg := Leg{To: to, Over: over}
		if i >= 0 {
			leg = then[i]
		}
		leg.To = max(0, leg.To)
		if leg.Over = min(leg.Over, Never-at); leg.Over > 0 {
			s := p.spliced(at, base, Linear{From: from, To: leg.To, Over: leg.Over})
			p.lines = append(p.lines, s)
			at, base = at+leg.Over, base+s.rates.total()
		}
		from = leg.To
	}
	p.lines = append(p.lines, p.spliced(at, base, Constant(from, Never-at)))
}

func (p *Pacer) spliced(start time.Duration, base float64, multiple Linear) spliced {
	rates := Linear{From: p.rate * multiple.From, To: p.rate * multiple.To, Over: multiple.Over}
	return spliced{start: start, base: base, multiple: multiple, rates: rates}
}

// on returns the line that an elapsed time falls on.
func (p *Pacer) on(elapsed time.Duration) *spliced {
	after := sort.Search(len(p.lines), func(i int) bool { return p.lines[i].start > elapsed })
	return &p.lines[max(0, after-1)]
}

// integral returns Λ.
func (p *Pacer) integral(elapsed time.Duration) float64 {
	s := p.on(elapsed)
	return s.at(elapsed - s.start)
}

// Multiple returns the multiple at an elapsed time.
func (p *Pacer) Multiple(elapsed time.Duration) float64 {
	s := p.on(elapsed)
	return s.multiple.at(elapsed - s.start)
}

// Due returns how many arrivals are due by an elapsed time, as far as is planned now. Of a Poisson process those after
// the last one taken are counted by drawing them, each time anew.
func (p *Pacer) Due(elapsed time.Duration) uint64 {
	reached := p.integral(elapsed)
	if p.chance != nil {
		return p.segment.Count(p.chance.count(reached))
	}
	return p.segment.Count(uint64(reached))
}

// Next returns when the next arrival that was not taken is due, or Never while the multiple holds at 0. It may be in
// the past, when the caller is late.
func (p *Pacer) Next() time.Duration {
	want := float64(p.segment.Nth(p.taken + 1))
	if p.chance != nil {
		want = p.chance.next.sum
	}
	for p.line+1 < len(p.lines) && p.lines[p.line+1].base < want {
		p.line++
	}
	s := &p.lines[p.line]
	guess, end := s.rates.reach(want-s.base), s.rates.Length()
	if guess == Never && p.line == len(p.lines)-1 {
		return Never
	}
	since := exactly(min(guess, end), end, func(t time.Duration) bool { return s.at(t) >= want })
	if since == Never {
		return Never
	}
	return s.start + since
}

// Take marks the next arrival as handed out.
func (p *Pacer) Take() {
	p.taken++
	if p.chance != nil {
		p.draw(p.segment.of())
	}
}

// draw goes past some of the stream's arrivals.
func (p *Pacer) draw(n uint64) {
	for range n {
		p.chance.take()
	}
}

// Taken returns how many arrivals were handed out.
func (p *Pacer) Taken() uint64 { return p.taken }
