package conductor

import (
	"net/netip"
	"net/url"
	"slices"

	"gameday/scenarios"
	"gameday/targets/lab"
)

// labNetwork is where the nodes of a lab are.
var labNetwork = netip.MustParsePrefix("198.18.0.0/15")

// beyond returns the host at which a source is asked, when it is one that cannot be reached from inside of the scenario's lab, which
// has a network of its own; empty without a lab, and for sources that ask nobody.
func beyond(s *scenarios.Scenario, config any) string {
	c, ok := config.(interface{ Address() string })
	if s.Lab == nil || !ok {
		return ""
	}
	at, err := url.Parse(c.Address())
	if err != nil {
		return ""
	}
	host := at.Hostname()
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.IsLoopback() || ip.IsUnspecified() || labNetwork.Contains(ip) {
			return ""
		}
		return host
	}
	inside := host == "localhost" || slices.ContainsFunc(s.Lab.Nodes, func(n lab.NodeConfig) bool { return n.Name == host })
	if host == "" || inside || host == "gameday" {
		return ""
	}
	return host
}

// warnBeyond points out sources that a run in a lab would ask in vain.
func warnBeyond(s *scenarios.Scenario, warn func(string, ...any)) {
	say := func(id string, config any) {
		if host := beyond(s, config); host != "" {
			warn("Source %s is at %s, which is no node of the lab: it cannot be reached from inside, and the run will not begin. Leave the source out, "+
				"or have the lab bring up what stands for it.", id, host)
		}
	}
	for _, a := range s.AlarmSources {
		if !onlyBefore(s, a.ID()) {
			say(a.ID(), a.Config)
		}
	}
	for _, r := range s.Responders {
		say(r.ID(), r.Config)
	}
}
