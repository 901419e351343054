package lab

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"gameday/faults"
)

// Config describes a lab: the `lab` block of a scenario.
type Config struct {
	Name  string       `hcl:"name,label" json:"name"`
	Nodes []NodeConfig `hcl:"node,block" json:"nodes"`
}

// NodeConfig describes one test host. Its name is its host name, and other nodes find it by that name.
type NodeConfig struct {
	Name      string          `hcl:"name,label" json:"name"`
	Processes []ProcessConfig `hcl:"process,block" json:"processes,omitempty"`
}

// ProcessConfig describes one program that a node runs from its boot on. Processes start in the order of
// declaration; one that listens is waited for before the next one starts.
type ProcessConfig struct {
	Name string `hcl:"name,label" json:"name"`
	// Command is the program and its arguments. A relative path with a slash in it starts at the scenario's folder; a
	// bare name is looked up in PATH.
	Command []string `hcl:"command" json:"command"`
	// Dir is the working directory; relative to the scenario's folder, which is also the default.
	Dir string            `hcl:"dir,optional" json:"dir,omitempty"`
	Env map[string]string `hcl:"env,optional" json:"env,omitempty"`
	// Restart is "never" (the default) or "always": what happens when the process ends, however it ends.
	Restart string `hcl:"restart,optional" json:"restart,omitempty"`
	// RestartDelay is how long the node waits before that, as a Go duration; 1s by default.
	RestartDelay string `hcl:"restart_delay,optional" json:"restart_delay,omitempty"`
	// Listen is the TCP port that the process must listen on before it counts as ready; 0 means ready once started.
	Listen uint16 `hcl:"listen,optional" json:"listen,omitempty"`
	// ReadyWithin is how long that may take, as a Go duration; 10s by default.
	ReadyWithin string `hcl:"ready_within,optional" json:"ready_within,omitempty"`
}

// The policies of ProcessConfig.Restart.
const (
	RestartNever  = "never"
	RestartAlways = "always"
)

const (
	defaultRestartDelay = time.Second
	defaultReadyWithin  = 10 * time.Second
	// maxNodes stays below the 1024 ports that a Linux bridge has.
	maxNodes = 1000
	// nodeVariable tells a process which node it runs on.
	nodeVariable = "GAMEDAY_NODE"
	// coreName is what nodes call the lab's core, where the traffic comes from.
	coreName = "gameday"
)

var (
	hostName    = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	processName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_-]{0,62})$`)
)

// Validate reports every mistake that can be seen without starting anything, joined, each a *faults.FieldError whose
// Field is the path of labels and attributes from the lab block down: "node.ledger.process.api.restart_delay".
func (c Config) Validate() error {
	var errs problems
	if len(c.Nodes) == 0 {
		errs.add("node", "No nodes", "A lab needs at least one node block.")
	}
	if len(c.Nodes) > maxNodes {
		errs.add("node", "Too many nodes", "A lab has at most %d nodes; this one has %d.", maxNodes, len(c.Nodes))
	}
	seen := map[string]bool{}
	logs := map[string]string{}
	for _, n := range c.Nodes {
		at := "node." + n.Name
		switch {
		case !hostName.MatchString(n.Name):
			errs.add(at, "Invalid node name", "A node's name is its host name: 1 to 63 lower-case letters, digits and "+
				"hyphens, with no hyphen at either end. %q is not one.", n.Name)
		case n.Name == coreName || n.Name == "localhost":
			errs.add(at, "Reserved node name", "%q means something else in a lab; choose another name.", n.Name)
		case seen[n.Name]:
			errs.add(at, "Duplicate node", "There is another node %q in this lab; names are unique.", n.Name)
		}
		seen[n.Name] = true
		n.validate(at, logs, &errs)
	}
	return errors.Join(errs...)
}

// validate checks the node's processes. logs holds the log files named so far, and who writes them.
func (n NodeConfig) validate(at string, logs map[string]string, errs *problems) {
	seen := map[string]bool{}
	for _, p := range n.Processes {
		at := at + ".process." + p.Name
		switch other, taken := logs[logName(n.Name, p.Name)]; {
		case !processName.MatchString(p.Name):
			errs.add(at, "Invalid process name", "A process's name has 1 to 63 letters, digits, hyphens and underscores, "+
				"and begins with a letter or digit. %q does not fit.", p.Name)
		case seen[p.Name]:
			errs.add(at, "Duplicate process", "Node %q has another process %q; names are unique in a node.", n.Name, p.Name)
		case taken:
			errs.add(at, "Log files collide", "The log file %s would also be that of %s; rename one of them.",
				logName(n.Name, p.Name), other)
		}
		seen[p.Name] = true
		logs[logName(n.Name, p.Name)] = fmt.Sprintf("process %q of node %q", p.Name, n.Name)
		p.validate(at, errs)
	}
}

// validate checks the process's own attributes.
func (p ProcessConfig) validate(at string, errs *problems) {
	if len(p.Command) == 0 || p.Command[0] == "" {
		errs.add(at+".command", "Missing command", `Give the program and its arguments, such as ["bin/shop", "ledger"].`)
	}
	for i, arg := range p.Command {
		if strings.ContainsRune(arg, 0) {
			errs.add(at+".command", "Invalid command", "Argument %d has a zero byte in it, which no program can be given.", i)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Env)) {
		switch {
		case name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(p.Env[name], 0):
			errs.add(at+".env", "Invalid environment variable", "%q cannot be set: names are not empty and have no =, "+
				"and neither names nor values have a zero byte.", name)
		case name == nodeVariable:
			errs.add(at+".env", "Reserved environment variable", "%s is set by the lab to the node's name.", name)
		}
	}
	if p.Restart != "" && p.Restart != RestartNever && p.Restart != RestartAlways {
		errs.add(at+".restart", "Invalid restart policy", `restart is "never" or "always", not %q.`, p.Restart)
	}
	if _, err := duration(p.RestartDelay, defaultRestartDelay, 0); err != nil {
		errs.add(at+".restart_delay", "Invalid duration", "%v", err)
	}
	if _, err := duration(p.ReadyWithin, defaultReadyWithin, time.Millisecond); err != nil {
		errs.add(at+".ready_within", "Invalid duration", "%v", err)
	}
	if p.ReadyWithin != "" && p.Listen == 0 {
		errs.add(at+".ready_within", "Nothing to wait for", "ready_within bounds the wait for a port; set listen too.")
	}
}

// duration parses s, or returns fallback when it is empty. Its error is a whole sentence for people.
func duration(s string, fallback, least time.Duration) (time.Duration, error) {
	if s == "" {
		return fallback, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf(`%q is not a duration; write it like "1.5s" or "250ms"`, s)
	}
	if d < least {
		return 0, fmt.Errorf("%q is too short: at least %s is needed", s, least)
	}
	return d, nil
}

// logName returns the name of a process's log file.
func logName(node, process string) string { return node + "-" + process + ".log" }

// problems gathers field errors.
type problems []error

func (p *problems) add(field, summary, detail string, args ...any) {
	*p = append(*p, &faults.FieldError{Field: field, Summary: summary, Detail: fmt.Sprintf(detail, args...)})
}
