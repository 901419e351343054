package native

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/internal/child"
)

// crew starts an iteration for each arrival of a schedule, by whichever user is free. When none is, the arrival waits in the
// queue, and the time it waits counts as response time; when the queue is full, it is dropped.
type crew struct {
	program *program
	wire    *wire
	h2      *h2    // nil over HTTP/1.1
	calls   *calls // nil when no request is one
	size    size
	tally   *child.Tally
	say     func(level, text string)
	fresh   func(text string) bool // whether say would say it

	// ctx ends when what is under way is interrupted.
	ctx       context.Context
	interrupt context.CancelFunc

	queue   chan time.Time // intended starts
	busy    atomic.Int64
	number  atomic.Uint64 // iterations begun
	segment loadgen.Segment
	plain   answer // an answer with status 200 that nobody looks into

	saying sync.Mutex // guards said
	said   map[string]bool

	mu      sync.Mutex
	users   []*user
	working sync.WaitGroup
}

func newCrew(p *program, w *wire, size size, tally *child.Tally) (*crew, error) {
	c := &crew{program: p, wire: w, size: size, tally: tally, queue: make(chan time.Time, size.Backlog),
		plain: answer{status: 200},
		said:  map[string]bool{},
		say:   func(string, string) {}, fresh: func(string) bool { return false }}
	c.ctx, c.interrupt = context.WithCancel(context.Background())
	if w.HTTP == loadgen.HTTP2 {
		c.h2 = newH2(w)
	}
	var err error
	c.calls, err = newCalls(p, w)
	return c, err
}

// run follows the schedule until it is stopped, and gives what is under way then the grace.
func (c *crew) run(schedule *loadgen.Schedule, grace time.Duration) {
	owed := schedule.Run(c.ctx, c.arrive)
	c.drop(owed + c.drain())
	close(c.queue)
	idle := make(chan struct{})
	go func() { c.working.Wait(); close(idle) }()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-idle:
	case <-timer.C:
		c.leave()
		<-idle
	}
	c.interrupt()
	c.calls.close()
}

// leave interrupts everything that is under way.
func (c *crew) leave() {
	c.interrupt()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, u := range c.users {
		u.leave()
	}
}

func (c *crew) interrupted() bool { return c.ctx.Err() != nil }

// arrive queues one arrival, and employs another user when those there are all busy.
func (c *crew) arrive(intended time.Time) {
	select {
	case c.queue <- intended:
	default:
		c.drop(1)
	}
	if users := int64(len(c.users)); users < int64(c.size.MaxVUs) && c.busy.Load()+int64(len(c.queue)) > users {
		c.employ()
	}
}

// employ adds a user. Only arrive calls it, so that users are read there without the lock.
func (c *crew) employ() {
	u := &user{c: c}
	c.mu.Lock()
	c.users = append(c.users, u)
	c.mu.Unlock()
	c.working.Go(func() {
		defer u.hangUp()
		for intended := range c.queue {
			if c.interrupted() {
				c.drop(1)
				continue
			}
			c.busy.Add(1)
			u.iterate(intended)
			c.busy.Add(-1)
		}
	})
}

// drain empties the queue and returns how many it held.
func (c *crew) drain() (n uint64) {
	for {
		select {
		case <-c.queue:
			n++
		default:
			return n
		}
	}
}

func (c *crew) drop(n uint64) {
	if n > 0 {
		c.tally.At(time.Now(), func(w *loadgen.Window) { w.Dropped += n })
	}
}

// begun counts the begin of an iteration.
func (c *crew) begun(at time.Time, delay time.Duration) {
	c.tally.At(at, func(w *loadgen.Window) { w.Begin(delay) })
}

// answered counts a request.
func (c *crew) answered(at time.Time, delay, service time.Duration, right bool, passed, failed uint64) {
	c.tally.At(at, func(w *loadgen.Window) {
		w.Requests++
		w.ChecksPassed += passed
		w.ChecksFailed += failed
		if right {
			w.OK.Record(delay+service, service)
		} else {
			w.Failed.Record(delay+service, service)
		}
	})
}

// ended counts the end of an iteration.
func (c *crew) ended(at time.Time, cut bool) {
	c.tally.At(at, func(w *loadgen.Window) {
		if cut {
			w.Interrupted++
		} else {
			w.Completed++
		}
	})
}

// complain says what went wrong, if that kind of thing was not said of the request before. What an answer was like is left
// out where the request takes values out of answers: they may be secret.
func (c *crew) complain(r *request, why string) {
	text := fmt.Sprintf("%s: %s", r.name, kind(why))
	c.saying.Lock()
	said := c.said[text]
	if !said && len(c.said) < mostSaid {
		c.said[text] = true
	}
	c.saying.Unlock()
	if said {
		return
	}
	if len(r.extracts) == 0 {
		text = fmt.Sprintf("%s: %s", r.name, why)
	}
	if c.fresh(text) {
		c.say("warning", text)
	}
}

// mostSaid bounds how many kinds of complaints are remembered.
const mostSaid = 1000

// words says what an error of the network means, without our own ports, which make each one different.
func (c *crew) words(err error) string {
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "no answer within its timeout"
	case errors.As(err, &dns):
		return "looking up " + dns.Name + ": " + dns.Err
	case errors.As(err, &op) && op.Op == "dial" && op.Addr != nil && op.Err != nil:
		cause := op.Err
		var call *os.SyscallError
		if errors.As(cause, &call) {
			cause = call.Err
		}
		return "connecting to " + op.Addr.String() + ": " + cause.Error()
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the connection was reset"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed before the answer was complete"
	case errors.As(err, &op) && op.Err != nil:
		return op.Op + ": " + strings.TrimSuffix(op.Err.Error(), "\n")
	}
	return err.Error()
}
