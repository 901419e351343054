package faults

import (
	"context"
	"encoding/json"
	"net/netip"
	"path"
)

// Touched is what a fault reaches beyond its place, for a policy to judge.
type Touched struct {
	Networks []netip.Prefix // what it cuts, slows or changes traffic to and from
	Paths    []string       // absolute paths that it fills or changes
}

// Toucher is implemented by configs whose settings do not show plainly what they reach: names that are looked up, a
// default folder. Touches returns all of it, and touches nothing itself.
type Toucher interface {
	Touches(p Place) (Touched, error)
}

// Namer is implemented by configs that reach what host names stand for. Name servers may be slow, or be what a fault is
// about, so a guard has the names looked up beside its other work before it asks Touches or Bind.
type Namer interface {
	// LookUp returns what looks up all names that are not known yet, for Touches and Bind to use, and fails for one that
	// cannot be found; nil when there is nothing to look up.
	LookUp() func(ctx context.Context) error
}

// LookUpOf returns what looks up the names in a fault's settings as JSON, or nil. Settings that cannot be read have none.
func LookUpOf(k Kind, config json.RawMessage) func(ctx context.Context) error {
	c := k.New()
	own, ok := c.(Namer)
	if !ok || len(config) > 0 && json.Unmarshal(config, c) != nil {
		return nil
	}
	return own.LookUp()
}

// Spreader is implemented by configs whose faults hit other processes besides their place's own.
type Spreader interface {
	// Spreads returns those that it would hit now. It is asked on the machine that the place is on, and touches nothing.
	Spreads(p Place) ([]Process, error)
}

// SpreadOf returns the processes that a fault would hit besides its place's own, from its settings as JSON.
func SpreadOf(k Kind, config json.RawMessage, p Place) ([]Process, error) {
	c := k.New()
	own, ok := c.(Spreader)
	if !ok {
		return nil, nil
	}
	if len(config) > 0 {
		if err := json.Unmarshal(config, c); err != nil {
			return nil, err
		}
	}
	return own.Spreads(p)
}

// TouchedBy returns what a fault would reach, from its settings as JSON. A config that is no Toucher is taken by its word:
// each text in it that is an address or a CIDR block is a network, each absolute path is a path. A network fault that names
// no address and has no peers reaches all networks; the place's own addresses are always among its two ends.
func TouchedBy(k Kind, config json.RawMessage, p Place) (Touched, error) {
	t := Touched{}
	c := k.New()
	if len(config) > 0 {
		if err := json.Unmarshal(config, c); err != nil {
			return t, err
		}
	}
	if own, ok := c.(Toucher); ok {
		var err error
		if t, err = own.Touches(p); err != nil {
			return t, err
		}
	} else {
		t = written(config)
	}
	if k.Needs != NeedNetwork {
		return t, nil
	}
	for _, peer := range p.Peers {
		t.Networks = append(t.Networks, hosts(peer.Addresses)...)
	}
	if len(t.Networks) == 0 {
		t.Networks = append(t.Networks, netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0))
	}
	t.Networks = append(t.Networks, hosts(p.Addresses)...)
	return t, nil
}

// hosts turns addresses into blocks of one address each.
func hosts(list []netip.Addr) []netip.Prefix {
	var out []netip.Prefix
	for _, a := range list {
		a = a.Unmap().WithZone("")
		out = append(out, netip.PrefixFrom(a, a.BitLen()))
	}
	return out
}

// written finds addresses and paths among all texts of a JSON value.
func written(raw json.RawMessage) Touched {
	var t Touched
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			if a, err := netip.ParseAddr(v); err == nil {
				t.Networks = append(t.Networks, hosts([]netip.Addr{a})...)
			} else if block, err := netip.ParsePrefix(v); err == nil {
				t.Networks = append(t.Networks, block.Masked())
			} else if path.IsAbs(v) {
				t.Paths = append(t.Paths, path.Clean(v))
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	var v any
	if json.Unmarshal(raw, &v) == nil {
		walk(v)
	}
	return t
}
