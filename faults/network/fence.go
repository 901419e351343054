package network

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"gameday/faults/internal/netns"
)

// Environment variables that name the paths gameday itself needs.
const (
	sshVariable  = "SSH_CONNECTION"
	keepVariable = "GAMEDAY_KEEP"
)

// keptPath is an address that gameday itself needs to reach from the machine that the guard stands on.
type keptPath struct {
	block netip.Prefix
	ports []uint16 // of either end of the conversation; none means that all count
	why   string
}

// keptPaths reads the SSH connection through which the guard was started (client address, client port, own address, own
// port) and GAMEDAY_KEEP: addresses, CIDR blocks and address:port pairs between commas.
func keptPaths(getenv func(string) string) ([]keptPath, error) {
	var paths []keptPath
	if f := strings.Fields(getenv(sshVariable)); len(f) == 4 {
		peer, err := netip.ParseAddrPort(joinPort(f[0], f[1]))
		own, errOwn := netip.ParseAddrPort(joinPort(f[2], f[3]))
		if err != nil || errOwn != nil {
			return nil, fmt.Errorf("reading %s: %q does not name two addresses with their ports", sshVariable,
				getenv(sshVariable))
		}
		a := peer.Addr().Unmap().WithZone("")
		paths = append(paths, keptPath{netip.PrefixFrom(a, a.BitLen()), []uint16{peer.Port(), own.Port()},
			fmt.Sprintf("the SSH connection from %v", a)})
	}
	for word := range strings.SplitSeq(getenv(keepVariable), ",") {
		word = strings.TrimSpace(word)
		if word == "" {
			continue
		}
		if ap, err := netip.ParseAddrPort(word); err == nil {
			a := ap.Addr().Unmap().WithZone("")
			paths = append(paths, keptPath{netip.PrefixFrom(a, a.BitLen()), []uint16{ap.Port()}, word + " of " + keepVariable})
			continue
		}
		b, err := parseBlock(word)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %q is neither an address, nor a CIDR block, nor address:port", keepVariable,
				word)
		}
		paths = append(paths, keptPath{b, nil, word + " of " + keepVariable})
	}
	return paths, nil
}

func joinPort(address, port string) string {
	if strings.Contains(address, ":") {
		address = "[" + address + "]"
	}
	return address + ":" + port
}

// hits reports whether the selection takes in a packet of the path.
func (s *selection) hits(p keptPath) bool {
	if p.block.Addr().IsLoopback() && !s.self {
		return false
	}
	if len(s.ports) > 0 && len(p.ports) > 0 && !slices.ContainsFunc(p.ports, func(port uint16) bool {
		return slices.Contains(s.ports, port)
	}) {
		return false
	}
	kept := addrRange{p.block.Masked().Addr(), lastOf(p.block)}
	return slices.ContainsFunc(s.ranges, kept.overlaps)
}

// refuseSelfCut returns an error if the place's network is the guard's own and the selection takes in a path that
// gameday itself needs: it could not be told to revert through it. With allow_self_cut it is let through, and the lease
// alone ends it.
func (s *selection) refuseSelfCut(getenv func(string) string) error {
	if s.allowSelfCut {
		return nil
	}
	own, err := netns.Own()
	if err != nil || !netns.Same(own, s.place.Network) {
		return err
	}
	paths, err := keptPaths(getenv)
	if err != nil {
		return err
	}
	for _, p := range paths {
		if s.hits(p) {
			return fmt.Errorf("%s on %s would hit %s, which gameday itself needs on this machine: narrow it with to or ports, "+
				"or set allow_self_cut = true, and the lease alone ends it", s.kind, s.place.Name, p.why)
		}
	}
	return nil
}
