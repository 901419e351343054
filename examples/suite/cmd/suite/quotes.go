package main

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	quotesBound = 30 // requests that may wait for their turn
	lowestNice  = 19
)

// quotes computes a price for each request, which takes processor time: one after the other, on one processor.
type quotes struct {
	work  time.Duration // processor time for each
	spend func(time.Duration)
	turn  chan struct{} // one token: whose turn it is
	room  chan struct{} // one for each request that is in here
}

// quotesRole serves quotes. A service that has a share of its own gets its processor time whoever else wants some; one without
// gets what others leave, as a pod without a request for processors does.
func quotesRole(ctx context.Context, args []string, log io.Writer) error {
	flags := flag.NewFlagSet("quotes", flag.ContinueOnError)
	listen := flags.String("listen", ":9161", "address to serve on")
	work := flags.Duration("work", 6*time.Millisecond, "processor time for each quote")
	share := flags.String("share", "own", "of the processors: own, or leftovers")
	if err := parse(flags, args, log); err != nil {
		return err
	}
	switch *share {
	case "own":
	case "leftovers":
		if err := beNice(lowestNice); err != nil {
			return err
		}
	default:
		return &usageError{fmt.Sprintf("-share is own or leftovers, not %q", *share)}
	}
	return serve(ctx, *listen, newQuotes(*work, spendCPU).routes(), log)
}

func newQuotes(work time.Duration, spend func(time.Duration)) *quotes {
	q := &quotes{work: work, spend: spend, turn: make(chan struct{}, 1), room: make(chan struct{}, quotesBound)}
	q.turn <- struct{}{}
	return q
}

func (q *quotes) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", healthy)
	mux.HandleFunc("GET /quotes", func(w http.ResponseWriter, r *http.Request) {
		select {
		case q.room <- struct{}{}:
			defer func() { <-q.room }()
		default:
			fail(w, http.StatusServiceUnavailable, "too many wait already")
			return
		}
		select {
		case <-q.turn:
		case <-r.Context().Done():
			return
		}
		q.spend(q.work)
		q.turn <- struct{}{}
		answer(w, http.StatusOK, map[string]int{"cents": 4200})
	})
	return mux
}

// burn uses the processor for about as long as it takes to hash a few kilobytes.
func burn(block []byte) {
	sum := sha256.Sum256(block)
	copy(block, sum[:])
}
