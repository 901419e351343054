package main

import (
	"bufio"
	"cmp"
	"context"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"gameday/faults"
	"gameday/scenarios"
	"gameday/targets/hosts"
)

// keepVariable names the addresses and the names that no fault on this machine may cut off, unless it says allow_self_cut.
const keepVariable = "GAMEDAY_KEEP"

// Bounds of the look for what a run needs.
const (
	lookupLimit = 2 * time.Second // for one source, or one host
	maxJumps    = 4               // from one host's jump host to that one's
)

// endpoint is where a connection of gameday's goes.
type endpoint struct{ host, port string }

// keepPaths adds the addresses and names of the scenario's sources, of alarms and of responses, and of its SSH hosts to the
// environment that guards on this machine inherit. What cannot be looked up is left out, but for its name: its own preflight
// says so.
func keepPaths(ctx context.Context, s *scenarios.Scenario, remote []hosts.Settings) error {
	var sources []any
	for _, a := range s.AlarmSources {
		sources = append(sources, a.Config)
	}
	for _, r := range s.Responders {
		sources = append(sources, r.Config)
	}
	found := make([][]string, len(sources)+len(remote))
	var wait sync.WaitGroup
	for i, config := range sources {
		if c, ok := config.(interface{ Address() string }); ok {
			wait.Go(func() { found[i] = keepWords(ctx, sourceEndpoint(c.Address())) })
		}
	}
	for i, h := range remote {
		wait.Go(func() { found[len(sources)+i] = keepWords(ctx, sshEndpoint(ctx, h.SSH, maxJumps)) })
	}
	wait.Wait()
	var words []string
	if have := os.Getenv(keepVariable); have != "" {
		words = append(words, have)
	}
	for _, w := range slices.Concat(found...) {
		if !slices.Contains(words, w) {
			words = append(words, w)
		}
	}
	if len(words) == 0 {
		return nil
	}
	return os.Setenv(keepVariable, strings.Join(words, ","))
}

// sourceEndpoint returns where a URL leads.
func sourceEndpoint(address string) endpoint {
	u, err := url.Parse(address)
	if err != nil {
		return endpoint{}
	}
	return endpoint{u.Hostname(), cmp.Or(u.Port(), u.Scheme)}
}

// sshEndpoint asks ssh itself where it goes first on its way to a host, in the user's own configuration: to the host, or to
// the first of its jump hosts. What a ProxyCommand does is not known; the host is named then as well.
func sshEndpoint(ctx context.Context, to faults.SSH, jumps int) endpoint {
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	line := []string{"-G"}
	if to.Config != "" {
		line = append(line, "-F", expandHome(to.Config))
	}
	out, err := exec.CommandContext(ctx, "ssh", append(line, "--", to.Destination)...).Output()
	if err != nil {
		return endpoint{}
	}
	option := map[string]string{}
	for s := bufio.NewScanner(strings.NewReader(string(out))); s.Scan(); {
		key, value, _ := strings.Cut(s.Text(), " ")
		option[key] = strings.TrimSpace(value)
	}
	if first, _, _ := strings.Cut(option["proxyjump"], ","); first != "" && first != "none" && jumps > 0 {
		if !strings.HasPrefix(first, "ssh://") {
			first = "ssh://" + first
		}
		return sshEndpoint(ctx, faults.SSH{Destination: first, Config: to.Config}, jumps-1)
	}
	return endpoint{strings.Trim(option["hostname"], "[]"), option["port"]}
}

// expandHome replaces a leading ~/ as a shell does.
func expandHome(path string) string {
	rest, ok := strings.CutPrefix(path, "~/")
	if dir, err := os.UserHomeDir(); ok && err == nil {
		return filepath.Join(dir, rest)
	}
	return path
}

// keepWords returns an endpoint's addresses with its port, and its name if it has one that is looked up.
func keepWords(ctx context.Context, e endpoint) []string {
	if e.host == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	var words []string
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", e.port)
	if err != nil {
		return nil
	}
	found, _ := net.DefaultResolver.LookupNetIP(ctx, "ip", e.host)
	for _, a := range found {
		words = append(words, netip.AddrPortFrom(a.Unmap().WithZone(""), uint16(port)).String())
	}
	if _, err := netip.ParseAddr(e.host); err != nil && isHostName(e.host) {
		words = append(words, e.host)
	}
	return words
}

// isHostName reports whether a name may be asked of a name server. Others, such as an alias that ssh hands to a
// ProxyCommand, would be no words that a guard understands.
func isHostName(name string) bool {
	labels := strings.Split(strings.TrimSuffix(name, "."), ".")
	return name != "localhost" && !slices.Contains(labels, "") && strings.Trim(labels[len(labels)-1], "0123456789") != "" &&
		!strings.ContainsFunc(name, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
		})
}
