package conductor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gameday/report"
)

// checkLimit bounds what is asked before a fault is injected early: somebody waits for the answer, and a cluster takes its time.
const checkLimit = 20 * time.Second

// injectNow has a fault injected before its time: the one that is named, or the next. What would refuse it at its time refuses
// it now, before anything is decided, so that it still comes at its time.
func (r *run) injectNow(req Request) (string, error) {
	f, err := r.choose(req)
	if err != nil {
		return "", err
	}
	if err := r.precheck(f); err != nil {
		return "", fmt.Errorf("fault %s cannot be injected now, and stays planned: %w", f.Name, err)
	}
	p := &r.pace
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := r.injectable(f); err != nil { // much may have happened meanwhile
		return "", err
	}
	now := r.rec.now()
	told := report.InjectNow{By: req.By, Why: req.Why, Fault: f.Name}
	if f.timed {
		told.Early = max(0, f.due-p.at(now))
	}
	r.rec.add(report.InjectAsked, told)
	p.inject = &deed{req.By, f.Name, now}
	f.called = true
	close(f.now)
	return fmt.Sprintf("fault %s is being injected", f.Name), nil
}

// choose returns the fault that is meant.
func (r *run) choose(req Request) (*faultRun, error) {
	p := &r.pace
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := r.steerable(); err != nil {
		return nil, err
	}
	if p.stage != report.Load {
		return nil, fmt.Errorf("faults are injected in the load phase, and this is the %s phase", p.stage)
	}
	if req.Fault != "" {
		for _, f := range r.faults {
			if f.Name == req.Fault {
				return f, r.injectable(f)
			}
		}
		return nil, fmt.Errorf("the scenario has no fault %q; it has %s", req.Fault, faultNames(r.Scenario))
	}
	if p.inject != nil && r.rec.now().Sub(p.inject.at) < again {
		return nil, fmt.Errorf("%s has had fault %s injected just now; name the fault that you mean", p.inject.by, p.inject.what)
	}
	var first *faultRun
	var why error
	for _, f := range r.faults {
		if f.isOver() || f.claimed || f.called {
			continue
		}
		if err := r.injectable(f); err != nil {
			why = err
		} else if first == nil || f.due < first.due {
			first = f
		}
	}
	switch {
	case first != nil:
		return first, nil
	case why != nil:
		return nil, why
	}
	return nil, errors.New("no fault is left to inject")
}

// injectable returns why a fault cannot be injected now. It needs the pace's lock.
func (r *run) injectable(f *faultRun) error {
	if err := r.steerable(); err != nil {
		return err
	}
	switch {
	case r.pace.stage != report.Load:
		return fmt.Errorf("faults are injected in the load phase, and this is the %s phase", r.pace.stage)
	case f.injected.Load():
		return fmt.Errorf("fault %s was injected already; a fault is injected once", f.Name)
	case f.isOver():
		return fmt.Errorf("fault %s will not come any more: the record says why", f.Name)
	case f.claimed || f.called:
		return fmt.Errorf("fault %s is being injected already", f.Name)
	case !f.timed && f.After != "":
		return fmt.Errorf("fault %s comes after %s, which is not over", f.Name, f.After)
	case !f.timed:
		return fmt.Errorf("the load phase is just beginning; ask for fault %s again in a moment", f.Name)
	}
	return nil
}

// precheck asks what an injection asks before it touches anything: where the fault lands, the halt, the policies, the guards.
func (r *run) precheck(f *faultRun) error {
	done := make(chan error, 1)
	go func() { done <- r.couldInject(f) }() // it asks, and leaves nothing: nobody need wait for it
	limit := time.NewTimer(checkLimit)
	defer limit.Stop()
	select {
	case err := <-done:
		return err
	case <-limit.C:
		return fmt.Errorf("whether it could be was not known within %s", checkLimit)
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
}

func (r *run) couldInject(f *faultRun) error {
	places, err := r.resolve(f.Fault)
	if err != nil {
		return err
	}
	for n, p := range places {
		// What is told policies of a fault is told once, when it is injected: this is no more than a question.
		request, err := r.bareRequest(f.Fault, p, n)
		if err != nil {
			return err
		}
		request.Claims = r.Options.claims(f.Fault, p)
		request.Claims.Run += r.heldFor()
		r.amounts.mu.Lock()
		request.Claims.Standing, request.Claims.Back = r.beside(f.Fault)
		r.amounts.mu.Unlock()
		if err := r.forbidden(f.Fault, request); err != nil {
			return err
		}
		c, err := r.guardOf(p)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(r.ctx, checkLimit)
		err = c.Check(ctx, request)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}
