package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	inFlightLimit = 256              // requests one service works on at once
	bodyLimit     = 4 << 10          // bytes of a request's body
	answerLimit   = 64 << 10         // bytes read of another service's answer
	shutdownGrace = 3 * time.Second  // for requests in flight when told to stop
	idleTimeout   = 30 * time.Second // of a kept connection

	statusGone = 499 // counted, never sent: whoever asked went away before there was an answer
)

// service is one of the three: its routes behind shared bounds and measurements.
type service struct {
	name    string
	mux     *http.ServeMux
	metrics *metrics
	slots   chan struct{} // one per request being worked on
	// background, when not nil, works beside the requests until ctx ends.
	background func(ctx context.Context)
}

// newService returns a service with the routes every service has.
func newService(name string) *service {
	s := &service{
		name:    name,
		mux:     http.NewServeMux(),
		metrics: newMetrics(name),
		slots:   make(chan struct{}, inFlightLimit),
	}
	s.metrics.gauge("shop_requests_in_flight", "Requests being worked on now.", nil,
		func() float64 { return float64(len(s.slots)) })
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"service": name, "status": "ok"})
	})
	s.mux.Handle("GET /metrics", s.metrics)
	return s
}

// ServeHTTP measures every request and refuses those over the limit instead of letting them pile up.
func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	rec := &recorder{ResponseWriter: w}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
		r.Body = http.MaxBytesReader(w, r.Body, bodyLimit)
		s.mux.ServeHTTP(rec, r)
	default:
		fail(rec, http.StatusServiceUnavailable, "too busy, try again")
	}
	if rec.code == 0 {
		rec.code = statusGone
	}
	s.metrics.observe(route(r.Pattern), rec.code, time.Since(begin))
}

// route turns a pattern of the mux ("GET /product/{n}") into a label with few values.
func route(pattern string) string {
	if _, path, ok := strings.Cut(pattern, " "); ok {
		return strings.TrimSuffix(path, "{$}")
	}
	return "other"
}

// serve answers on l until ctx ends, then lets requests in flight finish.
func (s *service) serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 2 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      5 * time.Second,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    8 << 10,
	}
	var background sync.WaitGroup
	working, rest := context.WithCancel(context.WithoutCancel(ctx))
	defer background.Wait()
	defer rest()
	if s.background != nil {
		background.Go(func() { s.background(working) })
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving %s: %w", s.name, err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		return errors.Join(fmt.Errorf("stopping %s: %w", s.name, err), server.Close())
	}
	return nil
}

// recorder remembers the status code; 0 means that nothing was written.
type recorder struct {
	http.ResponseWriter
	code int
}

// WriteHeader notes the code and passes it on.
func (r *recorder) WriteHeader(code int) {
	r.code = code
	r.ResponseWriter.WriteHeader(code)
}

// answer writes v as JSON.
func answer(w http.ResponseWriter, code int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	// A shopper who has gone away needs no answer, so the error of writing one is of no use to anybody.
	_, _ = w.Write(append(body, '\n'))
}

// fail writes an error for people.
func fail(w http.ResponseWriter, code int, why string) {
	answer(w, code, map[string]string{"error": why})
}

// newClient returns a client for calls to other services: bounded in connections, and quick to give up on a peer that
// does not even accept one.
func newClient(dial time.Duration) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: dial}).DialContext,
			MaxIdleConnsPerHost: 64,
			MaxConnsPerHost:     2 * inFlightLimit,
			IdleConnTimeout:     idleTimeout,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
