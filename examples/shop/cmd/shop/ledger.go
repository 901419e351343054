package main

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
)

const (
	openingEntries = 1000    // entries a fresh book begins with
	bookLimit      = 100_000 // entries it keeps; the oldest make way
)

// entry is one line of the book.
type entry struct {
	Number  uint64 `json:"number"`
	Order   string `json:"order"` // whose entry it is; booking an order twice makes one entry
	Product int    `json:"product"`
	Cents   int    `json:"cents"`
}

// book holds the entries. It is safe for concurrent use.
type book struct {
	mu      sync.Mutex
	limit   int
	entries map[uint64]entry
	orders  map[string]uint64
	oldest  uint64 // smallest number still held
	last    uint64 // largest number given
}

// newBook returns a book that begins with last year's entries, numbered from 1, so that there are receipts to read
// before the first sale. They are made up the same way each time, and so outlive a restart.
func newBook(opening, limit int) *book {
	b := &book{limit: limit, entries: map[uint64]entry{}, orders: map[string]uint64{}, oldest: 1}
	for i := range opening {
		p := catalogue[i%len(catalogue)]
		b.add(entry{Order: "opening-" + strconv.Itoa(i+1), Product: p.Number, Cents: p.Cents})
	}
	return b
}

// add books e and returns its number. An order that is in the book already keeps its number, and fresh is false:
// payments may therefore ask again when it heard no answer.
func (b *book) add(e entry) (number uint64, fresh bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n, ok := b.orders[e.Order]; ok {
		return n, false
	}
	for len(b.entries) >= b.limit {
		delete(b.orders, b.entries[b.oldest].Order)
		delete(b.entries, b.oldest)
		b.oldest++
	}
	b.last++
	e.Number = b.last
	b.entries[e.Number] = e
	b.orders[e.Order] = e.Number
	return e.Number, true
}

// get returns an entry by its number.
func (b *book) get(number uint64) (entry, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.entries[number]
	return e, ok
}

// size returns how many entries the book holds.
func (b *book) size() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.entries)
}

// newLedger returns the service that keeps the book.
func newLedger(work pause) *service {
	s := newService("ledger")
	b := newBook(openingEntries, bookLimit)
	s.metrics.gauge("ledger_entries", "Entries in the book.", nil, func() float64 { return float64(b.size()) })
	s.mux.HandleFunc("POST /entries", func(w http.ResponseWriter, r *http.Request) {
		var e entry
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil || e.Order == "" {
			fail(w, http.StatusBadRequest, "an entry needs an order")
			return
		}
		if work(r.Context()) != nil {
			return
		}
		number, fresh := b.add(e)
		code := http.StatusOK
		if fresh {
			code = http.StatusCreated
		}
		answer(w, code, map[string]uint64{"number": number})
	})
	s.mux.HandleFunc("GET /entries/{n}", func(w http.ResponseWriter, r *http.Request) {
		number, err := strconv.ParseUint(r.PathValue("n"), 10, 64)
		if err != nil {
			fail(w, http.StatusBadRequest, "an entry's number is a whole number")
			return
		}
		if work(r.Context()) != nil {
			return
		}
		e, ok := b.get(number)
		if !ok {
			fail(w, http.StatusNotFound, "no such entry")
			return
		}
		answer(w, http.StatusOK, e)
	})
	return s
}
