// Package kinds is the list of fault kinds that this build has.
package kinds

import (
	"gameday/faults"
	"gameday/faults/cluster"
	"gameday/faults/command"
	"gameday/faults/dns"
	"gameday/faults/network"
	"gameday/faults/node"
	"gameday/faults/process"
	"gameday/faults/stress"
)

// All returns every kind, in order of name. A new kind is added here by hand, so that what is linked in can be
// read.
func All() []faults.Kind {
	return []faults.Kind{
		cluster.ChaosMeshKind(),
		command.Kind(),
		stress.CPUKind(),
		stress.DiskKind(),
		dns.OutageKind(),
		stress.FDKind(),
		cluster.IOErrorKind(),
		cluster.IOLatencyKind(),
		stress.IOKind(),
		stress.MemoryKind(),
		network.CorruptKind(),
		network.DelayKind(),
		network.DuplicateKind(),
		network.LossKind(),
		network.PartitionKind(),
		network.RateKind(),
		network.ReorderKind(),
		node.RestartKind(),
		stress.PortsKind(),
		process.KillKind(),
		process.PauseKind(),
		cluster.TimeSkewKind(),
	}
}
