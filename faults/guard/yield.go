package guard

import (
	"errors"
	"fmt"
	"sync"

	"gameday/faults"
)

// yield gives up a fault that overlaps one of another run, and closes its entry: nothing has been touched yet. The entry
// is written before the others are looked at, so of two guards that come at once at least one sees the other, and never
// both inject.
func (h *holder) yield() error {
	mine := h.entry.Entry()
	own := sync.OnceValue(h.s.ids) // asked for when the folder has been read: whoever has an entry in it is listed before
	others, err := h.s.opt.Ledger.StandingBut(func(id string) bool { return own()[id] })
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

// ids are those of this guard's own faults.
func (s *server) ids() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := make(map[string]bool, len(s.holders))
	for _, h := range s.holders {
		own[h.req.ID] = true
	}
	return own
}
