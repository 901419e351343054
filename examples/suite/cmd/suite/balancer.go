package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// balancerRole spreads requests over backends, and leaves out those that its health check finds wanting.
func balancerRole(ctx context.Context, args []string, log io.Writer) error {
	b, listen, err := parseBalancer(args, log)
	if err != nil {
		return err
	}
	var checks sync.WaitGroup
	checking, stop := context.WithCancel(ctx)
	defer checks.Wait()
	defer stop()
	for _, one := range b.backends {
		checks.Go(func() { b.watch(checking, one) })
	}
	return serve(ctx, listen, b, log)
}

// parseBalancer makes the balancer that the flags describe.
func parseBalancer(args []string, log io.Writer) (*balancer, string, error) {
	flags := flag.NewFlagSet("balancer", flag.ContinueOnError)
	b := &balancer{log: log}
	listen := flags.String("listen", ":9300", "address to serve on")
	backends := flags.String("backends", "", "host:port of each backend, between commas")
	policy := flags.String("policy", "spread", "spread: all in turn; first: the first that is well")
	check := flags.String("check", "page", "what shows that a backend is well: page, that -page answers 200; port, that it accepts connections")
	flags.StringVar(&b.page, "page", "/healthz", "the page of the check")
	flags.DurationVar(&b.every, "every", 300*time.Millisecond, "time between two checks")
	flags.DurationVar(&b.checkLimit, "check-limit", 250*time.Millisecond, "how long a check may take")
	flags.IntVar(&b.fall, "fall", 2, "failed checks in a row that take a backend out")
	flags.IntVar(&b.rise, "rise", 2, "good ones that take it in again")
	connect := flags.Duration("connect", 250*time.Millisecond, "how long connecting to a backend may take")
	flags.DurationVar(&b.limit, "limit", time.Second, "how long its answer may take")
	flags.IntVar(&b.tries, "tries", 2, "backends that are tried for one request")
	if err := parse(flags, args, log); err != nil {
		return nil, "", err
	}
	b.portOnly, b.inOrder = *check == "port", *policy == "first"
	switch {
	case *check != "page" && *check != "port":
		return nil, "", &usageError{fmt.Sprintf("-check is page or port, not %q", *check)}
	case *policy != "spread" && *policy != "first":
		return nil, "", &usageError{fmt.Sprintf("-policy is spread or first, not %q", *policy)}
	case *backends == "":
		return nil, "", &usageError{"-backends is missing: web-1:9301,web-2:9301"}
	case b.every <= 0 || b.checkLimit <= 0 || *connect <= 0 || b.limit <= 0 || b.fall < 1 || b.rise < 1 || b.tries < 1:
		return nil, "", &usageError{"times are longer than nothing, and numbers are 1 at least"}
	}
	for address := range strings.SplitSeq(*backends, ",") {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return nil, "", &usageError{fmt.Sprintf("-backends has %q, which is no host:port", address)}
		}
		one := &backend{address: address}
		one.well.Store(true)
		b.backends = append(b.backends, one)
	}
	b.client = &http.Client{
		Transport:     &http.Transport{DialContext: (&net.Dialer{Timeout: *connect}).DialContext, MaxIdleConnsPerHost: 64},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return b, *listen, nil
}

// balancer passes requests on. It is safe for concurrent use.
type balancer struct {
	backends   []*backend
	client     *http.Client
	log        io.Writer
	inOrder    bool // the first that is well, instead of all in turn
	portOnly   bool // a check looks whether the port is open, and no further
	page       string
	every      time.Duration
	checkLimit time.Duration
	fall, rise int
	limit      time.Duration // of an answer
	tries      int
	turn       atomic.Uint64
}

// backend is one of those that requests are passed on to.
type backend struct {
	address string
	well    atomic.Bool
}

// ServeHTTP passes a request on to a backend that is well, and to the next one where a backend gives no answer.
func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/healthz" {
		healthy(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		fail(w, http.StatusBadRequest, "the body cannot be read")
		return
	}
	var why error
	for _, one := range b.chosen() {
		ctx, cancel := context.WithTimeout(r.Context(), b.limit)
		code, got, err := ask(ctx, b.client, r.Method, "http://"+one.address+r.URL.RequestURI(), body)
		cancel()
		if err == nil {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Served-By", one.address)
			w.WriteHeader(code)
			_, _ = w.Write(got) // whoever has gone away needs no answer
			return
		}
		why = err
		if r.Context().Err() != nil || r.Method == http.MethodPost && !neverSent(err) {
			break // nobody waits, or it may have been done, and twice is worse than not at all
		}
	}
	code := http.StatusBadGateway
	if errors.Is(why, context.DeadlineExceeded) {
		code = http.StatusGatewayTimeout
	}
	fail(w, code, "no backend answers")
}

// neverSent reports whether a request failed before anything of it was sent.
func neverSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// chosen returns the backends to try for a request, in order. When none is well, all are: a check that finds fault with
// everybody is more likely wrong itself.
func (b *balancer) chosen() []*backend {
	var well []*backend
	for _, one := range b.backends {
		if one.well.Load() {
			well = append(well, one)
		}
	}
	if len(well) == 0 {
		well = b.backends
	}
	first := 0
	if !b.inOrder {
		first = int((b.turn.Add(1) - 1) % uint64(len(well)))
	}
	out := make([]*backend, 0, b.tries)
	for i := range min(b.tries, len(well)) {
		out = append(out, well[(first+i)%len(well)])
	}
	return out
}

// watch checks a backend until ctx ends.
func (b *balancer) watch(ctx context.Context, one *backend) {
	for n := 0; wait(ctx, b.every) == nil; {
		err := b.check(ctx, one)
		if ctx.Err() != nil {
			return
		}
		n = b.judge(one, err, n)
	}
}

// judge takes a backend out or in after enough checks in a row that say so: n so far, and the one that ended with err.
// It returns how many there are now.
func (b *balancer) judge(one *backend, err error, n int) int {
	well, enough := one.well.Load(), b.fall
	if !well {
		enough = b.rise
	}
	if well == (err == nil) {
		return 0
	}
	if n++; n < enough {
		return n
	}
	one.well.Store(!well)
	if well {
		fmt.Fprintf(b.log, "%s is out: %v\n", one.address, err)
	} else {
		fmt.Fprintf(b.log, "%s is in again\n", one.address)
	}
	return 0
}

// check looks at a backend once.
func (b *balancer) check(ctx context.Context, one *backend) error {
	ctx, cancel := context.WithTimeout(ctx, b.checkLimit)
	defer cancel()
	if b.portOnly {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", one.address)
		if err != nil {
			return err
		}
		return c.Close()
	}
	code, _, err := ask(ctx, b.client, http.MethodGet, "http://"+one.address+b.page, nil)
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("%s answered %d", b.page, code)
	}
	return err
}
