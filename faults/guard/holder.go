package guard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"gameday/faults"
)

// command is a request for one holder.
type command struct {
	op      op
	lease   time.Duration
	timeout time.Duration
	answer  func(message)
}

// holder is one injection, from its request until nothing of it is left. All calls to the injection are made by
// its one goroutine, in run; only Watch runs beside it.
//
//	settle ▶ inject ▶ prove ▶ hold ─▶ (revert, lease, deadline, lapsed, over, end) ─▶ revert ▶ close entry
//	                                     ▲ fails: again later ───────────────────────────┘
type holder struct {
	s       *server
	kind    faults.Kind
	req     InjectRequest
	mailbox chan command
	end     chan context.Context // the guard unwinds; the context bounds the revert
	halted  chan string          // game days are stopped on this machine, and why
	gone    chan struct{}        // closed when run returns
	left    error                // why the fault may still stand; valid after gone
	residue atomic.Bool
	halting atomic.Bool // halted was sent to

	ctx       context.Context // ends when the fault is to go: aborts inject, proof and watch
	cancel    context.CancelFunc
	injection faults.Injection
	entry     *faults.Held
	injected  time.Time // for the deadline; monotonic
}

func newHolder(s *server, k faults.Kind, req InjectRequest) *holder {
	h := &holder{s: s, kind: k, req: req,
		mailbox: make(chan command, mailboxSize), end: make(chan context.Context, 1), halted: make(chan string, 1), gone: make(chan struct{})}
	owner := faults.Owner{Run: req.Run, Injection: req.ID, Fault: req.Fault, Scenario: req.Scenario, Deadline: req.Deadline}
	ctx := faults.WithOwner(s.base, owner)
	if s.opt.Reach != nil {
		ctx = faults.WithReach(ctx, func(at faults.Checkpoint) { s.opt.Reach(req.ID, at) })
	}
	h.ctx, h.cancel = context.WithCancel(ctx)
	return h
}

func (h *holder) run(seq uint64) {
	defer close(h.gone)
	defer h.cancel()
	answered, stands := h.start()
	if !stands { // it leaves the list before its answer too
		h.leave()
	}
	h.s.reply(seq, answered)
	if stands {
		h.hold()
		h.leave()
	}
}

// leave takes the holder off the list and answers the commands that came too late.
func (h *holder) leave() {
	h.s.remove(h)
	for {
		select {
		case c := <-h.mailbox:
			c.answer(message{Error: toWire(errors.Join(fmt.Errorf("fault %s: %w", h.req.ID, ErrUnknown), h.left))})
		default:
			return
		}
	}
}

// start settles, injects and proves the fault. It reports whether something has to be held afterwards.
func (h *holder) start() (message, bool) {
	began := time.Now()
	if err := faults.Protect(h.settle); err != nil {
		return message{Error: toWire(h.wrap("injecting", h.escalate(err)))}, false
	}
	faults.Reach(h.ctx, faults.AfterEntry)
	h.injected = time.Now()
	reply := &Injected{ID: h.req.ID, Settle: h.injected.Sub(began)}
	err := faults.Protect(func() error { return h.injection.Inject(faults.WithAmend(h.ctx, h.entry.Amend), h.lease(h.req.Lease)) })
	applied := time.Now()
	reply.Inject = applied.Sub(h.injected)
	if err != nil {
		return h.giveUp(h.escalate(err), nil)
	}
	var open error
	if !h.kind.Reversible {
		faults.Reach(h.ctx, faults.BeforeClose)
		open = h.entry.Close()
		if open != nil { // there is nothing to undo: what was done is told, and whoever reverts next closes the entry
			open = errors.Join(open, h.entry.Release())
		}
		h.entry = nil
	}
	faults.Reach(h.ctx, faults.Stands)
	effect, err := h.prove()
	reply.Effect, reply.Proof = effect, time.Since(applied)
	if err == nil && !effect.Proven && !h.req.Keep {
		err = fmt.Errorf("%w: %s", ErrUnproven, effect.Summary)
	}
	if err != nil {
		return h.giveUp(h.escalate(err), reply)
	}
	if open != nil {
		reply.Effect.Details = maps.Clone(reply.Effect.Details)
		if reply.Effect.Details == nil {
			reply.Effect.Details = map[string]string{}
		}
		reply.Effect.Details["ledger"] = "the entry could not be closed, `gameday revert` does that: " + open.Error()
	}
	return message{Injected: reply}, h.kind.Reversible
}

// giveUp reverts what was or may have been injected, and answers with both errors.
func (h *holder) giveUp(why error, reply *Injected) (message, bool) {
	if h.halting.Load() {
		why = fmt.Errorf("%w: %w", faults.ErrHalted, why)
	}
	if h.entry == nil { // there is nothing to undo
		return message{Injected: reply, Error: toWire(h.wrap("injecting", why))}, false
	}
	err := h.revert(h.ctx)
	return message{Injected: reply, Error: toWire(errors.Join(h.wrap("injecting", why), err))}, err != nil
}

// settle binds the fault, reads what undoes it, and writes that to the ledger. Nothing is touched before.
func (h *holder) settle() error {
	undo, err := h.bind()
	if err != nil {
		return err
	}
	faults.Reach(h.ctx, faults.BeforeEntry)
	now := time.Now()
	h.entry, err = h.s.opt.Ledger.Open(faults.Entry{
		ID: h.req.ID, Run: h.req.Run, Scenario: h.req.Scenario, Fault: h.req.Fault, Kind: h.req.Kind,
		Place: h.req.Place, Config: h.req.Config, Undo: undo,
		Opened: now, Deadline: now.Add(h.req.Deadline), Guard: os.Getpid(),
	})
	if err != nil {
		return err
	}
	return h.yield()
}

// bind decodes and binds the fault, and returns what undoes it.
func (h *holder) bind() (json.RawMessage, error) {
	config := h.kind.New()
	if raw := bytes.TrimSpace(h.req.Config); len(raw) > 0 {
		d := json.NewDecoder(bytes.NewReader(raw))
		d.DisallowUnknownFields()
		if err := d.Decode(config); err != nil {
			return nil, fmt.Errorf("reading the parameters: %w", err)
		}
	}
	if err := config.Validate(); err != nil {
		return nil, err
	}
	var err error
	h.kind = h.kind.For(config)
	if h.injection, err = config.Bind(h.req.Place); err != nil {
		return nil, err
	}
	if c, ok := h.injection.(faults.Checker); ok {
		if err := c.Check(h.ctx); err != nil {
			return nil, err
		}
	}
	return h.injection.Undo(h.ctx)
}

// lease cuts a lease at the deadline, so that the kernel keeps that as well.
func (h *holder) lease(want time.Duration) time.Duration {
	if h.req.Deadline <= 0 {
		return want
	}
	return max(time.Millisecond, min(want, h.req.Deadline-time.Since(h.injected)))
}

// slice is how long one look for the effect may take, so that leases are renewed and commands heard in between.
func (h *holder) slice() time.Duration {
	return min(max(h.req.Lease/5, 20*time.Millisecond), 500*time.Millisecond)
}

// prove looks for the effect until it is proven or the time is up, and keeps the fault alive meanwhile: the client
// cannot renew what it has no answer for.
func (h *holder) prove() (faults.Effect, error) {
	timeout := h.req.EffectTimeout
	if timeout == 0 {
		timeout = DefaultEffectTimeout
	}
	if h.req.Deadline > 0 {
		timeout = min(timeout, h.req.Deadline-time.Since(h.injected))
	}
	end := time.Now().Add(timeout)
	var seen faults.Effect
	for {
		effect, err := h.look(min(h.slice(), time.Until(end)))
		if err != nil || effect.Proven {
			return effect, err
		}
		if effect.Summary == "" {
			effect = seen // the last slice may be too short to see anything in
		}
		seen = effect
		if h.ctx.Err() != nil {
			return effect, errors.New("it was told to revert before the effect was proven")
		}
		if !time.Now().Before(end) {
			return effect, nil
		}
		if err := h.renew(h.req.Lease); err != nil {
			return effect, err
		}
	}
}

// look asks once for the effect.
func (h *holder) look(limit time.Duration) (effect faults.Effect, err error) {
	ctx, cancel := context.WithTimeout(h.ctx, limit)
	defer cancel()
	err = faults.Protect(func() (err error) {
		effect, err = h.injection.Effect(ctx)
		return err
	})
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		effect.Proven, err = false, nil
	}
	if err == nil && !effect.Proven {
		<-ctx.Done() // a kind that answers at once is not asked in a busy loop
	}
	return effect, err
}

// renew tells the kernel that the fault may stand for another lease.
func (h *holder) renew(lease time.Duration) error {
	r, lapses := h.injection.(faults.Renewer)
	if !lapses {
		return nil
	}
	return faults.Protect(func() error { return r.Renew(h.ctx, h.lease(lease)) })
}

// revert removes the fault and closes its entry. ctx is used for its values and deadline only: it outlives its own
// cancellation.
func (h *holder) revert(ctx context.Context) error {
	h.cancel()
	limit := h.patience()
	if d, limited := ctx.Deadline(); limited {
		limit = min(limit, time.Until(d))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	err := faults.RevertEntry(faults.WithWaiting(ctx, h.waiting()), []faults.Kind{h.kind}, h.entry.Entry())
	if err == nil {
		faults.Reach(ctx, faults.BeforeClose)
		err = h.entry.Close()
	}
	if err != nil {
		h.left = fmt.Errorf("%w: %w", ErrResidue, h.escalate(err))
		h.residue.Store(true)
		return h.left
	}
	h.entry, h.left = nil, nil
	h.residue.Store(false)
	h.s.remove(h) // before anybody hears of it, so that whoever does can inject it again
	return nil
}

// patience is how long a revert may take.
func (h *holder) patience() time.Duration {
	if h.req.Place.Cluster != nil && !h.residue.Load() {
		return clusterLimit
	}
	return unwindLimit
}

// waiting tells the client once what a revert waits for, so that nobody wonders. What kept one from succeeding is told already.
func (h *holder) waiting() func(string) {
	var once sync.Once
	told := h.residue.Load()
	return func(why string) {
		if !told {
			once.Do(func() { h.s.event(Event{Type: EventWaiting, ID: h.req.ID, Why: why}) })
		}
	}
}

// escalate makes a panic the end of the whole guard.
func (h *holder) escalate(err error) error {
	if p := (*faults.PanicError)(nil); errors.As(err, &p) {
		h.s.fail(h.wrap("holding", err))
	}
	return err
}

func (h *holder) wrap(doing string, err error) error {
	return fmt.Errorf("%s %s (%s) on %s: %w", doing, h.req.Fault, h.req.Kind, h.req.Place.Name, err)
}
