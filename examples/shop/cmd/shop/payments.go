package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
)

// charge is what the storefront asks for.
type charge struct {
	Order   string `json:"order"`
	Product int    `json:"product"`
	Cents   int    `json:"cents"`
}

// receipt is what payments answers: the entry's number, or 0 while it is not booked.
type receipt struct {
	Order   string `json:"order"`
	Number  uint64 `json:"number,omitempty"`
	Message string `json:"message"`
}

// newPayments returns the service that charges. Without its ledger it degrades instead of failing: it accepts charges
// into a bounded backlog, after having waited for the ledger in vain, and books them when the ledger is back.
func newPayments(s settings, work pause, log *slog.Logger) *service {
	return newPaymentsWith(newBooker(s.ledger, bookTimeout), newBacklog(s.queue, log), work)
}

func newPaymentsWith(b *booker, kept *backlog, work pause) *service {
	s := newService("payments")
	up := newUpstream()
	s.metrics.gauge("shop_upstream_up", "Whether the last call to another service worked.",
		[]label{{"upstream", "ledger"}}, up.value)
	s.metrics.gauge("payments_queue_depth", "Charges accepted but not yet booked.", nil,
		func() float64 { return float64(kept.depth.Load()) })
	s.metrics.gauge("payments_queue_limit", "Charges that may wait at most.", nil,
		func() float64 { return float64(cap(kept.waiting)) })
	s.metrics.gauge("payments_queue_refused", "Charges turned away because the queue was full, since the start.", nil,
		func() float64 { return float64(kept.refused.Load()) })
	s.background = func(ctx context.Context) { kept.flush(ctx, b.book) }

	s.mux.HandleFunc("POST /charge", func(w http.ResponseWriter, r *http.Request) {
		var c charge
		if err := json.NewDecoder(r.Body).Decode(&c); err != nil || c.Order == "" || c.Cents <= 0 {
			fail(w, http.StatusBadRequest, "a charge needs an order and an amount")
			return
		}
		if work(r.Context()) != nil {
			return
		}
		e := entry{Order: c.Order, Product: c.Product, Cents: c.Cents}
		number, err := b.book(r.Context(), e)
		up.set(err == nil || errors.Is(err, errRefused))
		switch {
		case err == nil:
			answer(w, http.StatusCreated, receipt{Order: c.Order, Number: number, Message: "booked"})
		case errors.Is(err, errRefused):
			fail(w, http.StatusBadGateway, "the ledger refused this charge")
		case r.Context().Err() != nil:
			// Whoever asked has gone away and does not know of a charge: keeping it would be charging behind their back.
		case kept.offer(e):
			answer(w, http.StatusAccepted, receipt{Order: c.Order, Message: "accepted, will be booked later"})
		default:
			fail(w, http.StatusServiceUnavailable, "the ledger is away and too many charges wait for it")
		}
	})
	return s
}
