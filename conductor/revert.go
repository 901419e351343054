package conductor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"gameday/clock"
	"gameday/faults"
	"gameday/faults/guard"
	"gameday/report"
)

// known returns what is known of an injection that is settled.
func (r *run) known(in *injection) report.Injection {
	r.mu.Lock()
	defer r.mu.Unlock()
	return in.Injection
}

// lookAgain notes what a fault has done by its end: packets dropped go on counting after the proof.
func (r *run) lookAgain(in *injection) {
	if r.isGone(in) {
		return
	}
	ctx, cancel := context.WithTimeout(r.ctx, effectPatience)
	defer cancel()
	if e, err := in.guard.Effect(ctx, in.ID, effectPatience); err == nil && e.Proven {
		r.mu.Lock()
		in.Effect = &e
		r.mu.Unlock()
	}
}

// revert removes one injection and records the proof. A guard that does not answer is replaced by the ledger: what it
// left is reverted from there.
func (r *run) revert(in *injection) {
	if r.isGone(in) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), revertLimit+r.patienceWith(in))
	defer cancel()
	if !in.isSettled() { // the guard gives up what it is injecting, and says so to injectAt
		_ = in.guard.Revert(ctx, in.ID)
		if <-in.settled; r.isGone(in) {
			return
		}
	}
	in.reverting.Lock()
	defer in.reverting.Unlock()
	if r.isGone(in) {
		return
	}
	sent := r.rec.now()
	told := r.known(in)
	r.rec.add(report.Reverting, told)
	err := in.guard.Revert(ctx, in.ID)
	for errors.Is(err, guard.ErrResidue) && in.restartsHost() && ctx.Err() == nil {
		err = in.guard.Revert(ctx, in.ID) // a host comes back when it does
	}
	if errors.Is(err, guard.ErrUnknown) && !r.stands(ctx, in) {
		err = nil // the guard reverted it by itself
	}
	switch {
	case err != nil && in.host != nil:
		err = r.revertOnHost(ctx, in, err)
	case err != nil:
		err = r.revertFromLedger(ctx, in.ID, err)
	}
	if err != nil {
		told.Error, told.Hint = err.Error(), "The fault may still stand. Run `gameday revert`; it works from the ledger alone."
		if in.host != nil {
			told.Hint = fmt.Sprintf("The fault may still stand until its lease is over. Run `gameday revert %s`; it works from the ledger over there.", in.host.Settings().Flags())
		}
		r.mu.Lock()
		in.refused = true
		r.mu.Unlock()
		r.rec.add(report.RevertFailed, told)
		return
	}
	if r.forget(in) {
		told.Gone = clock.Between(sent, r.rec.now())
		r.rec.add(report.Reverted, told)
	}
}

// revertFromLedger reverts an entry whose guard is dead. It returns cause when the entry is still held.
func (r *run) revertFromLedger(ctx context.Context, id string, cause error) error {
	results, err := faults.RevertOrphans(ctx, r.Ledger, r.Kinds, func(e faults.Entry) bool { return e.ID == id })
	if err != nil {
		return errors.Join(cause, err)
	}
	for _, res := range results {
		if res.Err != nil {
			cause = errors.Join(cause, res.Err)
		}
	}
	if r.entryStands(id) {
		return cause
	}
	return nil
}

func (r *run) entryStands(id string) bool {
	standing, err := r.Ledger.Standing()
	return err != nil || slices.ContainsFunc(standing, func(s faults.Standing) bool { return s.Entry.ID == id })
}

// Limits of reverting many at once.
const (
	revertTries = 2 // of one injection, by the end of the run
	hostReverts = 4 // at once: each may need a connection of its own, and sshd lets few in at a time
)

// unwind reverts everything that stands, of a place the last one first. What could not be reverted is tried once more.
func (r *run) unwind() {
	for {
		var left []*injection
		r.mu.Lock()
		for _, in := range r.standing {
			if in.tries < revertTries {
				in.tries++
				left = append(left, in)
			}
		}
		r.mu.Unlock()
		if len(left) == 0 {
			return
		}
		r.revertAll(left, r.revert)
	}
}

// revertAll hands each injection to revert, at the same time but for those that may have built on each other: somebody's
// slow revert must not keep another's fault standing.
func (r *run) revertAll(list []*injection, revert func(*injection)) {
	var wg sync.WaitGroup
	hosts := map[string]chan struct{}{}
	order := faults.RevertOrder(list, func(in *injection) (faults.Place, faults.Need) {
		return in.place.Where(), in.fault.Kind.Needs
	})
	for _, chain := range order {
		host := chain[0].place.Where().Host
		if host != "" && hosts[host] == nil {
			hosts[host] = make(chan struct{}, hostReverts)
		}
		turn := hosts[host]
		wg.Go(func() {
			for _, in := range chain {
				if turn != nil {
					turn <- struct{}{}
				}
				revert(in)
				if turn != nil {
					<-turn
				}
			}
		})
	}
	wg.Wait()
}
