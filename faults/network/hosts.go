package network

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"gameday/faults"
)

// lookupLimit bounds looking up one name.
const lookupLimit = 3 * time.Second

// hostBook looks up host names, each once: whoever judges a fault, injects it and reports on it in one process sees the same
// addresses, whatever a name server says next. Its methods are safe for concurrent use; nobody who asks for a known name
// waits for the lookup of another.
type hostBook struct {
	look func(ctx context.Context, network, name string) ([]netip.Addr, error)

	mu    sync.Mutex
	known map[string][]netip.Addr
}

func (b *hostBook) get(name string) ([]netip.Addr, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	list, ok := b.known[name]
	return list, ok
}

// put remembers what was found, unless somebody else was quicker: then what he found counts for all.
func (b *hostBook) put(name string, list []netip.Addr) []netip.Addr {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.known == nil {
		b.known = map[string][]netip.Addr{}
	}
	if _, ok := b.known[name]; !ok {
		b.known[name] = list
	}
	return b.known[name]
}

// hostNames are the names that this process has looked up, with its own resolver.
var hostNames = hostBook{look: net.DefaultResolver.LookupNetIP}

// find returns the addresses of a name, in order and without repetition. What is not found is asked for again next time.
func (b *hostBook) find(ctx context.Context, name string) ([]netip.Addr, error) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if list, ok := b.get(name); ok {
		return list, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	found, err := b.look(ctx, "ip", name)
	var list []netip.Addr
	for _, a := range found {
		if a = a.Unmap().WithZone(""); !a.IsUnspecified() && !a.IsLinkLocalUnicast() {
			list = append(list, a)
		}
	}
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("it has no address that can be hit")
	}
	if err != nil {
		return nil, &faults.FieldError{Field: "to", Summary: "Unknown host",
			Detail: fmt.Sprintf("%q cannot be looked up on the guard's machine: %v. Is it spelt as in DNS or the hosts file? "+
				"Otherwise write its addresses.", name, err)}
	}
	slices.SortFunc(list, netip.Addr.Compare)
	return b.put(name, slices.Compact(list)), nil
}

// lookUp returns what looks up the names in the parameter to, or nil when all are known or there are none.
func (s selector) lookUp() func(context.Context) error {
	var names []string
	for _, t := range s.to {
		if _, err := parseBlock(t); err == nil || !isHost(t) {
			continue
		}
		if _, known := hostNames.get(strings.ToLower(strings.TrimSuffix(t, "."))); !known {
			names = append(names, t)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return func(ctx context.Context) error {
		for _, name := range names {
			if _, err := hostNames.find(ctx, name); err != nil {
				return err
			}
		}
		return nil
	}
}

// resolve returns the blocks of the parameter to: those written down, and the addresses of its names, which it tells too, as
// "db.example.com (198.18.0.4)". A single word that is wrong makes it fail.
func (s selector) resolve() (blocks []netip.Prefix, hosts []string, err error) {
	for _, t := range s.to {
		b, err := parseBlock(t)
		if err == nil {
			blocks = append(blocks, b)
			continue
		}
		if !isHost(t) {
			return nil, nil, err
		}
		found, err := hostNames.find(context.Background(), t)
		if err != nil {
			return nil, nil, err
		}
		var words []string
		for _, a := range found {
			blocks = append(blocks, netip.PrefixFrom(a, a.BitLen()))
			words = append(words, a.String())
		}
		hosts = append(hosts, fmt.Sprintf("%s (%s)", t, strings.Join(words, " ")))
	}
	return blocks, hosts, nil
}

// touches returns what the parameter to reaches, for a policy to judge.
func (s selector) touches() (faults.Touched, error) {
	blocks, _, err := s.resolve()
	return faults.Touched{Networks: blocks}, err
}
