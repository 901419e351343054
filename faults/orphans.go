package faults

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"
)

// revertLimit is how long reverting one orphan may take, and clusterLimit one in a cluster, whose controllers may take up to a minute
// to look again after its API server was away. ClusterWidth is how many of those are reverted at once: each is mostly a program of its own.
const (
	clusterWidth = 8
	revertLimit  = 30 * time.Second
	clusterLimit = 100 * time.Second
)

// RevertResult says what became of one orphaned entry.
type RevertResult struct {
	ID    string
	Entry Entry // zero when the entry cannot be read
	// Reverted is true when nothing of the fault is left, or it had nothing to undo; the entry is closed then.
	Reverted bool
	// Note says what could not be undone although it is Reverted; see the function Note.
	Note string
	// Err says why the fault may still stand. Its entry stays.
	Err error
}

// RevertOrphans reverts the faults whose guards are dead, the newest first, up to eight of those in clusters beside them, and closes their entries. Entries for
// which only returns false are left alone, as are those whose guard lives; only may be nil for all. Entries that
// cannot be read are reported with an Err, since nobody can tell what they undo. Each result's error is its own;
// the error returned is that of reading the ledger.
func RevertOrphans(ctx context.Context, l *Ledger, kinds []Kind, only func(Entry) bool) ([]RevertResult, error) {
	standing, err := l.Standing()
	if err != nil {
		return nil, err
	}
	slices.Reverse(standing)
	found := make([]*RevertResult, len(standing))
	var inClusters sync.WaitGroup
	slots := make(chan struct{}, clusterWidth)
	for i, s := range standing {
		one := func() {
			if r, mine := revertOrphan(ctx, l, kinds, s); mine {
				found[i] = &r
			}
		}
		switch {
		case !s.Orphaned:
		case s.Err != nil:
			found[i] = &RevertResult{ID: s.ID, Err: fmt.Errorf("reading %s: %w; check the target by hand, then remove the file", l.path(s.ID), s.Err)}
		case only != nil && !only(s.Entry):
		case s.Entry.Place.Cluster != nil: // beside the others, as RevertOrder has it
			inClusters.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				one()
			})
		default:
			one()
		}
	}
	inClusters.Wait()
	var results []RevertResult
	for _, r := range found {
		if r != nil {
			results = append(results, *r)
		}
	}
	return results, nil
}

// revertOrphan returns false when somebody else took care of the entry in the meantime.
func revertOrphan(ctx context.Context, l *Ledger, kinds []Kind, s Standing) (RevertResult, bool) {
	r := RevertResult{ID: s.ID, Entry: s.Entry}
	held, err := l.Claim(s.ID)
	if errors.Is(err, ErrHeld) || errors.Is(err, fs.ErrNotExist) {
		return r, false
	}
	if err != nil {
		r.Err = err
		return r, true
	}
	r.Entry = held.Entry()
	noting := WithNote(ctx, func(text string) { r.Note = text })
	if err := RevertEntry(noting, kinds, r.Entry); err != nil {
		r.Err = errors.Join(err, held.Release())
		return r, true
	}
	r.Reverted = true
	if err := held.Close(); err != nil {
		r.Err = errors.Join(err, held.Release())
	}
	return r, true
}

// RevertEntry removes the fault that the entry describes with its kind's Revert, within a limit of its own if ctx
// has none. A kind that has nothing to undo succeeds. A panic of the kind is returned as a *PanicError.
func RevertEntry(ctx context.Context, kinds []Kind, e Entry) error {
	i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == e.Kind })
	if i < 0 {
		return fmt.Errorf("reverting %s on %s: this build has no fault kind %q", e.Fault, e.Place.Name, e.Kind)
	}
	revert := kinds[i].Revert
	if e.Place.Cluster != nil {
		if revert = kinds[i].RevertInCluster; revert == nil {
			return fmt.Errorf("reverting %s on %s: it stands in a Kubernetes cluster, which this program does not speak to; run `gameday "+
				"revert`, with gameday-kubernetes beside it", e.Fault, e.Place.Name)
		}
	}
	if revert == nil {
		return nil
	}
	if _, limited := ctx.Deadline(); !limited {
		limit := revertLimit
		if e.Place.Cluster != nil {
			limit = clusterLimit
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	ctx = WithOwner(ctx, Owner{Run: e.Run, Injection: e.ID, Fault: e.Fault, Scenario: e.Scenario})
	if err := Protect(func() error { return revert(ctx, e) }); err != nil {
		return fmt.Errorf("reverting %s on %s: %w", e.Fault, e.Place.Name, err)
	}
	return nil
}
