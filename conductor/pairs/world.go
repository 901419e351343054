package pairs

import (
	"cmp"
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
	say            func(format string, args ...any) // nil to say nothing
	process        *process                         // of the command; nil when there is none
}

// start makes the world ready: runs the side's command, and waits until it has ended well, or until the world says that
// it is ready. What the command leaves in the background is a part of the world.
func (w *world) start(ctx context.Context) error {
	if w.side.Command != "" || w.cleanup != "" {
		var err error
		// Without a command, it is there for the sake of the cleanup.
		w.process, err = start(w.side, w.pair, cmp.Or(w.side.Command, ":"), w.cleanup, w.log)
		if err != nil {
			return fmt.Errorf("making the world ready: %w", err)
		}
	}
	if w.ready != "" {
		return w.awaitReady(ctx)
	}
	if w.process == nil {
		return nil
	}
	long := time.NewTimer(w.within)
	defer long.Stop()
	for {
		select {
		case <-w.process.done:
			if err := w.failed(); err != nil {
				return fmt.Errorf("making the world ready: %w", err)
			}
			return nil
		case <-long.C:
			if w.say != nil {
				w.say("the command of %s has not ended after %s, and is waited for: without --ready it must end once the "+
					"world is ready, and leave in the background what shall stay", w.side.Name, w.within)
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// awaitReady asks until the world says that it is ready. A command that has failed meanwhile never will be, whoever
// answers in its place.
func (w *world) awaitReady(ctx context.Context) error {
	limit, cancel := context.WithTimeoutCause(ctx, w.within, fmt.Errorf("the world is not ready after %s", w.within))
	defer cancel()
	poll := time.NewTicker(readyPoll)
	defer poll.Stop()
	for {
		err := shell(limit, w.side, w.pair, w.ready, nil)
		if failed := w.failed(); failed != nil {
			return fmt.Errorf("the world has ended: %w", failed)
		}
		if err == nil {
			return nil
		}
		select {
		case <-poll.C:
		case <-limit.Done():
			return context.Cause(limit)
		}
	}
}

// failed returns that the side's command has ended, and not well.
func (w *world) failed() error {
	if w.process == nil {
		return nil
	}
	return w.process.failed(w.side.Command)
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
