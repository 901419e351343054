package door

import (
	"net/netip"
	"sync"
	"time"
)

// Rate bounds how often each of many may do something: a burst at once, and so many a second after it. It is safe for concurrent
// use, and holds a bounded number of them: when there are more, those that it does not know share one allowance.
type Rate struct {
	Burst  float64
	Second float64
	Most   int // known at once; 0 is 4096

	mu     sync.Mutex
	known  map[string]*bucket
	others bucket
	swept  time.Time
}

type bucket struct {
	left float64
	at   time.Time
}

// Allow reports whether somebody may do it once more now, and counts that.
func (r *Rate) Allow(who string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	b := r.known[who]
	if b == nil {
		b = r.add(who, now)
	}
	if b.at.IsZero() {
		b.left = r.Burst
	} else {
		b.left = min(r.Burst, b.left+now.Sub(b.at).Seconds()*r.Second)
	}
	b.at = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

// add makes room for one more, at most once a second: those whose allowance is whole again need not be known.
func (r *Rate) add(who string, now time.Time) *bucket {
	most := r.Most
	if most == 0 {
		most = 4096
	}
	if len(r.known) >= most && now.Sub(r.swept) >= time.Second {
		r.swept = now
		for k, b := range r.known {
			if b.left+now.Sub(b.at).Seconds()*r.Second >= r.Burst {
				delete(r.known, k)
			}
		}
	}
	if len(r.known) >= most {
		return &r.others
	}
	if r.known == nil {
		r.known = map[string]*bucket{}
	}
	b := &bucket{}
	r.known[who] = b
	return b
}

// Address returns by what an address is counted: an IPv6 one by its network, for whoever has one has 2^64.
func Address(remote string) string {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return "unknown"
	}
	a := ap.Addr().Unmap().WithZone("")
	if a.Is6() {
		p, err := a.Prefix(64)
		if err != nil {
			return "unknown"
		}
		return p.String()
	}
	return a.String()
}
