package main

import (
	"context"
	"errors"
	"sync"
	"time"
)

const staleLimit = 1000 // answers that are kept for when a call fails

// bounds are what keeps a caller from going down with what it calls.
type bounds struct {
	timeout    time.Duration // of one call; 0: none
	bulkhead   int           // calls under way at once; 0: as many as come
	breakAfter int           // failures in a row that open the breaker; 0: none do
	rest       time.Duration // how long it stays open
	stale      bool          // answer what was answered the last time
}

// upstream is what a service calls, within bounds. It is safe for concurrent use.
type upstream struct {
	do      func(ctx context.Context, path string) ([]byte, error) // makes one call
	timeout time.Duration
	under   chan struct{} // calls under way; nil: any number
	breaker *breaker      // nil: none

	mu   sync.Mutex
	last map[string][]byte // answers by path; nil when none are kept
}

func newUpstream(b bounds, do func(ctx context.Context, path string) ([]byte, error)) *upstream {
	u := &upstream{do: do, timeout: b.timeout}
	if b.bulkhead > 0 {
		u.under = make(chan struct{}, b.bulkhead)
	}
	if b.breakAfter > 0 {
		u.breaker = &breaker{after: b.breakAfter, rest: b.rest}
	}
	if b.stale {
		u.last = map[string][]byte{}
	}
	return u
}

var (
	errOpen     = errors.New("what it needs has failed too often and is left in peace")
	errBulkhead = errors.New("too many wait for what it needs")
)

// get calls, within its bounds. When that fails and there is an older answer, it returns that, as stale.
func (u *upstream) get(ctx context.Context, path string) (body []byte, stale bool, err error) {
	body, err = u.bounded(ctx, path)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.last == nil {
		return body, false, err
	}
	if err == nil {
		if _, known := u.last[path]; known || len(u.last) < staleLimit {
			u.last[path] = body
		}
		return body, false, nil
	}
	if old, known := u.last[path]; known {
		return old, true, nil
	}
	return nil, false, err
}

// bounded makes the call, if the bounds allow one.
func (u *upstream) bounded(ctx context.Context, path string) ([]byte, error) {
	if u.under != nil {
		select {
		case u.under <- struct{}{}:
			defer func() { <-u.under }()
		default:
			return nil, errBulkhead
		}
	}
	if u.breaker != nil && !u.breaker.allow(time.Now()) {
		return nil, errOpen
	}
	body, err := u.call(ctx, path)
	if u.breaker != nil {
		u.breaker.heard(err == nil, time.Now())
	}
	return body, err
}

// call makes the call.
func (u *upstream) call(ctx context.Context, path string) ([]byte, error) {
	if u.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, u.timeout)
		defer cancel()
	}
	return u.do(ctx, path)
}

// breaker keeps calls from being made to what fails anyway. It is safe for concurrent use.
type breaker struct {
	after int
	rest  time.Duration

	mu     sync.Mutex
	failed int       // in a row
	until  time.Time // open until then; the next call after it is a trial
	trial  bool      // one is under way
}

// allow reports whether a call may be made now. While the breaker is open one call at a time is allowed, once it has
// rested.
func (b *breaker) allow(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed < b.after {
		return true
	}
	if b.trial || now.Before(b.until) {
		return false
	}
	b.trial = true
	return true
}

// heard tells the breaker how a call that it allowed has ended.
func (b *breaker) heard(ok bool, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trial = false
	if ok {
		b.failed = 0
		return
	}
	b.failed++
	if b.failed >= b.after {
		b.until = now.Add(b.rest)
	}
}
