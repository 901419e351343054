package guard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"gameday/faults"
)

// Limits of the end.
const (
	unwindLimit = 10 * time.Second // to revert everything
	// clusterLimit is that where a fault is in a cluster, whose API server may be away and whose controllers take up to a minute to look
	// again after that. One that could not be reverted in that time has unwindLimit for each further try.
	clusterLimit = 95 * time.Second
	unwindStep   = 2 * time.Second        // to wait for a fault before going on to an older one at its place
	haltPace     = 500 * time.Millisecond // between two looks for a halt
)

// unwind reverts all faults at once, but for those that may have built on each other. One that hangs keeps the older ones
// at its place waiting for a moment only, and the others not at all.
func (s *server) unwind() error {
	s.mu.Lock()
	holders := slices.Clone(s.holders)
	s.mu.Unlock()
	limit := unwindLimit
	for _, h := range holders {
		limit = max(limit, h.patience())
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.base), limit)
	defer cancel()
	s.abort()
	var wait sync.WaitGroup
	order := faults.RevertOrder(holders, func(h *holder) (faults.Place, faults.Need) { return h.req.Place, h.kind.Needs })
	for _, chain := range order {
		wait.Go(func() { endInTurn(ctx, chain) })
	}
	wait.Wait()
	var errs []error
	for _, h := range slices.Backward(holders) {
		select {
		case <-h.gone:
			errs = append(errs, h.left)
			if h.entry != nil { // an orphan from now on, for others to revert
				errs = append(errs, h.entry.Release())
			}
		case <-ctx.Done():
			errs = append(errs, fmt.Errorf("%s on %s: %w: it did not answer within %v",
				h.req.Fault, h.req.Place.Name, ErrResidue, limit))
		}
	}
	select {
	case err := <-s.fatal: // a panic while unwinding, already answered for by its holder
		errs = append(errs, err)
	default:
	}
	return errors.Join(errs...)
}

// endInTurn ends the holders of one place. However many hang, each gets its turn before the time is up.
func endInTurn(ctx context.Context, chain []*holder) {
	for i, h := range chain {
		h.end <- ctx
		limit := unwindStep
		if d, limited := ctx.Deadline(); limited {
			limit = min(limit, time.Until(d)/time.Duration(len(chain)-i+1))
		}
		step := time.NewTimer(limit)
		select {
		case <-h.gone:
		case <-step.C:
		}
		step.Stop()
	}
}

// halt reverts everything while game days are stopped on this machine: the client may hang, and then nobody else would.
func (s *server) halt() {
	s.mu.Lock()
	holders := slices.Clone(s.holders)
	s.mu.Unlock()
	if len(holders) == 0 {
		return
	}
	why := faults.Halted(s.opt.Halts...)
	if why == nil {
		return
	}
	for _, h := range holders {
		if h.halting.CompareAndSwap(false, true) {
			h.halted <- why.Error()
			h.cancel()
		}
	}
}
