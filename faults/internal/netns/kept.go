package netns

import (
	"fmt"
	"net/netip"
	"strings"
)

// Environment variables that tell a guard which paths gameday itself needs.
const (
	SSHVariable  = "SSH_CONNECTION"
	KeepVariable = "GAMEDAY_KEEP"
)

// Kept is something that gameday itself needs to reach from the machine that the guard stands on: addresses, or a name.
type Kept struct {
	Block netip.Prefix // not valid for a name
	Ports []uint16     // of either end of the conversation; none means that all count
	Name  string       // a host name as somebody would look it up; empty for addresses
	Why   string       // "the SSH connection from 203.0.113.5"
}

// KeptSSH reads the SSH connection through which the guard was started, if any: client address, client port, own address,
// own port.
func KeptSSH(getenv func(string) string) ([]Kept, error) {
	f := strings.Fields(getenv(SSHVariable))
	if len(f) != 4 {
		return nil, nil
	}
	peer, err := netip.ParseAddrPort(joinPort(f[0], f[1]))
	own, errOwn := netip.ParseAddrPort(joinPort(f[2], f[3]))
	if err != nil || errOwn != nil {
		return nil, fmt.Errorf("reading %s: %q does not name two addresses with their ports", SSHVariable, getenv(SSHVariable))
	}
	a := peer.Addr().Unmap().WithZone("")
	return []Kept{{Block: netip.PrefixFrom(a, a.BitLen()), Ports: []uint16{peer.Port(), own.Port()},
		Why: fmt.Sprintf("the SSH connection from %v", a)}}, nil
}

// KeptWords reads GAMEDAY_KEEP: addresses, CIDR blocks, address:port pairs, host names and name:port pairs, between commas.
func KeptWords(getenv func(string) string) ([]Kept, error) {
	var list []Kept
	for word := range strings.SplitSeq(getenv(KeepVariable), ",") {
		if word = strings.TrimSpace(word); word == "" {
			continue
		}
		k, ok := readKept(word)
		if !ok {
			return nil, fmt.Errorf("reading %s: %q is neither an address, nor a CIDR block, nor a host name, nor one of them "+
				"with a port", KeepVariable, word)
		}
		k.Why = word + " of " + KeepVariable
		list = append(list, k)
	}
	return list, nil
}

// readKept reads one word of GAMEDAY_KEEP.
func readKept(word string) (Kept, bool) {
	if ap, err := netip.ParseAddrPort(word); err == nil {
		a := ap.Addr().Unmap().WithZone("")
		return Kept{Block: netip.PrefixFrom(a, a.BitLen()), Ports: []uint16{ap.Port()}}, true
	}
	if a, err := netip.ParseAddr(word); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return Kept{Block: netip.PrefixFrom(a, a.BitLen())}, true
	}
	if b, err := netip.ParsePrefix(word); err == nil && !b.Addr().Is4In6() {
		return Kept{Block: b.Masked()}, true
	}
	name, port, _ := strings.Cut(word, ":")
	if !IsHostName(name) || strings.Trim(port, "0123456789") != "" {
		return Kept{}, false
	}
	return Kept{Name: strings.TrimSuffix(name, ".")}, true
}

// IsHostName reports whether a word could be a host name. Its last part is not a number, or it would be a mistyped address.
func IsHostName(word string) bool {
	parts := strings.Split(strings.TrimSuffix(word, "."), ".")
	for _, p := range parts {
		if p == "" || strings.ContainsFunc(p, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
		}) {
			return false
		}
	}
	return strings.Trim(parts[len(parts)-1], "0123456789") != ""
}

func joinPort(address, port string) string {
	if strings.Contains(address, ":") {
		address = "[" + address + "]"
	}
	return address + ":" + port
}
