package policy

import (
	"fmt"
	"maps"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Rules, as violations name them: the block or attribute of the policy.
const (
	RuleKinds    = "kinds"
	RuleLabels   = "require_labels"
	RuleDeny     = "deny"
	RuleAtMost   = "at_most"
	RuleDuration = "max_duration"
	RuleHours    = "hours"
	RuleFreeze   = "freeze"
	RuleApproval = "approval"
	RulePolicy   = "policy" // the policy itself cannot be enforced
)

// Request is what a policy is asked about: one injection at one place, or with an empty Kind a run as a whole.
type Request struct {
	Kind  string `json:"kind,omitempty"`
	Fault string `json:"fault,omitempty"` // its name in the scenario
	Place string `json:"place,omitempty"`

	Processes []Process      `json:"processes,omitempty"` // the process that is hit; twice when two sources tell of it
	Networks  []netip.Prefix `json:"networks,omitempty"`  // both ends of what a network fault touches
	Paths     []string       `json:"paths,omitempty"`
	Nodes     []string       `json:"nodes,omitempty"` // names of the node or host
	Claims
	// Anywhere says that nobody knows beforehand what the fault touches, as of one that says by itself where it lands. What a rule
	// would have to know of that is a violation.
	Anywhere bool `json:"anywhere,omitempty"`
	// Why says what of it cannot be told; empty where nobody looked.
	Why string `json:"why,omitempty"`
	// Unresolved says that the places are not known yet, as in a plan of a lab: what is not known is no violation then.
	// Otherwise it is, where a rule needs it.
	Unresolved bool `json:"unresolved,omitempty"`
}

// Claims are what only the conductor can know of a request; to a guard they are somebody's word.
type Claims struct {
	Labels     map[string]string `json:"labels,omitempty"`      // of the target
	Selected   int               `json:"selected,omitempty"`    // places that the fault touches in all, on every side
	Found      int               `json:"found,omitempty"`       // places that the target's selector finds
	Duration   time.Duration     `json:"duration,omitempty"`    // of the fault, or of the run when the request is about one
	Run        time.Duration     `json:"run,omitempty"`         // planned length of the whole run
	ApprovedBy string            `json:"approved_by,omitempty"` // empty: nobody
	Sides      []Side            `json:"sides,omitempty"`       // one for each target of the fault
	Standing   []Standing        `json:"standing,omitempty"`    // what the run touches at the same time besides
	// Back are ids of injections without an undo that no longer count: what they ended was seen back, or they came to nothing.
	Back []string `json:"back,omitempty"`
}

// Side is what a fault touches of one target, and what the target's selector finds: names by which each place can be told
// from all others of the run.
type Side struct {
	Touched []string `json:"touched,omitempty"`
	Found   []string `json:"found,omitempty"`
	// Some is how many more of what is found are touched at most, of which nobody knows which.
	Some int `json:"some,omitempty"`
}

// Standing is another fault of the same run that stands at the same time.
type Standing struct {
	Fault string `json:"fault"`
	// Ends says that the fault ends what it touches, which its selector then finds no more.
	Ends  bool   `json:"ends,omitempty"`
	Sides []Side `json:"sides"`
}

// Process is one that a fault hits. Empty fields are not known.
type Process struct {
	Exe     string `json:"exe,omitempty"`
	Command string `json:"command,omitempty"`
	Unit    string `json:"unit,omitempty"` // "nginx.service"; empty also when it belongs to none
}

// Violation is one rule that a request breaks.
type Violation struct {
	Policy string `json:"policy"` // its file
	Rule   string `json:"rule"`
	Fault  string `json:"fault,omitempty"`
	Place  string `json:"place,omitempty"`
	Text   string `json:"text"` // one sentence: what is forbidden, and what the limit is
}

// String returns what is violated and by what: "fault cut on web: the kind … (deny in /etc/gameday/policy.hcl)".
func (v Violation) String() string {
	about := "the run"
	if v.Fault != "" {
		about = "fault " + v.Fault
	}
	if v.Place != "" {
		about += " on " + v.Place
	}
	return fmt.Sprintf("%s: %s (%s in %s)", about, v.Text, v.Rule, v.Policy)
}

// check gathers violations of one request.
type check struct {
	*Policy
	Request
	now time.Time
	out []Violation
}

func (c *check) forbid(rule, format string, args ...any) {
	c.out = append(c.out, Violation{Policy: c.File, Rule: rule, Fault: c.Fault, Place: c.Place, Text: fmt.Sprintf(format, args...)})
}

// Check returns every rule of the policy that the request breaks if it begins now; none means that the policy allows it.
// What a rule needs to know and the request does not tell is a violation, unless the request is Unresolved.
func (p *Policy) Check(r Request, now time.Time) []Violation {
	c := &check{Policy: p, Request: r, now: now}
	if p.Format != Format {
		c.forbid(RulePolicy, "the policy has format %d and this program enforces format %d", p.Format, Format)
		return c.out
	}
	c.times()
	c.approval()
	if r.Kind == "" {
		if limit := p.MaxDuration.Run; limit > 0 && r.Duration > limit {
			c.forbid(RuleDuration, "the run takes %s and may take %s", r.Duration, limit)
		}
		return c.out
	}
	c.kinds()
	c.labels()
	c.anywhere()
	c.processes()
	c.places()
	c.amounts()
	c.lengths()
	return c.out
}

// times checks the whole span of what is asked against hours and freezes.
func (c *check) times() {
	end := c.now.Add(max(0, c.Duration))
	if len(c.Hours) > 0 {
		if gap, ok := within(c.Hours, c.now, end); !ok {
			var allowed []string
			for _, h := range c.Hours {
				allowed = append(allowed, h.String())
			}
			c.forbid(RuleHours, "%s is outside of the hours: %s", moment(gap, c.Hours[0].zone()), strings.Join(allowed, "; "))
		}
	}
	for _, f := range c.Freezes {
		if c.now.Before(f.To) && !end.Before(f.From) {
			c.forbid(RuleFreeze, "nothing may run in the freeze %q, from %s until %s", f.Name, moment(f.From, f.From.Location()),
				moment(f.To, f.To.Location()))
		}
	}
}

// moment is an instant as people read it.
func moment(t time.Time, zone *time.Location) string {
	return t.In(zone).Format("Mon 2006-01-02 15:04 MST")
}

func (c *check) approval() {
	a := c.Policy.Approval
	switch {
	case !a.Required:
	case c.ApprovedBy == "":
		c.forbid(RuleApproval, "nobody approved the run; it needs --approved-by%s", oneOf(a.Approvers))
	case len(a.Approvers) > 0 && !slices.Contains(a.Approvers, c.ApprovedBy):
		c.forbid(RuleApproval, "%q may not approve a run; these may: %s", c.ApprovedBy, strings.Join(a.Approvers, ", "))
	}
}

func oneOf(names []string) string {
	if len(names) == 0 {
		return " with a name"
	}
	return " with one of: " + strings.Join(names, ", ")
}

func (c *check) kinds() {
	if pattern, denied := Match(c.Kinds.Deny, c.Kind); denied {
		c.forbid(RuleKinds, "the kind %s is denied%s", c.Kind, by(pattern, c.Kind))
		return
	}
	if _, allowed := Match(c.Kinds.Allow, c.Kind); len(c.Kinds.Allow) > 0 && !allowed {
		c.forbid(RuleKinds, "the kind %s is not among the allowed ones: %s", c.Kind, strings.Join(c.Kinds.Allow, ", "))
	}
}

// by names a pattern, when it is not the name itself.
func by(pattern, name string) string {
	if pattern == name {
		return ""
	}
	return fmt.Sprintf(" by %q", pattern)
}

func (c *check) labels() {
	for _, key := range slices.Sorted(maps.Keys(c.RequireLabels)) {
		want := c.RequireLabels[key]
		switch got, there := c.Labels[key]; {
		case !there:
			c.forbid(RuleLabels, "the target has no label %s = %q, by which it would opt in", key, want)
		case got != want:
			c.forbid(RuleLabels, "the target has the label %s = %q, and needs %q", key, got, want)
		case c.Anywhere:
			c.forbid(RuleLabels, "a %s says by itself where it lands, so that nobody knows whether all that it touches has the label %s = %q%s", c.Kind, key, want, c.why())
		}
	}
}

// anywhere refuses a fault that may touch what a rule protects, where nobody can tell whether it does.
func (c *check) anywhere() {
	if !c.Anywhere {
		return
	}
	d := c.Deny
	if len(d.Exe)+len(d.Command)+len(d.Units)+len(d.Networks)+len(d.Paths)+len(d.Nodes) > 0 {
		c.forbid(RuleDeny, "a %s says by itself where it lands, so that nobody knows whether it touches what is denied%s", c.Kind, c.why())
	}
	if c.AtMost.Places > 0 || c.AtMost.Percent > 0 {
		c.forbid(RuleAtMost, "a %s says by itself where it lands, so that nobody knows how much it touches%s", c.Kind, c.why())
	}
}

// why says what cannot be told of where a fault lands, as the end of a sentence.
func (c *check) why() string {
	if c.Why == "" {
		return ""
	}
	return ": " + c.Why
}

func (c *check) processes() {
	for _, p := range c.Processes {
		c.expressions(c.Deny.Exe, p.Exe, "executable")
		c.expressions(c.Deny.Command, p.Command, "command line")
		if p.Unit == "" {
			continue
		}
		if pattern, denied := Match(c.Deny.Units, p.Unit); denied {
			c.forbid(RuleDeny, "no fault may touch the unit %s%s", p.Unit, by(pattern, p.Unit))
		}
	}
}

// expressions matches a denied list of regular expressions.
func (c *check) expressions(list []string, value, what string) {
	if len(list) == 0 {
		return
	}
	if value == "" {
		if !c.Unresolved {
			c.forbid(RuleDeny, "the %s of the process cannot be read, so that nobody knows whether it is denied", what)
		}
		return
	}
	for _, text := range list {
		re, err := regexp.Compile(text)
		if err != nil || re.MatchString(value) {
			c.forbid(RuleDeny, "no fault may touch a process with the %s %q, which matches %q", what, short(value), text)
			return
		}
	}
}

func short(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return s
}

func (c *check) places() {
	for _, name := range c.Nodes {
		if pattern, denied := matchHost(c.Deny.Nodes, name); denied && name != "" {
			c.forbid(RuleDeny, "no fault may touch the node %s%s", name, by(pattern, name))
		}
	}
	for _, denied := range c.Deny.Networks {
		for _, n := range c.Networks {
			if denied.Overlaps(n) {
				c.forbid(RuleDeny, "the network %s may not be cut, and the fault reaches %s", denied, n)
				break
			}
		}
	}
	for _, denied := range c.Deny.Paths {
		for _, p := range c.Paths {
			if below(denied, p) || below(p, denied) {
				c.forbid(RuleDeny, "the path %s may not be filled, and the fault names %s", denied, p)
				break
			}
		}
	}
}

// below reports whether a path is a folder or lies in it.
func below(folder, p string) bool {
	folder, p = path.Clean(folder), path.Clean(p)
	return p == folder || folder == "/" || strings.HasPrefix(p, folder+"/")
}

func (c *check) lengths() {
	if limit := c.MaxDuration.Fault; limit > 0 && c.Duration > limit {
		c.forbid(RuleDuration, "the fault stands for %s and may stand for %s", c.Duration, limit)
	}
	if limit := c.MaxDuration.Run; limit > 0 && c.Claims.Run > limit {
		c.forbid(RuleDuration, "the run takes %s and may take %s", c.Claims.Run, limit)
	}
}
