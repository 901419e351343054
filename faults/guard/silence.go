package guard

import "time"

// silence tells when a client has said nothing for too long.
type silence struct {
	limit time.Duration
	timer *time.Timer      // nil without a limit
	over  <-chan time.Time // nil without a limit
}

func newSilence(limit time.Duration) *silence {
	s := &silence{limit: limit}
	if limit > 0 {
		s.timer = time.NewTimer(limit)
		s.over = s.timer.C
	}
	return s
}

// broken begins the wait again.
func (s *silence) broken() {
	if s.timer != nil {
		s.timer.Reset(s.limit)
	}
}

func (s *silence) stop() {
	if s.timer != nil {
		s.timer.Stop()
	}
}
