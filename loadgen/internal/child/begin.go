package child

import (
	"sync"
	"time"
)

// Gun gives a stream its first instant; nil is one that fires by itself. Its methods may be called from any goroutine.
type Gun struct {
	once  sync.Once
	fired chan struct{}
	at    time.Time // read after fired
}

// NewGun returns a gun that fires by itself at the next whole second, so that windows are whole and those of several
// streams cover the same seconds; or, held, when it is told to.
func NewGun(held bool) *Gun {
	if !held {
		return nil
	}
	return &Gun{fired: make(chan struct{})}
}

// Fire sets the first instant, once.
func (g *Gun) Fire(at time.Time) {
	if g != nil {
		g.once.Do(func() { g.at = at; close(g.fired) })
	}
}

// Wait returns the first instant, or false when over is closed before it is known. When that has to be waited for, it
// calls prepared.
func (g *Gun) Wait(prepared func(), over <-chan struct{}) (at time.Time, ok bool) {
	if g == nil {
		now := time.Now()
		return now.Add(time.Second - time.Duration(now.Nanosecond())), true
	}
	prepared()
	select {
	case <-g.fired:
		// What came over a wire has no reading of the monotonic clock, by which the schedule goes.
		now := time.Now()
		return now.Add(g.at.Sub(now.Round(0))), true
	case <-over:
		return time.Time{}, false
	}
}
