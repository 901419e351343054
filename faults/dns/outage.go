// Package dns holds the fault that hits a place's name resolution.
package dns

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"gameday/faults"
	"gameday/faults/internal/netns"
)

// Values of Outage.Action.
const (
	drop     = "drop"
	refused  = "refused"
	nxdomain = "nxdomain"
	servfail = "servfail"
)

// Bounds of the parameters.
const (
	maxDelay     = time.Minute // clients give up long before
	maxNames     = 1000
	maxResolvers = 16
)

// OutageKind returns dns_outage: a place's questions for chosen names are dropped, answered with an error, or answered
// late, on their way out of its network namespace.
func OutageKind() faults.Kind {
	return faults.Kind{
		Name:       "dns_outage",
		Summary:    "drop, refuse, deny, fail or delay a place's DNS queries, for all names or chosen ones",
		Needs:      faults.NeedNetwork,
		Undoing:    "kernel lease, undone by guard",
		Reversible: true,
		New:        func() faults.Config { return &Outage{} },
		Revert:     revert,
	}
}

// Outage holds the parameters of dns_outage. Empty ones have defaults.
type Outage struct {
	// Names are the names that are hit: "db.example.com" for just that, "*.example.com" for all below example.com. None
	// means all names.
	Names []string `hcl:"names,optional" json:"names,omitempty"`
	// Action is what a query gets: "drop", "refused", "nxdomain" or "servfail". Empty means "drop", or with a delay the
	// real answer.
	Action string `hcl:"action,optional" json:"action,omitempty"`
	// Delay is how late the answer comes, as a duration such as "3s".
	Delay string `hcl:"delay,optional" json:"delay,omitempty"`
	// Resolvers are the addresses whose port 53 is hit; those of the place's resolv.conf when empty.
	Resolvers []string `hcl:"resolvers,optional" json:"resolvers,omitempty"`
	// AllowSelfCut lets the outage hit names that gameday itself looks up, or may; its lease is then all that ends it.
	AllowSelfCut bool `hcl:"allow_self_cut,optional" json:"allow_self_cut,omitempty"`
}

// Validate reports every wrong parameter.
func (o *Outage) Validate() error {
	errs := []error{o.checkAction()}
	if _, err := o.delay(); err != nil {
		errs = append(errs, err)
	}
	if len(o.Names) > maxNames {
		errs = append(errs, &faults.FieldError{Field: "names", Summary: "Too many names",
			Detail: fmt.Sprintf("There are %d, and %d are allowed. A pattern such as *.example.com stands for many.",
				len(o.Names), maxNames)})
	}
	for _, n := range o.Names {
		if _, _, err := parsePattern(n); err != nil {
			errs = append(errs, err)
		}
	}
	if len(o.Resolvers) > maxResolvers {
		errs = append(errs, &faults.FieldError{Field: "resolvers", Summary: "Too many resolvers",
			Detail: fmt.Sprintf("There are %d, and %d are allowed.", len(o.Resolvers), maxResolvers)})
	}
	for _, r := range o.Resolvers {
		if _, err := parseResolver(r); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (o *Outage) checkAction() error {
	choices := []string{drop, refused, nxdomain, servfail}
	if o.Action == drop && o.Delay != "" {
		return &faults.FieldError{Field: "delay", Summary: "Conflicting parameters",
			Detail: "A query that is dropped has no answer to delay. Leave out action for the real answer, late, or delay."}
	}
	if o.Action == "" || slices.Contains(choices, o.Action) {
		return nil
	}
	hint := ""
	if near := faults.Nearest(o.Action, choices); near != "" {
		hint = fmt.Sprintf(" Did you mean %q?", near)
	}
	return &faults.FieldError{Field: "action", Summary: "Invalid action",
		Detail: fmt.Sprintf("%q is not an action.%s Use one of %s; for slow answers, give a delay.",
			o.Action, hint, strings.Join(choices, ", "))}
}

func (o *Outage) delay() (time.Duration, error) {
	if o.Delay == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(o.Delay)
	if err != nil || d <= 0 || d > maxDelay {
		return 0, &faults.FieldError{Field: "delay", Summary: "Invalid duration",
			Detail: fmt.Sprintf("%q is not a delay. Write one such as \"3s\", longer than 0 and at most %v.",
				o.Delay, maxDelay)}
	}
	return d, nil
}

func parseResolver(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() {
		return netip.Addr{}, &faults.FieldError{Field: "resolvers", Summary: "Invalid address",
			Detail: fmt.Sprintf("%q is not the IP address of a resolver, such as 198.18.0.2, 127.0.0.53 or fd00::2. "+
				"Port 53 is meant; names and link-local addresses do not work here.", s)}
	}
	return a.Unmap(), nil
}

// Bind computes what is hit. It looks at no resolv.conf: that is done when the fault is injected.
func (o *Outage) Bind(place faults.Place) (faults.Injection, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if place.Network == nil || place.Network.Inode == 0 {
		return nil, fmt.Errorf("dns_outage needs a network namespace, and none is known of %s", place.Name)
	}
	p := plan{place: place, seen: netns.See(place), treatment: o.treatment(), allowSelfCut: o.AllowSelfCut}
	for _, s := range o.Resolvers {
		a, err := parseResolver(s)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(p.resolvers, a) {
			p.resolvers = append(p.resolvers, a)
		}
	}
	return bind(p)
}

// treatment compiles valid parameters.
func (o *Outage) treatment() treatment {
	delay, _ := o.delay()
	p := treatment{delay: delay, rcode: rcodes[o.Action], pass: o.Action == "" && delay > 0}
	for _, n := range o.Names {
		if name, below, err := parsePattern(n); err == nil {
			p.names.add(name, below)
		}
	}
	return p
}

// Preview returns "*.example.com at the resolvers of resolv.conf: answered NXDOMAIN".
func (o *Outage) Preview(faults.Place) string {
	names := "all names"
	if n := len(o.Names); n > 3 {
		names = fmt.Sprintf("%s and %d more", strings.Join(o.Names[:3], ", "), n-3)
	} else if n > 0 {
		names = strings.Join(o.Names, ", ")
	}
	at := "the resolvers of resolv.conf"
	if len(o.Resolvers) > 0 {
		at = strings.Join(o.Resolvers, ", ")
	}
	return fmt.Sprintf("%s at %s: %s", names, at, o.treatment().outcome())
}

// plan is an outage computed for one place.
type plan struct {
	place        faults.Place
	seen         netns.Seen // who was in the place's network when the outage was bound
	treatment    treatment
	resolvers    []netip.Addr // none: those of the place's resolv.conf
	allowSelfCut bool
}

// undo is what the ledger holds of the table that an outage adds.
type undo = netns.Undo

// tablePrefix begins the name of every outage's table.
const tablePrefix = "gameday-dns-"
