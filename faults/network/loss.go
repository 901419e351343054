package network

import (
	"context"
	"errors"

	"gameday/faults"
)

// defaultLoss is the share of packets that are lost, in percent, when none is given.
const defaultLoss = 10

// LossKind returns network_loss: some of what a place sends never arrives.
func LossKind() faults.Kind {
	return shapeKind("network_loss", "lose some of what a target sends, to another target or to addresses",
		func() faults.Config { return &Loss{} })
}

// Loss holds the parameters of network_loss. Empty ones have defaults.
type Loss struct {
	// Percent is how many of the packets are lost, each by chance; 10 when not given.
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
func (l *Loss) Touches(faults.Place) (faults.Touched, error) { return l.selector().touches() }

// LookUp returns what looks up the host names in to, or nil.
func (l *Loss) LookUp() func(context.Context) error { return l.selector().lookUp() }

func (l *Loss) selector() selector {
	return selector{kind: "network_loss", to: l.To, ports: l.Ports, allowSelfCut: l.AllowSelfCut}
}

func (l *Loss) shaping() (shaping, error) {
	percent, err := readPercent(l.Percent, defaultLoss)
	if err = errors.Join(err, readCorrelation(l.Correlation)); err != nil {
		return shaping{}, err
	}
	words := percentWords(percent, l.Correlation)
	return shaping{netem: netem{loss: percent, lossCorrelation: l.Correlation},
		words: "loss " + words, details: map[string]string{"loss": words}}, nil
}

// Validate reports every wrong parameter.
func (l *Loss) Validate() error { return validateShape(l, l.Direction) }

// Bind computes what is lost. It refuses to hit nothing, and all of a place's talk with itself.
func (l *Loss) Bind(p faults.Place) (faults.Injection, error) { return bindShape(l, p) }

// Preview returns "198.18.0.4, loss 10%".
func (l *Loss) Preview(p faults.Place) string { return previewShape(l, p) }
