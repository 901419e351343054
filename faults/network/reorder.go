package network

import (
	"context"
	"errors"
	"time"

	"gameday/faults"
)

// Defaults of network_reorder.
const (
	defaultReorder      = 25 // percent
	defaultReorderDelay = 10 * time.Millisecond
	mostGap             = 1000
)

// ReorderKind returns network_reorder: some of what a place sends overtakes the rest.
func ReorderKind() faults.Kind {
	return shapeKind("network_reorder",
		"let some of a target's packets overtake others, to another target or to addresses",
		func() faults.Config { return &Reorder{} })
}

// Reorder holds the parameters of network_reorder. Empty ones have defaults.
type Reorder struct {
	// Percent is how many of the packets leave at once, each by chance, and overtake the others; 25 when not given.
	Percent *float64 `hcl:"percent,optional" json:"percent,omitempty"`
	// Correlation is how much a packet's fate depends on that of the one before, in percent.
	Correlation float64 `hcl:"correlation,optional" json:"correlation,omitempty"`
	// Delay is how much later all other packets leave: "10ms" when empty.
	Delay string `hcl:"delay,optional" json:"delay,omitempty"`
	// Gap lets only each packet of this number overtake, with the chance of Percent: 5 means every fifth. 0 and 1 mean
	// all.
	Gap int `hcl:"gap,optional" json:"gap,omitempty"`
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
func (r *Reorder) Touches(faults.Place) (faults.Touched, error) { return r.selector().touches() }

// LookUp returns what looks up the host names in to, or nil.
func (r *Reorder) LookUp() func(context.Context) error { return r.selector().lookUp() }

func (r *Reorder) selector() selector {
	return selector{kind: "network_reorder", to: r.To, ports: r.Ports, allowSelfCut: r.AllowSelfCut}
}

func (r *Reorder) shaping() (shaping, error) {
	percent, errPercent := readPercent(r.Percent, defaultReorder)
	delay, errDelay := readDelay("delay", r.Delay, defaultReorderDelay, leastDelay, longestDelay)
	err := errors.Join(errPercent, errDelay, readCorrelation(r.Correlation))
	if r.Gap < 0 || r.Gap > mostGap {
		err = errors.Join(err, &faults.FieldError{Field: "gap", Summary: "Gap out of range",
			Detail: "gap is a number of packets from 0 to 1000."})
	}
	if err != nil {
		return shaping{}, err
	}
	words := percentWords(percent, r.Correlation)
	s := shaping{netem: netem{delay: delay, reorder: percent, reoCorrelation: r.Correlation, gap: uint32(max(r.Gap, 1))},
		words:   "reorder " + words + ", delay " + delay.String(),
		details: map[string]string{"reorder": words, "delay": delay.String()}}
	if r.Gap > 1 {
		s.words += ", gap " + number(float64(r.Gap))
		s.details["gap"] = number(float64(r.Gap))
	}
	return s, nil
}

// Validate reports every wrong parameter.
func (r *Reorder) Validate() error { return validateShape(r, r.Direction) }

// Bind computes what is reordered. It refuses to hit nothing, and all of a place's talk with itself.
func (r *Reorder) Bind(p faults.Place) (faults.Injection, error) { return bindShape(r, p) }

// Preview returns "198.18.0.4, reorder 25%, delay 10ms".
func (r *Reorder) Preview(p faults.Place) string { return previewShape(r, p) }
