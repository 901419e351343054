package cluster

import (
	"fmt"
	"slices"
)

// Landing is one way in which a kind of fault lands in a cluster, or on what a cluster reaches: what it becomes there, and how it goes
// away when nobody of ours is left to see to it.
type Landing struct {
	// Where is the block of the target: "pods", "instance", "machine". It is "cluster" for a fault that has no target.
	Where string `json:"where"`
	// When says what must be so, where a kind becomes several things: "the target names containers".
	When   string `json:"when,omitempty"`
	Object string `json:"object"`           // the kind of Chaos Mesh's object: "PodChaos"; empty for any
	Action string `json:"action,omitempty"` // what it is told to do: "pod-kill"; empty when it knows one thing alone
	Held   Held   `json:"held"`
}

// Held says how a fault in a cluster goes away when gameday and its guard are gone.
type Held string

// The ways.
const (
	Lapses Held = "lapses"  // Chaos Mesh lifts it when its duration is over
	AtOnce Held = "at once" // it is done as soon as it is made: there is nothing to lift
	AsKind Held = "as its kind"
)

// Text says it in words that follow a comma.
func (h Held) Text() string {
	switch h {
	case Lapses:
		return "lapses by itself"
	case AtOnce:
		return "done at once, nothing undoes it"
	}
	return "lapses if its kind does"
}

// Text returns "PodChaos pod-kill".
func (l Landing) Text() string {
	switch {
	case l.Object == "":
		return "what its manifest says"
	case l.Action == "":
		return l.Object
	}
	return fmt.Sprintf("%s %s", l.Object, l.Action)
}

const (
	onPods     = "pods"
	onInstance = "instance"
	onMachine  = "machine"
)

// network are the landings of a fault of the network.
func networkLandings(pods, machine string) []Landing {
	out := []Landing{{Where: onPods, Object: "NetworkChaos", Action: pods, Held: Lapses}}
	if machine != "" {
		out = append(out, Landing{Where: onMachine, Object: "PhysicalMachineChaos", Action: machine, Held: Lapses})
	}
	return out
}

// restarts are the landings of a restart on an instance.
func restartLandings(when string, held Held, aws, gcp, azure string) []Landing {
	return []Landing{
		{Where: onInstance, When: when, Object: "AWSChaos", Action: aws, Held: held},
		{Where: onInstance, When: when, Object: "GCPChaos", Action: gcp, Held: held},
		{Where: onInstance, When: when, Object: "AzureChaos", Action: azure, Held: held},
	}
}

// landings is the table of them, by kind. What gameday-kubernetes makes of faults is held to it by a test of faults/chaosmesh, and
// docs/kubernetes.md too.
var landings = map[string][]Landing{
	"chaos_mesh": {{Where: "cluster", Held: AsKind}},
	"process_kill": {
		{Where: onPods, When: "the target names containers", Object: "PodChaos", Action: "container-kill", Held: AtOnce},
		{Where: onPods, When: "it names none", Object: "PodChaos", Action: "pod-kill", Held: AtOnce},
	},
	"node_restart": slices.Concat(
		[]Landing{{Where: onPods, Object: "PodChaos", Action: "pod-failure", Held: Lapses}},
		restartLandings("down_for is given", Lapses, "ec2-stop", "node-stop", "vm-stop"),
		restartLandings("it is not", AtOnce, "ec2-restart", "node-reset", "vm-restart")),
	"network_partition": networkLandings("partition", "network-partition"),
	"network_delay":     networkLandings("delay", "network-delay"),
	"network_loss":      networkLandings("loss", "network-loss"),
	"network_duplicate": networkLandings("duplicate", "network-duplicate"),
	"network_corrupt":   networkLandings("corrupt", "network-corrupt"),
	"network_reorder":   networkLandings("delay", ""),
	"network_rate":      networkLandings("bandwidth", "network-bandwidth"),
	"dns_outage":        {{Where: onPods, Object: "DNSChaos", Action: "error", Held: Lapses}},
	"cpu_stress": {
		{Where: onPods, Object: "StressChaos", Action: "cpu", Held: Lapses},
		{Where: onMachine, Object: "PhysicalMachineChaos", Action: "stress-cpu", Held: Lapses},
	},
	"memory_stress": {
		{Where: onPods, Object: "StressChaos", Action: "memory", Held: Lapses},
		{Where: onMachine, Object: "PhysicalMachineChaos", Action: "stress-mem", Held: Lapses},
	},
	"time_skew":  {{Where: onPods, Object: "TimeChaos", Held: Lapses}},
	"io_latency": {{Where: onPods, Object: "IOChaos", Action: "latency", Held: Lapses}},
	"io_error":   {{Where: onPods, Object: "IOChaos", Action: "fault", Held: Lapses}},
}

// Landings returns the ways in which a kind lands in a cluster; none when Chaos Mesh has nothing that does it.
func Landings(kind string) []Landing { return slices.Clone(landings[kind]) }
