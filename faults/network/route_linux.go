package network

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// link is one network interface.
type link struct {
	index    int
	name     string
	queue    uint32 // packets, IFLA_TXQLEN
	loopback bool
}

// route is one route by which packets leave.
type route struct {
	to    netip.Prefix
	table uint32
	links []int
}

// egress returns the interfaces by which packets to the selected addresses leave: lo if the fault stands between the
// place and itself, and the interface of every route that the kernel may choose for one of the addresses, in whichever
// table.
func (c tcConn) egress(s *selection) ([]link, error) {
	links, err := c.links()
	if err != nil {
		return nil, err
	}
	use := map[int]bool{}
	if s.self {
		use[loopback] = true
	}
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		routes, err := c.routes(family)
		if err != nil {
			return nil, err
		}
		for _, i := range leaving(routes, s.ranges) {
			use[i] = true
		}
	}
	var list []link
	for _, l := range links {
		if use[l.index] && (s.self || !l.loopback) {
			list = append(list, l)
		}
	}
	return list, nil
}

// leaving returns the interfaces of the routes that matter to the ranges: those that share an address with one, unless
// the same table has a narrower route for the whole of it.
func leaving(routes []route, ranges []addrRange) []int {
	var list []int
	for _, r := range ranges {
		for _, candidate := range routes {
			to := addrRange{candidate.to.Addr(), lastOf(candidate.to)}
			if !to.overlaps(r) {
				continue
			}
			narrower := func(o route) bool {
				return o.table == candidate.table && o.to.Bits() > candidate.to.Bits() &&
					o.to.Contains(r.first) && o.to.Contains(r.last)
			}
			if !slices.ContainsFunc(routes, narrower) {
				list = append(list, candidate.links...)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// ifinfomsgSize is the size of struct ifinfomsg: family, padding, type, index, flags, change.
const ifinfomsgSize = 16

// dropQueue takes its transmit queue from an interface that the kernel gave one when our root came, unless somebody has
// chosen another length since.
func (c tcConn) dropQueue(index int) error {
	links, err := c.links()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(links, func(l link) bool { return l.index == index })
	if i < 0 || links[i].queue != directQueue {
		return nil
	}
	body := make([]byte, ifinfomsgSize)
	binary.NativeEndian.PutUint32(body[4:], uint32(int32(index)))
	e := netlink.NewAttributeEncoder()
	e.Uint32(unix.IFLA_TXQLEN, 0)
	attributes, err := e.Encode()
	if err == nil {
		_, err = c.Execute(netlink.Message{
			Header: netlink.Header{Type: unix.RTM_NEWLINK, Flags: netlink.Request | netlink.Acknowledge},
			Data:   append(body, attributes...),
		})
	}
	if err != nil {
		return fmt.Errorf("taking back the transmit queue of %s: %w", links[i].name, err)
	}
	return nil
}

// links returns the interfaces in order of their index.
func (c tcConn) links() ([]link, error) {
	answers, err := c.dump(unix.RTM_GETLINK, make([]byte, ifinfomsgSize))
	if err != nil {
		return nil, fmt.Errorf("listing interfaces: %w", err)
	}
	var list []link
	for _, m := range answers {
		if len(m.Data) < ifinfomsgSize {
			return nil, errors.New("listing interfaces: an answer is too short")
		}
		l := link{index: int(int32(binary.NativeEndian.Uint32(m.Data[4:]))),
			loopback: binary.NativeEndian.Uint32(m.Data[8:])&unix.IFF_LOOPBACK != 0}
		d, err := netlink.NewAttributeDecoder(m.Data[ifinfomsgSize:])
		if err != nil {
			return nil, fmt.Errorf("listing interfaces: %w", err)
		}
		for d.Next() {
			switch d.Type() {
			case unix.IFLA_IFNAME:
				l.name = d.String()
			case unix.IFLA_TXQLEN:
				l.queue = d.Uint32()
			}
		}
		if err := d.Err(); err != nil {
			return nil, fmt.Errorf("listing interfaces: %w", err)
		}
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b link) int { return a.index - b.index })
	return list, nil
}

// routes returns the routes of one family that lead out of the place.
func (c tcConn) routes(family byte) ([]route, error) {
	request := make([]byte, rtmsgSize)
	request[0] = family
	answers, err := c.dump(unix.RTM_GETROUTE, request)
	if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil, nil // a kernel without IPv6
	}
	if err != nil {
		return nil, fmt.Errorf("listing routes: %w", err)
	}
	var list []route
	for _, m := range answers {
		r, ok, err := decodeRoute(m.Data)
		if err != nil {
			return nil, fmt.Errorf("listing routes: %w", err)
		}
		if ok && len(r.links) > 0 {
			list = append(list, r)
		}
	}
	return list, nil
}

// rtmsgSize is the size of struct rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type, flags.
const rtmsgSize = 12

// decodeRoute reads one message of an answer, and reports whether it is a route by which packets leave.
func decodeRoute(b []byte) (route, bool, error) {
	if len(b) < rtmsgSize {
		return route{}, false, fmt.Errorf("%d bytes are too few", len(b))
	}
	family, bits := b[0], int(b[1])
	r := route{table: uint32(b[4])}
	any := netip.IPv4Unspecified()
	if family == unix.AF_INET6 {
		any = netip.IPv6Unspecified()
	}
	if b[7] != unix.RTN_UNICAST || binary.NativeEndian.Uint32(b[8:])&unix.RTM_F_CLONED != 0 {
		return r, false, nil
	}
	r.to = netip.PrefixFrom(any, bits)
	d, err := netlink.NewAttributeDecoder(b[rtmsgSize:])
	if err != nil {
		return r, false, err
	}
	for d.Next() {
		switch d.Type() {
		case unix.RTA_DST:
			if a, ok := netip.AddrFromSlice(d.Bytes()); ok {
				r.to = netip.PrefixFrom(a, bits)
			}
		case unix.RTA_OIF:
			r.links = append(r.links, int(d.Uint32()))
		case unix.RTA_TABLE:
			r.table = d.Uint32()
		case unix.RTA_MULTIPATH:
			r.links = append(r.links, nexthops(d.Bytes())...)
		}
	}
	return r, r.to.IsValid(), d.Err()
}

// nexthops returns the interfaces of a list of struct rtnexthop: length, flags, hops, interface, attributes.
func nexthops(b []byte) []int {
	const size = 8
	var list []int
	for len(b) >= size {
		n := int(binary.NativeEndian.Uint16(b))
		if n < size || n > len(b) {
			return list
		}
		list = append(list, int(int32(binary.NativeEndian.Uint32(b[4:]))))
		b = b[min((n+3)&^3, len(b)):]
	}
	return list
}

// dump asks for all of a kind.
func (c tcConn) dump(kind netlink.HeaderType, body []byte) ([]netlink.Message, error) {
	return c.Execute(netlink.Message{
		Header: netlink.Header{Type: kind, Flags: netlink.Request | netlink.Dump}, Data: body})
}
