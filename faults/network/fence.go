package network

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"gameday/faults/internal/netns"
)

// hits reports whether the selection takes in a packet of the path.
func (s *selection) hits(k netns.Kept) bool {
	if !k.Block.IsValid() || k.Block.Addr().IsLoopback() && !s.self || !s.hitsPorts(k) {
		return false
	}
	kept := addrRange{k.Block.Masked().Addr(), lastOf(k.Block)}
	return slices.ContainsFunc(s.ranges, kept.overlaps)
}

// hitsPorts reports whether the selection takes in one of the path's ports.
func (s *selection) hitsPorts(k netns.Kept) bool {
	return len(s.ports) == 0 || len(k.Ports) == 0 ||
		slices.ContainsFunc(k.Ports, func(port uint16) bool { return slices.Contains(s.ports, port) })
}

// hitsAnswers reports whether what gameday needs is at the place itself, and the selection takes in one of gameday's
// addresses: then what the place answers, or what it hears from gameday, is hit.
func (s *selection) hitsAnswers(k netns.Kept, gameday []netip.Addr) bool {
	if !k.Block.IsValid() || k.Block.Addr().IsLoopback() || !s.hitsPorts(k) {
		return false
	}
	here := func(a netip.Addr) bool { return k.Block.Contains(a.Unmap().WithZone("")) }
	if !slices.ContainsFunc(s.place.Addresses, here) {
		return false
	}
	return slices.ContainsFunc(gameday, func(a netip.Addr) bool {
		return slices.ContainsFunc(s.ranges, func(r addrRange) bool { return r.has(a) })
	})
}

// refuseSelfCut returns an error if the selection takes in a path that gameday itself needs: from the place, when its
// network is the guard's own, or else from the guard's network to the place. Through it, gameday could not be told to
// revert, or would not see its alarms. With allow_self_cut it is let through, and the lease alone ends it.
func (s *selection) refuseSelfCut(getenv func(string) string) error {
	if s.allowSelfCut {
		return nil
	}
	own, err := netns.Own()
	if err != nil {
		return err
	}
	kept, err := netns.KeptWords(getenv)
	if err != nil {
		return err
	}
	if netns.Same(own, s.place.Network) {
		through, err := netns.KeptSSH(getenv)
		if err != nil {
			return err
		}
		return s.refuse(append(through, kept...), s.hits, "which gameday itself needs on this machine")
	}
	gameday, err := ownAddresses()
	if err != nil {
		return err
	}
	answers := func(k netns.Kept) bool { return s.hitsAnswers(k, gameday) }
	return s.refuse(kept, answers, "which is there, and which gameday itself needs from this machine")
}

// refuse returns an error that names the first path that is hit.
func (s *selection) refuse(kept []netns.Kept, hits func(netns.Kept) bool, where string) error {
	i := slices.IndexFunc(kept, hits)
	if i < 0 {
		return nil
	}
	return fmt.Errorf("%s on %s would hit %s, %s: narrow it with to or ports, or set allow_self_cut = true, and the lease "+
		"alone ends it", s.kind, s.place.Name, kept[i].Why, where)
}

// ownAddresses returns the addresses of this process's network but for loopback.
func ownAddresses() ([]netip.Addr, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("reading the guard's own addresses: %w", err)
	}
	var list []netip.Addr
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil && !p.Addr().IsLoopback() {
			list = append(list, p.Addr().Unmap().WithZone(""))
		}
	}
	return list, nil
}
