package guard

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"gameday/faults"
	"gameday/policy"
)

// Limits of the guard's own work, whatever the client does.
const (
	flushLimit   = 500 * time.Millisecond // to hand the last messages to a client that may be gone
	mailboxSize  = 64
	firstRetry   = time.Second // after a failed revert, doubled each time
	longestRetry = 30 * time.Second
)

// Options are what a guard works with.
type Options struct {
	Kinds   []faults.Kind
	Ledger  *faults.Ledger
	Version string // of the program, told in hello
	// Policies are this machine's own: enforced besides those that the client sends.
	Policies []*policy.Policy
	// Halts are files; while one of them is there, nothing is injected, and what stands is reverted. See faults.Halt.
	Halts []string
	// Find answers what is to be found on this machine, in a language of its own; nil finds nothing.
	Find func(ctx context.Context, query json.RawMessage) (json.RawMessage, error)
	// Silence is how long a client may say nothing before it counts as dead, for a client whose end this machine may not
	// hear of; 0 is for ever.
	Silence time.Duration
	// Reach is called when an injection comes to a checkpoint, on its own goroutine. Only tests set it: they stop the
	// guard there.
	Reach func(id string, at faults.Checkpoint)
}

// server is one conversation.
type server struct {
	opt   Options
	out   *outbox
	fatal chan error // a kind panicked: unwind
	// base ends when the guard unwinds: it aborts what is being injected, proven or watched.
	base  context.Context
	abort context.CancelFunc
	// ready brings back to the loop what waited for names to be looked up.
	ready chan func()

	mu       sync.Mutex
	holders  []*holder                     // in the order of their requests
	policies []*policy.Policy              // from the client
	granted  map[string]map[string]bool    // ids of injections that were begun, by run and fault
	looking  map[string]context.CancelFunc // by id: injections whose names are being looked up
}

// Serve answers requests read from in with messages written to out, and holds the faults it is told to inject,
// until in ends, ctx ends or a kind panics. It then reverts everything that still stands, at one place the newest
// first, within ten seconds of its own, or 55 where something stands in a cluster, and returns nil only if nothing is
// left: an error that wraps ErrResidue names what is.
//
// Serve does not wait for a reader blocked on in, nor for a client that does not read.
func Serve(ctx context.Context, in io.Reader, out io.Writer, opt Options) error {
	s := &server{opt: opt, out: newOutbox(out), fatal: make(chan error, 1), ready: make(chan func()),
		granted: map[string]map[string]bool{}, looking: map[string]context.CancelFunc{}}
	s.base, s.abort = context.WithCancel(context.WithoutCancel(ctx))
	defer s.abort()

	ended := make(chan struct{})
	defer close(ended)
	lines, readErr := readLines(in, ended)
	err := s.converse(ctx, lines, readErr)
	err = errors.Join(err, s.unwind())
	s.out.close(flushLimit)
	return err
}

func (s *server) converse(ctx context.Context, lines <-chan []byte, readErr <-chan error) error {
	silence := newSilence(s.opt.Silence)
	defer silence.stop()
	look := time.NewTicker(haltPace)
	defer look.Stop()
	for {
		select {
		case line, more := <-lines:
			if !more {
				return <-readErr
			}
			silence.broken()
			s.handle(line)
		case <-silence.over:
			return nil
		case <-ctx.Done():
			return nil
		case err := <-s.fatal:
			return err
		case <-look.C:
			s.halt()
		case admitted := <-s.ready:
			admitted()
		}
	}
}

// readLines delivers the lines of in. After the last one it closes the channel and leaves the reason, nil at end
// of file.
func readLines(in io.Reader, ended <-chan struct{}) (<-chan []byte, <-chan error) {
	lines, result := make(chan []byte), make(chan error, 1)
	go func() {
		defer close(lines)
		scan := bufio.NewScanner(in)
		scan.Buffer(make([]byte, 0, 64<<10), maxLine)
		for scan.Scan() {
			select {
			case lines <- slices.Clone(scan.Bytes()):
			case <-ended:
				return
			}
		}
		if err := scan.Err(); err != nil {
			result <- fmt.Errorf("reading requests: %w", err)
			return
		}
		result <- nil
	}()
	return lines, result
}

func (s *server) handle(line []byte) {
	var r request
	if err := json.Unmarshal(line, &r); err != nil {
		s.reply(r.Seq, message{Error: &wireError{Text: "the request is not understood: " + err.Error()}})
		return
	}
	switch r.Op {
	case opHello:
		s.reply(r.Seq, message{Welcome: s.welcome()})
	case opInject:
		s.admit(r, s.inject)
	case opCheck:
		s.admit(r, s.check)
	case opRenew:
		s.renew(r)
	case opEffect, opRevert:
		s.pass(r)
	case opPolicy:
		s.obey(r)
	case opList:
		s.reply(r.Seq, message{Held: s.list()})
	case opFind, opStanding, opClean:
		s.look(r)
	default:
		s.reply(r.Seq, message{Error: &wireError{Text: fmt.Sprintf("there is no request %q", r.Op)}})
	}
}

func (s *server) reply(seq uint64, m message) {
	m.Seq = seq
	s.out.send(m)
}

func (s *server) event(e Event) { s.out.send(message{Event: &e}) }

func (s *server) welcome() *Welcome {
	w := &Welcome{Protocol: Protocol, Version: s.opt.Version, PID: os.Getpid(), Ledger: s.opt.Ledger.Dir()}
	w.User, w.Lacks = me()
	for _, k := range s.opt.Kinds {
		w.Kinds = append(w.Kinds, k.Name)
	}
	return w
}

func (s *server) list() []Held {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := []Held{}
	for _, h := range s.holders {
		held = append(held, Held{ID: h.req.ID, Fault: h.req.Fault, Kind: h.req.Kind, Place: h.req.Place.Name,
			Residue: h.residue.Load()})
	}
	return held
}

// kind returns the kind that a request is about, unless the request cannot be granted.
func (s *server) kind(r *InjectRequest) (faults.Kind, error) {
	if r == nil {
		return faults.Kind{}, errors.New("the request says not what")
	}
	i := slices.IndexFunc(s.opt.Kinds, func(k faults.Kind) bool { return k.Name == r.Kind })
	if i < 0 {
		return faults.Kind{}, fmt.Errorf("this guard has no fault kind %q", r.Kind)
	}
	return s.opt.Kinds[i], r.check(s.opt.Kinds[i])
}

// check answers whether a fault could be injected now. It touches nothing.
func (s *server) check(r request) {
	k, err := s.kind(r.Inject)
	if err != nil {
		s.reply(r.Seq, message{Error: toWire(fmt.Errorf("checking: %w", err))})
		return
	}
	s.mu.Lock()
	err = s.govern(k, r.Inject)
	s.mu.Unlock()
	if err != nil {
		s.reply(r.Seq, message{Error: toWire(fmt.Errorf("checking: %w", err))})
		return
	}
	h := newHolder(s, k, *r.Inject)
	go func() {
		defer h.cancel()
		err := faults.Protect(func() error { _, err := h.bind(); return err })
		if err != nil {
			err = h.wrap("checking", h.escalate(err))
		}
		s.reply(r.Seq, message{Error: toWire(err)})
	}()
}

// inject starts a holder, which answers by itself.
func (s *server) inject(r request) {
	refuse := func(err error) { s.reply(r.Seq, message{Error: toWire(fmt.Errorf("injecting: %w", err))}) }
	k, err := s.kind(r.Inject)
	if err != nil {
		refuse(err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.find(r.Inject.ID) != nil {
		refuse(fmt.Errorf("fault %s is held already", r.Inject.ID))
		return
	}
	if err := s.govern(k, r.Inject); err != nil {
		refuse(err)
		return
	}
	s.grant(r.Inject)
	if c := r.Inject.Place.Cluster; c != nil {
		c.Radius = nil // judged, and nothing that the ledger need keep
	}
	h := newHolder(s, k, *r.Inject)
	s.holders = append(s.holders, h)
	go h.run(r.Seq)
}

// find needs the lock.
func (s *server) find(id string) *holder {
	for _, h := range s.holders {
		if h.req.ID == id {
			return h
		}
	}
	return nil
}

// pass hands a request to the holder of its id.
func (s *server) pass(r request) {
	c := command{op: r.Op, timeout: r.Timeout, answer: func(m message) { s.reply(r.Seq, m) }}
	if err := s.deliver(r.ID, c); err != nil {
		c.answer(message{Error: toWire(err)})
	}
}

func (s *server) deliver(id string, c command) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.find(id)
	if h == nil {
		if give := s.looking[id]; give != nil && c.op == opRevert {
			give()
		}
		return fmt.Errorf("fault %s: %w", id, ErrUnknown)
	}
	select {
	case h.mailbox <- c:
	default:
		return fmt.Errorf("fault %s: too many requests are waiting", id)
	}
	if c.op == opRevert {
		h.cancel()
	}
	return nil
}

// renew asks all holders and answers when the last has.
func (s *server) renew(r request) {
	if r.Lease <= 0 {
		s.reply(r.Seq, message{Error: &wireError{Text: "renewing: the lease must be longer than 0"}})
		return
	}
	results := make(map[string]*wireError, len(r.IDs))
	var mu sync.Mutex
	waiting := len(r.IDs) + 1
	note := func(id string, err *wireError) {
		mu.Lock()
		defer mu.Unlock()
		if id != "" {
			results[id] = err
		}
		if waiting--; waiting == 0 {
			s.reply(r.Seq, message{Renewed: results})
		}
	}
	for _, id := range r.IDs {
		c := command{op: opRenew, lease: r.Lease, answer: func(m message) { note(id, m.Error) }}
		if err := s.deliver(id, c); err != nil {
			note(id, toWire(err))
		}
	}
	note("", nil)
}

// remove takes a holder off the list, after which it gets no more commands.
func (s *server) remove(h *holder) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holders = slices.DeleteFunc(s.holders, func(o *holder) bool { return o == h })
}

// fail unwinds everything because of a panic: what a kind left half done in memory is not to be trusted.
func (s *server) fail(err error) {
	select {
	case s.fatal <- err:
	default:
	}
}
