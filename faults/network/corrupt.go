package network

import (
	"context"
	"errors"

	"gameday/faults"
)

// defaultCorrupt is the share of packets that are corrupted, in percent, when none is given.
const defaultCorrupt = 1

// CorruptKind returns network_corrupt: some of what a place sends arrives with one bit flipped.
func CorruptKind() faults.Kind {
	return shapeKind("network_corrupt", "flip a bit in some of what a target sends, to another target or to addresses",
		func() faults.Config { return &Corrupt{} })
}

// Corrupt holds the parameters of network_corrupt. Empty ones have defaults.
type Corrupt struct {
	// Percent is how many of the packets are corrupted, each by chance; 1 when not given.
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
func (c *Corrupt) Touches(faults.Place) (faults.Touched, error) { return c.selector().touches() }

// LookUp returns what looks up the host names in to, or nil.
func (c *Corrupt) LookUp() func(context.Context) error { return c.selector().lookUp() }

func (c *Corrupt) selector() selector {
	return selector{kind: "network_corrupt", to: c.To, ports: c.Ports, allowSelfCut: c.AllowSelfCut}
}

func (c *Corrupt) shaping() (shaping, error) {
	percent, err := readPercent(c.Percent, defaultCorrupt)
	if err = errors.Join(err, readCorrelation(c.Correlation)); err != nil {
		return shaping{}, err
	}
	words := percentWords(percent, c.Correlation)
	return shaping{netem: netem{corrupt: percent, corCorrelation: c.Correlation},
		words: "corrupt " + words, details: map[string]string{"corrupt": words}}, nil
}

// Validate reports every wrong parameter.
func (c *Corrupt) Validate() error { return validateShape(c, c.Direction) }

// Bind computes what is corrupted. It refuses to hit nothing, and all of a place's talk with itself.
func (c *Corrupt) Bind(p faults.Place) (faults.Injection, error) { return bindShape(c, p) }

// Preview returns "198.18.0.4, corrupt 1%".
func (c *Corrupt) Preview(p faults.Place) string { return previewShape(c, p) }
