package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// However many charges come, and however often booking fails, the backlog never holds more than its limit, loses none
// it accepted, and books none twice.
func TestBacklogNeverLosesNorDoubles(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		limit := rapid.IntRange(1, 8).Draw(r, "limit")
		charges := rapid.IntRange(0, 30).Draw(r, "charges")
		failures := rapid.IntRange(0, 12).Draw(r, "failures")
		gap := time.Duration(rapid.IntRange(0, 400).Draw(r, "gap")) * time.Millisecond
		synctest.Test(t, func(t *testing.T) {
			b := newBacklog(limit, quiet)
			var mu sync.Mutex
			booked := map[string]int{}
			book := func(_ context.Context, e entry) (uint64, error) {
				mu.Lock()
				defer mu.Unlock()
				if failures > 0 {
					failures--
					return 0, errors.New("away")
				}
				booked[e.Order]++
				return 1, nil
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { b.flush(ctx, book); close(done) }()
			accepted := map[string]bool{}
			for i := range charges {
				order := fmt.Sprint(i)
				if b.offer(entry{Order: order}) {
					accepted[order] = true
				}
				if d := b.depth.Load(); d < 0 || d > int64(limit) {
					t.Errorf("depth %d outside 0..%d", d, limit)
				}
				if err := wait(t.Context(), gap); err != nil {
					t.Fatal(err)
				}
			}
			if err := wait(t.Context(), time.Minute); err != nil {
				t.Fatal(err)
			}
			cancel()
			<-done
			if len(booked) != len(accepted) || b.depth.Load() != 0 {
				t.Errorf("%d booked of %d accepted, depth %d", len(booked), len(accepted), b.depth.Load())
			}
			for order, n := range booked {
				if n != 1 || !accepted[order] {
					t.Errorf("order %s booked %d times, accepted %v", order, n, accepted[order])
				}
			}
			if refused := int(b.refused.Load()); refused != charges-len(accepted) {
				t.Errorf("%d refused, want %d", refused, charges-len(accepted))
			}
		})
	})
}

// Told to stop while the ledger is away, payments tries for a short while and then gives up: it must not hang.
func TestBacklogGivesUpAfterItsFarewell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBacklog(5, quiet)
		for i := range 5 {
			if !b.offer(entry{Order: fmt.Sprint(i)}) {
				t.Fatal("refused within the limit")
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		begin := time.Now()
		b.flush(ctx, func(context.Context, entry) (uint64, error) { return 0, errors.New("away") })
		if took := time.Since(begin); took > flushFarewell {
			t.Errorf("took %s to give up, want at most %s", took, flushFarewell)
		}
		if b.depth.Load() != 5 {
			t.Errorf("depth %d, want 5: nothing was booked", b.depth.Load())
		}
	})
}

// A charge the ledger refuses for good must not hold up those behind it.
func TestBacklogDropsWhatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBacklog(5, quiet)
		b.offer(entry{Order: "bad"})
		b.offer(entry{Order: "good"})
		var good bool
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			b.flush(ctx, func(_ context.Context, e entry) (uint64, error) {
				if e.Order == "bad" {
					return 0, fmt.Errorf("%w: status 400", errRefused)
				}
				good = true
				return 1, nil
			})
		}()
		synctest.Wait()
		if d := b.depth.Load(); d != 0 {
			t.Errorf("depth %d, want 0", d)
		}
		cancel()
		<-done
		if !good {
			t.Error("the charge behind a refused one was not booked")
		}
	})
}
