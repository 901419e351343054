package network

import (
	"net/netip"
	"slices"
)

// addrRange is the addresses from first to last, both included, of one family.
type addrRange struct {
	first, last netip.Addr
}

// single reports whether the range is one address.
func (r addrRange) single() bool { return r.first == r.last }

// mergeBlocks returns the blocks as ranges in order, v4 first, with those that overlap or touch joined: a kernel
// set of intervals refuses overlaps.
func mergeBlocks(blocks []netip.Prefix) []addrRange {
	all := make([]addrRange, 0, len(blocks))
	for _, b := range blocks {
		all = append(all, addrRange{b.Masked().Addr(), lastOf(b)})
	}
	slices.SortFunc(all, func(a, b addrRange) int {
		if c := a.first.Compare(b.first); c != 0 {
			return c
		}
		return a.last.Compare(b.last)
	})
	var merged []addrRange
	for _, r := range all {
		if n := len(merged); n > 0 && joins(merged[n-1], r) {
			if merged[n-1].last.Less(r.last) {
				merged[n-1].last = r.last
			}
			continue
		}
		merged = append(merged, r)
	}
	return merged
}

// joins reports whether b, which does not begin before a, overlaps a or begins right after it.
func joins(a, b addrRange) bool {
	if a.first.BitLen() != b.first.BitLen() {
		return false
	}
	next := a.last.Next()
	return !next.IsValid() || b.first.Compare(next) <= 0
}

// lastOf returns the block's highest address: its network bits, with all others set.
func lastOf(b netip.Prefix) netip.Addr {
	raw := b.Masked().Addr().AsSlice()
	for i := range raw {
		ones := min(8, max(0, b.Bits()-8*i))
		raw[i] |= 0xff >> ones
	}
	a, _ := netip.AddrFromSlice(raw)
	return a
}

// has reports whether the range holds the address.
func (r addrRange) has(a netip.Addr) bool {
	return a.BitLen() == r.first.BitLen() && r.first.Compare(a) <= 0 && a.Compare(r.last) <= 0
}

// probeTargets returns at most two addresses of the range to send probes to: its only one, or else neighbours of
// the place's own addresses, to which there is a route, or else the lowest after that which names the network.
// The place's own are left out.
func (r addrRange) probeTargets(own []netip.Addr) []netip.Addr {
	if r.single() {
		return []netip.Addr{r.first}
	}
	var near []netip.Addr
	for _, a := range own {
		a = a.Unmap().WithZone("")
		near = append(near, a.Next(), a.Prev())
	}
	near = append(near, r.first.Next(), r.first.Next().Next())
	var targets []netip.Addr
	for _, a := range near {
		if r.has(a) && a != r.first && !slices.Contains(own, a) && !slices.Contains(targets, a) {
			targets = append(targets, a)
		}
	}
	return targets[:min(len(targets), 2)]
}

// overlaps reports whether the two ranges share an address.
func (r addrRange) overlaps(o addrRange) bool {
	return r.first.BitLen() == o.first.BitLen() && r.first.Compare(o.last) <= 0 && o.first.Compare(r.last) <= 0
}
