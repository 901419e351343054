package network

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"gameday/faults"
	"gameday/faults/internal/netns"
)

// Ways that a packet goes, as seen from the place.
const (
	both = "both"
	in   = "in"
	out  = "out"
)

// selector is what every kind of this package knows about which packets it hits: the parameters to, ports and
// allow_self_cut.
type selector struct {
	kind         string
	to           []string
	ports        []int
	allowSelfCut bool
}

// selection is which packets of one place a fault hits.
type selection struct {
	kind   string
	place  faults.Place
	ranges []addrRange // sorted, apart from each other
	ports  []uint16
	hosts  []string   // the names among what is hit, with their addresses
	seen   netns.Seen // who was in the place's network when the fault was bound
	// self says that the fault stands between the place and itself, over loopback; otherwise loopback is let alone.
	self         bool
	allowSelfCut bool
}

// validate reports wrong addresses and ports.
func (s selector) validate() error {
	var errs []error
	for _, t := range s.to {
		if _, err := parseBlock(t); err != nil && !isHost(t) {
			errs = append(errs, err)
		}
	}
	for _, port := range s.ports {
		if port < 1 || port > 65535 {
			errs = append(errs, &faults.FieldError{Field: "ports", Summary: "Invalid port",
				Detail: fmt.Sprintf("%d is not a port. Ports are numbers from 1 to 65535.", port)})
		}
	}
	return errors.Join(errs...)
}

// bind computes what is hit at a place. It refuses to hit nothing, and all of a place's talk with itself.
func (s selector) bind(place faults.Place) (selection, error) {
	if place.Network == nil || place.Network.Inode == 0 {
		return selection{}, fmt.Errorf("%s needs a network namespace, and none is known of %s", s.kind, place.Name)
	}
	blocks, hosts, err := s.blocks(place)
	if err != nil {
		return selection{}, err
	}
	self := touchesSelf(blocks, place.Addresses)
	if self.IsValid() && len(s.ports) == 0 {
		return selection{}, fmt.Errorf("%s on %s: %v is its own address: both sides share one network namespace, and "+
			"a network fault between them needs two. Run them on different nodes, or give ports to hit only those",
			s.kind, place.Name, self)
	}
	return selection{kind: s.kind, place: place, seen: netns.See(place), ranges: mergeBlocks(blocks), ports: sortedPorts(s.ports),
		hosts: hosts, self: self.IsValid(), allowSelfCut: s.allowSelfCut}, nil
}

// isHost reports whether a word of the parameter to is a host name.
func isHost(word string) bool { return netns.IsHostName(word) }

// blocks are the peers' addresses, or else those of the parameter to; hosts are the names among them.
func (s selector) blocks(place faults.Place) (blocks []netip.Prefix, hosts []string, err error) {
	if len(place.Peers) > 0 && len(s.to) > 0 {
		return nil, nil, &faults.FieldError{Field: "to", Summary: "Conflicting targets",
			Detail: "The fault stands between targets, so it is known what to hit. Use either between or to."}
	}
	if blocks, hosts, err = s.resolve(); err != nil {
		return nil, nil, err
	}
	for _, peer := range place.Peers {
		if len(peer.Addresses) == 0 {
			return nil, nil, fmt.Errorf("%s on %s: nothing to hit, because no address of %s is known", s.kind, place.Name, peer.Name)
		}
		for _, a := range peer.Addresses {
			a = a.Unmap().WithZone("")
			blocks = append(blocks, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	if len(blocks) == 0 {
		return nil, nil, &faults.FieldError{Field: "to", Summary: "Nothing to hit",
			Detail: fmt.Sprintf("The %s of %s has no other side. Put it between two targets, or list addresses in to.",
				s.kind, place.Name)}
	}
	return blocks, hosts, nil
}

// preview returns "198.18.0.4, 10.0.0.0/8, db.example.com (198.18.0.5), ports 80 443", and false when nothing is selected.
func (s selector) preview(place faults.Place) (string, bool) {
	var names []string
	plain := s
	plain.to = slices.DeleteFunc(slices.Clone(s.to), isHost)
	for _, t := range s.to {
		if !isHost(t) {
			continue
		}
		_, found, err := selector{to: []string{t}}.resolve()
		if err != nil {
			found = []string{t + " (no address known here)"}
		}
		names = append(names, found...)
	}
	blocks, _, err := plain.blocks(place)
	if err != nil && len(names) == 0 {
		return "", false
	}
	for _, b := range blocks {
		if b.IsSingleIP() {
			names = append(names, b.Addr().String())
		} else {
			names = append(names, b.String())
		}
	}
	if len(s.ports) > 0 {
		names = append(names, strings.Trim(strings.ReplaceAll(fmt.Sprint("ports ", sortedPorts(s.ports)), "[", ""), "]"))
	}
	return strings.Join(names, ", "), true
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
			Detail: fmt.Sprintf("%q is neither an IP address, nor a CIDR block such as 198.18.0.0/24, nor a host name.", s)}
	}
	return b.Masked(), nil
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
