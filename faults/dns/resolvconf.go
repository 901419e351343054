package dns

import (
	"net/netip"
	"slices"
	"strings"
)

// readResolvConf returns the name servers of a resolv.conf, once each and in order, and those of its words that are none
// we can hit: link-local addresses, whose interface a rule could not tell. Without any line the local machine is asked,
// as resolv.conf(5) says.
func readResolvConf(text string) (servers []netip.Addr, odd []string) {
	named := false
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		named = true
		a, err := netip.ParseAddr(words[1])
		a = a.Unmap()
		switch {
		case err == nil && a.IsUnspecified():
			a = loopbackOf(a)
		case err != nil || a.Zone() != "" || a.IsLinkLocalUnicast() || a.IsMulticast():
			odd = append(odd, words[1])
			continue
		}
		if !slices.Contains(servers, a) && len(servers) < maxResolvers {
			servers = append(servers, a)
		}
	}
	if !named {
		servers = []netip.Addr{loopbackOf(netip.IPv4Unspecified()), loopbackOf(netip.IPv6Unspecified())}
	}
	return servers, odd
}

// loopbackOf returns the loopback address of an address's family.
func loopbackOf(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.IPv6Loopback()
}
