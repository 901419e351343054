// Package network holds the faults that hit what a place sends and receives.
package network

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"gameday/faults"
)

// Values of Partition.Direction and Partition.Action.
const (
	both   = "both"
	in     = "in"
	out    = "out"
	drop   = "drop"
	reject = "reject"
)

// PartitionKind returns network_partition: a place is cut from others, in the kernel of its own network namespace.
func PartitionKind() faults.Kind {
	return faults.Kind{
		Name:       "network_partition",
		Summary:    "cut the network between two targets, or from a target to addresses",
		Needs:      faults.NeedNetwork,
		Between:    true,
		Undoing:    "kernel lease, undone by guard",
		Reversible: true,
		New:        func() faults.Config { return &Partition{} },
		Revert:     revert,
	}
}

// Partition holds the parameters of network_partition. Empty ones have defaults.
type Partition struct {
	// Direction is which packets are cut, as seen from the place: "both", "in" or "out".
	Direction string `hcl:"direction,optional" json:"direction,omitempty"`
	// To are the addresses and CIDR blocks to cut from, unless the fault stands between targets.
	To []string `hcl:"to,optional" json:"to,omitempty"`
	// Ports narrows the cut to TCP and UDP packets with one of these as source or destination port.
	Ports []int `hcl:"ports,optional" json:"ports,omitempty"`
	// Action is what befalls a packet: "drop" or "reject".
	Action string `hcl:"action,optional" json:"action,omitempty"`
}

// Validate reports every wrong parameter.
func (p *Partition) Validate() error {
	errs := []error{
		oneOf("direction", p.Direction, both, in, out),
		oneOf("action", p.Action, drop, reject),
	}
	for _, s := range p.To {
		if _, err := parseBlock(s); err != nil {
			errs = append(errs, err)
		}
	}
	for _, port := range p.Ports {
		if port < 1 || port > 65535 {
			errs = append(errs, &faults.FieldError{Field: "ports", Summary: "Invalid port",
				Detail: fmt.Sprintf("%d is not a port. Ports are numbers from 1 to 65535.", port)})
		}
	}
	return errors.Join(errs...)
}

// oneOf returns nil for the empty string, which means the first choice.
func oneOf(field, value string, choices ...string) error {
	if value == "" || slices.Contains(choices, value) {
		return nil
	}
	hint := ""
	if near := faults.Nearest(value, choices); near != "" {
		hint = fmt.Sprintf(" Did you mean %q?", near)
	}
	return &faults.FieldError{Field: field, Summary: "Invalid " + field,
		Detail: fmt.Sprintf("%q is not a %s.%s Use one of %s.", value, field, hint, strings.Join(choices, ", "))}
}

// parseBlock reads an address or a CIDR block.
func parseBlock(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	b, err := netip.ParsePrefix(s)
	if err != nil || b.Addr().Is4In6() {
		return netip.Prefix{}, &faults.FieldError{Field: "to", Summary: "Invalid address",
			Detail: fmt.Sprintf("%q is neither an IP address nor a CIDR block such as 198.18.0.0/24. "+
				"Host names are not looked up, because they may change while the fault stands.", s)}
	}
	return b.Masked(), nil
}

// Bind computes what is cut. It refuses a cut of nothing, and one of the place from itself.
func (p *Partition) Bind(place faults.Place) (faults.Injection, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if place.Network == nil || place.Network.Inode == 0 {
		return nil, fmt.Errorf("network_partition needs a network namespace, and none is known of %s", place.Name)
	}
	blocks, err := p.blocks(place)
	if err != nil {
		return nil, err
	}
	self := touchesSelf(blocks, place.Addresses)
	if self.IsValid() && len(p.Ports) == 0 {
		return nil, fmt.Errorf("network_partition on %s: %v is its own address: both sides share one network namespace, and "+
			"a partition needs two. Run them on different nodes, or give ports to cut only those", place.Name, self)
	}
	return bind(plan{
		place:  place,
		ranges: mergeBlocks(blocks),
		ports:  sortedPorts(p.Ports),
		in:     p.Direction != out,
		out:    p.Direction != in,
		reject: p.Action == reject,
		self:   self.IsValid(),
	})
}

// blocks are the peers' addresses, or else those of the parameter to.
func (p *Partition) blocks(place faults.Place) ([]netip.Prefix, error) {
	if len(place.Peers) > 0 && len(p.To) > 0 {
		return nil, &faults.FieldError{Field: "to", Summary: "Conflicting targets",
			Detail: "The fault stands between targets, so it is known what to cut. Use either between or to."}
	}
	var blocks []netip.Prefix
	for _, peer := range place.Peers {
		if len(peer.Addresses) == 0 {
			return nil, fmt.Errorf("network_partition on %s: nothing to cut, because no address of %s is known",
				place.Name, peer.Name)
		}
		for _, a := range peer.Addresses {
			a = a.Unmap().WithZone("")
			blocks = append(blocks, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	for _, s := range p.To {
		b, err := parseBlock(s)
		if err != nil {
			return nil, err
		}
		blocks = append(blocks, b)
	}
	if len(blocks) == 0 {
		return nil, &faults.FieldError{Field: "to", Summary: "Nothing to cut",
			Detail: fmt.Sprintf("The partition of %s has no other side. Put it between two targets, or list addresses in to.",
				place.Name)}
	}
	return blocks, nil
}

// touchesSelf returns a single address in blocks that is loopback or the place's own. Wider blocks do not count: a
// place's traffic with itself is let alone then, see rules.
func touchesSelf(blocks []netip.Prefix, own []netip.Addr) netip.Addr {
	for _, b := range blocks {
		if b.Addr().IsLoopback() {
			return b.Addr()
		}
		for _, a := range own {
			if b.IsSingleIP() && a.Unmap().WithZone("") == b.Addr() {
				return b.Addr()
			}
		}
	}
	return netip.Addr{}
}

func sortedPorts(ports []int) []uint16 {
	list := make([]uint16, 0, len(ports))
	for _, p := range ports {
		list = append(list, uint16(p))
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// Preview returns "198.18.0.4, drop both ways".
func (p *Partition) Preview(place faults.Place) string {
	blocks, err := p.blocks(place)
	if err != nil {
		return "nothing to cut"
	}
	var names []string
	for _, b := range blocks {
		if b.IsSingleIP() {
			names = append(names, b.Addr().String())
		} else {
			names = append(names, b.String())
		}
	}
	if len(p.Ports) > 0 {
		names = append(names, strings.Trim(strings.ReplaceAll(fmt.Sprint("ports ", sortedPorts(p.Ports)), "[", ""), "]"))
	}
	action := drop
	if p.Action != "" {
		action = p.Action
	}
	way := map[string]string{"": "both ways", both: "both ways", in: "what comes in", out: "what goes out"}[p.Direction]
	return fmt.Sprintf("%s, %s %s", strings.Join(names, ", "), action, way)
}

// plan is a partition computed for one place.
type plan struct {
	place   faults.Place
	ranges  []addrRange // sorted, apart from each other
	ports   []uint16
	in, out bool
	reject  bool
	// self says that the cut is of the place from itself, over loopback; otherwise loopback is let alone.
	self bool
}

// undo is what the ledger holds: the name and the mark of the only table that this fault adds. Its present state,
// which a revert restores, is that there is no such table.
type undo struct {
	Table string `json:"table"`
	Mark  string `json:"mark"`
}

// newUndo names the table after the injection, so that it can be found in `nft list ruleset` and never belongs to
// two.
func newUndo(o faults.Owner) undo {
	sum := sha256.Sum256([]byte(o.Run + "\x00" + o.Injection))
	mark := fmt.Sprintf("gameday run %s injection %s", o.Run, o.Injection)
	return undo{Table: "gameday-" + hex.EncodeToString(sum[:6]), Mark: mark[:min(len(mark), maxMark)]}
}

// maxMark keeps the mark within one byte of length, which is what nftables' user data allow.
const maxMark = 200

func readUndo(e faults.Entry) (undo, error) {
	var u undo
	if err := json.Unmarshal(e.Undo, &u); err != nil {
		return u, fmt.Errorf("reading the ledger's undo: %w", err)
	}
	if !strings.HasPrefix(u.Table, "gameday-") || u.Mark == "" {
		return u, fmt.Errorf("reading the ledger's undo: %q is not a table of ours", u.Table)
	}
	return u, nil
}
