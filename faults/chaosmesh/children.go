package chaosmesh

import (
	"context"
	"fmt"
	"strings"

	"gameday/faults"
)

// lookAtChildren waits until a fault that a Schedule or a Workflow made is injected, with all its targets. The later ones of a
// Schedule or a Workflow come and go; the first is the onset.
func (i *injection) lookAtChildren(ctx context.Context) (faults.Effect, error) {
	for {
		if s, ready, _ := i.follower.see(); ready {
			if err := i.over(s); err != nil {
				return faults.Effect{Summary: err.Error()}, err
			}
		}
		effect, err := i.family(ctx)
		if err != nil && ctx.Err() == nil {
			return effect, err
		}
		if effect.Proven {
			i.decorate(ctx, &effect)
			return effect, nil
		}
		if !sleep(ctx, settlePause) {
			i.decorate(ctx, &effect)
			return effect, nil
		}
	}
}

func (i *injection) decorate(ctx context.Context, e *faults.Effect) {
	if e.Details == nil {
		e.Details = map[string]string{}
	}
	i.tell(e)
	if told := i.events.tell(context.WithoutCancel(ctx), e.Proven); told != "" {
		e.Details["events"] = told
	}
}

// family says what the objects that were made prove.
func (i *injection) family(ctx context.Context) (faults.Effect, error) {
	found, err := i.c.childrenOf(ctx, i.undo)
	if err != nil {
		return faults.Effect{}, fmt.Errorf("looking for what %s made: %w", i.undo.title(), err)
	}
	e := faults.Effect{Details: map[string]string{}}
	var injected, not []string
	for _, o := range found {
		st, err := stateOf(&o)
		if err != nil {
			return e, err
		}
		one := effectOf(st, nil)
		e.Details[titleOf(&o)] = one.Summary
		switch {
		case one.Proven:
			injected = append(injected, titleOf(&o)+" ("+strings.Join(ids(st.status.Experiment.Records), ", ")+")")
		case o.GetKind() != "Schedule" && o.GetKind() != "Workflow":
			not = append(not, titleOf(&o)+": "+one.Summary)
		}
	}
	switch {
	case len(injected) > 0:
		e.Proven = true
		e.Summary = "AllInjected: " + few(injected, 3)
	case len(not) > 0:
		e.Summary = few(not, 3)
	default:
		e.Summary = i.undo.title() + " has made no fault yet; do Chaos Mesh's controllers run, and is its time come?"
	}
	return e, nil
}
