package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// The pretended work of one request takes from workShortest to workLongest: a service that answers in microseconds
// would hide every effect of waiting in line.
const (
	workShortest = 5 * time.Millisecond
	workLongest  = 20 * time.Millisecond
)

// pause pretends to work for a little while; it returns early, with the reason, when ctx ends.
type pause func(ctx context.Context) error

// newPause returns pauses spread evenly from lo to hi, in an order that seed decides. Safe for concurrent use.
func newPause(seed uint64, lo, hi time.Duration) pause {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 0))
	return func(ctx context.Context) error {
		mu.Lock()
		d := lo + time.Duration(random.Int64N(int64(hi-lo)+1))
		mu.Unlock()
		return wait(ctx, d)
	}
}

// wait returns after d, or with the reason when ctx ends before.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
