package chaosmesh

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestLooks has many look at the same thing within a moment: few looks are taken, and nobody is told of one that began before they wanted it.
func TestLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l looks[time.Time]
		var taken atomic.Int32
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond) // on the bubble's clock
				after := time.Now()
				began, err := l.see(t.Context(), "shop", after, func() (time.Time, error) {
					taken.Add(1)
					now := time.Now()
					time.Sleep(200 * time.Millisecond)
					return now, nil
				})
				if err != nil || began.Before(after) {
					t.Errorf("%d wanted to see what is after %v, and saw what was at %v: %v", i, after, began, err)
				}
			})
		}
		all.Wait()
		if n := taken.Load(); n != 2 {
			t.Errorf("%d looks were taken", n)
		}
		away := errors.New("nobody listens")
		if _, err := l.see(t.Context(), "bank", time.Now(), func() (time.Time, error) { return time.Time{}, away }); !errors.Is(err, away) {
			t.Errorf("a look that failed: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		long := make(chan struct{})
		for range 2 { // the first begins the look
			if _, err := l.see(ctx, "slow", time.Now(), func() (time.Time, error) { <-long; return time.Now(), nil }); !errors.Is(err, context.Canceled) {
				t.Errorf("somebody who waits no more: %v", err)
			}
		}
		close(long)
	})
}
