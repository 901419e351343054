package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

const (
	heartbeatEvery = 100 * time.Millisecond
	askWithin      = time.Second
	notesConns     = 6
	lagLate        = time.Second // a replica that is so far behind is late
	lagUnknown     = time.Duration(math.MaxInt64)
)

// notes keeps notes in a primary, and reads them from its replica.
type notes struct {
	primary, replica *sql.DB
	limit            time.Duration // of the replica's lag, for reads; 0 reads from it whatever its lag
	lag              atomic.Int64  // the replica's, as last measured, in nanoseconds
}

// notesRole serves notes.
func notesRole(ctx context.Context, args []string, log io.Writer) error {
	flags := flag.NewFlagSet("notes", flag.ContinueOnError)
	listen := flags.String("listen", ":9131", "address to serve on")
	primary := flags.String("primary", "primary:5432", "the PostgreSQL that takes what is written")
	replica := flags.String("replica", "replica:5432", "its replica, which is read from")
	limit := flags.Duration("lag-limit", 0, "when the replica is further behind, the primary is read from; 0 for never")
	if err := parse(flags, args, log); err != nil {
		return err
	}
	if *limit < 0 {
		return &usageError{"-lag-limit is not negative"}
	}
	n, err := newNotes(*primary, *replica, *limit, notesConns)
	if err != nil {
		return err
	}
	defer n.close()
	if err := errors.Join(pgAwait(ctx, n.primary), pgAwait(ctx, n.replica)); err != nil {
		return err
	}
	go n.watch(ctx)
	return serve(ctx, *listen, n.routes(), log)
}

// newNotes opens at most conns connections to each of the two. The lag is unknown until it has been measured.
func newNotes(primary, replica string, limit time.Duration, conns int) (*notes, error) {
	n := &notes{limit: limit}
	n.lag.Store(int64(lagUnknown))
	var err error
	if n.primary, err = pgPool(primary, conns, askWithin); err != nil {
		return nil, err
	}
	if n.replica, err = pgPool(replica, conns, askWithin); err != nil {
		return nil, errors.Join(err, n.primary.Close())
	}
	return n, nil
}

func (n *notes) close() error { return errors.Join(n.primary.Close(), n.replica.Close()) }

func (n *notes) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", healthy)
	mux.HandleFunc("POST /notes", n.write)
	mux.HandleFunc("GET /notes/{id}", n.read)
	mux.HandleFunc("GET /lag", func(w http.ResponseWriter, _ *http.Request) {
		lag := time.Duration(n.lag.Load())
		answer(w, http.StatusOK, map[string]any{"lag_ms": lag.Milliseconds(), "late": lag > lagLate})
	})
	return mux
}

// watch writes the time to the primary and reads it from the replica, again and again: how old it is there is the lag. Asking
// PostgreSQL when it last replayed something would call a replica late whose primary is merely idle.
func (n *notes) watch(ctx context.Context) {
	for ctx.Err() == nil {
		n.lag.Store(int64(n.measure(ctx)))
		_ = wait(ctx, heartbeatEvery)
	}
}

// measure returns the replica's lag, lagUnknown when it cannot be told.
func (n *notes) measure(ctx context.Context) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	var age float64
	_, err := n.primary.ExecContext(ctx, "update heartbeat set at = clock_timestamp()")
	if err == nil {
		err = n.replica.QueryRowContext(ctx, "select extract(epoch from clock_timestamp() - at) from heartbeat").Scan(&age)
	}
	if err != nil {
		return lagUnknown
	}
	return time.Duration(max(0, age) * float64(time.Second))
}

// source says which of the two a note is read from.
func (n *notes) source() (db *sql.DB, name string) {
	if n.limit > 0 && time.Duration(n.lag.Load()) > n.limit {
		return n.primary, "primary"
	}
	return n.replica, "replica"
}

func (n *notes) write(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), askWithin)
	defer cancel()
	var id int
	if err := n.primary.QueryRowContext(ctx, "insert into notes (body) values ('remember the milk') returning id").Scan(&id); err != nil {
		fail(w, http.StatusServiceUnavailable, fmt.Sprintf("writing the note: %v", err))
		return
	}
	answer(w, http.StatusCreated, map[string]int{"id": id})
}

func (n *notes) read(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		fail(w, http.StatusNotFound, "no such note")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), askWithin)
	defer cancel()
	db, name := n.source()
	var body string
	switch err := db.QueryRowContext(ctx, "select body from notes where id = $1", id).Scan(&body); {
	case errors.Is(err, sql.ErrNoRows):
		fail(w, http.StatusNotFound, "no such note")
	case err != nil:
		fail(w, http.StatusServiceUnavailable, fmt.Sprintf("reading the note: %v", err))
	default:
		answer(w, http.StatusOK, map[string]any{"id": id, "body": body, "from": name})
	}
}
