package main

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// What was known once is found at once for ever, however long the look-ups take and whether they work or not; and it is
// mended as soon as one works.
func TestBookNeverForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := netip.MustParseAddr("198.18.0.1"), netip.MustParseAddr("198.18.0.2")
		answer, took, broken, asked := one, time.Duration(0), false, 0
		b := newBook(func(ctx context.Context, _ string) ([]netip.Addr, error) {
			asked++
			if err := wait(ctx, took); err != nil {
				return nil, err
			}
			if broken {
				return nil, errors.New("no such host")
			}
			return []netip.Addr{answer}, nil
		}, time.Now)
		find := func(want netip.Addr) {
			t.Helper()
			begun := time.Now()
			got, err := b.find(t.Context(), "prices")
			if err != nil || got[0] != want {
				t.Fatalf("found %v, %v, want %s", got, err, want)
			}
			if waited := time.Since(begun); waited > 0 {
				t.Errorf("it took %s", waited)
			}
		}
		find(one)
		find(one)
		if asked != 1 {
			t.Errorf("asked %d times, want once", asked)
		}
		answer = two
		for name, trouble := range map[string]func(){"slow": func() { took = time.Hour }, "broken": func() { took, broken = 0, true }} {
			trouble()
			for range 10 {
				find(one)
				time.Sleep(bookFresh)
				synctest.Wait()
			}
			if t.Failed() {
				t.Fatal(name)
			}
		}
		took, broken = 0, false
		find(one) // and asks anew beside it
		synctest.Wait()
		find(two)
	})
}

func TestBookKnowsNothingYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook(func(ctx context.Context, host string) ([]netip.Addr, error) {
			if host == "empty" {
				return nil, nil
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}, time.Now)
		begun := time.Now()
		if _, err := b.find(t.Context(), "prices"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without an answer: %v", err)
		}
		if waited := time.Since(begun); waited != bookWait {
			t.Errorf("it took %s, want %s", waited, bookWait)
		}
		if _, err := b.find(t.Context(), "empty"); err == nil {
			t.Error("no address is an answer")
		}
		if len(b.entries) != 0 {
			t.Errorf("it remembers %v", b.entries)
		}
	})
}
