package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	bookTimeout = 300 * time.Millisecond // one try to book
	bookTries   = 2                      // a try and one retry
	bookBackoff = 25 * time.Millisecond  // between the two
)

// errRefused says that the ledger understood and declined: asking again is of no use.
var errRefused = errors.New("the ledger refused the entry")

// booker books entries in the ledger over HTTP.
type booker struct {
	client  *http.Client
	url     string // of the ledger's entries
	timeout time.Duration
}

func newBooker(ledger string, timeout time.Duration) *booker {
	return &booker{client: newClient(timeout), url: ledger + "/entries", timeout: timeout}
}

// book books e, trying once more when the first try gets no good answer in time, and returns the entry's number. The
// ledger knows orders it has seen, so a try that was heard but not answered does no harm.
func (b *booker) book(ctx context.Context, e entry) (uint64, error) {
	var failures []error
	for try := range bookTries {
		if try > 0 {
			if err := wait(ctx, bookBackoff); err != nil {
				failures = append(failures, err)
				break
			}
		}
		number, err := b.once(ctx, e)
		if err == nil {
			return number, nil
		}
		failures = append(failures, err)
		if errors.Is(err, errRefused) || ctx.Err() != nil {
			break
		}
	}
	return 0, fmt.Errorf("booking order %s: %w", e.Order, errors.Join(failures...))
}

// once makes one try.
func (b *booker) once(ctx context.Context, e entry) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	body, err := json.Marshal(e)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	// With this header the transport itself sends the request again when a kept connection turns out to be dead.
	req.Header.Set("Idempotency-Key", e.Order)
	res, err := b.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	var got struct {
		Number uint64 `json:"number"`
	}
	err = json.NewDecoder(io.LimitReader(res.Body, answerLimit)).Decode(&got)
	switch {
	case res.StatusCode/100 == 4:
		return 0, fmt.Errorf("%w: status %d", errRefused, res.StatusCode)
	case res.StatusCode/100 != 2:
		return 0, fmt.Errorf("the ledger answered with status %d", res.StatusCode)
	case err != nil:
		return 0, fmt.Errorf("reading the ledger's answer: %w", err)
	}
	return got.Number, nil
}
