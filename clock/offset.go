package clock

import (
	"cmp"
	"slices"
	"time"
)

// Offset is how far another system's clock runs ahead of ours, with its uncertainty.
type Offset struct {
	Ahead time.Duration `json:"ahead"` // nanoseconds; negative when the other clock is behind
	Err   time.Duration `json:"err"`   // nanoseconds, either way
}

// Probe is one question put to another clock: when we asked, what it said, when its answer arrived.
type Probe struct {
	Sent, Stamp, Received time.Time
}

// EstimateOffset estimates the other clock's offset from probes whose stamps are cut off to granularity g, by the one that took
// the shortest round trip: stamp - (sent+received)/2 + g/2, with half of that round trip plus half of g as its uncertainty. This is
// Cristian's algorithm (1989) with the granularity added; wherever in its round trip the clock was read, the offset is within. Of several
// that took as long it is the median. ok is false without probes.
func EstimateOffset(probes []Probe, g time.Duration) (o Offset, ok bool) {
	if len(probes) == 0 {
		return Offset{}, false
	}
	shortest := slices.MinFunc(probes, func(a, b Probe) int { return cmp.Compare(a.rtt(), b.rtt()) }).rtt()
	var diffs []time.Duration
	for _, p := range probes {
		if p.rtt() == shortest {
			diffs = append(diffs, p.Stamp.Sub(p.Sent.Add(shortest/2))+g/2)
		}
	}
	slices.Sort(diffs)
	return Offset{Ahead: diffs[len(diffs)/2], Err: shortest/2 + g/2}, true
}

// rtt returns how long the round trip took.
func (p Probe) rtt() time.Duration { return p.Received.Sub(p.Sent) }

// Ours converts an instant stamped by the other clock, cut off to granularity g, to an interval of our time.
func (o Offset) Ours(stamp time.Time, g time.Duration) Interval {
	t := stamp.Add(-o.Ahead)
	return Interval{Lo: t.Add(-o.Err), Hi: t.Add(o.Err + g)}
}
