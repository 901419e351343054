package serve

import (
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"gameday/schedules"
	"gameday/schedules/claims"
)

// TestEndsElsewhere has an occasion go on that another server began, which is no more: when it ends, or its process dies, is seen soon, and not at the
// next look at everything.
func TestEndsElsewhere(t *testing.T) {
	for name, ends := range map[string]bool{"it ends": true, "its process dies": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.calendar("one", never(t))
				folder, err := claims.Open(filepath.Join(r.dir, "state", "days"))
				if err != nil {
					t.Fatal(err)
				}
				held, err := folder.Claim(claims.Claim{Schedule: "never", Occasion: "2026-12-01T10:00", Outcome: schedules.Begun, At: time.Now().UTC()})
				if err != nil {
					t.Fatal(err)
				}
				c := r.config(r.file("days.hcl", "one"))
				c.Store = aStore(t)
				e, end := r.serve(c)
				defer end()
				goesOn := func() bool {
					return slices.ContainsFunc(e.seen().calendars[0].kept, func(k claims.Kept) bool { return k.Running })
				}
				time.Sleep(3*filesEvery + filesEvery/2)
				if !goesOn() {
					t.Fatal("it does not go on")
				}
				if ends {
					err = held.Close(claims.End{At: time.Now().UTC()})
				} else {
					err = held.File().Close()
				}
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(filesEvery)
				if goesOn() {
					t.Errorf("%s after it ended it is told to go on", filesEvery)
				}
				all, err := c.Store.Occasions(t.Context(), time.Time{}, time.Now().Add(time.Hour))
				if err != nil || len(all) != 1 || (all[0].End != nil) != ends {
					t.Errorf("the database has %+v, %v", all, err)
				}
			})
		})
	}
}
