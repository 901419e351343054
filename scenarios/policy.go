package scenarios

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"

	"gameday/faults"
	"gameday/policy"
)

// The blocks of a policy file. Expressions in it are evaluated without variables and functions: a policy says the same to
// whoever reads it.

type policyBlocks struct {
	TimeZone      *string            `hcl:"time_zone,optional"`
	RequireLabels map[string]string  `hcl:"require_labels,optional"`
	Kinds         []kindsBlock       `hcl:"kinds,block"`
	Deny          []denyBlock        `hcl:"deny,block"`
	AtMost        []mostBlock        `hcl:"at_most,block"`
	MaxDuration   []maxDurationBlock `hcl:"max_duration,block"`
	Hours         []hoursBlock       `hcl:"hours,block"`
	Freezes       []freezeBlock      `hcl:"freeze,block"`
	Approval      []approvalBlock    `hcl:"approval,block"`
	Audit         []auditBlock       `hcl:"audit,block"`
	Body          hcl.Body           `hcl:",body"`
}

type kindsBlock struct {
	Allow    []string  `hcl:"allow,optional"`
	Deny     []string  `hcl:"deny,optional"`
	DefRange hcl.Range `hcl:",def_range"`
	Body     hcl.Body  `hcl:",body"`
}

type denyBlock struct {
	Exe      []string  `hcl:"exe,optional"`
	Command  []string  `hcl:"command,optional"`
	Units    []string  `hcl:"units,optional"`
	Networks []string  `hcl:"networks,optional"`
	Paths    []string  `hcl:"paths,optional"`
	Nodes    []string  `hcl:"nodes,optional"`
	DefRange hcl.Range `hcl:",def_range"`
	Body     hcl.Body  `hcl:",body"`
}

type mostBlock struct {
	Places   *int      `hcl:"places,optional"`
	Percent  *float64  `hcl:"percent,optional"`
	DefRange hcl.Range `hcl:",def_range"`
	Body     hcl.Body  `hcl:",body"`
}

type maxDurationBlock struct {
	Fault    *string   `hcl:"fault,optional"`
	Run      *string   `hcl:"run,optional"`
	DefRange hcl.Range `hcl:",def_range"`
	Body     hcl.Body  `hcl:",body"`
}

type hoursBlock struct {
	Days     []string  `hcl:"days,optional"`
	From     string    `hcl:"from"`
	To       string    `hcl:"to"`
	TimeZone *string   `hcl:"time_zone,optional"`
	DefRange hcl.Range `hcl:",def_range"`
	Body     hcl.Body  `hcl:",body"`
}

type freezeBlock struct {
	Name     string    `hcl:"name,label"`
	From     string    `hcl:"from"`
	To       string    `hcl:"to"`
	TimeZone *string   `hcl:"time_zone,optional"`
	Why      string    `hcl:"why,optional"`
	DefRange hcl.Range `hcl:",def_range"`
	Body     hcl.Body  `hcl:",body"`
}

type approvalBlock struct {
	Required  bool      `hcl:"required,optional"`
	Approvers []string  `hcl:"approvers,optional"`
	DefRange  hcl.Range `hcl:",def_range"`
	Body      hcl.Body  `hcl:",body"`
}

type auditBlock struct {
	Required bool      `hcl:"required,optional"`
	DefRange hcl.Range `hcl:",def_range"`
}

// LoadPolicy reads a policy file and compiles it. The policy is nil when the file has errors, which are in File.Diags: a
// policy that cannot be read, parsed or enforced, or that others than its owner may write, is never taken for none. kinds
// are the fault kinds of this build.
func LoadPolicy(path string, kinds []faults.Kind) (*policy.Policy, *File) {
	l := &loader{parser: hclparse.NewParser(), file: &File{Path: path}}
	d := &policyDecoding{loader: l, out: &policy.Policy{Format: policy.Format, File: path}}
	for _, k := range kinds {
		d.kinds = append(d.kinds, k.Name)
	}
	slices.Sort(d.kinds)
	d.load(path)
	l.file.Sources = l.snippets()
	l.file.Diags = tidy(l.diags)
	if l.file.Diags.HasErrors() {
		return nil, l.file
	}
	return d.out, l.file
}

// policyDecoding carries what the parts of one policy share while it is decoded.
type policyDecoding struct {
	*loader
	out   *policy.Policy
	kinds []string
	zone  string // where the file names none
}

func (d *policyDecoding) load(path string) {
	body := d.read(path)
	if body == nil {
		return
	}
	var b policyBlocks
	d.add(decode(body, nil, &b))
	d.zone = "UTC"
	if b.TimeZone != nil {
		d.zone, _ = d.location(b.TimeZone, b.Body, body.MissingItemRange())
	}
	d.out.RequireLabels = b.RequireLabels
	if present(b.Body, "require_labels") && len(b.RequireLabels) == 0 && !d.diags.HasErrors() {
		d.errorf(attrRange(b.Body, "require_labels", body.MissingItemRange()), "No labels", "require_labels names no label, so that every "+
			"target would do. Write require_labels = { chaos = \"allowed\" }, or leave it out.")
	}
	for _, part := range []func(*policyBlocks){d.allowed, d.denied, d.amounts, d.durations, d.hours, d.freezes, d.approval} {
		part(&b)
	}
	if one(d.loader, b.Audit, "audit", func(b auditBlock) hcl.Range { return b.DefRange }) {
		d.out.AuditRequired = b.Audit[0].Required
	}
	if d.diags.HasErrors() {
		return
	}
	if err := d.out.Validate(); err != nil { // whatever the lines above overlooked
		d.plain("Invalid policy", err.Error()+".")
	}
}

// read reads and parses the file, or reports why it is no policy to be trusted.
func (d *policyDecoding) read(path string) hcl.Body {
	src, err := readBounded(path)
	if err != nil {
		d.plain("Cannot read the policy", err.Error()+". What a policy forbids is not known, so nothing may run.")
		return nil
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o022 != 0 {
		d.plain("Others may write the policy", fmt.Sprintf("%s may be written by others than its owner, so that nobody knows whose rules it holds. Say: "+
			"chmod go-w %s", path, path))
		return nil
	}
	switch {
	case len(bytes.TrimSpace(bytes.TrimPrefix(src, []byte("\xef\xbb\xbf")))) == 0:
		d.plain("The policy is empty", path+" has nothing in it, and an empty policy allows everything. If that is meant, write kinds { allow = [\"*\"] }.")
		return nil
	case !utf8.Valid(src):
		d.plain("The file is not UTF-8", notUTF8(src, path))
		return nil
	}
	if deep := tooDeep(src, path); deep != nil {
		d.parser.AddFile(path, &hcl.File{Bytes: src})
		d.diags = append(d.diags, deep)
		return nil
	}
	sum := sha256.Sum256(src)
	d.out.Digest = hex.EncodeToString(sum[:])
	f, diags := d.parser.ParseHCL(src, path)
	d.diags = append(d.diags, diags...)
	if diags.HasErrors() || f == nil {
		return nil
	}
	return f.Body
}

func (d *policyDecoding) allowed(b *policyBlocks) {
	if !one(d.loader, b.Kinds, "kinds", func(b kindsBlock) hcl.Range { return b.DefRange }) {
		return
	}
	k := b.Kinds[0]
	d.out.Kinds = policy.Kinds{Allow: k.Allow, Deny: k.Deny}
	d.kindNames(k.Allow, k, "allow")
	d.kindNames(k.Deny, k, "deny")
	if present(k.Body, "allow") && len(k.Allow) == 0 && !d.diags.HasErrors() {
		d.errorf(attrRange(k.Body, "allow", k.DefRange), "Nothing allowed", "An empty allow reads as if every kind were allowed, or none. "+
			"Leave it out to allow every kind; write deny = [\"*\"] to allow none.")
	}
}

// kindNames reports names and patterns that mean no kind of this build: one that is misspelt in deny would deny nothing.
func (d *policyDecoding) kindNames(names []string, k kindsBlock, field string) {
	at := attrRange(k.Body, field, k.DefRange)
	for _, name := range names {
		if policy.ValidPattern(name) != nil {
			d.badPattern(name, at)
			continue
		}
		if !slices.ContainsFunc(d.kinds, func(kind string) bool { _, ok := policy.Match([]string{name}, kind); return ok }) {
			d.errorf(at, "Unknown fault kind", "This build has no fault kind %q.%s It has %s. A pattern may be used: \"network_*\".",
				name, suggest(name, d.kinds), list(d.kinds))
		}
	}
}

func (d *policyDecoding) badPattern(pattern string, at hcl.Range) {
	d.errorf(at, "Invalid pattern", "%q cannot be matched. \"*\" stands for any characters, \"?\" for one, \"[ab]\" for one of a set.", pattern)
}

func (d *policyDecoding) denied(b *policyBlocks) {
	if !one(d.loader, b.Deny, "deny", func(b denyBlock) hcl.Range { return b.DefRange }) {
		return
	}
	n := b.Deny[0]
	at := func(field string) hcl.Range { return attrRange(n.Body, field, n.DefRange) }
	d.out.Deny = policy.Deny{Exe: n.Exe, Command: n.Command, Units: n.Units, Nodes: n.Nodes}
	for field, texts := range map[string][]string{"exe": n.Exe, "command": n.Command} {
		for _, text := range texts {
			if _, err := regexp.Compile(text); err != nil || text == "" {
				d.errorf(at(field), "Invalid regular expression", "%q is not a regular expression that says something.", text)
			}
		}
	}
	for field, patterns := range map[string][]string{"units": n.Units, "nodes": n.Nodes} {
		for _, p := range patterns {
			if policy.ValidPattern(p) != nil {
				d.badPattern(p, at(field))
			}
		}
	}
	for _, text := range n.Networks {
		block, err := netip.ParsePrefix(text)
		if a, e := netip.ParseAddr(text); e == nil && a.Zone() == "" {
			block, err = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
		}
		if err != nil || block.Addr().Is4In6() {
			d.errorf(at("networks"), "Invalid network", "%q is neither an IP address nor a CIDR block such as 10.0.0.0/8.", text)
			continue
		}
		d.out.Deny.Networks = append(d.out.Deny.Networks, block.Masked())
	}
	for _, p := range n.Paths {
		if !path.IsAbs(p) {
			d.errorf(at("paths"), "Relative path", "%q does not begin with a slash: a policy names paths of the machines it protects, not of its own folder.", p)
			continue
		}
		d.out.Deny.Paths = append(d.out.Deny.Paths, path.Clean(p))
	}
}

func (d *policyDecoding) amounts(b *policyBlocks) {
	if !one(d.loader, b.AtMost, "at_most", func(b mostBlock) hcl.Range { return b.DefRange }) {
		return
	}
	m := b.AtMost[0]
	if m.Places != nil {
		d.out.AtMost.Places = *m.Places
		if *m.Places < 1 || *m.Places > 10_000 {
			d.errorf(attrRange(m.Body, "places", m.DefRange), "Invalid number of places", "A fault may touch at least 1 place and at most 10000. "+
				"To forbid faults, write kinds { deny = [\"*\"] }.")
		}
	}
	if m.Percent != nil {
		d.out.AtMost.Percent = *m.Percent
		if !(*m.Percent > 0) || *m.Percent > 100 || math.IsNaN(*m.Percent) {
			d.errorf(attrRange(m.Body, "percent", m.DefRange), "Invalid percentage", "A percentage of what a target finds is more than 0 and at most 100.")
		}
	}
	if !present(m.Body, "places", "percent") {
		d.errorf(m.DefRange, "No bound", "Say how much a fault may touch: places = 3, percent = 34, or both.")
	}
}

func (d *policyDecoding) durations(b *policyBlocks) {
	if !one(d.loader, b.MaxDuration, "max_duration", func(b maxDurationBlock) hcl.Range { return b.DefRange }) {
		return
	}
	m := b.MaxDuration[0]
	d.out.MaxDuration.Fault = d.optional(m.Fault, m.Body, "fault", m.DefRange, time.Second, 0)
	d.out.MaxDuration.Run = d.optional(m.Run, m.Body, "run", m.DefRange, time.Second, 0)
	if !present(m.Body, "fault", "run") {
		d.errorf(m.DefRange, "No bound", "Say how long a fault or a run may last: fault = \"10m\", run = \"2h\", or both.")
	}
}

func (d *policyDecoding) approval(b *policyBlocks) {
	if !one(d.loader, b.Approval, "approval", func(b approvalBlock) hcl.Range { return b.DefRange }) {
		return
	}
	a := b.Approval[0]
	d.out.Approval = policy.Approval{Required: a.Required, Approvers: a.Approvers}
	if len(a.Approvers) > 0 && !a.Required && !present(a.Body, "required") {
		d.errorf(a.DefRange, "Approval not required", "Approvers are named, and nobody is asked for. Add required = true, or required = false to keep the "+
			"names for later.")
	}
	if slices.ContainsFunc(a.Approvers, func(n string) bool { return strings.TrimSpace(n) == "" }) {
		d.errorf(attrRange(a.Body, "approvers", a.DefRange), "Empty name", "An approver has a name.")
	}
}

// labels reads the labels of a target, by which it opts in to policies.
func (d *decoding) labels(t targetBlock) map[string]string {
	for _, key := range slices.Sorted(maps.Keys(t.Labels)) {
		if strings.TrimSpace(key) == "" || len(key) > 100 || len(t.Labels[key]) > 100 {
			d.errorf(attrRange(t.Whole, "labels", t.DefRange), "Invalid label", "A label's name is not empty, and neither its name nor its value has "+
				"more than 100 characters.")
		}
	}
	return t.Labels
}
