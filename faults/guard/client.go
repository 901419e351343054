package guard

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"gameday/faults"
	"gameday/policy"
)

// closeLimit is how long Close waits for a guard to revert everything and exit, a little longer than the guard's
// own limit but for what stands in a cluster: whoever wants to wait for that asks for it to be reverted before.
const closeLimit = unwindLimit + 5*time.Second

// Client talks to one guard. Its methods are safe for concurrent use; each waits for its own answer, and giving
// up on one by ending its context leaves the others alone.
type Client struct {
	cmd    *exec.Cmd // nil for Connect
	stdin  io.WriteCloser
	stderr *tail
	writes chan []byte
	events chan Event
	queue  *eventQueue
	ended  chan struct{} // closed when the guard's output has ended; err is valid then
	closed chan struct{} // closed by Close
	once   sync.Once

	mu      sync.Mutex
	seq     uint64
	waiting map[uint64]chan message
	err     error
}

// Start runs cmd as a guard in a session of its own, so that a signal to the client's terminal does not reach it,
// and greets it: a guard of another protocol is refused. Cmd must not be started, and must not have been made
// with exec.CommandContext, which would kill the guard before it could revert; ctx bounds the greeting only. On
// an error the guard is told to end.
func Start(ctx context.Context, cmd *exec.Cmd) (*Client, error) {
	inRead, inWrite, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("starting the guard: %w", err)
	}
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		inRead.Close()
		inWrite.Close()
		return nil, fmt.Errorf("starting the guard: %w", err)
	}
	stderr := &tail{}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = inRead, outWrite, stderr
	cmd.WaitDelay = time.Second // a grandchild may hold stderr open
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setsid = true
	err = cmd.Start()
	inRead.Close()
	outWrite.Close()
	if err != nil {
		inWrite.Close()
		outRead.Close()
		return nil, fmt.Errorf("starting the guard: %w", err)
	}
	c := newClient(inWrite, outRead, stderr, cmd)
	if _, err := c.Hello(ctx); err != nil {
		inWrite.Close()
		return nil, fmt.Errorf("starting the guard %s: %w", cmd.Path, err)
	}
	return c, nil
}

// Connect talks to a guard whose standard input is in and whose standard output is out. Close closes in.
func Connect(in io.WriteCloser, out io.Reader) *Client {
	return newClient(in, out, &tail{}, nil)
}

func newClient(in io.WriteCloser, out io.Reader, stderr *tail, cmd *exec.Cmd) *Client {
	c := &Client{
		cmd: cmd, stdin: in, stderr: stderr,
		writes: make(chan []byte), events: make(chan Event), queue: newEventQueue(),
		ended: make(chan struct{}), closed: make(chan struct{}), waiting: map[uint64]chan message{},
	}
	go c.write()
	go c.read(out)
	go c.queue.deliver(c.events, c.closed)
	return c
}

// Events returns what guards report unasked. Events wait, in order and without limit, until they are read. The
// channel is closed when the guard is gone and all are read, or at Close.
func (c *Client) Events() <-chan Event { return c.events }

// Ended returns a channel that is closed when the guard is gone or no longer heard; Err then says why.
func (c *Client) Ended() <-chan struct{} { return c.ended }

// Err returns why the guard is gone, with the end of what it said on standard error. It is nil before Ended is
// closed and after an orderly end.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// PID returns the guard's process id on this machine, that of ssh for a guard elsewhere, or 0 after Connect.
func (c *Client) PID() int {
	if c.cmd == nil || c.cmd.Process == nil {
		return 0
	}
	return c.cmd.Process.Pid
}

// Hello asks the guard who it is.
func (c *Client) Hello(ctx context.Context) (Welcome, error) {
	m, err := c.call(ctx, request{Op: opHello})
	switch {
	case err != nil:
		return Welcome{}, err
	case m.Welcome == nil:
		return Welcome{}, errors.New("the guard did not introduce itself")
	case m.Welcome.Protocol != Protocol:
		return *m.Welcome, fmt.Errorf("the guard (%s) speaks protocol %d, this gameday speaks %d: install the same version",
			m.Welcome.Version, m.Welcome.Protocol, Protocol)
	}
	return *m.Welcome, nil
}

// Inject injects a fault and returns when its effect is proven. With an error nothing stands, unless it wraps
// ErrResidue; an error that wraps ErrUnproven comes with what was seen. If ctx ends first, the guard is told to
// revert.
func (c *Client) Inject(ctx context.Context, r InjectRequest) (Injected, error) {
	m, err := c.call(ctx, request{Op: opInject, Inject: &r})
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		c.post(request{Op: opRevert, ID: r.ID})
	}
	if m.Injected == nil {
		if err == nil {
			err = errors.New("the guard's answer says nothing of the injection")
		}
		return Injected{ID: r.ID}, err
	}
	return *m.Injected, err
}

// Enforce gives the guard policies, which it enforces at every injection from now on; they cannot be taken back. A guard
// that cannot enforce one of them returns an error, and nothing may be injected by it then.
func (c *Client) Enforce(ctx context.Context, policies []*policy.Policy) error {
	if len(policies) == 0 {
		return nil
	}
	r := request{Op: opPolicy}
	for _, p := range policies {
		raw, err := json.Marshal(p)
		if err != nil {
			return fmt.Errorf("encoding the policy: %w", err)
		}
		r.Policies = append(r.Policies, raw)
	}
	_, err := c.call(ctx, r)
	return err
}

// Check asks whether the fault could be injected now, and returns why not. It touches nothing.
func (c *Client) Check(ctx context.Context, r InjectRequest) error {
	_, err := c.call(ctx, request{Op: opCheck, Inject: &r})
	return err
}

// Renew lets the faults stand for another lease from now. The map has the error of each fault that was not renewed:
// faults.ErrLapsed when the kernel had let go, ErrUnknown when it is gone.
func (c *Client) Renew(ctx context.Context, lease time.Duration, ids ...string) (map[string]error, error) {
	m, err := c.call(ctx, request{Op: opRenew, IDs: ids, Lease: lease})
	failed := map[string]error{}
	for id, e := range m.Renewed {
		if e != nil {
			failed[id] = e
		}
	}
	return failed, err
}

// Effect returns fresh evidence that the fault does something, waiting for it at most timeout (0 means
// DefaultEffectTimeout).
func (c *Client) Effect(ctx context.Context, id string, timeout time.Duration) (faults.Effect, error) {
	m, err := c.call(ctx, request{Op: opEffect, ID: id, Timeout: timeout})
	if m.Effect == nil {
		return faults.Effect{}, err
	}
	return *m.Effect, err
}

// Revert removes the fault and returns when it is verified gone. An error that wraps ErrResidue says that it may
// still stand; ErrUnknown that it was gone already.
func (c *Client) Revert(ctx context.Context, id string) error {
	_, err := c.call(ctx, request{Op: opRevert, ID: id})
	return err
}

// List returns the faults that the guard holds, in the order of their injection.
func (c *Client) List(ctx context.Context) ([]Held, error) {
	m, err := c.call(ctx, request{Op: opList})
	return m.Held, err
}

// Close tells the guard to end, which reverts all that still stands, and waits for that; 15 seconds if ctx sets no
// earlier end. It returns the guard's complaint when something is left. The guard is not killed if it takes longer.
func (c *Client) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, closeLimit)
	defer cancel()
	c.once.Do(func() {
		close(c.closed)
		c.stdin.Close()
	})
	select {
	case <-c.ended:
		return c.Err()
	case <-ctx.Done():
		return fmt.Errorf("ending the guard (pid %d): it has not exited: %w%s", c.PID(), ctx.Err(), c.stderr.said())
	}
}

// call sends a request and waits for its answer.
func (c *Client) call(ctx context.Context, r request) (message, error) {
	answer := make(chan message, 1)
	c.mu.Lock()
	c.seq++
	r.Seq = c.seq
	c.waiting[r.Seq] = answer
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.waiting, r.Seq)
		c.mu.Unlock()
	}()
	line, err := json.Marshal(r)
	if err != nil {
		return message{}, fmt.Errorf("encoding the request: %w", err)
	}
	select {
	case c.writes <- append(line, '\n'):
	case <-c.ended:
		return message{}, c.gone()
	case <-c.closed:
		return message{}, errors.New("the guard was told to end")
	case <-ctx.Done():
		return message{}, ctx.Err()
	}
	select {
	case m := <-answer:
		return m, m.Error.asError()
	case <-ctx.Done():
		return message{}, ctx.Err()
	case <-c.ended:
		select {
		case m := <-answer: // it came just before the end
			return m, m.Error.asError()
		default:
			return message{}, c.gone()
		}
	}
}

// post sends a request in the background whose answer nobody waits for.
func (c *Client) post(r request) {
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), unwindLimit)
		defer cancel()
		_, _ = c.call(ctx, r)
	}()
}

func (c *Client) gone() error {
	if err := c.Err(); err != nil {
		return err
	}
	return errors.New("the guard has ended" + c.stderr.said())
}

// write is the only writer, so that a caller who gives up cannot leave half a line behind.
func (c *Client) write() {
	for {
		select {
		case line := <-c.writes:
			if _, err := c.stdin.Write(line); err != nil {
				return // the guard is gone, which read will tell
			}
		case <-c.closed:
			return
		case <-c.ended:
			return
		}
	}
}

// read hands out what the guard says until it says no more, then finds out why.
func (c *Client) read(out io.Reader) {
	scan := bufio.NewScanner(out)
	scan.Buffer(make([]byte, 0, 64<<10), maxLine)
	var broken error
	for scan.Scan() {
		var m message
		if err := json.Unmarshal(scan.Bytes(), &m); err != nil {
			broken = errors.Join(broken, fmt.Errorf("the guard said %q, which is not understood", clip(scan.Text())))
			continue
		}
		if m.Event != nil {
			c.queue.push(*m.Event)
			continue
		}
		c.mu.Lock()
		answer := c.waiting[m.Seq]
		delete(c.waiting, m.Seq)
		c.mu.Unlock()
		if answer != nil {
			answer <- m
		}
	}
	err := scan.Err()
	c.stdin.Close() // a guard that is not heard any more must not stand on
	if c.cmd != nil {
		err = errors.Join(err, c.cmd.Wait())
	}
	if closer, ok := out.(io.Closer); ok {
		closer.Close()
	}
	if err != nil || broken != nil {
		err = fmt.Errorf("the guard ended: %w%s", errors.Join(err, broken), c.stderr.said())
	}
	c.mu.Lock()
	c.err = err
	c.mu.Unlock()
	close(c.ended)
	c.queue.end()
}

func clip(s string) string {
	if len(s) > 120 {
		return s[:120] + "…"
	}
	return s
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 8 << 10

// Write keeps the last bytes.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - tailSize; over > 0 {
		t.text = append([]byte(nil), t.text[over:]...)
	}
	return len(p), nil
}

// said returns the text to append to an error, or nothing.
func (t *tail) said() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := strings.TrimSpace(string(t.text)); s != "" {
		return "; it said: " + s
	}
	return ""
}
