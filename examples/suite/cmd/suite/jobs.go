package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gomodule/redigo/redis"
)

const (
	jobsKey      = "jobs"                  // the list of jobs that wait: put at its head, taken from its tail
	sessionLife  = 60                      // seconds
	sessionSize  = 2000                    // bytes: what is in somebody's basket
	jobLate      = 1500 * time.Millisecond // a job that has waited for so long is late
	redisLimit   = time.Second             // for one command
	takeSeconds  = 1                       // how long a worker waits for a job before it asks again
	takeLimit    = time.Minute             // for its answer: a worker that was stopped must find its job when it goes on
	redisConns   = 32
	stampLength  = 13 // digits of milliseconds since 1970, at the begin of a job
	jobSizeLimit = 1 << 20
)

// addUnlessFull adds a job unless so many wait already. Redis runs a script in one piece, so that two cannot both get the last
// place.
var addUnlessFull = redis.NewScript(1, `
if redis.call("LLEN", KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
redis.call("LPUSH", KEYS[1], ARGV[2])
return 1`)

// jobsAPI takes jobs into a queue, and keeps sessions in the same Redis.
type jobsAPI struct {
	pool  *redis.Pool
	bound int // jobs that may wait; 0 for as many as fit into memory
	size  int // bytes of a job
	now   func() time.Time
}

// jobsRole serves the API of a queue in Redis, in which logins live too.
func jobsRole(ctx context.Context, args []string, log io.Writer) error {
	flags := flag.NewFlagSet("jobs", flag.ContinueOnError)
	listen := flags.String("listen", ":9111", "address to serve on")
	address := flags.String("redis", "queue:6379", "the Redis in which the queue is")
	bound := flags.Int("bound", 0, "how many jobs may wait; 0 for as many as fit")
	size := flags.Int("size", 12_000, "bytes of a job")
	if err := parse(flags, args, log); err != nil {
		return err
	}
	if *bound < 0 || *size < stampLength || *size > jobSizeLimit {
		return &usageError{fmt.Sprintf("-bound is 0 or more, and -size from %d to %d", stampLength, jobSizeLimit)}
	}
	pool := redisPool(*address)
	defer pool.Close()
	return serve(ctx, *listen, (&jobsAPI{pool: pool, bound: *bound, size: *size, now: time.Now}).routes(), log)
}

// redisPool returns connections to a Redis, made when they are needed.
func redisPool(address string) *redis.Pool {
	return &redis.Pool{MaxIdle: redisConns, MaxActive: redisConns, Wait: true, IdleTimeout: time.Minute,
		DialContext: func(ctx context.Context) (redis.Conn, error) {
			return redis.DialContext(ctx, "tcp", address, redis.DialConnectTimeout(redisLimit),
				redis.DialReadTimeout(redisLimit), redis.DialWriteTimeout(redisLimit))
		}}
}

func (a *jobsAPI) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", healthy)
	mux.HandleFunc("POST /jobs", a.with(a.add))
	mux.HandleFunc("GET /queue", a.with(a.queue))
	mux.HandleFunc("POST /logins", a.with(a.login))
	return mux
}

// with hands a connection to a handler. What Redis refuses is no fault of whoever asked: 503.
func (a *jobsAPI) with(h func(http.ResponseWriter, *http.Request, redis.Conn) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, err := a.pool.GetContext(r.Context())
		if err == nil {
			defer conn.Close()
			err = h(w, r, conn)
		}
		if err != nil {
			fail(w, http.StatusServiceUnavailable, err.Error())
		}
	}
}

// add puts a job into the queue, or says that it is full.
func (a *jobsAPI) add(w http.ResponseWriter, r *http.Request, conn redis.Conn) error {
	job := fmt.Sprintf("%0*d", stampLength, a.now().UnixMilli())
	job += strings.Repeat(".", a.size-len(job))
	if a.bound == 0 {
		if _, err := redis.DoContext(conn, r.Context(), "LPUSH", jobsKey, job); err != nil {
			return fmt.Errorf("adding the job: %w", err)
		}
		answer(w, http.StatusAccepted, map[string]string{"status": "waiting"})
		return nil
	}
	added, err := redis.Int(addUnlessFull.DoContext(r.Context(), conn, jobsKey, a.bound, job))
	switch {
	case err != nil:
		return fmt.Errorf("adding the job: %w", err)
	case added == 0:
		w.Header().Set("Retry-After", "5")
		fail(w, http.StatusTooManyRequests, "the queue is full, come again later")
	default:
		answer(w, http.StatusAccepted, map[string]string{"status": "waiting"})
	}
	return nil
}

// queueState is how the queue does.
type queueState struct {
	Waiting  int   `json:"waiting"`
	OldestMS int64 `json:"oldest_ms"` // how long the first in the queue has waited
	Late     bool  `json:"late"`
}

// queue tells how many jobs wait, and for how long.
func (a *jobsAPI) queue(w http.ResponseWriter, r *http.Request, conn redis.Conn) error {
	n, err := redis.Int(redis.DoContext(conn, r.Context(), "LLEN", jobsKey))
	if err != nil {
		return fmt.Errorf("looking at the queue: %w", err)
	}
	s := queueState{Waiting: n}
	oldest, err := redis.String(redis.DoContext(conn, r.Context(), "LINDEX", jobsKey, -1))
	if err != nil && !errors.Is(err, redis.ErrNil) {
		return fmt.Errorf("looking at the queue: %w", err)
	}
	if len(oldest) >= stampLength {
		if since, err := strconv.ParseInt(oldest[:stampLength], 10, 64); err == nil {
			s.OldestMS = max(0, a.now().UnixMilli()-since)
		}
	}
	s.Late = s.OldestMS > jobLate.Milliseconds()
	answer(w, http.StatusOK, s)
	return nil
}

// login begins a session.
func (a *jobsAPI) login(w http.ResponseWriter, r *http.Request, conn redis.Conn) error {
	id := rand.Text()
	if _, err := redis.DoContext(conn, r.Context(), "SET", "session:"+id, strings.Repeat(".", sessionSize), "EX", sessionLife); err != nil {
		return fmt.Errorf("keeping the session: %w", err)
	}
	answer(w, http.StatusCreated, map[string]string{"session": id})
	return nil
}

// workerRole takes jobs from the queue and does them: each waits for something slow.
func workerRole(ctx context.Context, args []string, log io.Writer) error {
	flags := flag.NewFlagSet("worker", flag.ContinueOnError)
	listen := flags.String("listen", ":9112", "address to say on that it is there")
	address := flags.String("redis", "queue:6379", "the Redis in which the queue is")
	slots := flags.Int("slots", 4, "how many jobs it does at a time")
	each := flags.Duration("each", 40*time.Millisecond, "how long a job takes")
	if err := parse(flags, args, log); err != nil {
		return err
	}
	if *slots < 1 || *slots > redisConns || *each < 0 {
		return &usageError{fmt.Sprintf("-slots is from 1 to %d, and -each is not negative", redisConns)}
	}
	pool := redisPool(*address)
	defer pool.Close()
	for range *slots {
		go func() {
			for ctx.Err() == nil {
				if err := work(ctx, pool, *each); err != nil && ctx.Err() == nil {
					fmt.Fprintf(log, "taking a job: %v\n", err)
					_ = wait(ctx, 200*time.Millisecond)
				}
			}
		}()
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", healthy)
	return serve(ctx, *listen, mux, log)
}

// work takes one job, if there is one soon, and does it. It is gone from the queue as soon as it is taken: what is taken by
// LMOVE, to be safe, is refused when memory is full, and a queue that is full could never be emptied.
func work(ctx context.Context, pool *redis.Pool, each time.Duration) error {
	conn, err := pool.GetContext(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = redis.DoWithTimeout(conn, takeLimit, "BRPOP", jobsKey, takeSeconds)
	if errors.Is(err, redis.ErrNil) {
		return nil
	}
	if err != nil {
		return err
	}
	return wait(ctx, each)
}
