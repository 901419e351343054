package chaosmesh

import (
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"

	"gameday/faults"
	"gameday/faults/network"
	"gameday/faults/stress"
)

const onMachines = "a machine with chaosd"

// notOnMachines says why some kinds have no counterpart where chaosd runs.
var notOnMachines = map[string]string{
	"command":         "chaosd's own commands come back with nothing that could be reverted by; use a host target, or a manifest with action user_defined",
	"disk_fill":       "chaosd leaves the file that it fills a disk with lying there when the fault is over, so nothing would undo it; use a host target",
	"dns_outage":      "chaosd answers names with other addresses, or asks another server, and fails none; use a host target, or a manifest with action network-dns",
	"fd_exhaustion":   "chaosd takes no file descriptors away; use a host target",
	"io_error":        "chaosd gets in the way of no files; use a target with pods",
	"io_latency":      "chaosd gets in the way of no files; use a target with pods",
	"io_stress":       "chaosd writes an amount and is done, and does not keep a disk busy; use a host target",
	"network_reorder": "chaosd lets no packets overtake others; use a host target",
	"node_restart":    "chaosd has no action that restarts its machine: a command that does would be asked for again after each boot; use a host target",
	"port_exhaustion": "chaosd takes no ports away but one; use a host target",
	"process_kill":    "a machine is not a process, and chaosd kills by name or pid; use a host target with a process, or a manifest with action process",
	"process_pause":   "a machine is not a process, and chaosd stops by name or pid; use a host target with a process, or a manifest with action process",
	"time_skew":       "chaosd shifts the clock of a process by its pid, and a machine is none; use a target with pods, or a manifest with action clock",
}

// machineObject returns what a fault becomes on a machine on which chaosd runs.
func machineObject(kind string, config faults.Config, p faults.Place) (*object, error) {
	m := *p.Cluster.Machine
	chaos := &v1alpha1.PhysicalMachineChaos{ObjectMeta: v1.ObjectMeta{Namespace: m.Namespace}}
	if err := pinMachine(&chaos.Spec, m); err != nil {
		return nil, fmt.Errorf("%s on %s: %w", kind, p.Name, err)
	}
	o := &object{kind: v1alpha1.KindPhysicalMachineChaos, made: chaos, lapses: true}
	switch c := config.(type) {
	case *stress.CPU:
		l := cpuStress(c)
		chaos.Spec.Action = v1alpha1.PMStressCPUAction
		chaos.Spec.StressCPU = &v1alpha1.StressCPUSpec{Workers: l.stressors.CPUStressor.Workers, Load: *l.stressors.CPUStressor.Load}
		return o, l.err
	case *stress.Memory:
		size, err := memorySize(c)
		chaos.Spec.Action, chaos.Spec.StressMemory = v1alpha1.PMStressMemAction, &v1alpha1.StressMemorySpec{Size: size}
		o.note = "It leaves no floor: the kernel may kill other processes of the machine."
		return o, err
	}
	if why, known := notOnMachines[kind]; known {
		return nil, &impossible{kind: kind, where: onMachines, why: why}
	}
	asked, ours, err := network.AskedOf(config)
	if err != nil {
		return nil, err
	}
	if !ours {
		return nil, &impossible{kind: kind, where: onMachines, why: "chaosd has nothing that does it"}
	}
	return o, machineNetwork(kind, asked, p, &chaos.Spec)
}

// pinMachine selects exactly one machine: by the name of its object, or by the address of its chaosd.
func pinMachine(spec *v1alpha1.PhysicalMachineChaosSpec, m faults.PhysicalMachine) error {
	spec.Mode = v1alpha1.AllMode
	switch {
	case m.Namespace == "":
		return fmt.Errorf("the target has no namespace to put the object in")
	case m.Name != "":
		spec.Selector.PhysicalMachines = map[string][]string{m.Namespace: {m.Name}}
	case m.Address != "":
		spec.Address = []string{m.Address}
	default:
		return fmt.Errorf("the target names neither a PhysicalMachine nor the address of a chaosd")
	}
	return nil
}

// machineNetwork writes the fault of the network that a machine gets.
func machineNetwork(kind string, a network.Asked, p faults.Place, spec *v1alpha1.PhysicalMachineChaosSpec) error {
	cut := kind == "network_partition"
	oneWay := refuse(unsupported{cut && a.In && a.Out, "direction",
		"chaosd cuts one way at a time. Write direction = \"out\" or \"in\": without answers nothing gets through either."})
	if err := errors.Join(oneWay, noNetwork(a)); err != nil {
		return err
	}
	other, err := othersOf(kind, a, flat(p))
	if err != nil {
		return err
	}
	device := p.Cluster.Machine.Device
	if device == "" {
		return fmt.Errorf("%s on %s: chaosd must be told a network interface: write device = \"eth0\" into the target", kind, p.Name)
	}
	addresses := strings.Join(other.external[:len(other.external)-len(a.Hosts)], ",")
	hosts := strings.Join(a.Hosts, ",")
	common := func(correlation float64) v1alpha1.NetworkCommonSpec {
		return v1alpha1.NetworkCommonSpec{Device: device, IPAddress: addresses, Hostname: hosts, Correlation: number(correlation)}
	}
	switch {
	case cut:
		spec.Action = v1alpha1.PMNetworkPartitionAction
		spec.NetworkPartition = &v1alpha1.NetworkPartitionSpec{Device: device, IPAddress: addresses, Hostname: hosts, Direction: string(directionOf(a))}
	case a.Rate > 0:
		spec.Action = v1alpha1.PMNetworkBandwidthAction
		spec.NetworkBandwidth = &v1alpha1.NetworkBandwidthSpec{Device: device, IPAddress: addresses, Hostname: hosts,
			Rate: bits(a.Rate), Limit: limitOf(a), Buffer: uint32(a.Burst)}
	case a.Delay > 0:
		d := delayOf(a)
		spec.Action = v1alpha1.PMNetworkDelayAction
		spec.NetworkDelay = &v1alpha1.NetworkDelaySpec{NetworkCommonSpec: common(a.DelayCorrelation), Latency: d.Latency, Jitter: d.Jitter}
	case a.Loss > 0:
		spec.Action = v1alpha1.PMNetworkLossAction
		spec.NetworkLoss = &v1alpha1.NetworkLossSpec{NetworkCommonSpec: common(a.LossCorrelation), Percent: number(a.Loss)}
	case a.Duplicate > 0:
		spec.Action = v1alpha1.PMNetworkDuplicateAction
		spec.NetworkDuplicate = &v1alpha1.NetworkDuplicateSpec{NetworkCommonSpec: common(a.DuplicateCorrelation), Percent: number(a.Duplicate)}
	case a.Corrupt > 0:
		spec.Action = v1alpha1.PMNetworkCorruptAction
		spec.NetworkCorrupt = &v1alpha1.NetworkCorruptSpec{NetworkCommonSpec: common(a.CorruptCorrelation), Percent: number(a.Corrupt)}
	}
	return nil
}

// flat is the place with peers that are known by their addresses alone: chaosd knows no pods.
func flat(p faults.Place) faults.Place {
	peers := make([]faults.Peer, len(p.Peers))
	for i, peer := range p.Peers {
		peers[i] = faults.Peer{Name: peer.Name, Addresses: peer.Addresses}
	}
	p.Peers = peers
	return p
}
