package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gameday/faults"
)

// killSettles is within what time a kill is seen that an engine was told in the last instant of a guard's life.
const killSettles = time.Second

// containerRestart is one restart of one container. Where a lab's switchboard boots a node by itself, nobody but the guard
// starts a container again: it does when the time is over, and Revert does when the guard cannot.
type containerRestart struct {
	node   faults.Node
	down   time.Duration
	engine *engine
	old    container
	off    time.Time // when it was told to go; monotonic
}

// containerUndo is what the ledger holds of a container.
type containerUndo struct {
	Engine    string `json:"engine"`
	Container string `json:"container"`
	Name      string `json:"name"`
	StartedAt string `json:"started_at"`
}

// Undo reads when the container was started. One that does not run, or that somebody else is busy with, is refused.
func (r *containerRestart) Undo(ctx context.Context) (json.RawMessage, error) {
	c, err := r.engine.inspect(ctx, r.node.Container)
	if err != nil {
		return nil, fmt.Errorf("container %s: %w; nothing was touched", r.node.Name, err)
	}
	switch s := c.State; {
	case s.Paused:
		return nil, fmt.Errorf("%w: container %s is paused; nothing was touched", faults.ErrForeign, r.node.Name)
	case s.Restarting:
		return nil, fmt.Errorf("%w: container %s is being restarted by its restart policy; nothing was touched", faults.ErrForeign, r.node.Name)
	case !s.Running:
		return nil, fmt.Errorf("container %s is %s already; nothing was touched", r.node.Name, s.Status)
	case c.HostConfig.AutoRemove:
		return nil, fmt.Errorf("container %s was made to be removed when it stops (--rm), so it could not be started again; "+
			"nothing was touched", r.node.Name)
	}
	r.old = c
	return json.Marshal(containerUndo{Engine: r.node.Engine, Container: r.node.Container, Name: r.node.Name, StartedAt: c.State.StartedAt})
}

// Inject kills the container.
func (r *containerRestart) Inject(ctx context.Context, _ time.Duration) error {
	r.off = time.Now()
	if err := r.engine.kill(ctx, r.node.Container); err != nil {
		return fmt.Errorf("killing container %s: %w", r.node.Name, err)
	}
	return nil
}

// Effect waits until the container does not run, or runs since another instant.
func (r *containerRestart) Effect(ctx context.Context) (faults.Effect, error) {
	seen := faults.Effect{Details: r.details()}
	err := poll(ctx, func() (bool, error) {
		c, err := r.engine.inspect(ctx, r.node.Container)
		if err != nil {
			return false, err
		}
		switch {
		case c.State.StartedAt != r.old.State.StartedAt:
			seen.Proven, seen.Summary = true, r.change(c)
		case !c.State.Running:
			seen.Proven = true
			seen.Summary = fmt.Sprintf("container %s is %s, its first process (pid %d) is gone", r.node.Name, c.State.Status, r.old.State.Pid)
		default:
			seen.Summary = fmt.Sprintf("container %s still runs as pid %d", r.node.Name, c.State.Pid)
		}
		return seen.Proven, nil
	})
	if err != nil && ctx.Err() == nil {
		return seen, fmt.Errorf("container %s: %w", r.node.Name, err)
	}
	return seen, nil
}

// Watch starts the container when it has been down for long enough, and returns when the engine says since when it runs.
// Somebody who starts it before is believed: it is a restart all the same.
func (r *containerRestart) Watch(ctx context.Context) (faults.Effect, error) {
	ctx, cancel := context.WithDeadline(ctx, r.off.Add(r.down+bootLimit))
	defer cancel()
	var started bool
	var last container
	err := poll(ctx, func() (bool, error) {
		if !started && time.Since(r.off) >= r.down {
			if err := r.engine.start(ctx, r.node.Container); err != nil {
				return false, err
			}
			started = true
		}
		var err error
		last, err = r.engine.inspect(ctx, r.node.Container)
		return err == nil && last.State.StartedAt != r.old.State.StartedAt, err
	})
	switch {
	case errors.Is(err, errNoContainer):
		return faults.Effect{}, &vanished{r.node.Name}
	case errors.Is(err, context.DeadlineExceeded):
		return faults.Effect{}, fmt.Errorf("container %s is %s %v after it should run", r.node.Name, last.State.Status, bootLimit)
	case err != nil:
		return faults.Effect{}, fmt.Errorf("starting container %s: %w", r.node.Name, err)
	}
	effect := faults.Effect{Proven: true, Summary: r.change(last), Details: r.details()}
	if !started {
		effect.Summary += fmt.Sprintf(", started by somebody else after %v", time.Since(r.off).Round(time.Millisecond))
	}
	effect.Details["new_started_at"], effect.Details["new_init"] = last.State.StartedAt, fmt.Sprint(last.State.Pid)
	return effect, nil
}

func (r *containerRestart) details() map[string]string {
	return map[string]string{"container": r.node.Container, "started_at": r.old.State.StartedAt, "init": fmt.Sprint(r.old.State.Pid)}
}

// change returns "pid 4127 → 4188", or what has become of a container that has started, and ended again.
func (r *containerRestart) change(c container) string {
	if c.State.Running {
		return fmt.Sprintf("pid %d → %d", r.old.State.Pid, c.State.Pid)
	}
	return fmt.Sprintf("pid %d → started again and %s", r.old.State.Pid, c.State.Status)
}

// vanished says that a container was removed while it was down.
type vanished struct{ name string }

// Error says so, and that nothing is left to start.
func (v *vanished) Error() string {
	return fmt.Sprintf("container %s was removed while it was down: nothing is left to start again", v.name)
}

// Is makes it a faults.ErrLapsed, whose own words speak of leases.
func (v *vanished) Is(target error) bool { return target == faults.ErrLapsed }

// revertContainer starts a container that runs no more since we killed it. One that has run since then is left as it is,
// whatever it does: its present state is somebody else's.
func revertContainer(ctx context.Context, u containerUndo) error {
	e := dialEngine(u.Engine)
	settled := time.Now().Add(killSettles)
	told := false
	err := poll(ctx, func() (bool, error) {
		c, err := e.inspect(ctx, u.Container)
		switch s := c.State; {
		case errors.Is(err, errNoContainer), s.Dead, s.Status == "removing":
			return true, nil
		case err != nil:
			return false, err
		case s.StartedAt != u.StartedAt:
			return true, nil
		case s.Running: // it was never killed, or the engine has only just been told to
			return !time.Now().Before(settled), nil
		case told:
			return false, nil
		}
		told = true
		if err := e.start(ctx, u.Container); err != nil && !errors.Is(err, errNoContainer) {
			return false, err
		}
		faults.Reach(ctx, faults.MidRevert)
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("starting container %s (%s) again: %w", u.Name, brief(u.Container), err)
	}
	return nil
}
