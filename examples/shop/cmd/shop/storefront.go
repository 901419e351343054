package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"
)

const (
	payTimeout     = 2 * time.Second        // payments may wait for the ledger twice
	receiptTimeout = 400 * time.Millisecond // the ledger is asked once
	dialTimeout    = 400 * time.Millisecond
)

// storefront is what shoppers see.
type storefront struct {
	client           *http.Client
	payments, ledger string
	paymentsUp       *upstream
	ledgerUp         *upstream
	work             pause
	shift            string // tells the orders of this process from those of the one before
	orders           atomic.Uint64
}

// newStorefront returns the service that shoppers talk to.
func newStorefront(set settings, work pause) *service {
	f := &storefront{
		client:     newClient(dialTimeout),
		payments:   set.payments,
		ledger:     set.ledger,
		paymentsUp: newUpstream(),
		ledgerUp:   newUpstream(),
		work:       work,
		shift:      rand.Text()[:8],
	}
	s := newService("storefront")
	const up, help = "shop_upstream_up", "Whether the last call to another service worked."
	s.metrics.gauge(up, help, []label{{"upstream", "payments"}}, f.paymentsUp.value)
	s.metrics.gauge(up, help, []label{{"upstream", "ledger"}}, f.ledgerUp.value)
	s.mux.HandleFunc("GET /{$}", f.catalogue)
	s.mux.HandleFunc("GET /product/{n}", f.product)
	s.mux.HandleFunc("POST /buy", f.buy)
	s.mux.HandleFunc("GET /receipts/{n}", f.receipt)
	return s
}

func (f *storefront) catalogue(w http.ResponseWriter, r *http.Request) {
	if f.work(r.Context()) != nil {
		return
	}
	answer(w, http.StatusOK, catalogue)
}

func (f *storefront) product(w http.ResponseWriter, r *http.Request) {
	if f.work(r.Context()) != nil {
		return
	}
	number, _ := strconv.Atoi(r.PathValue("n"))
	p, ok := find(number)
	if !ok {
		fail(w, http.StatusNotFound, "no such product")
		return
	}
	answer(w, http.StatusOK, p)
}

// buy sells one product: 201 with a receipt's number, or 202 when the charge was accepted and will be booked later.
func (f *storefront) buy(w http.ResponseWriter, r *http.Request) {
	var want struct {
		Product int `json:"product"`
	}
	if err := json.NewDecoder(r.Body).Decode(&want); err != nil {
		fail(w, http.StatusBadRequest, `say what to buy: {"product": 3}`)
		return
	}
	p, ok := find(want.Product)
	if !ok {
		fail(w, http.StatusNotFound, "no such product")
		return
	}
	if f.work(r.Context()) != nil {
		return
	}
	order := f.shift + "-" + strconv.FormatUint(f.orders.Add(1), 10)
	body, err := json.Marshal(charge{Order: order, Product: p.Number, Cents: p.Cents})
	if err != nil {
		fail(w, http.StatusInternalServerError, "the order could not be written down")
		return
	}
	code, answered, err := f.call(r.Context(), payTimeout, http.MethodPost, f.payments+"/charge", body)
	f.paymentsUp.set(err == nil && code < 500)
	f.relay(w, "payments", code, answered, err)
}

// receipt shows an entry of the ledger. It does not go through payments: receipts must be there when payments is not.
func (f *storefront) receipt(w http.ResponseWriter, r *http.Request) {
	number, err := strconv.ParseUint(r.PathValue("n"), 10, 64)
	if err != nil {
		fail(w, http.StatusBadRequest, "a receipt's number is a whole number")
		return
	}
	if f.work(r.Context()) != nil {
		return
	}
	url := f.ledger + "/entries/" + strconv.FormatUint(number, 10)
	code, answered, err := f.call(r.Context(), receiptTimeout, http.MethodGet, url, nil)
	f.ledgerUp.set(err == nil && code < 500)
	f.relay(w, "the ledger", code, answered, err)
}

// call asks another service and returns its status and body.
func (f *storefront) call(
	ctx context.Context, timeout time.Duration, method, url string, body []byte,
) (int, json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := f.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	answered, err := io.ReadAll(io.LimitReader(res.Body, answerLimit))
	if err != nil {
		return 0, nil, err
	}
	return res.StatusCode, answered, nil
}

// relay passes another service's answer on to the shopper, or says in plain words that there is none.
func (f *storefront) relay(w http.ResponseWriter, who string, code int, body json.RawMessage, err error) {
	switch {
	case err != nil && (errors.Is(err, context.DeadlineExceeded) || os.IsTimeout(err)):
		fail(w, http.StatusGatewayTimeout, fmt.Sprintf("%s did not answer in time", who))
	case err != nil:
		fail(w, http.StatusBadGateway, fmt.Sprintf("%s cannot be reached", who))
	case !json.Valid(body):
		fail(w, http.StatusBadGateway, fmt.Sprintf("%s answered something else than JSON", who))
	default:
		answer(w, code, body)
	}
}
