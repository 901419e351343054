package collector

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/remote"
)

// defaultSetup is what a script's set-up is given that does not say.
const defaultSetup = time.Minute

// Run waits for the runner, hands it the stream and passes its windows on, until it is told to stop, the runner is gone or silent, or ctx
// ends. An error says who the runner was.
func (s *sender) Run(ctx context.Context, spec loadgen.Spec, emit func(loadgen.Window)) error {
	conn, err := s.await(ctx, spec.Commands)
	if conn == nil || err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() }) // a write that is stuck must not hold the end up
	defer stop()
	within := spec.SetupWithin
	if within == 0 {
		within = defaultSetup
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	late := time.AfterFunc(s.stream.patience+within, func() {
		cancel(fmt.Errorf("it was not ready to begin within %s", s.stream.patience+within))
	})
	defer late.Stop()
	prepared := spec.Prepared
	spec.Prepared = func() {
		late.Stop()
		prepared()
	}
	if err = remote.Over(ctx, s.stream.c.version, conn, spec, emit); err == nil {
		return nil
	}
	err = fmt.Errorf("%w (it was %s)", err, conn.who)
	if why := s.stream.segments[s.index].give(err); why != nil {
		return fmt.Errorf("%w: %w", err, why)
	}
	return err
}

// await returns the runner's connection; none when the stream was stopped before it came.
func (s *sender) await(ctx context.Context, commands <-chan loadgen.Command) (*Conn, error) {
	g := s.stream.segments[s.index]
	patience := time.NewTimer(s.stream.patience)
	defer patience.Stop()
	for {
		select {
		case conn := <-g.taken:
			return conn, nil
		case <-g.given:
			select {
			case conn := <-g.taken: // it came before
				return conn, nil
			default:
			}
			return nil, fmt.Errorf("it never came: %w", g.why)
		case c, ok := <-commands:
			if !ok || c.Stop {
				g.give(errors.New("the stream was stopped"))
				return nil, nil
			}
		case <-patience.C:
			err := fmt.Errorf("it has not come within %s", s.stream.patience)
			g.give(err)
			return nil, err
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
