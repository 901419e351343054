package main

import (
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Quotes are computed one after the other, and who finds too many waiting is told.
func TestQuotesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		h := newQuotes(12*time.Millisecond, func(d time.Duration) {
			most.Store(max(most.Load(), now.Add(1)))
			time.Sleep(d)
			now.Add(-1)
		}).routes()
		codes := make(chan int, quotesBound)
		began := time.Now()
		for range quotesBound {
			go func() { codes <- answered(t, h, "GET", "/quotes", nil) }()
		}
		synctest.Wait()
		if got := answered(t, h, "GET", "/quotes", nil); got != http.StatusServiceUnavailable {
			t.Errorf("one too many is answered %d", got)
		}
		for range quotesBound {
			if got := <-codes; got != http.StatusOK {
				t.Errorf("a quote is answered %d", got)
			}
		}
		if took, want := time.Since(began), quotesBound*12*time.Millisecond; took != want || most.Load() != 1 {
			t.Errorf("%d quotes took %s, up to %d at the same time; want %s, one by one", quotesBound, took, most.Load(), want)
		}
	})
}
