package network

import (
	"fmt"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

// The table of one partition, as `nft list table` would show it, for direction both, action drop and no ports:
//
//	table inet gameday-0a1b2c3d4e5f {
//		set v4 { type ipv4_addr; flags timeout; comment "gameday run R injection I"
//			elements = { 198.18.0.4 timeout 10s expires 9s } }
//		set v6 { … }
//		chain input   { type filter hook input priority -10; policy accept;
//			iif lo accept
//			ip saddr @v4 counter drop
//			ip6 saddr @v6 counter drop }
//		chain forward { … saddr and daddr … }
//		chain output  { … oif lo accept … daddr … }
//	}
//
// Only the sets' elements make a rule match, and they lapse in the kernel. Without them the table does nothing.

// priority lets our verdict come before that of ordinary filter tables, whose counters and logs then stay true.
const priority = -10

// loopback is the interface index of lo in every network namespace.
const loopback = 1

// setSpec is one of the table's two sets.
type setSpec struct {
	name   string
	family byte // unix.NFPROTO_IPV4 or _IPV6
	keys   nftables.SetDatatype
	ranges []addrRange
}

// specs returns the sets of the families that are cut.
func (p *plan) specs() []setSpec {
	v4 := setSpec{name: "v4", family: unix.NFPROTO_IPV4, keys: nftables.TypeIPAddr}
	v6 := setSpec{name: "v6", family: unix.NFPROTO_IPV6, keys: nftables.TypeIP6Addr}
	for _, r := range p.ranges {
		if r.first.Is4() {
			v4.ranges = append(v4.ranges, r)
		} else {
			v6.ranges = append(v6.ranges, r)
		}
	}
	var used []setSpec
	for _, s := range []setSpec{v4, v6} {
		if len(s.ranges) > 0 {
			used = append(used, s)
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

// chainSpec is one base chain and the ends of a packet that it looks at.
type chainSpec struct {
	name     string
	hook     *nftables.ChainHook
	own      expr.MetaKey // where loopback is seen; 0 in forward, which never sees it
	src, dst bool
}

func (p *plan) chains() []chainSpec {
	var list []chainSpec
	if p.in {
		list = append(list, chainSpec{name: "input", hook: nftables.ChainHookInput, own: expr.MetaKeyIIF, src: true})
	}
	list = append(list, chainSpec{name: "forward", hook: nftables.ChainHookForward, src: p.in, dst: p.out})
	if p.out {
		list = append(list, chainSpec{name: "output", hook: nftables.ChainHookOutput, own: expr.MetaKeyOIF, dst: true})
	}
	return list
}

// rules returns a chain's rules in order. Only the cutting ones have a counter.
func (p *plan) rules(c chainSpec, sets []*nftables.Set) [][]expr.Any {
	var rules [][]expr.Any
	if c.own != 0 && !p.self {
		rules = append(rules, append(metaIs(c.own, binaryutil.NativeEndian.PutUint32(loopback)), accept()))
	}
	if p.reject {
		rules = append(rules, answersPass()...)
	}
	for i, s := range p.specs() {
		for _, end := range []struct {
			use bool
			src bool
		}{{c.src, true}, {c.dst, false}} {
			if !end.use {
				continue
			}
			match := matchAddress(s.family, end.src, sets[i])
			for _, ports := range p.portMatches() {
				rules = append(rules, p.cut(append(append([]expr.Any{}, match...), ports...))...)
			}
		}
	}
	return rules
}

// cut returns the rules that end a matching packet's way. TCP is rejected with a reset, all else with an ICMP
// error.
func (p *plan) cut(match []expr.Any) [][]expr.Any {
	with := func(more ...expr.Any) []expr.Any { return append(append([]expr.Any{}, match...), more...) }
	if !p.reject {
		return [][]expr.Any{with(&expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop})}
	}
	reset := append(metaIs(expr.MetaKeyL4PROTO, []byte{unix.IPPROTO_TCP}), &expr.Counter{},
		&expr.Reject{Type: unix.NFT_REJECT_TCP_RST})
	return [][]expr.Any{
		with(reset...),
		with(&expr.Counter{}, &expr.Reject{
			Type: unix.NFT_REJECT_ICMPX_UNREACH, Code: unix.NFT_REJECT_ICMPX_ADMIN_PROHIBITED}),
	}
}

// answersPass lets resets and ICMP errors through, in a partition that rejects: they are what it answers with,
// and would otherwise be cut by the other chain or the other side.
func answersPass() [][]expr.Any {
	const rst = 0x04
	reset := append(metaIs(expr.MetaKeyL4PROTO, []byte{unix.IPPROTO_TCP}),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 13, Len: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{rst}, Xor: []byte{0}},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{rst}}, accept())
	unreachable := func(protocol, kind byte) []expr.Any {
		return append(metaIs(expr.MetaKeyL4PROTO, []byte{protocol}),
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{kind}}, accept())
	}
	return [][]expr.Any{reset, unreachable(unix.IPPROTO_ICMP, 3), unreachable(unix.IPPROTO_ICMPV6, 1)}
}

// portMatches returns one match for each way a packet can have one of the ports, or a single empty one without
// ports.
func (p *plan) portMatches() [][]expr.Any {
	if len(p.ports) == 0 {
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

// compose queues the whole table. It becomes visible at once or not at all when the connection is flushed.
func (p *plan) compose(c *nftables.Conn, u undo, lease time.Duration) error {
	table := c.CreateTable(&nftables.Table{Name: u.Table, Family: nftables.TableFamilyINet})
	var sets []*nftables.Set
	for _, s := range p.specs() {
		set := s.set(table, u.Mark)
		if err := c.AddSet(set, nil); err != nil {
			return fmt.Errorf("composing set %s: %w", s.name, err)
		}
		if err := addElements(c, set, s.elements(set.Interval, lease)); err != nil {
			return err
		}
		sets = append(sets, set)
	}
	if len(p.ports) > 0 {
		set := &nftables.Set{Table: table, Name: portSet, KeyType: nftables.TypeInetService,
			KeyByteOrder: binaryutil.BigEndian}
		var list []nftables.SetElement
		for _, port := range p.ports {
			list = append(list, nftables.SetElement{Key: binaryutil.BigEndian.PutUint16(port)})
		}
		if err := c.AddSet(set, nil); err != nil {
			return fmt.Errorf("composing set %s: %w", portSet, err)
		}
		if err := addElements(c, set, list); err != nil {
			return err
		}
	}
	accepting := nftables.ChainPolicyAccept
	comment := userdata.AppendString(nil, userdata.TypeComment, u.Mark)
	for _, spec := range p.chains() {
		chain := c.AddChain(&nftables.Chain{Name: spec.name, Table: table, Type: nftables.ChainTypeFilter,
			Hooknum: spec.hook, Priority: nftables.ChainPriorityRef(priority), Policy: &accepting})
		for _, exprs := range p.rules(spec, sets) {
			c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: exprs, UserData: comment})
		}
	}
	return nil
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
