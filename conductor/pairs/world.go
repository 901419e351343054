package pairs

import (
	"context"
	"fmt"
	"os"
	"time"
)

// readyPoll is how often the world is asked whether it is ready.
const readyPoll = 200 * time.Millisecond

// world is what a side's command has started for one run.
type world struct {
	side           *place
	pair           int
	ready, cleanup string
	within, grace  time.Duration // to be ready, and to end
	log            *os.File
	process        *process // of the command; nil when there is none
}

// start makes the world ready: runs the side's command, and waits until it has ended well, or until the world says that
// it is ready. What the command leaves in the background is a part of the world.
func (w *world) start(ctx context.Context) error {
	if w.side.Command != "" {
		var err error
		if w.process, err = start(w.side, w.pair, w.side.Command, w.log); err != nil {
			return fmt.Errorf("making the world ready: %w", err)
		}
	}
	if w.ready != "" {
		return w.awaitReady(ctx)
	}
	if w.process == nil {
		return nil
	}
	select {
	case code := <-w.process.code:
		if err := failed(w.side.Command, code); err != nil {
			return fmt.Errorf("making the world ready: %w", err)
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// awaitReady asks until the world says that it is ready. A command that has failed meanwhile never will be.
func (w *world) awaitReady(ctx context.Context) error {
	limit, cancel := context.WithTimeoutCause(ctx, w.within, fmt.Errorf("the world is not ready after %s", w.within))
	defer cancel()
	poll := time.NewTicker(readyPoll)
	defer poll.Stop()
	for {
		if err := shell(limit, w.side, w.pair, w.ready, nil); err == nil {
			return nil
		}
		if w.process != nil {
			select {
			case code := <-w.process.code:
				if err := failed(w.side.Command, code); err != nil {
					return fmt.Errorf("the world has ended: %w", err)
				}
			default:
			}
		}
		select {
		case <-poll.C:
		case <-limit.Done():
			return context.Cause(limit)
		}
	}
}

// stop takes the world down: what the command has started ends, and the cleanup command runs. It outlives the context.
func (w *world) stop() error {
	if w.process != nil {
		w.process.end(w.grace)
		w.process = nil
	}
	if w.cleanup == "" {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), stopLimit, fmt.Errorf("it took longer than %s",
		stopLimit))
	defer cancel()
	if err := shell(ctx, w.side, w.pair, w.cleanup, w.log); err != nil {
		return fmt.Errorf("cleaning up after %s: %w", w.side.Name, err)
	}
	return nil
}
