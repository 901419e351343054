// Package kinds is the list of fault kinds that this build has.
package kinds

import (
	"gameday/faults"
	"gameday/faults/network"
	"gameday/faults/node"
	"gameday/faults/process"
)

// All returns every kind, in order of name. A new kind is added here by hand, so that what is linked in can be
// read.
func All() []faults.Kind {
	return []faults.Kind{
		network.PartitionKind(),
		node.RestartKind(),
		process.KillKind(),
	}
}
