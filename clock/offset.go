package clock

import (
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

// EstimateOffset estimates the other clock's offset from probes whose stamps are cut off to granularity g: the
// median of stamp - (sent+received)/2 + g/2, with half the shortest round trip plus half of g as its uncertainty. This is
// Cristian's algorithm with the granularity added. ok is false without probes.
func EstimateOffset(probes []Probe, g time.Duration) (o Offset, ok bool) {
	if len(probes) == 0 {
		return Offset{}, false
	}
	diffs := make([]time.Duration, 0, len(probes))
	shortest := time.Duration(1<<63 - 1)
	for _, p := range probes {
		rtt := p.Received.Sub(p.Sent)
		shortest = min(shortest, rtt)
		diffs = append(diffs, p.Stamp.Sub(p.Sent.Add(rtt/2))+g/2)
	}
	slices.Sort(diffs)
	return Offset{Ahead: diffs[len(diffs)/2], Err: shortest/2 + g/2}, true
}

// Ours converts an instant stamped by the other clock, cut off to granularity g, to an interval of our time.
func (o Offset) Ours(stamp time.Time, g time.Duration) Interval {
	t := stamp.Add(-o.Ahead)
	return Interval{Lo: t.Add(-o.Err), Hi: t.Add(o.Err + g)}
}
