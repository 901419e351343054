package network

import (
	"context"
	"errors"

	"gameday/faults"
)

// defaultDuplicate is the share of packets that are sent twice, in percent, when none is given.
const defaultDuplicate = 10

// DuplicateKind returns network_duplicate: some of what a place sends arrives twice.
func DuplicateKind() faults.Kind {
	return shapeKind("network_duplicate", "send some of a target's packets twice, to another target or to addresses",
		func() faults.Config { return &Duplicate{} })
}

// Duplicate holds the parameters of network_duplicate. Empty ones have defaults.
type Duplicate struct {
	// Percent is how many of the packets are sent twice, each by chance; 10 when not given.
	Percent *float64 `hcl:"percent,optional" json:"percent,omitempty"`
	// Correlation is how much a packet's fate depends on that of the one before, in percent.
	Correlation float64 `hcl:"correlation,optional" json:"correlation,omitempty"`
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
func (d *Duplicate) Touches(faults.Place) (faults.Touched, error) { return d.selector().touches() }

// LookUp returns what looks up the host names in to, or nil.
func (d *Duplicate) LookUp() func(context.Context) error { return d.selector().lookUp() }

func (d *Duplicate) selector() selector {
	return selector{kind: "network_duplicate", to: d.To, ports: d.Ports, allowSelfCut: d.AllowSelfCut}
}

func (d *Duplicate) shaping() (shaping, error) {
	percent, err := readPercent(d.Percent, defaultDuplicate)
	if err = errors.Join(err, readCorrelation(d.Correlation)); err != nil {
		return shaping{}, err
	}
	words := percentWords(percent, d.Correlation)
	return shaping{netem: netem{duplicate: percent, dupCorrelation: d.Correlation},
		words: "duplicate " + words, details: map[string]string{"duplicate": words}}, nil
}

// Validate reports every wrong parameter.
func (d *Duplicate) Validate() error { return validateShape(d, d.Direction) }

// Bind computes what is sent twice. It refuses to hit nothing, and all of a place's talk with itself.
func (d *Duplicate) Bind(p faults.Place) (faults.Injection, error) { return bindShape(d, p) }

// Preview returns "198.18.0.4, duplicate 10%".
func (d *Duplicate) Preview(p faults.Place) string { return previewShape(d, p) }
