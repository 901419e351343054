package loadgen

import (
	"context"
	"sync"
	"time"
)

// Schedule runs a Pacer by the clock. Its methods may be called from any goroutine.
type Schedule struct {
	start time.Time

	mu      sync.Mutex
	pacer   *Pacer
	end     time.Duration // Never until it was stopped
	changed chan struct{}
	stopped chan struct{}
}

// NewSchedule returns a schedule whose first instant is start.
func NewSchedule(a Arrivals, start time.Time) *Schedule {
	return &Schedule{
		start:   start,
		pacer:   NewPacer(a),
		end:     Never,
		changed: make(chan struct{}, 1),
		stopped: make(chan struct{}),
	}
}

// Ramp takes the multiple to to, from now on and over a time, and then along the legs.
func (s *Schedule) Ramp(to float64, over time.Duration, then ...Leg) {
	s.RampAt(time.Since(s.start), to, over, then...)
}

// RampAt is Ramp from a time since the first instant on, which may be to come.
func (s *Schedule) RampAt(at time.Duration, to float64, over time.Duration, then ...Leg) {
	s.mu.Lock()
	s.pacer.Ramp(at, to, over, then...)
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default: // Run has not looked since the last change, and will see both
	}
}

// Stop ends the schedule now. What is due later never comes; Run returns.
func (s *Schedule) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end == Never {
		s.end = max(0, time.Since(s.start))
		close(s.stopped)
	}
}

// Due returns how many arrivals were due by an instant.
func (s *Schedule) Due(at time.Time) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pacer.Due(min(at.Sub(s.start), s.end))
}

// Multiple returns the multiple asked for at an instant.
func (s *Schedule) Multiple(at time.Time) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pacer.Multiple(min(at.Sub(s.start), s.end))
}

// The last of a wait is a nap, and none is shorter than shortNap: at a high rate, what is due in one comes at once.
const (
	longNap  = 1500 * time.Microsecond
	shortNap = 200 * time.Microsecond
)

// Run calls arrive for each arrival when it is due, with the instant it was due, until the schedule is stopped or ctx
// ends. Arrivals missed while arrive was busy are made up for at once. It returns how many were due and not made.
func (s *Schedule) Run(ctx context.Context, arrive func(intended time.Time)) (owed uint64) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	still := false // the clock is a test's, which stands still while anybody is awake
	for ctx.Err() == nil {
		wait, at := s.take()
		if wait <= 0 {
			arrive(at)
			continue
		}
		if wait <= longNap && !still {
			before := time.Now()
			nap(max(wait, shortNap))
			still = time.Since(before) == 0
			continue
		}
		if !still {
			wait -= longNap / 2
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
			continue
		case <-s.changed:
			continue
		case <-s.stopped:
		case <-ctx.Done():
		}
		break
	}
	s.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pacer.Due(s.end) - min(s.pacer.Due(s.end), s.pacer.Taken())
}

// take returns the next arrival if it is due, or how long it is until then. After the end nothing is due.
func (s *Schedule) take() (wait time.Duration, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.pacer.Next()
	now := time.Since(s.start)
	switch {
	case s.end != Never || next == Never:
		return Never, time.Time{}
	case next > now:
		return next - now, time.Time{}
	}
	s.pacer.Take()
	return 0, s.start.Add(next)
}
