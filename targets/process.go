package targets

import (
	"gameday/faults"
	"gameday/faults/find"
)

// Process selects processes: all conditions that are given must hold.
type Process = find.Process

// Node selects one node of the scenario's lab.
type Node struct {
	Name string `hcl:"name" json:"name"`
}

// Kind returns "node".
func (n *Node) Kind() string { return "node" }

// Provides says that a node can be restarted, has a network, and runs on a machine: the one that all of its lab's nodes share.
func (n *Node) Provides() []faults.Need {
	return []faults.Need{faults.NeedNode, faults.NeedNetwork, faults.NeedMachine}
}

// Validate reports a missing name.
func (n *Node) Validate() error {
	if n.Name == "" {
		return &faults.FieldError{Field: "name", Summary: "Missing node name", Detail: "Name one of the lab's nodes."}
	}
	return nil
}

// String returns "node ledger".
func (n *Node) String() string { return "node " + n.Name }
