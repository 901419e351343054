package faults

import (
	"fmt"
	"slices"
)

// Overlap says what two faults would disturb both, in words that follow "in": "the same network namespace". It is empty
// when neither is in the other's way: they land elsewhere, or do different things. Faults on a process overlap there, faults
// on a network in its namespace, faults on the machine with those of their own kind; a node's restart with everything in it. In a
// cluster all of that is what a pod, an instance or a machine has.
func Overlap(kinds []Kind, a, b Entry) string {
	an, bn := needs(kinds, a.Kind), needs(kinds, b.Kind)
	switch {
	case a.Place.Cluster != nil && b.Place.Cluster != nil:
		return inCluster(a, b, an, bn)
	case a.Place.Cluster != nil || b.Place.Cluster != nil:
		return ""
	case (an == NeedNode || bn == NeedNode) && (sameNode(a.Place, b.Place) || sameNetwork(a.Place, b.Place)):
		return "the same node"
	case an == NeedProcess && bn == NeedProcess && sameProcess(a.Place, b.Place):
		return fmt.Sprintf("the same process (pid %d)", a.Place.Process.PID)
	case an == NeedNetwork && bn == NeedNetwork && sameNetwork(a.Place, b.Place):
		return "the same network namespace"
	case an == NeedMachine && bn == NeedMachine && a.Kind == b.Kind && sameMachine(a.Place, b.Place):
		return "the same machine"
	}
	return ""
}

// inCluster is Overlap of two places in clusters. Of a fault that says by itself where it lands nothing can be told here: what
// has it in the cluster knows.
func inCluster(a, b Entry, an, bn Need) string {
	what := a.Place.Cluster.same(b.Place.Cluster)
	switch {
	case what == "":
		return ""
	case an == NeedNode || bn == NeedNode:
		return what
	case an == bn && (an == NeedProcess || an == NeedNetwork || a.Kind == b.Kind):
		return what
	}
	return ""
}

// needs returns what a kind works on. Of a kind that this build does not have nothing is known.
func needs(kinds []Kind, name string) Need {
	i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == name })
	if i < 0 {
		return ""
	}
	return kinds[i].Needs
}

func sameProcess(a, b Place) bool {
	return a.Process != nil && b.Process != nil && a.Process.PID == b.Process.PID && a.Process.Start == b.Process.Start
}

func sameNetwork(a, b Place) bool {
	return a.Network != nil && b.Network != nil && a.Network.Inode == b.Network.Inode && a.Network.Device == b.Network.Device
}

func sameNode(a, b Place) bool {
	return a.Node != nil && b.Node != nil && a.Node.BootID == b.Node.BootID && a.Node.Name == b.Node.Name &&
		a.Node.Container == b.Node.Container
}

// sameMachine reports whether both places are where their guards stand, or on one node. A container has no machine of its
// own.
func sameMachine(a, b Place) bool {
	own := func(p Place) bool { return p.Node != nil && p.Node.Container == "" }
	return !own(a) && !own(b) || sameNode(a, b)
}
