package targets

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"gameday/faults"
)

// Process selects processes on this machine: all conditions that are given must hold.
type Process struct {
	Listen  int    `hcl:"listen,optional" json:"listen,omitempty"`   // a TCP port it listens on
	Exe     string `hcl:"exe,optional" json:"exe,omitempty"`         // path of its executable, or the last part of it
	Command string `hcl:"command,optional" json:"command,omitempty"` // a regular expression over its command line
	PIDFile string `hcl:"pidfile,optional" json:"pidfile,omitempty"` // a file that holds its pid
	User    string `hcl:"user,optional" json:"user,omitempty"`       // name or number of its user
}

// Kind returns "process".
func (p *Process) Kind() string { return "process" }

// Provides says that a process can be hit itself, and stands in a network.
func (p *Process) Provides() []faults.Need {
	return []faults.Need{faults.NeedProcess, faults.NeedNetwork}
}

// Validate reports a selector that selects everything, and values that cannot be.
func (p *Process) Validate() error {
	var errs []error
	if *p == (Process{}) {
		errs = append(errs, &faults.FieldError{Field: "listen", Summary: "Empty selector",
			Detail: "A process target that says nothing would select every process. Give listen, exe, command, pidfile or user."})
	}
	if p.Listen < 0 || p.Listen > 65535 {
		errs = append(errs, &faults.FieldError{Field: "listen", Summary: "Invalid port",
			Detail: fmt.Sprintf("A TCP port is a number from 1 to 65535, not %d.", p.Listen)})
	}
	if _, err := regexp.Compile(p.Command); err != nil {
		errs = append(errs, &faults.FieldError{Field: "command", Summary: "Invalid regular expression",
			Detail: strings.TrimPrefix(err.Error(), "error parsing regexp: ") + "."})
	}
	return errors.Join(errs...)
}

// String returns what the selector looks for.
func (p *Process) String() string {
	var parts []string
	if p.Listen != 0 {
		parts = append(parts, fmt.Sprintf("listening on port %d", p.Listen))
	}
	if p.Exe != "" {
		parts = append(parts, "running "+p.Exe)
	}
	if p.Command != "" {
		parts = append(parts, fmt.Sprintf("with a command like %q", p.Command))
	}
	if p.PIDFile != "" {
		parts = append(parts, "named by "+p.PIDFile)
	}
	if p.User != "" {
		parts = append(parts, "of user "+p.User)
	}
	return "process " + strings.Join(parts, ", ")
}

// Node selects one node of the scenario's lab.
type Node struct {
	Name string `hcl:"name" json:"name"`
}

// Kind returns "node".
func (n *Node) Kind() string { return "node" }

// Provides says that a node can be restarted, and has a network.
func (n *Node) Provides() []faults.Need { return []faults.Need{faults.NeedNode, faults.NeedNetwork} }

// Validate reports a missing name.
func (n *Node) Validate() error {
	if n.Name == "" {
		return &faults.FieldError{Field: "name", Summary: "Missing node name", Detail: "Name one of the lab's nodes."}
	}
	return nil
}

// String returns "node ledger".
func (n *Node) String() string { return "node " + n.Name }
