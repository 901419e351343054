package find

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"

	"gameday/faults"
)

// Process selects processes of one machine: all conditions that are given must hold. The kernel's own threads are never selected,
// whoever's they count as.
type Process struct {
	Listen  int    `hcl:"listen,optional" json:"listen,omitempty"`   // a TCP port it listens on
	Exe     string `hcl:"exe,optional" json:"exe,omitempty"`         // path of its executable, or the last part of it
	Command string `hcl:"command,optional" json:"command,omitempty"` // a regular expression over its command line
	PIDFile string `hcl:"pidfile,optional" json:"pidfile,omitempty"` // a file that holds its pid
	User    string `hcl:"user,optional" json:"user,omitempty"`       // name or number of its user
	Unit    string `hcl:"unit,optional" json:"unit,omitempty"`       // the systemd unit that it belongs to
	Cgroup  string `hcl:"cgroup,optional" json:"cgroup,omitempty"`   // path of the cgroup that it is in, or of one above
}

// Kind returns "process".
func (p *Process) Kind() string { return "process" }

// Provides says that a process can be hit itself, stands in a network, and runs on a machine.
func (p *Process) Provides() []faults.Need {
	return []faults.Need{faults.NeedProcess, faults.NeedNetwork, faults.NeedMachine}
}

// Validate reports a selector that selects everything, and values that cannot be.
func (p *Process) Validate() error {
	var errs []error
	if *p == (Process{}) {
		errs = append(errs, &faults.FieldError{Field: "listen", Summary: "Empty selector",
			Detail: "A process target that says nothing would select every process. Give listen, exe, command, pidfile, user, unit or cgroup."})
	}
	if p.Listen < 0 || p.Listen > 65535 {
		errs = append(errs, &faults.FieldError{Field: "listen", Summary: "Invalid port",
			Detail: fmt.Sprintf("A TCP port is a number from 1 to 65535, not %d.", p.Listen)})
	}
	if _, err := regexp.Compile(p.Command); err != nil {
		errs = append(errs, &faults.FieldError{Field: "command", Summary: "Invalid regular expression",
			Detail: strings.TrimPrefix(err.Error(), "error parsing regexp: ") + "."})
	}
	if strings.ContainsAny(p.Unit, "/*? \n") {
		errs = append(errs, &faults.FieldError{Field: "unit", Summary: "Invalid unit",
			Detail: fmt.Sprintf("%q is not the name of one systemd unit. Write it as `systemctl status` does: \"payments.service\".", p.Unit)})
	}
	if p.Cgroup != "" && (!path.IsAbs(p.Cgroup) || path.Clean(p.Cgroup) == "/") {
		errs = append(errs, &faults.FieldError{Field: "cgroup", Summary: "Invalid cgroup",
			Detail: fmt.Sprintf("%q is not the path of one cgroup. Write it as /proc/PID/cgroup does: \"/system.slice/payments.service\".", p.Cgroup)})
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
	if p.Unit != "" {
		parts = append(parts, "of unit "+unitName(p.Unit))
	}
	if p.Cgroup != "" {
		parts = append(parts, "in cgroup "+path.Clean(p.Cgroup))
	}
	return "process " + strings.Join(parts, ", ")
}
