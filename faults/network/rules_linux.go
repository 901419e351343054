package network

import (
	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
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
