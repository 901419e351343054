package chaosmesh

import (
	"context"
	"sync"
	"time"
)

// looks lets many who want to see the same at about the same time look together: a fault at a hundred pods is injected at all of them at once,
// and each injection looks. The zero value is ready. Safe for concurrent use.
type looks[T any] struct {
	mu   sync.Mutex
	last map[string]*look[T] // the newest of each thing
}

// look is one of them.
type look[T any] struct {
	began time.Time
	done  chan struct{} // closed when seen and err are there
	seen  T
	err   error
}

// see returns what is seen by a look that began after an instant: one of somebody else's, or its own with f, which others may wait for, so
// that it goes on when ctx ends. An error is that of the look, or of ctx.
func (l *looks[T]) see(ctx context.Context, of string, after time.Time, f func() (T, error)) (T, error) {
	for {
		l.mu.Lock()
		now := l.last[of]
		if now == nil || now.over() && now.began.Before(after) {
			now = &look[T]{began: time.Now(), done: make(chan struct{})}
			if l.last == nil {
				l.last = map[string]*look[T]{}
			}
			l.last[of] = now
			go func() {
				now.seen, now.err = f()
				close(now.done)
			}()
		}
		l.mu.Unlock()
		select {
		case <-now.done:
		case <-ctx.Done():
			var none T
			return none, ctx.Err()
		}
		if !now.began.Before(after) {
			return now.seen, now.err
		}
	}
}

func (l *look[T]) over() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}
