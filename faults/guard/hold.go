package guard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"gameday/faults"
)

// watched is how a Watcher ended.
type watched struct {
	effect faults.Effect
	err    error
}

// inquiry is a request for fresh evidence that is being worked on.
type inquiry struct {
	answer func(message)
	end    time.Time
}

// holding is the state of a holder between proof and end.
type holding struct {
	*holder
	lease    *time.Timer
	deadline *time.Timer
	retry    *time.Timer
	wait     time.Duration // before the next retry
	watched  <-chan watched
	inquiry  *inquiry
}

var always = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// hold keeps the fault until it is gone, or until the guard ends.
func (h *holder) hold() {
	g := &holding{
		holder:   h,
		lease:    time.NewTimer(h.req.Lease),
		deadline: time.NewTimer(h.req.Deadline - time.Since(h.injected)),
		retry:    time.NewTimer(firstRetry),
		wait:     firstRetry,
	}
	defer g.lease.Stop()
	defer g.deadline.Stop()
	defer g.retry.Stop()
	if h.residue.Load() {
		g.quiet()
	} else {
		g.retry.Stop()
		g.watched = h.watch()
	}
	for h.entry != nil {
		if g.step() {
			return
		}
	}
	if g.inquiry != nil {
		g.inquiry.answer(message{Error: toWire(fmt.Errorf("fault %s: %w", h.req.ID, ErrUnknown))})
	}
}

// step waits for the next thing to happen. It returns true when the guard ends.
func (g *holding) step() bool {
	var look <-chan struct{}
	if g.inquiry != nil {
		look = always
	}
	select {
	case ctx := <-g.end:
		if g.revert(ctx) == nil {
			g.s.event(Event{Type: EventReverted, ID: g.req.ID, Why: "the guard ends"})
		} else {
			g.s.event(Event{Type: EventResidue, ID: g.req.ID, Why: g.left.Error()})
		}
		return true
	case c := <-g.mailbox:
		g.obey(c)
	case why := <-g.halted:
		if g.revert(g.ctx) != nil {
			g.fail()
			return false
		}
		g.s.event(Event{Type: EventHalted, ID: g.req.ID, Why: why})
	case <-g.lease.C:
		g.unrenewed()
	case <-g.deadline.C:
		_ = g.expire()
	case <-g.retry.C:
		g.letGo("reverting it had failed")
	case w := <-g.watched:
		g.over(w)
	case <-look:
		g.inquire()
	}
	return false
}

func (g *holding) obey(c command) {
	switch {
	case c.op == opRevert:
		err := g.revert(g.ctx)
		if err != nil {
			g.quiet()
		}
		c.answer(message{Error: toWire(err)})
	case g.residue.Load():
		c.answer(message{Error: toWire(g.wrap("holding", g.left))})
	case c.op == opRenew:
		c.answer(message{Error: toWire(g.prolong(c.lease))})
	case c.op == opEffect && g.inquiry != nil:
		c.answer(message{Error: &wireError{Text: "the effect is being asked for already"}})
	case c.op == opEffect:
		if c.timeout <= 0 {
			c.timeout = DefaultEffectTimeout
		}
		g.inquiry = &inquiry{answer: c.answer, end: time.Now().Add(c.timeout)}
	}
}

// prolong renews the lease. When the kernel let go already, what is left of the fault is cleared away. It keeps the deadline as
// well: what it let go of then was not renewed too late.
func (g *holding) prolong(lease time.Duration) error {
	if g.due() {
		return g.expire()
	}
	err := g.renew(lease)
	switch {
	case err != nil && g.halting.Load():
		return g.wrap("renewing", faults.ErrHalted)
	case err != nil && g.ctx.Err() != nil: // it is to be reverted: what was cut short says nothing of the fault
		return g.wrap("renewing", g.ctx.Err())
	case err == nil:
		g.req.Lease = lease
		g.lease.Reset(lease)
		return nil
	case errors.Is(err, faults.ErrLapsed) && g.due():
		return g.expire()
	case errors.Is(err, faults.ErrLapsed):
		left := g.revert(g.ctx)
		g.s.event(Event{Type: EventLapsed, ID: g.req.ID, Why: err.Error()})
		if left != nil {
			g.fail()
		}
		return g.wrap("renewing", errors.Join(err, left))
	}
	return g.wrap("renewing", g.escalate(err))
}

// due reports whether the deadline has come. A guard that is late finds a renewal waiting beside the timer, or the lease over as well.
func (g *holding) due() bool { return time.Since(g.injected) >= g.req.Deadline }

// expire ends the fault at its deadline, and returns what to answer to whoever would renew it.
func (g *holding) expire() error {
	why := fmt.Sprintf("the deadline, %v after the injection, has come", g.req.Deadline)
	g.letGo(why)
	return g.wrap("renewing", fmt.Errorf("%s: %w", why, cmp.Or(g.left, ErrUnknown)))
}

// unrenewed ends the fault because nobody renewed its lease in time.
func (g *holding) unrenewed() {
	if g.due() {
		_ = g.expire()
		return
	}
	g.letGo(fmt.Sprintf("the lease of %v was not renewed", g.req.Lease))
}

// letGo reverts the fault without being asked.
func (g *holding) letGo(why string) {
	if g.revert(g.ctx) != nil {
		g.fail()
		return
	}
	g.s.event(Event{Type: EventReverted, ID: g.req.ID, Why: why})
}

// over ends a fault that came to its end by itself, or did not although it should have.
func (g *holding) over(w watched) {
	g.watched = nil
	if errors.Is(w.err, faults.ErrLapsed) && g.due() {
		_ = g.expire() // which is why its lease ran out then
		return
	}
	if errors.Is(w.err, faults.ErrLapsed) {
		if g.revert(g.ctx) != nil {
			g.fail()
			return
		}
		g.s.event(Event{Type: EventLapsed, ID: g.req.ID, Why: w.err.Error()})
		return
	}
	g.escalate(w.err)
	if w.err != nil || !w.effect.Proven {
		g.letGo(fmt.Sprintf("it did not come to an end by itself: %s", cmp.Or(errorText(w.err), w.effect.Summary)))
		return
	}
	if g.revert(g.ctx) != nil {
		g.fail()
		return
	}
	g.s.event(Event{Type: EventOver, ID: g.req.ID, Effect: &w.effect})
}

// fail reports that the fault still stands and sees to it that reverting is tried again.
func (g *holding) fail() {
	g.quiet()
	g.s.event(Event{Type: EventResidue, ID: g.req.ID, Why: g.left.Error()})
}

// quiet stops all that would end a healthy fault: from now on reverting is tried again, ever more rarely.
func (g *holding) quiet() {
	g.lease.Stop()
	g.deadline.Stop()
	g.watched = nil
	g.retry.Reset(g.wait)
	g.wait = min(2*g.wait, longestRetry)
}

// inquire takes one look at the effect and answers when it is proven or the time is up.
func (g *holding) inquire() {
	q := g.inquiry
	effect, err := g.look(min(g.slice(), time.Until(q.end)))
	if err == nil && !effect.Proven && time.Now().Before(q.end) {
		return
	}
	g.inquiry = nil
	m := message{Effect: &effect}
	if err != nil {
		m = message{Error: toWire(g.wrap("proving", g.escalate(err)))}
	}
	q.answer(m)
}

// watch starts the kind's Watch, if it has one.
func (h *holder) watch() <-chan watched {
	w, ends := h.injection.(faults.Watcher)
	if !ends {
		return nil
	}
	result := make(chan watched, 1)
	go func() {
		var r watched
		r.err = faults.Protect(func() (err error) {
			r.effect, err = w.Watch(h.ctx)
			return err
		})
		if h.ctx.Err() == nil || !errors.Is(r.err, context.Canceled) {
			result <- r
		}
	}()
	return result
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
