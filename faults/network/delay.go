package network

import (
	"context"
	"errors"
	"time"

	"gameday/faults"
)

// Limits of a delay.
const (
	defaultDelay = 100 * time.Millisecond
	leastDelay   = 10 * time.Microsecond
	longestDelay = time.Minute
	// longestJitter is what fits into 31 bits of nanoseconds, as the kernel computes with.
	longestJitter = 2 * time.Second
)

// DelayKind returns network_delay: what a place sends to others arrives later.
func DelayKind() faults.Kind {
	return shapeKind("network_delay", "delay what a target sends, to another target or to addresses",
		func() faults.Config { return &Delay{} })
}

// Delay holds the parameters of network_delay. Empty ones have defaults.
type Delay struct {
	// Delay is how much later each packet leaves, on average: "100ms" when empty.
	Delay string `hcl:"delay,optional" json:"delay,omitempty"`
	// Jitter is by how much delays differ: the standard deviation, or for "uniform" the largest difference.
	Jitter string `hcl:"jitter,optional" json:"jitter,omitempty"`
	// Correlation is how much a packet's delay depends on that of the one before, in percent.
	Correlation float64 `hcl:"correlation,optional" json:"correlation,omitempty"`
	// Distribution is that of the delays: "normal", "uniform", "pareto" or "paretonormal".
	Distribution string `hcl:"distribution,optional" json:"distribution,omitempty"`
	// To are the addresses, CIDR blocks and host names of receivers, unless the fault stands between targets.
	To []string `hcl:"to,optional" json:"to,omitempty"`
	// Ports narrows the fault to TCP and UDP packets with one of these as source or destination port.
	Ports []int `hcl:"ports,optional" json:"ports,omitempty"`
	// Direction is "out": no other is possible.
	Direction string `hcl:"direction,optional" json:"direction,omitempty"`
	// AllowSelfCut lets the fault hit addresses that gameday itself needs; its lease is then all that ends it.
	AllowSelfCut bool `hcl:"allow_self_cut,optional" json:"allow_self_cut,omitempty"`
}

// Touches returns the networks of To, with the addresses of its names.
func (d *Delay) Touches(faults.Place) (faults.Touched, error) { return d.selector().touches() }

// LookUp returns what looks up the host names in to, or nil.
func (d *Delay) LookUp() func(context.Context) error { return d.selector().lookUp() }

func (d *Delay) selector() selector {
	return selector{kind: "network_delay", to: d.To, ports: d.Ports, allowSelfCut: d.AllowSelfCut}
}

func (d *Delay) shaping() (shaping, error) {
	delay, errDelay := readDelay("delay", d.Delay, defaultDelay, leastDelay, longestDelay)
	jitter, errJitter := readDelay("jitter", d.Jitter, 0, 0, longestJitter)
	err := errors.Join(errDelay, errJitter, readCorrelation(d.Correlation),
		oneOf("distribution", d.Distribution, distributionNames()...))
	switch {
	case errDelay == nil && errJitter == nil && jitter > delay:
		err = errors.Join(err, &faults.FieldError{Field: "jitter", Summary: "Jitter out of range",
			Detail: "The jitter cannot be more than the delay, because no packet leaves before it is sent."})
	case jitter == 0 && errJitter == nil && (d.Correlation != 0 || d.Distribution != ""):
		err = errors.Join(err, &faults.FieldError{Field: "jitter", Summary: "Jitter missing",
			Detail: "correlation and distribution say how delays differ, and without jitter they do not."})
	}
	if err != nil {
		return shaping{}, err
	}
	s := shaping{netem: netem{delay: delay, jitter: jitter, delayCorrelation: d.Correlation},
		words: "delay " + delay.String(), details: map[string]string{"delay": delay.String()}}
	if jitter == 0 {
		return s, nil
	}
	name := d.Distribution
	if name == "" {
		name = normal
	}
	s.netem.distribution = distribution(name)
	s.words += " ± " + jitter.String() + " " + name
	s.details["jitter"], s.details["distribution"] = jitter.String(), name
	if d.Correlation > 0 {
		s.words += ", correlation " + number(d.Correlation) + "%"
		s.details["correlation"] = number(d.Correlation) + "%"
	}
	return s, nil
}

// Validate reports every wrong parameter.
func (d *Delay) Validate() error { return validateShape(d, d.Direction) }

// Bind computes what is delayed. It refuses to delay nothing, and all of a place's talk with itself.
func (d *Delay) Bind(p faults.Place) (faults.Injection, error) { return bindShape(d, p) }

// Preview returns "198.18.0.4, delay 100ms".
func (d *Delay) Preview(p faults.Place) string { return previewShape(d, p) }
