package faults

import "net/netip"

// Place is where a fault lands, as the guard beside it sees it. It is plain data: it travels to the guard as JSON and
// stands in the ledger, so that a fresh process can find the same place again, or see that it is gone.
type Place struct {
	Name    string     `json:"name"` // shown to people: "payments", "ledger"; unique in a run
	Process *Process   `json:"process,omitempty"`
	Network *Namespace `json:"network,omitempty"`
	Node    *Node      `json:"node,omitempty"`
	// Addresses are the place's own, for others to cut.
	Addresses []netip.Addr `json:"addresses,omitempty"`
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
	Init    Process `json:"init"` // the node's first process, whose death is the node's
}

// Peer is the other side of a fault between targets.
type Peer struct {
	Name      string       `json:"name"`
	Addresses []netip.Addr `json:"addresses"`
}
