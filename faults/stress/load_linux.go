package stress

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"gameday/faults"
)

// burden is what one kind has its workers do.
type burden interface {
	// check says why it cannot be carried out here and now. It touches nothing.
	check() error
	// mark adds to the undo what the load will make, besides its workers.
	mark(u *undo)
	// begin starts the workers with l.start.
	begin(ctx context.Context, l *load, lease time.Duration) error
	// effect takes one look at the effect, for as long as ctx allows.
	effect(ctx context.Context, l *load) (faults.Effect, error)
}

// load is one injection that stands by workers.
type load struct {
	burden
	undo undo
	crew []*worker
}

func newLoad(b burden) *load { return &load{burden: b} }

// Check says why the load cannot be carried out here and now.
func (l *load) Check(context.Context) error {
	if !hooked {
		return errNoHook
	}
	return l.check()
}

// Undo chooses the load's mark.
func (l *load) Undo(context.Context) (json.RawMessage, error) {
	token, err := newToken()
	if err != nil {
		return nil, err
	}
	l.undo = undo{Token: token}
	l.mark(&l.undo)
	return json.Marshal(l.undo)
}

func newToken() (string, error) {
	b := make([]byte, 8)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("making a token: %w", err)
	}
	return hex.EncodeToString(b), nil
}

// Inject starts the workers. What they take they take in their own time; Effect waits for it.
func (l *load) Inject(ctx context.Context, lease time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := l.Check(ctx); err != nil {
		return err
	}
	return l.begin(ctx, l, lease)
}

// group makes the load's cgroup, if it can have one, and returns its folder. The limits' keys are names of files; those
// that its cgroup does not have are left out.
func (l *load) group(ctx context.Context, limits map[string]string) (string, error) {
	if l.undo.Group == "" {
		return "", nil
	}
	if err := makeGroup(l.undo.Group, limits); err != nil {
		return "", err
	}
	faults.Reach(ctx, faults.MidInject)
	return l.undo.Group, nil
}

// start adds a worker.
func (l *load) start(ctx context.Context, j job, extra ...*os.File) (*worker, error) {
	w, err := startWorker(ctx, l.undo.Token, j, extra...)
	if err == nil {
		l.crew = append(l.crew, w)
	}
	return w, err
}

// Effect takes a look, once all workers have what they were to take.
func (l *load) Effect(ctx context.Context) (faults.Effect, error) {
	if len(l.crew) == 0 {
		return faults.Effect{}, errors.New("nothing was injected")
	}
	for _, w := range l.crew {
		if w.gone() {
			return faults.Effect{}, w.why()
		}
		if _, err := w.await(ctx, stepStanding); errors.Is(err, ctx.Err()) && err != nil {
			return faults.Effect{Summary: fmt.Sprintf("worker %d is still at it", w.cmd.Process.Pid)}, nil
		} else if err != nil {
			return faults.Effect{}, err
		}
	}
	return l.effect(ctx, l)
}

// Renew lets the workers live for another lease.
func (l *load) Renew(_ context.Context, lease time.Duration) error {
	var errs []error
	for _, w := range l.crew {
		errs = append(errs, w.renew(lease))
	}
	return errors.Join(errs...)
}

// Watch returns when a worker has let go by itself, with the reason as an error that is a faults.ErrLapsed.
func (l *load) Watch(ctx context.Context) (faults.Effect, error) {
	return faults.Effect{}, anyGone(ctx, l.crew)
}

// fileIn is the name of the load's file in a folder, for an undo.
func fileIn(dir, token string) string { return filepath.Join(dir, markOf(token)) }
