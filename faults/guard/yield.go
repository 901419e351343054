package guard

import (
	"errors"
	"fmt"

	"gameday/faults"
)

// yield gives up a fault that overlaps one of another run, and closes its entry: nothing has been touched yet. The entry
// is written before the others are looked at, so of two guards that come at once at least one sees the other, and never
// both inject.
func (h *holder) yield() error {
	mine := h.entry.Entry()
	others, err := h.s.opt.Ledger.StandingBut(h.s.holds)
	for _, o := range others {
		if err != nil {
			break
		}
		if o.Err == nil && o.Entry.Run != mine.Run {
			err = inTheWay(h.s.opt.Kinds, mine, o)
		}
	}
	if err == nil {
		return nil
	}
	if closing := h.entry.Close(); closing != nil {
		err = errors.Join(err, closing, h.entry.Release())
	}
	h.entry = nil
	return err
}

// inTheWay names the fault of another run that a new one would overlap.
func inTheWay(kinds []faults.Kind, mine faults.Entry, other faults.Standing) error {
	where := faults.Overlap(kinds, mine, other.Entry)
	if where == "" {
		return nil
	}
	o, advice := other.Entry, "wait for that game day to end, or choose another target"
	if other.Orphaned {
		advice = "its guard is dead: run `gameday revert` first"
	}
	return fmt.Errorf("%w: run %s (scenario %s) has fault %s (%s) on %s, in %s; %s",
		faults.ErrForeign, o.Run, o.Scenario, o.Fault, o.Kind, o.Place.Name, where, advice)
}

// holds reports whether a fault of that id is this guard's own.
func (s *server) holds(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.holders {
		if h.req.ID == id {
			return true
		}
	}
	return false
}
