package dns

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The table of one outage, as `nft list table` would show it, with one resolver:
//
//	table inet gameday-dns-0a1b2c3d4e5f {
//		map ask4  { type ipv4_addr : inet_service; flags timeout
//			elements = { 198.18.0.2 timeout 10s expires 9s : 40001 } }
//		map tell4 { type inet_service : ipv4_addr; flags timeout
//			elements = { 40001 timeout 10s expires 9s : 198.18.0.2 } }
//		chain ask { type route hook output priority raw;
//			meta mark 0x67640035 accept
//			udp dport 53 udp dport set ip daddr map @ask4 ip daddr set 127.0.0.1 counter
//			tcp dport 53 … }
//		chain tell { type filter hook input priority 300;
//			iif lo ip saddr 127.0.0.1 ip saddr set udp sport map @tell4 udp sport set 53
//			… tcp … }
//	}
//
// A query's destination becomes the forwarder's socket, and the source of what the forwarder says becomes the resolver.
// Each packet is rewritten by itself: there is no NAT and no connection tracking, whose entries would lead a client that
// keeps its source port to the forwarder after the maps have lapsed. Queries are rewritten before connection tracking sees
// them, and answers after filters did, so that for stateful firewalls a query and its answer belong together.

const (
	beforeTracking = -300 // NF_IP_PRI_RAW
	afterFilters   = 300
	loopback       = 1 // the interface index of lo in every network namespace
	// ownMark is on the forwarder's own packets: "gd" and the port.
	ownMark = 0x67640000 | domain
)

// Names in the table.
const (
	askChain  = "ask"
	tellChain = "tell"
)

// family is what differs between IPv4 and IPv6 (RFC 791, RFC 8200): offsets and length of the header's addresses, and
// the checksum that IPv6 has not.
type family struct {
	number   byte
	suffix   string
	keys     nftables.SetDatatype
	src, dst uint32
	length   uint32
	csum     expr.PayloadCsumType
	csumAt   uint32
	loopback netip.Addr
}

var families = []family{
	{number: unix.NFPROTO_IPV4, suffix: "4", keys: nftables.TypeIPAddr, src: 12, dst: 16, length: 4,
		csum: expr.CsumTypeInet, csumAt: 10, loopback: loopbackOf(netip.IPv4Unspecified())},
	{number: unix.NFPROTO_IPV6, suffix: "6", keys: nftables.TypeIP6Addr, src: 8, dst: 24, length: 16,
		csum: expr.CsumTypeNone, loopback: loopbackOf(netip.IPv6Unspecified())},
}

// has reports whether an address is of the family.
func (f family) has(a netip.Addr) bool { return a.BitLen() == int(f.length)*8 }

// protocols are those of DNS, with the offset of their checksum (RFC 768, RFC 9293).
var protocols = []struct {
	number byte
	csumAt uint32
}{{unix.IPPROTO_UDP, 6}, {unix.IPPROTO_TCP, 16}}

// Offsets of the ports in both protocols' headers.
const (
	sourcePort = 0
	targetPort = 2
)

// redirection is one resolver and the port that stands in for it.
type redirection struct {
	resolver netip.Addr
	port     uint16
}

func redirections(list []listener) []redirection {
	out := make([]redirection, 0, len(list))
	for _, l := range list {
		out = append(out, redirection{l.resolver, l.port()})
	}
	return out
}

// directory is one of the table's maps, with its elements.
type directory struct {
	*nftables.Set
	elements []nftables.SetElement
}

// directories returns the two maps of a family with a lease.
func directories(t *nftables.Table, f family, list []redirection, mark string, lease time.Duration) (ask, tell directory) {
	ask.Set = &nftables.Set{Table: t, Name: "ask" + f.suffix, IsMap: true, HasTimeout: true, Comment: mark,
		KeyType: f.keys, DataType: nftables.TypeInetService, KeyByteOrder: binaryutil.BigEndian}
	tell.Set = &nftables.Set{Table: t, Name: "tell" + f.suffix, IsMap: true, HasTimeout: true, Comment: mark,
		KeyType: nftables.TypeInetService, DataType: f.keys, KeyByteOrder: binaryutil.BigEndian}
	for _, r := range list {
		if !f.has(r.resolver) {
			continue
		}
		a, p := r.resolver.AsSlice(), binaryutil.BigEndian.PutUint16(r.port)
		ask.elements = append(ask.elements, nftables.SetElement{Key: a, Val: p, Timeout: lease})
		tell.elements = append(tell.elements, nftables.SetElement{Key: p, Val: a, Timeout: lease})
	}
	return ask, tell
}

// Registers of nftables, 16 bytes each.
const (
	first  = 1
	second = 2
)

// askRule leads a query to the forwarder.
func askRule(f family, protocol byte, csumAt uint32, ask directory) []expr.Any {
	return concat(
		metaIs(expr.MetaKeyNFPROTO, []byte{f.number}),
		metaIs(expr.MetaKeyL4PROTO, []byte{protocol}),
		[]expr.Any{
			&expr.Payload{DestRegister: first, Base: expr.PayloadBaseTransportHeader, Offset: targetPort, Len: 2},
			&expr.Cmp{Op: expr.CmpOpEq, Register: first, Data: binaryutil.BigEndian.PutUint16(domain)},
			&expr.Payload{DestRegister: first, Base: expr.PayloadBaseNetworkHeader, Offset: f.dst, Len: f.length},
			lookup(ask),
			setPort(second, targetPort, csumAt),
			&expr.Immediate{Register: first, Data: f.loopback.AsSlice()},
			f.setAddress(first, f.dst),
			&expr.Counter{},
		})
}

// tellRule lets what the forwarder says come from the resolver.
func tellRule(f family, protocol byte, csumAt uint32, tell directory) []expr.Any {
	return concat(
		metaIs(expr.MetaKeyIIF, binaryutil.NativeEndian.PutUint32(loopback)),
		metaIs(expr.MetaKeyNFPROTO, []byte{f.number}),
		metaIs(expr.MetaKeyL4PROTO, []byte{protocol}),
		[]expr.Any{
			&expr.Payload{DestRegister: first, Base: expr.PayloadBaseNetworkHeader, Offset: f.src, Len: f.length},
			&expr.Cmp{Op: expr.CmpOpEq, Register: first, Data: f.loopback.AsSlice()},
			&expr.Payload{DestRegister: first, Base: expr.PayloadBaseTransportHeader, Offset: sourcePort, Len: 2},
			lookup(tell),
			f.setAddress(second, f.src),
			&expr.Immediate{Register: first, Data: binaryutil.BigEndian.PutUint16(domain)},
			setPort(first, sourcePort, csumAt),
		})
}

func concat(parts ...[]expr.Any) []expr.Any {
	var all []expr.Any
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func metaIs(key expr.MetaKey, value []byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: key, Register: first},
		&expr.Cmp{Op: expr.CmpOpEq, Register: first, Data: value},
	}
}

// lookup puts into the second register what the map has for the first, or ends the rule.
func lookup(d directory) expr.Any {
	return &expr.Lookup{SourceRegister: first, DestRegister: second, IsDestRegSet: true, SetName: d.Name, SetID: d.ID}
}

func setPort(register, at, csumAt uint32) expr.Any {
	return &expr.Payload{OperationType: expr.PayloadWrite, SourceRegister: register,
		Base: expr.PayloadBaseTransportHeader, Offset: at, Len: 2, CsumType: expr.CsumTypeInet, CsumOffset: csumAt}
}

// setAddress writes an address; the checksums of UDP and TCP count it too.
func (f family) setAddress(register, at uint32) expr.Any {
	return &expr.Payload{OperationType: expr.PayloadWrite, SourceRegister: register,
		Base: expr.PayloadBaseNetworkHeader, Offset: at, Len: f.length, CsumType: f.csum, CsumOffset: f.csumAt,
		CsumFlags: unix.NFT_PAYLOAD_L4CSUM_PSEUDOHDR}
}

// compose queues the whole table. It becomes visible at once or not at all when the connection is flushed.
func compose(c *nftables.Conn, u undo, list []redirection, lease time.Duration) error {
	table := c.CreateTable(u.NFT())
	accepting := nftables.ChainPolicyAccept
	ask := c.AddChain(&nftables.Chain{Name: askChain, Table: table, Type: nftables.ChainTypeRoute,
		Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityRef(beforeTracking), Policy: &accepting})
	tell := c.AddChain(&nftables.Chain{Name: tellChain, Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityRef(afterFilters), Policy: &accepting})
	comment := u.Comment()
	rule := func(chain *nftables.Chain, exprs []expr.Any) {
		c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: exprs, UserData: comment})
	}
	rule(ask, append(metaIs(expr.MetaKeyMARK, binaryutil.NativeEndian.PutUint32(ownMark)),
		&expr.Verdict{Kind: expr.VerdictAccept}))
	for _, f := range families {
		to, from := directories(table, f, list, u.Mark, lease)
		if len(to.elements) == 0 {
			continue
		}
		for _, d := range []directory{to, from} {
			if err := c.AddSet(d.Set, d.elements); err != nil {
				return fmt.Errorf("composing map %s: %w", d.Name, err)
			}
		}
		for _, p := range protocols {
			rule(ask, askRule(f, p.number, p.csumAt, to))
			rule(tell, tellRule(f, p.number, p.csumAt, from))
		}
	}
	return nil
}

// prolong queues a new timeout for all elements, in one transaction: the kernel deletes and adds them at once, so no
// packet slips through, and if one of them has lapsed it does neither.
func prolong(c *nftables.Conn, u undo, list []redirection, lease time.Duration) error {
	table := u.NFT()
	for _, f := range families {
		ask, tell := directories(table, f, list, u.Mark, lease)
		for _, d := range []directory{ask, tell} {
			if len(d.elements) == 0 {
				continue
			}
			if err := errors.Join(c.SetDeleteElements(d.Set, d.elements), c.SetAddElements(d.Set, d.elements)); err != nil {
				return fmt.Errorf("composing map %s: %w", d.Name, err)
			}
		}
	}
	return nil
}
