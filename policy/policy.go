// Package policy says what game days may do on somebody's machines: which faults, where, how many at once, when, for how
// long, and approved by whom. A policy belongs to whoever owns the machines, not to a scenario's author.
//
// The package is pure: plain values, no files, no clock of its own. Package scenarios compiles policies from HCL; plan,
// conductor and guard each ask Check by themselves, with what each of them knows. Time zones come with the program, so that
// a policy means the same on every machine.
package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a target's machine may have no time zones installed
)

// Format is the version of the compiled form. A guard refuses a policy of another one: what it does not understand it
// cannot enforce.
const Format = 1

// Policy is one compiled policy. The zero value but for Format allows everything. It is never changed once made, and safe
// for concurrent use.
type Policy struct {
	Format int    `json:"format"`
	File   string `json:"file"`             // where it was read from, for messages
	Digest string `json:"digest,omitempty"` // SHA-256 of that file, in hexadecimal

	Kinds Kinds `json:"kinds,omitzero"`
	// RequireLabels must all be among a target's labels, with these values: machines opt in, and do not opt out.
	RequireLabels map[string]string `json:"require_labels,omitempty"`
	Deny          Deny              `json:"deny,omitzero"`
	AtMost        AtMost            `json:"at_most,omitzero"`
	MaxDuration   MaxDuration       `json:"max_duration,omitzero"`
	// Hours are when game days may run: within any one of them. None means at any time.
	Hours    []Hours  `json:"hours,omitempty"`
	Freezes  []Freeze `json:"freezes,omitempty"`
	Approval Approval `json:"approval,omitzero"`
	// AuditRequired forbids a run that cannot write its audit log.
	AuditRequired bool `json:"audit_required,omitempty"`
}

// Kinds names fault kinds, each by its name or a pattern such as "network_*". Deny wins over Allow; an empty Allow allows
// every kind.
type Kinds struct {
	Allow []string `json:"allow,omitempty"`
	Deny  []string `json:"deny,omitempty"`
}

// Deny lists what no fault may touch.
type Deny struct {
	Exe      []string       `json:"exe,omitempty"`      // regular expressions over a process's executable
	Command  []string       `json:"command,omitempty"`  // regular expressions over its command line
	Units    []string       `json:"units,omitempty"`    // systemd units, as patterns: "sshd.service", "systemd-*"
	Networks []netip.Prefix `json:"networks,omitempty"` // neither end of a network fault may lie in one
	Paths    []string       `json:"paths,omitempty"`    // absolute; they, what is below, and what they lie in
	Nodes    []string       `json:"nodes,omitempty"`    // nodes and hosts, as patterns
}

// AtMost bounds how much one fault may touch. Zero values bound nothing.
type AtMost struct {
	Places  int     `json:"places,omitempty"`
	Percent float64 `json:"percent,omitempty"` // of what the target's selector finds
}

// MaxDuration bounds lengths of time. Zero values bound nothing.
type MaxDuration struct {
	Fault time.Duration `json:"fault,omitempty"`
	Run   time.Duration `json:"run,omitempty"`
}

// Approval says whether somebody must have approved a run, and who may.
type Approval struct {
	Required  bool     `json:"required,omitempty"`
	Approvers []string `json:"approvers,omitempty"` // empty: anybody who is named
}

// Parse reads a compiled policy. Fields that it does not know are an error, and so is anything that cannot be enforced.
func Parse(data []byte) (*Policy, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	p := &Policy{}
	if err := d.Decode(p); err != nil {
		return nil, fmt.Errorf("reading the compiled policy: %w", err)
	}
	if d.More() {
		return nil, errors.New("reading the compiled policy: something follows it")
	}
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("reading the compiled policy: %w", err)
	}
	return p, nil
}

// Validate reports everything in a compiled policy that could not be enforced, joined. The loader finds the same mistakes
// with their lines; this is for policies that came as JSON.
func (p *Policy) Validate() error {
	var errs []error
	if p.Format != Format {
		errs = append(errs, fmt.Errorf("it has format %d, this program enforces format %d: compile it with the same version", p.Format, Format))
	}
	for _, pattern := range slices.Concat(p.Kinds.Allow, p.Kinds.Deny, p.Deny.Units, p.Deny.Nodes) {
		errs = append(errs, ValidPattern(pattern))
	}
	for _, text := range slices.Concat(p.Deny.Exe, p.Deny.Command) {
		if _, err := regexp.Compile(text); err != nil {
			errs = append(errs, err)
		}
	}
	for _, n := range p.Deny.Networks {
		if !n.IsValid() {
			errs = append(errs, errors.New("a network is not a CIDR block"))
		}
	}
	for _, dir := range p.Deny.Paths {
		if !path.IsAbs(dir) {
			errs = append(errs, fmt.Errorf("the path %q is not absolute", dir))
		}
	}
	if p.AtMost.Places < 0 || math.IsNaN(p.AtMost.Percent) || p.AtMost.Percent < 0 || p.AtMost.Percent > 100 {
		errs = append(errs, errors.New("at_most is out of range"))
	}
	if p.MaxDuration.Fault < 0 || p.MaxDuration.Run < 0 {
		errs = append(errs, errors.New("a maximum duration is negative"))
	}
	for _, h := range p.Hours {
		errs = append(errs, h.validate())
	}
	for _, f := range p.Freezes {
		if !f.From.Before(f.To) {
			errs = append(errs, fmt.Errorf("freeze %q ends before it begins", f.Name))
		}
	}
	return errors.Join(errs...)
}

// ValidPattern reports a pattern that cannot be matched: "*" stands for any characters, "?" for one, "[a-z]" for one of
// a set.
func ValidPattern(pattern string) error {
	if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
		return fmt.Errorf("the pattern %q cannot be matched", pattern)
	}
	return nil
}

// Match returns the first pattern that a name matches. A pattern that cannot be matched matches everything: it stands in a
// list for a reason.
func Match(patterns []string, name string) (string, bool) {
	for _, p := range patterns {
		if ok, err := path.Match(p, name); ok || err != nil {
			return p, true
		}
	}
	return "", false
}

// Label returns the file and the beginning of the digest, for people: "/etc/gameday/policy.hcl (3f2a9c0d)".
func (p *Policy) Label() string {
	if len(p.Digest) < 8 {
		return p.File
	}
	return fmt.Sprintf("%s (%s)", p.File, strings.ToLower(p.Digest[:8]))
}
