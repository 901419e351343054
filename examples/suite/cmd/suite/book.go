package main

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	bookFresh   = 2 * time.Second        // how long an entry is good without asking again
	bookWait    = 500 * time.Millisecond // for one look-up
	mostEntries = 1_000                  // of a book
)

// lookup finds a host's addresses.
type lookup func(ctx context.Context, host string) ([]netip.Addr, error)

// book remembers addresses. What it once knew it goes on using, however old, while it asks anew beside the requests: an old
// address is nearly always right, and no answer never is. It is safe for concurrent use.
type book struct {
	look lookup
	now  func() time.Time

	mu      sync.Mutex
	entries map[string]*bookEntry
}

// bookEntry is what is known of one host.
type bookEntry struct {
	addrs  []netip.Addr
	asked  time.Time // when the newest look-up began
	asking bool
}

func newBook(look lookup, now func() time.Time) *book {
	return &book{look: look, now: now, entries: map[string]*bookEntry{}}
}

// find returns a host's addresses: from memory when it has any, and only then without waiting.
func (b *book) find(ctx context.Context, host string) ([]netip.Addr, error) {
	b.mu.Lock()
	e := b.entries[host]
	if e != nil {
		addrs := e.addrs
		if !e.asking && b.now().Sub(e.asked) >= bookFresh {
			e.asking, e.asked = true, b.now()
			go b.refresh(context.WithoutCancel(ctx), host)
		}
		b.mu.Unlock()
		return addrs, nil
	}
	b.mu.Unlock()
	begun := b.now()
	addrs, err := b.ask(ctx, host)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.entries[host] == nil && len(b.entries) < mostEntries {
		b.entries[host] = &bookEntry{addrs: addrs, asked: begun}
	}
	return addrs, nil
}

// refresh asks for a host that is known. Without an answer what is known stays.
func (b *book) refresh(ctx context.Context, host string) {
	addrs, err := b.ask(ctx, host)
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.entries[host]
	e.asking = false
	if err == nil {
		e.addrs = addrs
	}
}

// ask looks a host up, within bookWait.
func (b *book) ask(ctx context.Context, host string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, bookWait)
	defer cancel()
	addrs, err := b.look(ctx, host)
	if err == nil && len(addrs) == 0 {
		err = &net.DNSError{Err: "no address", Name: host, IsNotFound: true}
	}
	return addrs, err
}
