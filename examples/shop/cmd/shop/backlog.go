package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	queueCeiling  = 100_000                // the largest backlog that can be asked for
	flushers      = 2                      // entries being booked from the backlog at once
	flushAgain    = 250 * time.Millisecond // pause after a failure, doubled up to flushSeldom
	flushSeldom   = time.Second
	flushFarewell = 2 * time.Second // to empty the backlog when told to stop
)

// backlog holds charges that were accepted while the ledger was away. It lives in memory: whoever kills payments while
// the ledger is cut off loses them, which is worth a game day of its own.
type backlog struct {
	waiting chan entry
	depth   atomic.Int64 // waiting, or in a flusher's hands
	refused atomic.Int64 // turned away because it was full
	log     *slog.Logger
}

// newBacklog returns a backlog of at most limit charges.
func newBacklog(limit int, log *slog.Logger) *backlog {
	return &backlog{waiting: make(chan entry, limit), log: log}
}

// offer takes e in, unless the backlog is full. It never blocks: depth counts no more than the channel holds.
func (b *backlog) offer(e entry) bool {
	depth := b.depth.Add(1)
	if depth > int64(cap(b.waiting)) {
		b.depth.Add(-1)
		b.refused.Add(1)
		return false
	}
	if depth == 1 {
		b.log.Warn("the ledger is away, charges are kept for later")
	}
	b.waiting <- e
	return true
}

// flush books what waits until ctx ends, and then gives what is left a last short chance.
func (b *backlog) flush(ctx context.Context, book func(context.Context, entry) (uint64, error)) {
	var wg sync.WaitGroup
	for range flushers {
		wg.Go(func() {
			for {
				select {
				case e := <-b.waiting:
					b.settle(ctx, e, book)
				case <-ctx.Done():
					return
				}
			}
		})
	}
	wg.Wait()
	farewell, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushFarewell)
	defer cancel()
	for farewell.Err() == nil {
		select {
		case e := <-b.waiting:
			b.settle(farewell, e, book)
		default:
			return
		}
	}
	b.log.Error("stopping with charges that were never booked", "lost", b.depth.Load())
}

// settle books e, however often it takes, or puts it back when ctx ends.
func (b *backlog) settle(ctx context.Context, e entry, book func(context.Context, entry) (uint64, error)) {
	for pause := flushAgain; ; pause = min(2*pause, flushSeldom) {
		_, err := book(ctx, e)
		if errors.Is(err, errRefused) {
			b.log.Error("a charge cannot be booked", "order", e.Order, "error", err)
			err = nil
		}
		if err == nil {
			if b.depth.Add(-1) == 0 {
				b.log.Info("every kept charge is booked")
			}
			return
		}
		if wait(ctx, pause) != nil {
			b.waiting <- e // there is room: depth still counts it
			return
		}
	}
}
