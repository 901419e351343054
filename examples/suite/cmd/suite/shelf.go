package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// How a shelf finds the prices.
const (
	namesKept = "kept" // addresses are remembered, connections are kept
	namesEach = "each" // a look-up and a connection for every request
)

const (
	shelfIdle = 64               // kept connections
	shelfKeep = 30 * time.Second // how long an unused connection is kept
)

// shelf is what customers see: one page, with a price that it asks another service for.
type shelf struct {
	client  *http.Client
	prices  string        // URL that is asked
	host    string        // in that
	timeout time.Duration // of one question
	// later says that nobody is asked any more: the page comes without a price.
	later atomic.Bool
}

// shelfRole serves the page until ctx ends.
func shelfRole(ctx context.Context, args []string, log io.Writer) error {
	s, listen, err := parseShelf(args, log)
	if err != nil {
		return err
	}
	return serve(ctx, listen, s.routes(), log)
}

func parseShelf(args []string, log io.Writer) (*shelf, string, error) {
	s := &shelf{}
	flags := flag.NewFlagSet("shelf", flag.ContinueOnError)
	listen := flags.String("listen", ":9401", "address to serve on")
	names := flags.String("names", namesKept, "how prices are found: kept remembers the address and keeps connections, each looks it up for every request")
	flags.StringVar(&s.prices, "prices", "http://prices:9402/", "URL of the service that is asked")
	flags.DurationVar(&s.timeout, "timeout", 500*time.Millisecond, "how long it waits for that")
	if err := parse(flags, args, log); err != nil {
		return nil, "", err
	}
	u, err := url.Parse(s.prices)
	switch {
	case err != nil || u.Scheme != "http" || u.Host == "":
		return nil, "", &usageError{fmt.Sprintf("-prices is an http URL such as http://prices:9402/, not %q", s.prices)}
	case s.timeout <= 0:
		return nil, "", &usageError{"-timeout must be longer than nothing"}
	}
	s.host = u.Hostname()
	switch *names {
	case namesKept:
		s.client = &http.Client{Transport: keepingTransport(newBook(lookUpAll, time.Now))}
	case namesEach:
		s.client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	default:
		return nil, "", &usageError{fmt.Sprintf("-names is %s or %s, not %q", namesKept, namesEach, *names)}
	}
	return s, *listen, nil
}

// lookUpAll returns a host's IPv4 addresses.
func lookUpAll(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
}

// keepingTransport keeps connections, and takes addresses from a book.
func keepingTransport(b *book) *http.Transport {
	dialer := &net.Dialer{Timeout: time.Second}
	return &http.Transport{
		MaxIdleConnsPerHost: shelfIdle,
		IdleConnTimeout:     shelfKeep,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			host, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			addrs, err := b.find(ctx, host)
			if err != nil {
				return nil, err
			}
			var errs []error
			for _, a := range addrs {
				conn, err := dialer.DialContext(ctx, network, net.JoinHostPort(a.String(), port))
				if err == nil {
					return conn, nil
				}
				errs = append(errs, err)
			}
			return nil, errors.Join(errs...)
		},
	}
}

func (s *shelf) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", healthy)
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("POST /later", func(w http.ResponseWriter, _ *http.Request) {
		s.later.Store(true)
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("DELETE /later", func(w http.ResponseWriter, _ *http.Request) {
		s.later.Store(false)
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /names", s.names)
	mux.HandleFunc("GET /metrics", s.metrics)
	return mux
}

// page answers 200 with the price, 202 while prices come later, 504 when there is none in time and 502 when there is
// none at all.
func (s *shelf) page(w http.ResponseWriter, r *http.Request) {
	if s.later.Load() {
		answer(w, http.StatusAccepted, map[string]string{"price": "later"})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.timeout)
	defer cancel()
	price, err := s.price(ctx)
	switch {
	case err == nil:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(price)
	case errors.Is(err, context.DeadlineExceeded) || os.IsTimeout(err):
		fail(w, http.StatusGatewayTimeout, "no price in time")
	default:
		fail(w, http.StatusBadGateway, "no price: "+err.Error())
	}
}

// price asks for the price.
func (s *shelf) price(ctx context.Context) ([]byte, error) {
	code, body, err := ask(ctx, s.client, http.MethodGet, s.prices, nil)
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("status %d", code)
	}
	return body, err
}

// names says for a probe whether the name of the prices resolves now, whatever is remembered of it: 503 when it does not.
func (s *shelf) names(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), bookWait)
	defer cancel()
	// One of its own, for look-ups of the same name by the same resolver share one query, and wait for it together.
	resolver := &net.Resolver{PreferGo: true}
	if _, err := resolver.LookupNetIP(ctx, "ip4", s.host); err != nil {
		fail(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	healthy(w, r)
}

// metrics tells Prometheus, in its text format, whether prices come later.
func (s *shelf) metrics(w http.ResponseWriter, _ *http.Request) {
	later := "0"
	if s.later.Load() {
		later = "1"
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = io.WriteString(w, strings.Join([]string{
		"# HELP shelf_later Whether pages come without a price.", "# TYPE shelf_later gauge", "shelf_later " + later, "",
	}, "\n"))
}

// pricesRole serves a price until ctx ends: the service behind a shelf.
func pricesRole(ctx context.Context, args []string, log io.Writer) error {
	flags := flag.NewFlagSet("prices", flag.ContinueOnError)
	listen := flags.String("listen", ":9402", "address to serve on")
	work := flags.Duration("work", 5*time.Millisecond, "how long an answer takes")
	if err := parse(flags, args, log); err != nil {
		return err
	}
	return serve(ctx, *listen, pricesRoutes(*work), log)
}

func pricesRoutes(work time.Duration) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", healthy)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		if wait(r.Context(), work) == nil {
			answer(w, http.StatusOK, map[string]int{"cents": 995})
		}
	})
	return mux
}
