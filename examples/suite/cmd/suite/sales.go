package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	_ "github.com/lib/pq" // the driver "postgres"
)

// sales shows orders, one at a time, and reports over all sales of a day, from one database.
type sales struct {
	orders  *sql.DB
	reports *sql.DB       // the same as orders, when both share their connections
	wait    time.Duration // for a connection; 0 waits for ever
}

// salesRole serves orders and reports. A report that hangs keeps its connection: what that does to orders depends on whether they
// have connections of their own, and on whether anything ends a query that takes too long.
func salesRole(ctx context.Context, args []string, log io.Writer) error {
	flags := flag.NewFlagSet("sales", flag.ContinueOnError)
	listen := flags.String("listen", ":9121", "address to serve on")
	database := flags.String("database", "database:5432", "the PostgreSQL")
	connections := flags.Int("connections", 10, "connections to the database")
	apart := flags.Int("reports", 0, "how many of them are for reports, and no others; 0 lets both have all")
	timeout := flags.Duration("statement-timeout", 0, "when the database gives up a query; 0 for never")
	patience := flags.Duration("wait", 0, "how long a request waits for a connection; 0 for ever")
	if err := parse(flags, args, log); err != nil {
		return err
	}
	if *connections < 1 || *apart < 0 || *apart >= *connections || *timeout < 0 || *patience < 0 {
		return &usageError{"-connections is at least 1, -reports less than that, and times are not negative"}
	}
	orders, err := pgPool(*database, *connections-*apart, *timeout)
	if err != nil {
		return err
	}
	defer orders.Close()
	s := &sales{orders: orders, reports: orders, wait: *patience}
	if *apart > 0 {
		if s.reports, err = pgPool(*database, *apart, *timeout); err != nil {
			return err
		}
		defer s.reports.Close()
	}
	if err := pgAwait(ctx, orders); err != nil {
		return err
	}
	return serve(ctx, *listen, s.routes(), log)
}

// pgPool returns up to n connections to a database, made when they are needed. The timeout is the database's, for each
// statement.
func pgPool(address string, n int, timeout time.Duration) (*sql.DB, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, &usageError{fmt.Sprintf("a database is HOST:PORT, not %q", address)}
	}
	db, err := sql.Open("postgres", fmt.Sprintf("host=%s port=%s user=%s dbname=postgres sslmode=disable connect_timeout=2 statement_timeout=%d",
		host, port, pgUser, timeout.Milliseconds()))
	if err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

// pgAwait returns when a database answers: who listens before that counts as ready, and is not.
func pgAwait(ctx context.Context, db *sql.DB) error {
	ctx, cancel := context.WithTimeoutCause(ctx, pgReadyWithin, fmt.Errorf("not within %s", pgReadyWithin))
	defer cancel()
	for {
		err := db.PingContext(ctx)
		if err == nil {
			return nil
		}
		if stop := wait(ctx, 50*time.Millisecond); stop != nil {
			return fmt.Errorf("waiting for the database: %w (%w)", err, stop)
		}
	}
}

func (s *sales) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", healthy)
	mux.HandleFunc("GET /orders/{n}", s.order)
	mux.HandleFunc("GET /reports/{day}", s.report)
	return mux
}

func (s *sales) order(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil {
		fail(w, http.StatusNotFound, "no such order")
		return
	}
	var cents int
	switch err := s.ask(s.orders, "select cents from orders where id = $1", n, &cents); {
	case errors.Is(err, sql.ErrNoRows):
		fail(w, http.StatusNotFound, "no such order")
	case err != nil:
		fail(w, http.StatusServiceUnavailable, err.Error())
	default:
		answer(w, http.StatusOK, map[string]int{"number": n, "cents": cents})
	}
}

func (s *sales) report(w http.ResponseWriter, r *http.Request) {
	day, err := strconv.Atoi(r.PathValue("day"))
	if err != nil {
		fail(w, http.StatusNotFound, "no such day")
		return
	}
	var sum int
	if err := s.ask(s.reports, "select coalesce(sum(cents), 0) from sales where day = $1", day, &sum); err != nil {
		fail(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	answer(w, http.StatusOK, map[string]int{"day": day, "cents": sum})
}

// ask asks for one number. That whoever wanted to know may have gone away it does not notice, like most: only the database ends
// a query.
func (s *sales) ask(pool *sql.DB, query string, argument int, to *int) error {
	waiting := context.Background()
	if s.wait > 0 {
		var cancel context.CancelFunc
		waiting, cancel = context.WithTimeoutCause(waiting, s.wait, errors.New("all are busy"))
		defer cancel()
	}
	conn, err := pool.Conn(waiting)
	if err != nil {
		return fmt.Errorf("getting a connection: %w", errors.Join(context.Cause(waiting), err))
	}
	defer conn.Close()
	return conn.QueryRowContext(context.Background(), query, argument).Scan(to)
}
