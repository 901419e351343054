package network

import (
	"net/netip"
	"slices"
	"time"

	"gameday/faults"
)

// Asked is what a config of this package asks for, defaults filled in, for whoever brings it about by other means than a kernel of
// this machine. Percentages are from 0 to 100.
type Asked struct {
	// Blocks and Hosts are the parameter to: addresses and CIDR blocks, and host names as they are written.
	Blocks []netip.Prefix
	Hosts  []string
	Ports  []int
	// In and Out say which packets are cut or shaped, as seen from the place, and Reject that a cut is answered.
	In, Out, Reject bool

	Delay, Jitter    time.Duration
	DelayCorrelation float64
	// Shape is how delays differ that have a jitter: "normal", "pareto", "paretonormal", or empty for uniform.
	Shape string

	Loss, LossCorrelation           float64
	Duplicate, DuplicateCorrelation float64
	Corrupt, CorruptCorrelation     float64
	Reorder, ReorderCorrelation     float64
	Gap                             int // 1 or more when Reorder is set

	Rate  uint64 // bits per second; 0 when nothing is limited
	Burst uint64 // bytes
	Queue uint64 // bytes that wait for the rate; more is dropped
}

// AskedOf returns what a config asks for. It is false for a config that is not of this package. The error is Validate's.
func AskedOf(c faults.Config) (a Asked, ours bool, err error) {
	if p, is := c.(*Partition); is {
		if err := p.Validate(); err != nil {
			return Asked{}, true, err
		}
		a = p.selector().asked()
		a.In, a.Out, a.Reject = p.Direction != out, p.Direction != in, p.Action == reject
		return a, true, nil
	}
	s, is := c.(shaper)
	if !is {
		return Asked{}, false, nil
	}
	if err := c.Validate(); err != nil {
		return Asked{}, true, err
	}
	w, err := s.shaping()
	if err != nil {
		return Asked{}, true, err
	}
	a = s.selector().asked()
	n := w.netem
	a.Out = true
	a.Delay, a.Jitter, a.DelayCorrelation = n.delay, n.jitter, n.delayCorrelation
	if n.jitter > 0 && n.distribution != nil {
		a.Shape = w.details["distribution"]
	}
	a.Loss, a.LossCorrelation = n.loss, n.lossCorrelation
	a.Duplicate, a.DuplicateCorrelation = n.duplicate, n.dupCorrelation
	a.Corrupt, a.CorruptCorrelation = n.corrupt, n.corCorrelation
	a.Reorder, a.ReorderCorrelation, a.Gap = n.reorder, n.reoCorrelation, int(n.gap)
	if w.rate > 0 {
		a.Rate, a.Burst, a.Queue = w.rate*8, w.burst, queueOf(w.rate)
	}
	return a, true, nil
}

// asked returns the parts of a valid selector.
func (s selector) asked() Asked {
	a := Asked{Ports: slices.Clone(s.ports)}
	for _, t := range s.to {
		if b, err := parseBlock(t); err == nil {
			a.Blocks = append(a.Blocks, b)
		} else {
			a.Hosts = append(a.Hosts, t)
		}
	}
	return a
}

// queueTime is how much a rate's queue holds, and leastQueue what it holds at the least: some packets as the kernel
// builds them. More is dropped.
const (
	queueTime  = 200 * time.Millisecond
	leastQueue = 4 << 16
)

// queueOf returns how many bytes wait for a rate, in bytes per second.
func queueOf(rate uint64) uint64 {
	return min(max(leastQueue, uint64(float64(rate)*queueTime.Seconds())), 1<<31)
}
