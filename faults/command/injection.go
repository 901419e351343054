package command

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gameday/faults"
)

// injection is one fault at one place.
type injection struct {
	rig
	// life is the context of Inject, which ends when the fault is to go. A look for the effect may outlast the call that
	// began it: the guard looks in slices shorter than a command may take.
	life    context.Context
	applied result
	looking *running // an effect command that has not ended
	seen    string   // of the last look that proved nothing
	renewed time.Time
}

// prepare learns where the commands run and on whose behalf.
func (i *injection) prepare(ctx context.Context) error {
	var err error
	i.owner = faults.OwnerOf(ctx)
	i.undo, err = here(i.config)
	return err
}

// Check looks for every program and the folder where they are to run, and then runs the check command.
func (i *injection) Check(ctx context.Context) error {
	if err := i.prepare(ctx); err != nil {
		return err
	}
	for _, v := range i.config.verbs() {
		if err := i.job(v.name, v.argv).find(); err != nil {
			return err
		}
	}
	if len(i.config.Check) == 0 {
		return nil
	}
	if _, err := i.job("check", i.config.Check).do(ctx); err != nil {
		return fmt.Errorf("%w; nothing was touched", err)
	}
	return nil
}

// Undo keeps the commands' surroundings, after making sure that the effect is not there already: an effect command that
// succeeds before the fault could neither prove it nor its end.
func (i *injection) Undo(ctx context.Context) (json.RawMessage, error) {
	if err := i.prepare(ctx); err != nil {
		return nil, err
	}
	if p := i.place.Process; p != nil && !alive(*p) {
		return nil, fmt.Errorf("pid %d is no longer the process that was chosen; nothing was touched", p.PID)
	}
	if len(i.config.Effect) > 0 {
		run := i.job("effect", i.config.Effect).start(ctx)
		<-run.done
		switch {
		case run.err != nil:
			return nil, run.err
		case run.result.cut != nil:
			return nil, fmt.Errorf("looking before the injection: %w; nothing was touched", run.result.problem())
		case run.result.code == 0:
			return nil, fmt.Errorf("%w: %s succeeds before anything was injected (%q): it must fail then, or the fault stands already",
				faults.ErrForeign, run.result.job.name(), run.result.evidence())
		}
	}
	return json.Marshal(i.undo)
}

// Inject runs the inject command.
func (i *injection) Inject(ctx context.Context, lease time.Duration) error {
	i.life = ctx
	run := i.job("inject", i.config.Inject, leaseVariable(lease)).start(ctx)
	if run.began {
		faults.Reach(ctx, faults.MidInject)
	}
	<-run.done
	if run.err != nil {
		return run.err
	}
	i.applied, i.renewed = run.result, time.Now()
	return run.result.problem()
}

// Effect runs the effect command until it succeeds.
func (i *injection) Effect(ctx context.Context) (faults.Effect, error) {
	if len(i.config.Effect) == 0 {
		return i.atItsWord(), nil
	}
	for {
		if i.looking == nil {
			i.looking = i.job("effect", i.config.Effect).start(i.life)
		}
		select {
		case <-i.looking.done:
		case <-ctx.Done():
			return faults.Effect{Summary: i.seen}, nil
		}
		run := i.looking
		i.looking = nil
		switch {
		case run.err != nil:
			return faults.Effect{}, run.err
		case run.result.problem() == nil:
			return proven(run.result), nil
		}
		i.seen = run.result.summary()
		pause := time.NewTimer(pollStep)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return faults.Effect{Summary: i.seen}, nil
		}
	}
}

func proven(r result) faults.Effect {
	e := faults.Effect{Proven: true, Summary: r.evidence(), Details: map[string]string{"proof": r.job.name()}}
	if e.Summary == "" {
		e.Summary = r.job.name() + " exited 0"
	}
	return e
}

// atItsWord is the effect of a fault without an effect command.
func (i *injection) atItsWord() faults.Effect {
	e := faults.Effect{Proven: true, Summary: i.applied.job.name() + " exited 0, and no effect command looked",
		Details: map[string]string{"proof": "inject's exit code alone"}}
	if line := i.applied.evidence(); line != "" {
		e.Details["output"] = line
	}
	return e
}

// Renew runs the renew command, unless it did a moment ago. One that fails ends the fault: what cannot be renewed lapses.
func (i *injection) Renew(ctx context.Context, lease time.Duration) error {
	if len(i.config.Renew) == 0 || time.Since(i.renewed) < lease/10 {
		return nil
	}
	j := i.job("renew", i.config.Renew, leaseVariable(lease))
	j.leased = lease/2 < j.timeout
	j.timeout = min(j.timeout, lease/2)
	if _, err := j.do(ctx); err != nil && ctx.Err() != nil {
		return ctx.Err() // cut short because the fault is to be reverted
	} else if err != nil {
		return fmt.Errorf("%w: %w", faults.ErrLapsed, err)
	}
	i.renewed = time.Now()
	return nil
}
