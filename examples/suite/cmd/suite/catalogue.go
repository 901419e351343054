package main

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"path"
	"strconv"
	"time"

	"github.com/lib/pq"
)

// catalogueRole shows goods and orders out of a real PostgreSQL. Goods may be shown as they were a moment ago, orders may
// not. Whether either can be shown while the database is out of reach depends on whether anything ever notices that.
func catalogueRole(ctx context.Context, args []string, log io.Writer) error {
	flags := flag.NewFlagSet("catalogue", flag.ContinueOnError)
	listen := flags.String("listen", ":9131", "address to serve on")
	database := flags.String("database", "database:5432", "the PostgreSQL")
	connections := flags.Int("connections", 8, "connections to it")
	limit := flags.Duration("limit", 0, "how long a connection may be waited for, and each of the database's answers; 0: for ever")
	var b bounds
	flags.IntVar(&b.breakAfter, "breaker", 0, "failed queries in a row after which none is made for -rest; 0: never")
	flags.DurationVar(&b.rest, "rest", time.Second, "how long that is")
	if err := parse(flags, args, log); err != nil {
		return err
	}
	if *connections < 1 || *limit < 0 || b.breakAfter < 0 || b.rest < 0 {
		return &usageError{"there is at least one connection, and nothing is negative"}
	}
	db, err := limitedPool(*database, *connections, *limit)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := pgAwait(ctx, db); err != nil {
		return err
	}
	b.timeout = *limit
	return serve(ctx, *listen, catalogueHandler(db, b), log)
}

// catalogueHandler answers by one query each.
func catalogueHandler(db *sql.DB, b bounds) http.Handler {
	query := func(ctx context.Context, p string) ([]byte, error) {
		conn, err := db.Conn(ctx) // waits for a connection as long as the bounds say
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		var cents int
		// The connection ends a query that takes too long; lib/pq, told by a context, would wait for the answer all the same.
		err = conn.QueryRowContext(context.WithoutCancel(ctx), "select cents from orders where id = $1", path.Base(p)).Scan(&cents)
		return fmt.Appendf(nil, "{\"number\":%s,\"cents\":%d}\n", path.Base(p), cents), err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", healthy)
	for kind, stale := range map[string]bool{"goods": true, "orders": false} {
		b.stale = stale
		u := newUpstream(b, query)
		mux.HandleFunc("GET /"+kind+"/{n}", func(w http.ResponseWriter, r *http.Request) {
			if _, err := strconv.Atoi(r.PathValue("n")); err != nil {
				fail(w, http.StatusNotFound, "numbers are whole")
				return
			}
			body, old, err := u.get(context.WithoutCancel(r.Context()), r.URL.Path)
			pass(w, "the catalogue", body, old, err)
		})
	}
	return mux
}

// limitedPool returns up to n connections to a database, each of which gives up an answer that takes longer than limit.
// 0 waits for ever. The database's own limit for a statement is a second, which is of no use to whoever cannot hear of it.
func limitedPool(address string, n int, limit time.Duration) (*sql.DB, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, &usageError{fmt.Sprintf("a database is HOST:PORT, not %q", address)}
	}
	c, err := pq.NewConnector(fmt.Sprintf("host=%s port=%s user=%s dbname=postgres sslmode=disable statement_timeout=1000", host, port, pgUser))
	if err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	c.Dialer(limitedDialer(limit))
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

// limitedDialer connects within a limit, and gives what it connects the same limit for each answer; 0 is none.
type limitedDialer time.Duration

// Dial connects.
func (d limitedDialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialTimeout connects within another limit, if that is the shorter one.
func (d limitedDialer) DialTimeout(network, address string, limit time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// DialContext connects while ctx lasts.
func (d limitedDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{Timeout: time.Duration(d)}).DialContext(ctx, network, address)
	if err != nil || d == 0 {
		return c, err
	}
	return &limitedConn{Conn: c, limit: time.Duration(d)}, nil
}

// limitedConn is a connection of which each read has a time limit, as JDBC's socketTimeout is one.
type limitedConn struct {
	net.Conn
	limit time.Duration
}

// Read reads within the limit.
func (c *limitedConn) Read(b []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}
