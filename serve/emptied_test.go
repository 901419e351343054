package serve

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gameday/schedules"
	"gameday/schedules/claims"
)

// TestEmptied loses what ran while a server has it, as when the disk of the state folder is not mounted any more, or somebody moves it: what ran today
// is not run again, and that is said once. Nothing is made in its place, and when it is there again, it goes on.
func TestEmptied(t *testing.T) {
	for name, empty := range map[string]bool{"an empty folder is in its place": true, "it is gone": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				defer r.children.Wait()
				r.calendar("one", &schedules.Schedule{Name: "daily", Items: item(time.Minute), Every: every(t, "1d"), Zone: time.UTC, Window: &schedules.Window{From: 0, To: clock(2, 0)}},
					minutely(t, "beside", time.Second))
				c := r.config(r.file("days.hcl", "one"))
				c.Seed = func(dir string) (schedules.Seed, error) {
					f, err := claims.Open(dir)
					if err != nil {
						return nil, err
					}
					return f.Seed()
				}
				e, end := r.serve(c)
				defer end()
				time.Sleep(10*time.Minute + 30*time.Second)
				days := filepath.Join(c.State, "days")
				if begun, _ := r.counted(); begun["daily"] != 1 || begun["beside"] != 11 {
					t.Fatalf("begun %v", begun)
				}
				if err := os.Rename(days, days+"-away"); err != nil {
					t.Fatal(err)
				}
				want := "no such file or directory"
				if empty {
					want = days + ": it had what ran, and is empty now"
					if err := os.Mkdir(days, 0o700); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(5 * time.Minute)
				text := r.says()
				if all := e.Troubles(); strings.Count(text, "\n") != 0 || !strings.Contains(text, "nothing of the calendar days is begun: ") || !strings.Contains(text, want) || len(all) != 1 || !strings.Contains(text, all[0].Detail) {
					t.Errorf("it says %q, troubles %+v", text, all)
				}
				if err := os.Remove(days); empty != (err == nil) {
					t.Errorf("in its place: %v", err)
				}
				if err := os.Rename(days+"-away", days); err != nil {
					t.Fatal(err)
				}
				time.Sleep(5 * time.Minute)
				if begun, _ := r.counted(); begun["daily"] != 1 || begun["beside"] < 15 || begun["beside"] > 17 || !strings.Contains(r.says(), "can be read again") || len(e.Troubles()) != 0 {
					t.Errorf("when it is there again, begun %v, troubles %+v", begun, e.Troubles())
				}
			})
		})
	}
}

// TestUnreadForAMoment cannot read, at the instant at which something comes due, what ran or which runs go on: it is begun a moment later, and not
// a minute, when it may be too late.
func TestUnreadForAMoment(t *testing.T) {
	for name, what := range map[string]bool{"what ran": true, "which runs go on": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				defer r.children.Wait()
				r.calendar("one", minutely(t, "one", time.Second))
				c := r.config(r.file("days.hcl", "one"))
				var lost atomic.Bool
				c.Running = func() ([]Running, error) {
					if lost.Load() {
						return nil, errors.New("the list is gone")
					}
					return nil, nil
				}
				_, end := r.serve(c)
				defer end()
				bad := filepath.Join(r.dir, "state", "days", "one@2001-01-01T0000.json")
				time.Sleep(3*time.Minute - 500*time.Millisecond)
				if !what {
					lost.Store(true)
				} else if err := os.WriteFile(bad, []byte("{"), 0o600); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				if lost.Store(false); what {
					if err := os.Remove(bad); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(3 * time.Minute)
				if begun, skipped := r.counted(); begun["one"] != 7 || skipped["one"] != 0 {
					t.Errorf("begun %v, skipped %v", begun, skipped)
				}
			})
		})
	}
}
