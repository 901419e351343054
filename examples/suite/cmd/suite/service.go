package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

const readyLimit = 200 * time.Millisecond // for each upstream, when a service is asked whether it is ready

// serviceRole is a service that works for a while and may need others: what most services are, with the bounds that
// they should have, or lack.
func serviceRole(ctx context.Context, args []string, log io.Writer) error {
	s, listen, err := parseService(args, log)
	if err != nil {
		return err
	}
	return serve(ctx, listen, s, log)
}

// parseService makes the service that the flags describe.
func parseService(args []string, log io.Writer) (*service, string, error) {
	flags := flag.NewFlagSet("service", flag.ContinueOnError)
	s := &service{upstreams: map[string]*peer{}}
	listen := flags.String("listen", ":9200", "address to serve on")
	flags.StringVar(&s.name, "name", "service", "what it calls itself")
	flags.DurationVar(&s.work, "work", 10*time.Millisecond, "how long each request is worked on")
	flags.StringVar(&s.slowFile, "slow-file", "", "while this file exists, requests are worked on for -slow-work instead")
	flags.DurationVar(&s.slowWork, "slow-work", 1500*time.Millisecond, "how long that is")
	threads := flags.Int("threads", 0, "requests that are worked on at once; 0: as many as come")
	line := flags.Int("line", 0, "requests that may wait for a thread, further ones are refused; 0: as many as come")
	var calls []string
	flags.Func("calls", "for requests below this path another service is called: /quotes=http://pricing:9202; may be repeated",
		func(text string) error { calls = append(calls, text); return nil })
	var b bounds
	flags.DurationVar(&b.timeout, "timeout", 0, "how long a call may take; 0: for ever")
	flags.IntVar(&b.bulkhead, "bulkhead", 0, "calls under way to one service at once, further ones fail; 0: as many as come")
	flags.IntVar(&b.breakAfter, "breaker", 0, "failed calls in a row after which calls fail unmade for -rest; 0: never")
	flags.DurationVar(&b.rest, "rest", time.Second, "how long a breaker is open before one call is tried")
	if err := parse(flags, args, log); err != nil {
		return nil, "", err
	}
	if *threads < 0 || *line < 0 || b.bulkhead < 0 || b.breakAfter < 0 || s.work < 0 || s.slowWork < 0 || b.timeout < 0 || b.rest < 0 {
		return nil, "", &usageError{"no number and no time can be negative"}
	}
	for _, text := range calls {
		path, base, ok := strings.Cut(text, "=")
		if !ok || !strings.HasPrefix(path, "/") || !strings.HasPrefix(base, "http://") {
			return nil, "", &usageError{fmt.Sprintf("-calls is a path and an address, /quotes=http://pricing:9202, not %q", text)}
		}
		s.upstreams[strings.Trim(path, "/")] = newPeer(strings.TrimSuffix(base, "/"), b)
	}
	s.threads = newThreads(*threads, *line)
	return s, *listen, nil
}

// service answers every path, some with the help of another service.
type service struct {
	name      string
	work      time.Duration
	slowFile  string // while it exists, work takes slowWork
	slowWork  time.Duration
	threads   *threads
	upstreams map[string]*peer // by the first part of the path
}

// peer is another service that is called.
type peer struct {
	*upstream
	base   string
	client *http.Client
}

func newPeer(base string, b bounds) *peer {
	p := &peer{base: base, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	p.upstream = newUpstream(b, func(ctx context.Context, path string) ([]byte, error) {
		code, body, err := ask(ctx, p.client, http.MethodGet, base+path, nil)
		if err == nil && code != http.StatusOK {
			err = fmt.Errorf("what it needs answered %d", code)
		}
		return body, err
	})
	return p
}

// ServeHTTP works on a request as a thread does that has taken it: to the end, whether or not somebody still waits.
func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/healthz": // that the process runs
		healthy(w, r)
		return
	case "/ready": // that it can do its work
		s.ready(w, r)
		return
	}
	done, err := s.threads.take(r.Context())
	if err != nil {
		fail(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	defer done()
	ctx := context.WithoutCancel(r.Context())
	_ = wait(ctx, s.effort()) // it has no end but its own
	first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	u := s.upstreams[first]
	if u == nil {
		answer(w, http.StatusOK, map[string]string{"from": s.name, "path": r.URL.Path})
		return
	}
	body, stale, err := u.get(ctx, r.URL.Path)
	pass(w, s.name, body, stale, err)
}

// pass answers what a call has brought, or says what has become of it.
func pass(w http.ResponseWriter, name string, body []byte, stale bool, err error) {
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		fail(w, http.StatusGatewayTimeout, name+" got no answer in time")
	case err != nil:
		fail(w, http.StatusServiceUnavailable, name+": "+err.Error())
	case stale:
		w.Header().Set("Warning", `110 - "Response is Stale"`)
		fallthrough
	default:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body) // whoever has gone away needs no answer
	}
}

// effort is how long the next request is worked on. What was slow for the first time is told in a file beside the one
// that asks for it, so that a fault can prove that it is felt.
func (s *service) effort() time.Duration {
	if s.slowFile == "" {
		return s.work
	}
	if _, err := os.Stat(s.slowFile); err != nil {
		return s.work
	}
	// Without it the fault is not proven, and is taken back: nothing to do about it here.
	_ = os.WriteFile(s.slowFile+".felt", []byte(s.slowWork.String()+"\n"), 0o644)
	return s.slowWork
}

// ready answers whether all that the service needs is there.
func (s *service) ready(w http.ResponseWriter, r *http.Request) {
	for name, u := range s.upstreams {
		ctx, cancel := context.WithTimeout(r.Context(), readyLimit)
		code, _, err := ask(ctx, u.client, http.MethodGet, u.base+"/healthz", nil)
		cancel()
		if err != nil || code != http.StatusOK {
			fail(w, http.StatusServiceUnavailable, "what /"+name+" needs does not answer")
			return
		}
	}
	healthy(w, r)
}

// threads bound what a service works on at once, and what waits for that.
type threads struct {
	free     chan struct{} // nil: as many as come
	admitted chan struct{} // those that work and those that wait; nil: as many as come
}

func newThreads(n, line int) *threads {
	t := &threads{}
	if n > 0 {
		t.free = make(chan struct{}, n)
		if line > 0 {
			t.admitted = make(chan struct{}, n+line)
		}
	}
	return t
}

// errFull says that the line is as long as it may be.
var errFull = errors.New("too many wait already")

// take waits for a thread. It fails when too many wait, or when ctx ends before.
func (t *threads) take(ctx context.Context) (done func(), err error) {
	if t.free == nil {
		return func() {}, nil
	}
	leave := func() {}
	if t.admitted != nil {
		select {
		case t.admitted <- struct{}{}:
			leave = func() { <-t.admitted }
		default:
			return nil, errFull
		}
	}
	select {
	case t.free <- struct{}{}:
		return func() { <-t.free; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, context.Cause(ctx)
	}
}
