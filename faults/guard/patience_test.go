package guard_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"gameday/faults"
	"gameday/faults/guard"
)

// TestPatienceWithClusters has the revert of a fault in a cluster find its API server away: for a minute and more it is waited for, which
// is told once, and after that no longer than for any other fault.
func TestPatienceWithClusters(t *testing.T) {
	for name, c := range map[string]struct {
		back    time.Duration // until the API server is there again
		asked   bool          // or else the guard's client has died
		want    time.Duration
		residue bool
	}{
		"asked for":                {75 * time.Second, true, 75 * time.Second, false},
		"asked for, and never":     {time.Hour, true, 95 * time.Second, true},
		"gameday is dead":          {75 * time.Second, false, 75 * time.Second, false},
		"gameday is dead, forever": {time.Hour, false, 95 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				var away time.Time
				r.world.inCluster = func(ctx context.Context, e faults.Entry) error {
					faults.Waiting(ctx, "nobody listens")
					faults.Waiting(ctx, "nobody listens still")
					select {
					case <-time.After(time.Until(away)):
						r.world.lapse(e.ID)
						return nil
					case <-ctx.Done():
						return errors.New("nobody listens")
					}
				}
				q := ask("i1", "fake", `{}`)
				q.Place.Cluster = &faults.Cluster{Access: faults.Access{Context: "stage"}}
				mustInject(t, r, q)
				away = time.Now().Add(c.back)
				began := time.Now()
				var err error
				if c.asked {
					err = r.Revert(t.Context(), "i1")
				} else {
					_ = r.Close(t.Context()) // it does not wait as long
					err = <-r.served
				}
				if took := time.Since(began); took < c.want || took > c.want+time.Second || errors.Is(err, guard.ErrResidue) != c.residue {
					t.Errorf("took %v, want %v: %v", took, c.want, err)
				}
				if !c.asked {
					return
				}
				event(t, r, guard.EventWaiting, "i1")
				if !c.residue {
					if err := r.end(t); err != nil {
						t.Error(err)
					}
					return
				}
				event(t, r, guard.EventResidue, "i1") // the next try: no longer than any, and what it waits for is told already
				if took := time.Since(began); took > c.want+12*time.Second {
					t.Errorf("the next try ended after %v", took)
				}
				if err := r.end(t); !errors.Is(err, guard.ErrResidue) {
					t.Error(err)
				}
			})
		})
	}
}
