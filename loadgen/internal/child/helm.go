package child

import (
	"sync"

	"gameday/loadgen"
)

// Helm puts the schedules of a child under its parent's commands. The zero value is ready; its methods may be called from any
// goroutine.
type Helm struct {
	mu        sync.Mutex
	schedules []*loadgen.Schedule
	last      *Command // for schedules that begin after it came
	stopped   bool
}

// Turn carries out a command that is neither a stop nor a begin.
func (h *Helm) Turn(c Command) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = &c
	for _, s := range h.schedules {
		turn(s, c)
	}
}

func turn(s *loadgen.Schedule, c Command) {
	if c.At > 0 {
		s.RampAt(c.At, c.To, c.Over, c.Then...)
		return
	}
	s.Ramp(c.To, c.Over, c.Then...)
}

// Stop ends all schedules, also those to come.
func (h *Helm) Stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
	for _, s := range h.schedules {
		s.Stop()
	}
}

// Enlist puts another schedule under the commands.
func (h *Helm) Enlist(s *loadgen.Schedule) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.schedules = append(h.schedules, s)
	if h.last != nil {
		turn(s, *h.last)
	}
	if h.stopped {
		s.Stop()
	}
}

// Schedules returns those that were enlisted.
func (h *Helm) Schedules() []*loadgen.Schedule {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]*loadgen.Schedule(nil), h.schedules...)
}
