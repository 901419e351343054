package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"
)

const (
	tillBound    = 40              // payments that may wait
	paidWithin   = 5 * time.Second // or the shopper is told that it takes too long
	pollFor      = 5 * time.Second // that a cashier who asks for work is kept waiting
	bankLimit    = 2 * time.Second
	cashierDelay = 200 * time.Millisecond // before a cashier who got no answer asks again
)

// till takes payments and hands them to cashiers, processes of its own which each ask the bank about a few at a time.
type till struct {
	bank   string
	client *http.Client
	now    func() time.Time
	tokens chan struct{} // one for each payment that waits

	mu      sync.Mutex // guards what follows
	waiting []*payment // the first has waited longest
	taken   map[uint64]*payment
	number  uint64
	longest time.Duration // that a payment taken since the last look had waited
}

// payment is one that a shopper waits for.
type payment struct {
	id    uint64
	since time.Time
	done  chan bool // gets whether the bank agreed
}

func newTill(bank string, now func() time.Time) *till {
	return &till{bank: bank, client: &http.Client{Timeout: bankLimit}, now: now, tokens: make(chan struct{}, tillBound), taken: map[uint64]*payment{}}
}

// tillRole serves payments, with as many cashiers as its scaler wants.
func tillRole(ctx context.Context, args []string, log io.Writer) error {
	flags := flag.NewFlagSet("till", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:9141", "address to serve on")
	bank := flags.String("bank", "http://bank:9142", "the bank that is asked about each payment")
	s := &scaler{log: log}
	flags.StringVar(&s.by, "scale-by", byQueue, "what more cashiers are started by: "+byQueue+", how long payments wait for one, or "+byCPU+", how busy their processors are")
	flags.IntVar(&s.least, "least", 2, "cashiers at the begin")
	flags.IntVar(&s.most, "most", 12, "cashiers at most")
	slots := flags.Int("slots", 2, "payments that a cashier works on at a time")
	if err := parse(flags, args, log); err != nil {
		return err
	}
	if s.by != byQueue && s.by != byCPU || s.least < 1 || s.most < s.least || *slots < 1 {
		return &usageError{"-scale-by is " + byQueue + " or " + byCPU + ", and there is at least one cashier, with at least one slot"}
	}
	t := newTill(*bank, time.Now)
	s.queueTime = t.queueTime
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding the own program: %w", err)
	}
	s.start = func() (int, error) {
		cmd := exec.Command(self, "cashier", "-till", "http://"+loopback(*listen), "-bank", *bank, "-slots", strconv.Itoa(*slots))
		cmd.Stdout, cmd.Stderr = log, log
		if err := cmd.Start(); err != nil {
			return 0, err
		}
		go func() { _ = cmd.Wait() }() // they end with the till, as their process group is killed
		return cmd.Process.Pid, nil
	}
	go s.run(ctx)
	return serve(ctx, *listen, t.routes(), log)
}

// loopback is an address to listen on as one to call.
func loopback(listen string) string {
	if listen[0] == ':' {
		return "127.0.0.1" + listen
	}
	return listen
}

func (t *till) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", healthy)
	mux.HandleFunc("POST /payments", t.pay)
	mux.HandleFunc("GET /bank", t.askBank)
	mux.HandleFunc("GET /work", t.handOut)
	mux.HandleFunc("POST /work/{id}", t.finish)
	return mux
}

// pay takes a payment, and answers when a cashier is done with it.
func (t *till) pay(w http.ResponseWriter, r *http.Request) {
	p := &payment{since: t.now(), done: make(chan bool, 1)}
	t.mu.Lock()
	full := len(t.waiting) == tillBound
	if !full {
		t.number++
		p.id = t.number
		t.waiting = append(t.waiting, p)
	}
	t.mu.Unlock()
	if full {
		fail(w, http.StatusServiceUnavailable, "too many wait already")
		return
	}
	t.tokens <- struct{}{} // there is room for as many as may wait
	limit := time.NewTimer(paidWithin)
	defer limit.Stop()
	select {
	case agreed := <-p.done:
		if !agreed {
			fail(w, http.StatusBadGateway, "the bank does not answer")
			return
		}
		answer(w, http.StatusCreated, map[string]string{"status": "paid"})
	case <-limit.C:
		fail(w, http.StatusGatewayTimeout, "it takes too long")
	case <-r.Context().Done():
	}
}

// handOut gives the payment that has waited longest to a cashier, or none after a while.
func (t *till) handOut(w http.ResponseWriter, r *http.Request) {
	limit := time.NewTimer(pollFor)
	defer limit.Stop()
	select {
	case <-t.tokens:
	case <-limit.C:
		w.WriteHeader(http.StatusNoContent)
		return
	case <-r.Context().Done():
		return
	}
	t.mu.Lock()
	p := t.waiting[0]
	t.waiting = t.waiting[1:]
	t.taken[p.id] = p
	t.longest = max(t.longest, t.now().Sub(p.since))
	t.mu.Unlock()
	answer(w, http.StatusOK, map[string]uint64{"id": p.id})
}

// finish takes what a cashier says of a payment.
func (t *till) finish(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	t.mu.Lock()
	p := t.taken[id]
	delete(t.taken, id)
	t.mu.Unlock()
	if err != nil || p == nil {
		fail(w, http.StatusNotFound, "no such payment")
		return
	}
	p.done <- r.URL.Query().Get("agreed") == "yes"
	w.WriteHeader(http.StatusNoContent)
}

// queueTime is the longest that a payment has waited for a cashier since the last look, those that still wait included.
func (t *till) queueTime() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	longest := t.longest
	t.longest = 0
	if len(t.waiting) > 0 {
		longest = max(longest, t.now().Sub(t.waiting[0].since))
	}
	return longest
}

// askBank asks the bank at once, past all queues: how long that takes is what everybody else waits for too.
func (t *till) askBank(w http.ResponseWriter, r *http.Request) {
	began := t.now()
	if err := callBank(r.Context(), t.client, t.bank); err != nil {
		fail(w, http.StatusBadGateway, err.Error())
		return
	}
	took := t.now().Sub(began)
	answer(w, http.StatusOK, map[string]any{"ms": took.Milliseconds(), "slow": took > bankSlow})
}

// callBank asks the bank whether it agrees.
func callBank(ctx context.Context, client *http.Client, bank string) error {
	code, _, err := ask(ctx, client, http.MethodPost, bank+"/charges", nil)
	if err != nil {
		return fmt.Errorf("asking the bank: %w", err)
	}
	if code != http.StatusOK {
		return fmt.Errorf("asking the bank: it answers %d", code)
	}
	return nil
}

// cashierRole asks a till for payments, and the bank about each.
func cashierRole(ctx context.Context, args []string, log io.Writer) error {
	flags := flag.NewFlagSet("cashier", flag.ContinueOnError)
	from := flags.String("till", "http://127.0.0.1:9141", "the till that has the payments")
	bank := flags.String("bank", "http://bank:9142", "the bank")
	slots := flags.Int("slots", 2, "payments that it works on at a time")
	if err := parse(flags, args, log); err != nil {
		return err
	}
	if *slots < 1 {
		return &usageError{"-slots is at least 1"}
	}
	asking := &http.Client{Timeout: pollFor + bankLimit}
	paying := &http.Client{Timeout: bankLimit}
	var all sync.WaitGroup
	for range *slots {
		all.Go(func() {
			for ctx.Err() == nil {
				if err := cash(ctx, asking, paying, *from, *bank); err != nil && ctx.Err() == nil {
					fmt.Fprintf(log, "asking the till: %v\n", err)
					_ = wait(ctx, cashierDelay)
				}
			}
		})
	}
	all.Wait()
	return nil
}

// cash works on one payment, if there is one soon.
func cash(ctx context.Context, asking, paying *http.Client, from, bank string) error {
	code, body, err := ask(ctx, asking, http.MethodGet, from+"/work", nil)
	switch {
	case err != nil:
		return err
	case code == http.StatusNoContent:
		return nil
	case code != http.StatusOK:
		return fmt.Errorf("it answers %d", code)
	}
	var work struct{ ID uint64 }
	if err := json.Unmarshal(body, &work); err != nil {
		return err
	}
	agreed := "yes"
	if err := callBank(ctx, paying, bank); err != nil {
		agreed = "no"
	}
	_, _, err = ask(ctx, asking, http.MethodPost, fmt.Sprintf("%s/work/%d?agreed=%s", from, work.ID, agreed), nil)
	return err
}
