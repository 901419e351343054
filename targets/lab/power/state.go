// Package power is the switchboard of a lab as its clients see it: which nodes there are, and their power switches.
//
// It is small on purpose, and knows nothing of how a lab is built, so that a guard can power a node off and on
// without linking what builds networks. A lab serves the protocol on a Unix socket inside its own mount namespace:
// only processes of that lab can reach it, and it vanishes with the lab.
package power

import (
	"net/netip"
	"time"

	"gameday/faults"
)

// State is what is known of one node at one moment.
type State struct {
	Name    string     `json:"name"`
	Address netip.Addr `json:"address"` // the same after every boot
	On      bool       `json:"on"`      // it has booted and its first process lives
	// Init is the node's first process, whose death is the node's; its pid is the one seen in the lab. Zero while off.
	Init faults.Process `json:"init"`
	// Network is the node's network namespace, new at each boot. Zero while off.
	Network faults.Namespace `json:"network"`
	BootID  string           `json:"boot_id"`           // of the present boot, or of the last one
	Boots   int              `json:"boots"`             // how often it has booted
	BootsAt time.Time        `json:"boots_at,omitzero"` // off, and boots by itself then; zero: stays off
	// Trouble says why the node is off or not ready although nobody switched it off; empty otherwise.
	Trouble   string    `json:"trouble,omitempty"`
	Processes []Process `json:"processes,omitempty"`
}

// Process is one process that a node was told to run.
type Process struct {
	Name     string         `json:"name"`
	Process  faults.Process `json:"process"`             // its pid as seen in the lab; zero when it does not run
	Running  bool           `json:"running"`             // it was started and has not ended
	Ready    bool           `json:"ready"`               // it listens on its port, or has none to listen on
	Restarts int            `json:"restarts"`            // since the node's last boot
	LastExit string         `json:"last_exit,omitempty"` // "exit status 1", "signal: killed"; of this boot
}

// Place returns the node as a place for faults, with the lab's control socket as its power switch.
func (s State) Place(control string) faults.Place {
	p := faults.Place{
		Name:      s.Name,
		Node:      &faults.Node{Name: s.Name, Control: control, BootID: s.BootID, Init: s.Init},
		Addresses: []netip.Addr{s.Address},
	}
	if s.On {
		network := s.Network
		p.Network = &network
	}
	return p
}

// ProcessPlace returns the named process of the node as a place for faults; ok is false when it does not run.
func (s State) ProcessPlace(name string) (place faults.Place, ok bool) {
	for _, p := range s.Processes {
		if p.Name != name || p.Process.PID == 0 || !s.On {
			continue
		}
		process, network := p.Process, s.Network
		return faults.Place{
			Name:      s.Name + "/" + name,
			Process:   &process,
			Network:   &network,
			Addresses: []netip.Addr{s.Address},
		}, true
	}
	return faults.Place{}, false
}
