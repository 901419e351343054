package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	sessionsLimit = 5000                   // sessions that a store keeps; further ones are refused
	valueLimit    = 100                    // bytes of one
	copiesWaiting = 256                    // sessions that wait to be copied to the peer; further ones are not
	peerLimit     = 300 * time.Millisecond // of one request to the peer
	copyTries     = 4                      // to get through to the peer
)

// sessionsRole keeps sessions in memory, as caches and session stores do. With a peer, each session that is written is
// copied there, and a store that starts takes what the peer has. Without one, what it had is gone with its power.
func sessionsRole(ctx context.Context, args []string, log io.Writer) error {
	flags := flag.NewFlagSet("sessions", flag.ContinueOnError)
	listen := flags.String("listen", ":9110", "address to serve on")
	peer := flags.String("peer", "", "URL of the store that has the same sessions, http://sessions-2:9110; none: nobody has them")
	if err := parse(flags, args, log); err != nil {
		return err
	}
	s := newSessions(strings.TrimSuffix(*peer, "/"), log)
	var work sync.WaitGroup
	working, stop := context.WithCancel(ctx)
	defer work.Wait()
	defer stop()
	if s.peer != "" {
		work.Go(func() { s.fetch(working) })
		work.Go(func() { s.pass(working) })
	}
	return serve(ctx, *listen, s.handler(), log)
}

// sessions is a store in memory. It is safe for concurrent use.
type sessions struct {
	peer   string
	client *http.Client
	log    io.Writer
	ready  atomic.Bool    // it has what the peer had
	copies chan [2]string // id and value, for the peer

	mu  sync.Mutex
	all map[string]string
}

func newSessions(peer string, log io.Writer) *sessions {
	s := &sessions{peer: peer, client: &http.Client{Timeout: peerLimit}, log: log,
		copies: make(chan [2]string, copiesWaiting), all: map[string]string{}}
	s.ready.Store(peer == "")
	return s
}

// fetch takes what the peer has. A peer that does not answer is asked again a few times; then the store begins with
// nothing, as the first of two must.
func (s *sessions) fetch(ctx context.Context) {
	defer s.ready.Store(true)
	for range copyTries {
		code, body, err := ask(ctx, s.client, http.MethodGet, s.peer+"/sessions", nil)
		var there map[string]string
		if err == nil && code == http.StatusOK && json.Unmarshal(body, &there) == nil && there != nil {
			s.mu.Lock()
			maps.Copy(there, s.all) // what was written meanwhile is newer
			s.all = there
			s.mu.Unlock()
			fmt.Fprintf(s.log, "took %d sessions from %s\n", len(there), s.peer)
			return
		}
		if wait(ctx, peerLimit/3) != nil {
			return
		}
	}
	fmt.Fprintf(s.log, "%s does not answer: beginning without sessions\n", s.peer)
}

// pass copies to the peer what is written here, in order. What does not get through in a few tries is left: a peer that was
// away for so long takes all that there is when it is back.
func (s *sessions) pass(ctx context.Context) {
	for {
		select {
		case one := <-s.copies:
			for range copyTries {
				code, _, err := ask(ctx, s.client, http.MethodPut, s.peer+"/copies/"+one[0], []byte(one[1]))
				if err == nil && code == http.StatusCreated || wait(ctx, peerLimit/3) != nil {
					break
				}
			}
		case <-ctx.Done():
			return
		}
	}
}

var errNoRoom = errors.New("there is no room for another session")

// put keeps a session.
func (s *sessions) put(id, value string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.all[id]; !known && len(s.all) >= sessionsLimit {
		return errNoRoom
	}
	s.all[id] = value
	return nil
}

// get returns a session.
func (s *sessions) get(id string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, ok := s.all[id]
	return value, ok
}

// handler is what users, balancers and the peer see.
func (s *sessions) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		if !s.ready.Load() {
			fail(w, http.StatusServiceUnavailable, "still taking the sessions from the peer")
			return
		}
		healthy(w, r)
	})
	mux.HandleFunc("GET /sessions", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		all := maps.Clone(s.all)
		s.mu.Unlock()
		answer(w, http.StatusOK, all)
	})
	mux.HandleFunc("GET /sessions/{id}", func(w http.ResponseWriter, r *http.Request) {
		value, ok := s.get(r.PathValue("id"))
		if !ok {
			fail(w, http.StatusNotFound, "no such session: sign in again")
			return
		}
		answer(w, http.StatusOK, map[string]string{"id": r.PathValue("id"), "value": value})
	})
	write := func(w http.ResponseWriter, r *http.Request, pass bool) {
		value, err := io.ReadAll(r.Body)
		if err != nil || len(value) > valueLimit {
			fail(w, http.StatusBadRequest, fmt.Sprintf("a session has at most %d bytes", valueLimit))
			return
		}
		id := r.PathValue("id")
		if err := s.put(id, string(value)); err != nil {
			fail(w, http.StatusInsufficientStorage, err.Error())
			return
		}
		if pass && s.peer != "" {
			select {
			case s.copies <- [2]string{id, string(value)}:
			default: // the peer is away, and takes all when it is back
			}
		}
		answer(w, http.StatusCreated, map[string]string{"id": id})
	}
	mux.HandleFunc("PUT /sessions/{id}", func(w http.ResponseWriter, r *http.Request) { write(w, r, true) })
	mux.HandleFunc("PUT /copies/{id}", func(w http.ResponseWriter, r *http.Request) { write(w, r, false) })
	return mux
}

// fillRole writes what a world begins with, and then says by an open port that it is there.
func fillRole(ctx context.Context, args []string, log io.Writer) error {
	flags := flag.NewFlagSet("fill", flag.ContinueOnError)
	listen := flags.String("listen", ":9119", "address to serve on when all is written")
	to := flags.String("to", "", "URL below which things are written: http://sessions-1:9110/sessions")
	n := flags.Int("n", 50, "how many, by the numbers from 1")
	if err := parse(flags, args, log); err != nil {
		return err
	}
	if *to == "" || *n < 1 {
		return &usageError{"-to says where to write, and -n is 1 at least"}
	}
	client := &http.Client{Timeout: time.Second}
	for i := 1; i <= *n; {
		code, _, err := ask(ctx, client, http.MethodPut, fmt.Sprintf("%s/%d", strings.TrimSuffix(*to, "/"), i), []byte("from the begin"))
		if err == nil && code == http.StatusCreated {
			i++
		} else if wait(ctx, 100*time.Millisecond) != nil {
			return nil
		}
	}
	fmt.Fprintf(log, "wrote %d\n", *n)
	return serve(ctx, *listen, http.HandlerFunc(healthy), log)
}
