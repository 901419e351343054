package loadgen

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"sort"
)

const (
	// markEvery is how many arrivals lie between two places in a sequence that are remembered, and maxMarks how many of
	// those are: what is asked about the last million arrivals is found by drawing some hundreds again.
	markEvery = 1 << 10
	maxMarks  = 1 << 10
)

// chance draws the arrivals of a Poisson process on the scale of Λ, the integral of its rate, where it is one of rate
// 1: the gaps between arrivals are unit exponentials, whatever the rate does over time. This is the inversion of Λ, as
// in L. Devroye, Non-Uniform Random Variate Generation (1986), chapter VI.1; the other way round it is known as the
// time-rescaling theorem (E. Brown et al., Neural Computation 14, 2002). The sequence depends on the seed alone, so
// that any part of it can be drawn again.
type chance struct {
	seed  uint64
	next  draw   // of the next arrival that was not taken
	marks []draw // of some that were taken, in order
}

// draw is a place in the sequence: arrival n is due when Λ reaches sum, and source draws what follows.
type draw struct {
	n      uint64
	sum    float64
	source rand.PCG
}

func newChance(seed uint64) *chance {
	c := &chance{seed: seed}
	c.next = c.first()
	c.next.draw()
	return c
}

// first returns the place before the first arrival.
func (c *chance) first() draw { return draw{source: *rand.NewPCG(c.seed, 0)} }

// draw goes on to the next arrival. A number u that is even on [0, 1) makes the unit exponential −ln(1−u).
func (d *draw) draw() {
	u := float64(d.source.Uint64()>>11) / (1 << 53)
	d.n++
	d.sum -= math.Log(1 - u)
}

// take goes past the next arrival.
func (c *chance) take() {
	if c.next.n%markEvery == 0 {
		if len(c.marks) == 2*maxMarks {
			c.marks = append(c.marks[:0], c.marks[maxMarks:]...)
		}
		c.marks = append(c.marks, c.next)
	}
	c.next.draw()
}

// count returns how many arrivals there are up to a value of Λ.
func (c *chance) count(reached float64) uint64 {
	d := c.next
	if reached < d.sum {
		d = c.first()
		if i := sort.Search(len(c.marks), func(i int) bool { return c.marks[i].sum > reached }); i > 0 {
			d = c.marks[i-1]
		}
	}
	for d.sum <= reached {
		d.draw()
	}
	return d.n - 1
}

// SeedFor returns a seed for a part of something that has a seed, by the part's name: parts do the same each time, and
// nothing that the others do.
func SeedFor(seed uint64, part string) uint64 {
	h := fnv.New64a()
	h.Write(binary.LittleEndian.AppendUint64(nil, seed))
	h.Write([]byte(part))
	return h.Sum64()
}
