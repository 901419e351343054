package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gameday/internal/piperig"
	"gameday/internal/portrig"
)

func noWork(ctx context.Context) error { return ctx.Err() }

var quiet = slog.New(slog.DiscardHandler)

// serving runs s on a loopback port of its own until the test ends and returns its URL.
func serving(t *testing.T, s *service) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return servingOn(t, s, l)
}

func servingOn(t *testing.T, s *service, l net.Listener) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
	})
	return "http://" + l.Addr().String()
}

// ask sends one request and returns its status and body. Each test's connections are its own.
func ask(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	return askBy(t, http.DefaultClient, method, url, body)
}

func askBy(t *testing.T, client *http.Client, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// readMetric returns one series' value, by its full name with labels.
func readMetric(t *testing.T, url, series string) string {
	t.Helper()
	_, text := ask(t, "GET", url+"/metrics", "")
	return metricIn(t, text, series)
}

func metricIn(t *testing.T, text, series string) string {
	t.Helper()
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(v)
		}
	}
	t.Fatalf("no series %s in\n%s", series, text)
	return ""
}

func TestShopSellsAndKeepsReceipts(t *testing.T) {
	ledger := serving(t, newLedger(noWork))
	payments := serving(t, newPayments(settings{ledger: ledger, queue: 10}, noWork, quiet))
	front := serving(t, newStorefront(settings{payments: payments, ledger: ledger}, noWork))

	tests := []struct {
		method, path, body string
		code               int
		want               string
	}{
		{"GET", "/", "", 200, "storm lantern"},
		{"GET", "/product/3", "", 200, `{"number":3,"name":"wool blanket","cents":5900}`},
		{"GET", "/product/99", "", 404, "no such product"},
		{"POST", "/buy", `{"product":2}`, 201, `"number":1001`},
		{"GET", "/receipts/1001", "", 200, `"cents":890`},
		{"GET", "/receipts/1", "", 200, "opening-1"},
		{"GET", "/receipts/999999", "", 404, "no such entry"},
		{"GET", "/receipts/x", "", 400, "whole number"},
		{"POST", "/buy", `{"product":99}`, 404, "no such product"},
		{"POST", "/buy", `what?`, 400, "say what to buy"},
		{"POST", "/buy", `{"pad":"` + strings.Repeat("x", bodyLimit) + `"}`, 400, "say what to buy"},
		{"GET", "/healthz", "", 200, `"status":"ok"`},
		{"DELETE", "/", "", 405, ""},
	}
	for _, tt := range tests {
		code, body := ask(t, tt.method, front+tt.path, tt.body)
		if code != tt.code || !strings.Contains(body, tt.want) {
			t.Errorf("%s %s: got %d %s, want %d with %q", tt.method, tt.path, code, body, tt.code, tt.want)
		}
	}
}

// When payments is gone, buying fails while browsing and receipts go on: what the crash of the game day shows.
func TestBuyingFailsAloneWithoutPayments(t *testing.T) {
	ledger := serving(t, newLedger(noWork))
	front := serving(t, newStorefront(settings{payments: "http://" + portrig.Address(t), ledger: ledger}, noWork))
	for path, want := range map[string]int{"/": 200, "/product/1": 200, "/receipts/1": 200} {
		if code, _ := ask(t, "GET", front+path, ""); code != want {
			t.Errorf("GET %s: %d, want %d", path, code, want)
		}
	}
	if code, body := ask(t, "POST", front+"/buy", `{"product":1}`); code != 502 {
		t.Errorf("buying: %d %s, want 502", code, body)
	}
	if up := readMetric(t, front, `shop_upstream_up{service="storefront",upstream="payments"}`); up != "0" {
		t.Errorf("payments shown as up = %s", up)
	}
	if up := readMetric(t, front, `shop_upstream_up{service="storefront",upstream="ledger"}`); up != "1" {
		t.Errorf("the ledger shown as up = %s", up)
	}
}

// A ledger that answers nobody makes receipts fail and buying slow, and payments books everything afterwards.
func TestPaymentsDegradesAndCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newLedger(noWork)
		var cut atomic.Bool
		booked := make(chan string, 100)
		fake := piperig.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body) // the server notices a client that hangs up only after the body
			if err != nil {
				return
			}
			if cut.Load() {
				<-r.Context().Done() // as a network that drops packets: no answer, ever
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			rec := httptest.NewRecorder()
			inner.ServeHTTP(rec, r)
			w.WriteHeader(rec.Code)
			_, _ = w.Write(rec.Body.Bytes())
			if r.Method == "POST" && rec.Code == 201 {
				booked <- rec.Body.String()
			}
		}))
		const limit = 3
		l, kept := piperig.Listen(), newBacklog(limit, quiet)
		payments := servingOn(t, newPaymentsWith(bookerAt(fake, 20*time.Millisecond), kept, noWork), l)
		client := &http.Client{Transport: l.Transport()}
		asked := func(method, path, body string) (int, string) { return askBy(t, client, method, payments+path, body) }

		cut.Store(true)
		for i := range limit {
			code, body := asked("POST", "/charge", fmt.Sprintf(`{"order":"o%d","product":1,"cents":5}`, i))
			if code != 202 || !strings.Contains(body, "accepted, will be booked later") {
				t.Fatalf("charge %d while cut off: %d %s, want 202", i, code, body)
			}
		}
		if code, _ := asked("POST", "/charge", `{"order":"over","product":1,"cents":5}`); code != 503 {
			t.Errorf("charge over the limit: %d, want 503", code)
		}
		_, metrics := asked("GET", "/metrics", "")
		if got := metricIn(t, metrics, `payments_queue_depth{service="payments"}`); got != "3" {
			t.Errorf("queue depth %s, want 3", got)
		}
		if got := metricIn(t, metrics, `payments_queue_refused{service="payments"}`); got != "1" {
			t.Errorf("refused %s, want 1", got)
		}
		cut.Store(false)
		seen := map[string]bool{}
		for range limit {
			select {
			case n := <-booked:
				seen[n] = true
			case <-time.After(10 * time.Second):
				t.Fatalf("only %d of %d kept charges were booked", len(seen), limit)
			}
		}
		if len(seen) != limit {
			t.Errorf("entries %v, want %d different ones", seen, limit)
		}
		code, body := asked("POST", "/charge", `{"order":"after","product":1,"cents":5}`)
		if code != 201 {
			t.Errorf("charge after the cut: %d %s, want 201", code, body)
		}
	})
}

// bookerAt returns a booker that books at a ledger in a bubble.
func bookerAt(ledger *piperig.Listener, timeout time.Duration) *booker {
	b := newBooker("http://ledger.example", timeout)
	b.client.Transport = ledger.Transport()
	return b
}

func TestBookerTriesTwice(t *testing.T) {
	const timeout = 50 * time.Millisecond
	tests := []struct {
		name  string
		codes []int // what the ledger answers, in turn; 0 hangs
		tries int
		ok    bool
		took  time.Duration
	}{
		{"first try", []int{201}, 1, true, 0},
		{"second try", []int{503, 201}, 2, true, bookBackoff},
		{"known already", []int{0, 200}, 2, true, timeout + bookBackoff},
		{"both fail", []int{503, 503}, 2, false, bookBackoff},
		{"both hang", []int{0, 0}, 2, false, timeout + bookBackoff + timeout},
		{"refused, not asked again", []int{400}, 1, false, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries := 0 // requests come one after the other
				ledger := piperig.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Header.Get("Idempotency-Key") != "o1" {
						t.Error("no idempotency key")
					}
					_, _ = io.Copy(io.Discard, r.Body) // the server notices a client that hangs up only after the body
					code := tt.codes[min(tries, len(tt.codes)-1)]
					tries++
					if code == 0 {
						<-r.Context().Done()
						return
					}
					w.WriteHeader(code)
					_, _ = io.WriteString(w, `{"number":7}`)
				}))
				began := time.Now()
				number, err := bookerAt(ledger, timeout).book(t.Context(), entry{Order: "o1"})
				if (err == nil) != tt.ok || (tt.ok && number != 7) {
					t.Errorf("got %d, %v", number, err)
				}
				if took := time.Since(began); tries != tt.tries || took != tt.took {
					t.Errorf("%d tries in %s, want %d in %s", tries, took, tt.tries, tt.took)
				}
			})
		})
	}
}

func TestServiceRefusesOverItsLimit(t *testing.T) {
	s := newService("storefront")
	for range inFlightLimit {
		s.slots <- struct{}{}
	}
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, httptest.NewRequest("GET", "/healthz", nil))
	if rec.Code != http.StatusServiceUnavailable {
		t.Errorf("over the limit: %d, want 503", rec.Code)
	}
	<-s.slots
	rec = httptest.NewRecorder()
	s.ServeHTTP(rec, httptest.NewRequest("GET", "/healthz", nil))
	if rec.Code != http.StatusOK {
		t.Errorf("with a slot free: %d, want 200", rec.Code)
	}
}

func TestBookIsBoundedAndKnowsOrders(t *testing.T) {
	b := newBook(2, 4)
	first, fresh := b.add(entry{Order: "a"})
	again, twice := b.add(entry{Order: "a"})
	if first != 3 || !fresh || again != 3 || twice {
		t.Errorf("booking twice: %d %v, then %d %v", first, fresh, again, twice)
	}
	for i := range 10 {
		b.add(entry{Order: fmt.Sprint("more", i)})
	}
	if b.size() != 4 || len(b.orders) != 4 {
		t.Errorf("%d entries and %d orders, want 4 of each", b.size(), len(b.orders))
	}
	if _, ok := b.get(3); ok {
		t.Error("the oldest entries should have made way")
	}
	if e, ok := b.get(13); !ok || e.Order != "more9" {
		t.Errorf("the newest entry is %+v, %v", e, ok)
	}
}

func TestParse(t *testing.T) {
	none := func(string) string { return "" }
	env := func(name string) string { return map[string]string{"LEDGER_URL": "http://x:1", "QUEUE": "5"}[name] }
	tests := []struct {
		args []string
		env  func(string) string
		want settings
		err  string
	}{
		{[]string{"payments"}, none, settings{listen: ":9102", ledger: "http://ledger:9103", seed: 1, queue: 2000}, ""},
		{[]string{"payments"}, env, settings{listen: ":9102", ledger: "http://x:1", seed: 1, queue: 5}, ""},
		{[]string{"payments", "-queue", "7", "-seed=9"}, env,
			settings{listen: ":9102", ledger: "http://x:1", seed: 9, queue: 7}, ""},
		{[]string{"ledger", "-listen", "127.0.0.1:0"}, none, settings{listen: "127.0.0.1:0", seed: 1, queue: 2000}, ""},
		{[]string{"ledger", "-warm-up", "3s"}, none, settings{listen: ":9103", seed: 1, queue: 2000, warmUp: 3 * time.Second}, ""},
		{nil, none, settings{}, "which service?"},
		{[]string{"warehouse"}, none, settings{}, "which service?"},
		{[]string{"ledger", "now"}, none, settings{}, "takes flags only"},
		{[]string{"payments", "-queue", "0"}, none, settings{}, "the queue must hold"},
		{[]string{"ledger", "-seed", "x"}, none, settings{}, "the seed must be"},
		{[]string{"ledger", "-warm-up", "3"}, none, settings{}, "the time to warm up must be"},
	}
	for _, tt := range tests {
		name, got, err := parse(tt.args, tt.env, io.Discard)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%v: error %v, want %q", tt.args, err, tt.err)
			}
			continue
		}
		if err != nil || name != tt.args[0] || got != tt.want {
			t.Errorf("%v: %s %+v %v, want %+v", tt.args, name, got, err, tt.want)
		}
	}
}

func TestPauseIsSeededAndBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		draw := func(seed uint64) (out []time.Duration) {
			work := newPause(seed, workShortest, workLongest)
			for range 50 {
				begin := time.Now()
				if err := work(t.Context()); err != nil {
					t.Fatal(err)
				}
				out = append(out, time.Since(begin))
			}
			return out
		}
		one := draw(1)
		if lo, hi := slices.Min(one), slices.Max(one); lo < workShortest || hi > workLongest || lo == hi {
			t.Errorf("pauses from %s to %s, want them spread over %s to %s", lo, hi, workShortest, workLongest)
		}
		if !slices.Equal(one, draw(1)) || slices.Equal(one, draw(2)) {
			t.Error("the seed must decide the pauses")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := newPause(1, time.Hour, time.Hour)(ctx); err == nil {
			t.Error("a pause must end with its context")
		}
	})
}

func TestCatalogueIsNumberedInOrder(t *testing.T) {
	for i, p := range catalogue {
		if p.Number != i+1 || p.Cents <= 0 || p.Name == "" {
			t.Errorf("product %d is %+v", i+1, p)
		}
	}
	if b, err := json.Marshal(catalogue); err != nil || len(b) > answerLimit {
		t.Errorf("the catalogue must fit in an answer: %d bytes, %v", len(b), err)
	}
}
