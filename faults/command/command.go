// Package command holds the fault that gameday knows nothing of: the user's own commands inject it, prove it and revert
// it, under the same ledger and lease as every other fault.
package command

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gameday/faults"
)

// Limits of the commands.
const (
	defaultTimeout = 5 * time.Second
	minTimeout     = 100 * time.Millisecond
	maxTimeout     = 2 * time.Minute
	pollStep       = 100 * time.Millisecond // between two looks for the effect
	previewSize    = 100                    // bytes of a command that plan shows whole
)

// reserved begins the names of the variables that the guard sets.
const reserved = "GAMEDAY_"

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Kind returns command: the user's own inject, effect and revert commands.
func Kind() faults.Kind {
	return faults.Kind{
		Name:       "command",
		Summary:    "run your own commands that inject, prove and revert a fault",
		Needs:      faults.NeedMachine,
		Undoing:    "your revert command runs, and your effect command must fail then",
		Reversible: true,
		New:        func() faults.Config { return &Command{} },
		Revert:     revert,
	}
}

// Command holds the parameters of command. Every command is a list: the program, found in PATH unless it has a slash, and
// its arguments; no shell reads it.
type Command struct {
	// Inject applies the fault: exit code 0 says that it is applied.
	Inject []string `hcl:"inject" json:"inject"`
	// Effect proves the fault: exit code 0 while it does something, another when it does not. The last line of its
	// standard output is the evidence. Without one, inject is taken at its word.
	Effect []string `hcl:"effect,optional" json:"effect,omitempty"`
	// Revert removes the fault. It runs from the ledger alone, maybe twice, maybe after half an inject.
	Revert []string `hcl:"revert,optional" json:"revert,omitempty"`
	// Renew runs when the lease is renewed, for faults that lapse by themselves. If it fails, the fault counts as lapsed.
	Renew []string `hcl:"renew,optional" json:"renew,omitempty"`
	// Check runs before anything is injected: another exit code than 0 refuses the fault.
	Check []string `hcl:"check,optional" json:"check,omitempty"`
	// Environment is added to what every command gets.
	Environment map[string]string `hcl:"environment,optional" json:"environment,omitempty"`
	// Directory is where the commands run, an absolute path; the guard's own folder when empty.
	Directory string `hcl:"directory,optional" json:"directory,omitempty"`
	// Timeout bounds each run of a command, as a duration such as "10s"; 5s when empty.
	Timeout string `hcl:"timeout,optional" json:"timeout,omitempty"`
	// CannotRevert says that nothing undoes the fault: it must recover by itself.
	CannotRevert bool `hcl:"cannot_revert,optional" json:"cannot_revert,omitempty"`
}

// Validate reports every mistake in the parameters.
func (c *Command) Validate() error {
	var errs []error
	for _, v := range c.verbs() {
		if err := validArgv(v.name, v.argv); err != nil {
			errs = append(errs, err)
		}
	}
	if len(c.Inject) == 0 {
		errs = append(errs, &faults.FieldError{Field: "inject", Summary: "No command",
			Detail: `Say what applies the fault, as a list: inject = ["program", "argument"]. For a shell, write ["sh", "-c", "…"].`})
	}
	errs = append(errs, c.validUndo(), c.validEnvironment())
	if c.Directory != "" && !filepath.IsAbs(c.Directory) {
		errs = append(errs, &faults.FieldError{Field: "directory", Summary: "Relative path",
			Detail: fmt.Sprintf("The revert may run in another process that was started elsewhere, so %q must be an absolute path.", c.Directory)})
	}
	_, err := c.timeout()
	return errors.Join(append(errs, err)...)
}

// verb is one of the commands and its name in the scenario.
type verb struct {
	name string
	argv []string
}

// verbs returns those commands that are given.
func (c *Command) verbs() []verb {
	all := []verb{{"check", c.Check}, {"inject", c.Inject}, {"effect", c.Effect}, {"renew", c.Renew}, {"revert", c.Revert}}
	return slices.DeleteFunc(all, func(v verb) bool { return v.argv == nil })
}

func validArgv(field string, argv []string) error {
	switch {
	case len(argv) == 0 || argv[0] == "":
		return &faults.FieldError{Field: field, Summary: "Empty command",
			Detail: fmt.Sprintf(`The list must begin with a program: %s = ["program", "argument"].`, field)}
	case slices.ContainsFunc(argv, func(s string) bool { return strings.ContainsRune(s, 0) }):
		return &faults.FieldError{Field: field, Summary: "Zero byte", Detail: "No argument of a program can hold a zero byte."}
	}
	return nil
}

// validUndo makes sure that somebody has thought of how the fault goes away.
func (c *Command) validUndo() error {
	switch {
	case c.CannotRevert && len(c.Revert) > 0:
		return &faults.FieldError{Field: "cannot_revert", Summary: "Revert and cannot_revert",
			Detail: "A fault with a revert command can be reverted. Remove one of the two."}
	case c.CannotRevert && len(c.Renew) > 0:
		return &faults.FieldError{Field: "renew", Summary: "Nothing to renew",
			Detail: "A fault that cannot be reverted is not held, so it has no lease. Remove renew, or give a revert command."}
	case !c.CannotRevert && len(c.Revert) == 0:
		return &faults.FieldError{Field: "revert", Summary: "No way back",
			Detail: `Say what removes the fault: revert = ["program", "argument"]. It must be harmless when it runs twice, or when inject ` +
				`did only half. If nothing can undo the fault, write cannot_revert = true.`}
	}
	return nil
}

func (c *Command) validEnvironment() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(c.Environment)) {
		detail := ""
		switch {
		case !variableName.MatchString(name):
			detail = fmt.Sprintf("%q cannot be the name of an environment variable: use letters, digits and underscores.", name)
		case strings.HasPrefix(name, reserved):
			detail = fmt.Sprintf("%s is one of the names that gameday sets. Choose one that does not begin with %s.", name, reserved)
		case strings.ContainsRune(c.Environment[name], 0):
			detail = fmt.Sprintf("The value of %s holds a zero byte, which no environment variable can.", name)
		default:
			continue
		}
		errs = append(errs, &faults.FieldError{Field: "environment", Summary: "Invalid variable", Detail: detail})
	}
	return errors.Join(errs...)
}

func (c *Command) timeout() (time.Duration, error) {
	if c.Timeout == "" {
		return defaultTimeout, nil
	}
	d, err := time.ParseDuration(c.Timeout)
	if err != nil {
		return 0, &faults.FieldError{Field: "timeout", Summary: "Invalid duration",
			Detail: fmt.Sprintf(`%q is not a duration. Write a number and a unit, such as "10s" or "1m".`, c.Timeout)}
	}
	if d < minTimeout || d > maxTimeout {
		return 0, &faults.FieldError{Field: "timeout", Summary: "Duration out of range",
			Detail: fmt.Sprintf("A command may take %v to %v, not %v. What takes longer can be started in the background.", minTimeout, maxTimeout, d)}
	}
	return d, nil
}

// Final reports whether this fault has no undo.
func (c *Command) Final() bool { return c.CannotRevert }

// Patience returns how long inject may take, and its proof.
func (c *Command) Patience() (inject, proof time.Duration) {
	d, err := c.timeout()
	if err != nil {
		d = defaultTimeout
	}
	return d, d
}

// Bind returns the injection at a place.
func (c *Command) Bind(p faults.Place) (faults.Injection, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if n := p.Node; n != nil && n.Init.PID > 0 && n.Init.Start == 0 {
		return nil, fmt.Errorf("command on %s: pid %d without a start time does not name the node's first process", p.Name, n.Init.PID)
	}
	timeout, err := c.timeout()
	if err != nil {
		return nil, err
	}
	return &injection{rig: rig{config: c, place: p, timeout: timeout}}, nil
}

// Preview returns "runs redis-cli DEBUG SLEEP 5". A long command is not cut, which could show half a secret: it is counted.
func (c *Command) Preview(faults.Place) string {
	if len(c.Inject) == 0 {
		return ""
	}
	words := make([]string, len(c.Inject))
	for i, w := range c.Inject {
		if words[i] = w; w == "" || strings.ContainsFunc(w, odd) {
			words[i] = strconv.Quote(w)
		}
	}
	if s := "runs " + strings.Join(words, " "); len(s) <= previewSize {
		return s
	}
	return fmt.Sprintf("runs %s (%d arguments)", words[0], len(words)-1)
}

// odd reports characters that a shell would not leave alone, or that do not show.
func odd(r rune) bool {
	return !strings.ContainsRune("-_./:=,@%+", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
}
