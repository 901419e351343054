package faults

import (
	"cmp"
	"fmt"
	"net/netip"
)

// Place is where a fault lands, as the guard beside it sees it. It is plain data: it travels to the guard as JSON and
// stands in the ledger, so that a fresh process can find the same place again, or see that it is gone.
type Place struct {
	Name    string     `json:"name"` // shown to people: "payments", "ledger"; unique in a run
	Process *Process   `json:"process,omitempty"`
	Network *Namespace `json:"network,omitempty"`
	Node    *Node      `json:"node,omitempty"`
	// Host is the SSH destination of the machine that the place is on; empty for this one. A guard over there does not need
	// it: it tells people, and whoever reaches that guard, where to look.
	Host string `json:"host,omitempty"`
	// Names are further names of that machine, for a policy to judge: what it calls itself, and what ssh makes of Host.
	Names []string `json:"names,omitempty"`
	// Addresses are the place's own, for others to cut.
	Addresses []netip.Addr `json:"addresses,omitempty"`
	// Cluster is set for what a Kubernetes cluster runs or knows of; the place has none of the parts above then.
	Cluster *Cluster `json:"cluster,omitempty"`
	// Peers are the places on the other side of a fault that stands between targets.
	Peers []Peer `json:"peers,omitempty"`
}

// Process names one process for good: a pid together with its start time is never reused.
type Process struct {
	PID     int    `json:"pid"`
	Start   uint64 `json:"start"` // clock ticks since boot: field 22 of /proc/PID/stat
	Exe     string `json:"exe,omitempty"`
	Command string `json:"command,omitempty"`
}

// Namespace is a network namespace: its identity, and a process that was seen in it.
type Namespace struct {
	Inode  uint64 `json:"inode"`
	Device uint64 `json:"device"`
	PID    int    `json:"pid"` // a member when the place was resolved; others are searched when it is gone
}

// Node is a whole host that can be powered off and on. In a lab its power switch is a Unix socket.
type Node struct {
	Name    string  `json:"name"`
	Control string  `json:"control"` // path of the lab's control socket
	BootID  string  `json:"boot_id"`
	Init    Process `json:"init"`          // the node's first process, whose death is the node's
	SSH     *SSH    `json:"ssh,omitempty"` // set for a host that is reached by SSH: it has no switch
	// Engine is the path of the socket of the Docker Engine whose container the node is, and Container its whole id. A
	// container has neither switch nor boot id, and its first process is the place's own.
	Engine    string `json:"engine,omitempty"`
	Container string `json:"container,omitempty"`
}

// SSH says how the user's own ssh reaches a machine.
type SSH struct {
	Destination string `json:"destination"`      // an alias of the user's configuration, user@host, or ssh://user@host:port
	Config      string `json:"config,omitempty"` // file for ssh -F; empty for the user's own
	Sudo        bool   `json:"sudo,omitempty"`   // what needs root goes through sudo -n
}

// Peer is the other side of a fault between targets. A fault needs its addresses; the rest tells a policy what it is, as
// the same fields of a Place do.
type Peer struct {
	Name      string       `json:"name"`
	Addresses []netip.Addr `json:"addresses"`
	Process   *Process     `json:"process,omitempty"`
	Node      *Node        `json:"node,omitempty"`
	Host      string       `json:"host,omitempty"`
	Names     []string     `json:"names,omitempty"`
	Cluster   *Cluster     `json:"cluster,omitempty"`
}

// Peer returns the place as the other side of a fault.
func (p Place) Peer() Peer {
	return Peer{Name: p.Name, Addresses: p.Addresses, Process: p.Process, Node: p.Node, Host: p.Host, Names: p.Names, Cluster: p.Cluster}
}

// Individual returns what tells the place from all others of a run. The same place found by two selectors has the same; one
// that was restarted has another, unless it is a node, a container or a host.
func (p Place) Individual() string {
	i := p.Peer().Individual()
	if i == "" && p.Network != nil {
		return fmt.Sprintf("network %d:%d", p.Network.Device, p.Network.Inode)
	}
	return cmp.Or(i, "place "+p.Name)
}

// Individual is that of the place. It is empty when the peer has neither process, node nor host.
func (p Peer) Individual() string {
	switch {
	case p.Cluster != nil:
		return p.Cluster.Individual()
	case p.Node != nil && p.Node.Container != "":
		return "container " + p.Node.Container
	case p.Process != nil:
		return fmt.Sprintf("process %s %d %d", p.Host, p.Process.PID, p.Process.Start)
	case p.Host != "":
		return "host " + p.Host
	case p.Node != nil:
		return "node " + p.Node.Name
	}
	return ""
}
