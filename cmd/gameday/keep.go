package main

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"gameday/scenarios"
)

// keepVariable names the addresses that no fault on this machine may cut off, unless it says allow_self_cut.
const keepVariable = "GAMEDAY_KEEP"

// lookupLimit bounds the look for the addresses of one alarm source.
const lookupLimit = 2 * time.Second

// keepSources adds the addresses of the scenario's alarm sources to the environment that guards on this machine inherit. A
// source whose name cannot be looked up is left out: its own preflight says so.
func keepSources(ctx context.Context, s []scenarios.AlarmSource) error {
	var words []string
	if have := os.Getenv(keepVariable); have != "" {
		words = append(words, have)
	}
	for _, source := range s {
		c, ok := source.Config.(interface{ Address() string })
		if !ok {
			continue
		}
		for _, a := range lookup(ctx, c.Address()) {
			words = append(words, a.String())
		}
	}
	if len(words) == 0 {
		return nil
	}
	return os.Setenv(keepVariable, strings.Join(words, ","))
}

// lookup returns the addresses and the port of a URL.
func lookup(ctx context.Context, address string) []netip.AddrPort {
	u, err := url.Parse(address)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", cmp.Or(u.Port(), u.Scheme))
	if err != nil {
		return nil
	}
	found, _ := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	var out []netip.AddrPort
	for _, a := range found {
		out = append(out, netip.AddrPortFrom(a.Unmap().WithZone(""), uint16(port)))
	}
	return out
}
