package network

import (
	"fmt"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// loopback is the interface index of lo in every network namespace.
const loopback = 1

// setSpec is one of the table's two sets.
type setSpec struct {
	name   string
	family byte // unix.NFPROTO_IPV4 or _IPV6
	keys   nftables.SetDatatype
	ranges []addrRange
}

// specs returns the sets of the families that are selected.
func (s *selection) specs() []setSpec {
	v4 := setSpec{name: "v4", family: unix.NFPROTO_IPV4, keys: nftables.TypeIPAddr}
	v6 := setSpec{name: "v6", family: unix.NFPROTO_IPV6, keys: nftables.TypeIP6Addr}
	for _, r := range s.ranges {
		if r.first.Is4() {
			v4.ranges = append(v4.ranges, r)
		} else {
			v6.ranges = append(v6.ranges, r)
		}
	}
	var used []setSpec
	for _, f := range []setSpec{v4, v6} {
		if len(f.ranges) > 0 {
			used = append(used, f)
		}
	}
	return used
}

// set returns the kernel's set: intervals only where a block is cut, because plain sets are simpler and faster.
func (s setSpec) set(t *nftables.Table, mark string) *nftables.Set {
	set := &nftables.Set{Table: t, Name: s.name, KeyType: s.keys, HasTimeout: true, Comment: mark,
		KeyByteOrder: binaryutil.BigEndian}
	for _, r := range s.ranges {
		set.Interval = set.Interval || !r.single()
	}
	return set
}

// elements returns the set's elements with a lease. In a set of intervals a range is two elements: its first
// address, and the address after its last as its end, which carries no timeout of its own.
func (s setSpec) elements(interval bool, lease time.Duration) []nftables.SetElement {
	var list []nftables.SetElement
	for _, r := range s.ranges {
		list = append(list, nftables.SetElement{Key: r.first.AsSlice(), Timeout: lease})
		if after := r.last.Next(); interval && after.IsValid() {
			list = append(list, nftables.SetElement{Key: after.AsSlice(), IntervalEnd: true})
		}
	}
	return list
}

// chunk keeps one message of elements well under the 64 KiB that a netlink attribute can hold.
const chunk = 500

func addElements(c *nftables.Conn, set *nftables.Set, list []nftables.SetElement) error {
	return inChunks(list, func(part []nftables.SetElement) error { return c.SetAddElements(set, part) })
}

// inChunks keeps the two elements of a range together, since a chunk is of even length and ranges come in pairs;
// an open end is always the last.
func inChunks(list []nftables.SetElement, do func([]nftables.SetElement) error) error {
	for len(list) > 0 {
		n := min(chunk, len(list))
		if err := do(list[:n]); err != nil {
			return fmt.Errorf("composing set elements: %w", err)
		}
		list = list[n:]
	}
	return nil
}

// portMatches returns one match for each way a packet can have one of the ports, or a single empty one without
// ports.
func (s *selection) portMatches() [][]expr.Any {
	if len(s.ports) == 0 {
		return [][]expr.Any{nil}
	}
	var list [][]expr.Any
	for _, protocol := range []byte{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
		for _, offset := range []uint32{0, 2} { // source port, destination port, in both headers
			list = append(list, append(metaIs(expr.MetaKeyL4PROTO, []byte{protocol}),
				&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 2},
				&expr.Lookup{SourceRegister: 1, SetName: portSet}))
		}
	}
	return list
}

const portSet = "ports"

func matchAddress(family byte, src bool, set *nftables.Set) []expr.Any {
	// Offsets of the addresses in the headers of IPv4 (RFC 791) and IPv6 (RFC 8200).
	offset, length := uint32(12), uint32(4)
	if family == unix.NFPROTO_IPV6 {
		offset, length = 8, 16
	}
	if !src {
		offset += length
	}
	return append(metaIs(expr.MetaKeyNFPROTO, []byte{family}),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: length},
		&expr.Lookup{SourceRegister: 1, SetName: set.Name, SetID: set.ID})
}

func metaIs(key expr.MetaKey, value []byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: key, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: value},
	}
}

func accept() expr.Any { return &expr.Verdict{Kind: expr.VerdictAccept} }
