package guard_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gameday/faults/guard"
)

// TestDeadlineBeatsRenewals has a guard come to itself after a deadline, at which the kernel let go, with a renewal in hand or
// waiting beside the timer: it is the deadline that ends the fault, and nothing was renewed too late.
func TestDeadlineBeatsRenewals(t *testing.T) {
	for name, config := range map[string]string{
		"in hand": `{"renew":"late"}`,
		"waiting": `{"renew":"slow"}`, // behind one that was answered late
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				const deadline = 20 * time.Second
				var ids []string
				for n := range 30 { // each may find the renewal or the timer first
					q := ask(fmt.Sprint("i", n), "fake", config)
					q.Lease, q.Deadline = time.Minute, deadline
					mustInject(t, r, q)
					ids = append(ids, q.ID)
				}
				<-time.After(deadline - slowRenewal/2) // of the bubble's clock
				first := make(chan error, 1)
				go func() {
					_, err := r.Renew(t.Context(), time.Minute, ids...)
					first <- err
				}()
				synctest.Wait()
				failed, err := r.Renew(t.Context(), time.Minute, ids...)
				if err := errors.Join(err, <-first); err != nil {
					t.Fatal(err)
				}
				for _, id := range ids {
					if !errors.Is(failed[id], guard.ErrUnknown) {
						t.Errorf("renewing %s after its deadline: %v", id, failed[id])
					}
					if e := <-r.Events(); e.Type != guard.EventReverted || !strings.Contains(e.Why, "deadline") {
						t.Errorf("event %+v", e)
					}
				}
				r.mustBeClean(t)
				if err := r.end(t); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestDeadlineBeatsTheLease has a guard come to itself after a deadline at which a fault's lease ended as well, which is no longer than that: it is the
// deadline that ends it.
func TestDeadlineBeatsTheLease(t *testing.T) {
	const deadline = 20 * time.Second
	for name, c := range map[string]struct{ kind, config string }{
		"nobody renewed it":      {"fake", `{"effect":"slow"}`},
		"it looks after its own": {"ending", fmt.Sprintf(`{"effect":"slow","watch":%d,"lapses":true}`, deadline)},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				looked := make(chan error)
				const faults = 30 // each may find the one or the other first
				for n := range faults {
					q := ask(fmt.Sprint("i", n), c.kind, c.config)
					q.Lease, q.Deadline = deadline, deadline
					mustInject(t, r, q)
				}
				<-time.After(deadline - slowRenewal/2) // of the bubble's clock
				for n := range faults {
					go func() {
						_, err := r.Effect(t.Context(), fmt.Sprint("i", n), time.Second)
						looked <- err
					}()
				}
				for range faults {
					if err := <-looked; err != nil {
						t.Error(err)
					}
					if e := <-r.Events(); e.Type != guard.EventReverted || !strings.Contains(e.Why, "deadline") {
						t.Errorf("event %+v", e)
					}
				}
				r.mustBeClean(t)
				if err := r.end(t); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
