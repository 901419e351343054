// Package network holds the faults that hit what a place sends and receives.
package network

import (
	"context"
	"errors"
	"fmt"

	"gameday/faults"
)

// Values of Partition.Action.
const (
	drop   = "drop"
	reject = "reject"
)

// PartitionKind returns network_partition: a place is cut from others, in the kernel of its own network namespace.
func PartitionKind() faults.Kind {
	return faults.Kind{
		Name:       "network_partition",
		Summary:    "cut the network between two targets, or from a target to addresses",
		Needs:      faults.NeedNetwork,
		Between:    true,
		Undoing:    "kernel lease, undone by guard",
		Reversible: true,
		New:        func() faults.Config { return &Partition{} },
		Revert:     revert,
	}
}

// Partition holds the parameters of network_partition. Empty ones have defaults.
type Partition struct {
	// Direction is which packets are cut, as seen from the place: "both", "in" or "out".
	Direction string `hcl:"direction,optional" json:"direction,omitempty"`
	// To are the addresses, CIDR blocks and host names to cut from, unless the fault stands between targets.
	To []string `hcl:"to,optional" json:"to,omitempty"`
	// Ports narrows the cut to TCP and UDP packets with one of these as source or destination port.
	Ports []int `hcl:"ports,optional" json:"ports,omitempty"`
	// Action is what befalls a packet: "drop" or "reject".
	Action string `hcl:"action,optional" json:"action,omitempty"`
	// AllowSelfCut lets the fault hit addresses that gameday itself needs; its lease is then all that ends it.
	AllowSelfCut bool `hcl:"allow_self_cut,optional" json:"allow_self_cut,omitempty"`
}

// Touches returns the networks of To, with the addresses of its names.
func (p *Partition) Touches(faults.Place) (faults.Touched, error) { return p.selector().touches() }

// LookUp returns what looks up the host names in to, or nil.
func (p *Partition) LookUp() func(context.Context) error { return p.selector().lookUp() }

func (p *Partition) selector() selector {
	return selector{kind: "network_partition", to: p.To, ports: p.Ports, allowSelfCut: p.AllowSelfCut}
}

// Validate reports every wrong parameter.
func (p *Partition) Validate() error {
	return errors.Join(
		oneOf("direction", p.Direction, both, in, out),
		oneOf("action", p.Action, drop, reject),
		p.selector().validate(),
	)
}

// Bind computes what is cut. It refuses a cut of nothing, and one of the place from itself.
func (p *Partition) Bind(place faults.Place) (faults.Injection, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	s, err := p.selector().bind(place)
	if err != nil {
		return nil, err
	}
	return bind(plan{selection: s, in: p.Direction != out, out: p.Direction != in, reject: p.Action == reject})
}

// Preview returns "198.18.0.4, drop both ways".
func (p *Partition) Preview(place faults.Place) string {
	names, ok := p.selector().preview(place)
	if !ok {
		return "nothing to cut"
	}
	action := drop
	if p.Action != "" {
		action = p.Action
	}
	way := map[string]string{"": "both ways", both: "both ways", in: "what comes in", out: "what goes out"}[p.Direction]
	return fmt.Sprintf("%s, %s %s", names, action, way)
}

// plan is a partition computed for one place.
type plan struct {
	selection
	in, out bool
	reject  bool
}
