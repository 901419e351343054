package serve

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gameday/schedules"
)

// TestUnseen adds a schedule to a calendar that is served, hours after its random moment of the day: no run begins at that, and that is settled
// and said. The next day's is begun.
func TestUnseen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.children.Wait()
		var late *schedules.Schedule
		var moment time.Time
		for n := 0; late == nil; n++ {
			if n > 1000 {
				t.Fatal("no name draws a moment in the morning")
			}
			s := &schedules.Schedule{Name: fmt.Sprint("late-", n), Items: item(time.Minute), Every: every(t, "1d"), Zone: time.UTC, Moment: schedules.AtRandom,
				Window: &schedules.Window{From: clock(10, 0), To: clock(16, 0)}}
			o, ok := s.Next(time.Now(), schedules.Seed("a seed of the tests"))
			if !ok {
				t.Fatal("it never comes")
			}
			if o.Moment.Before(time.Now().Add(12 * time.Hour)) {
				late, moment = s, o.Moment
			}
		}
		r.calendar("before", never(t))
		r.calendar("after", never(t), late)
		_, end := r.serve(r.config(r.file("days.hcl", "before")))
		defer end()
		time.Sleep(time.Until(moment.Add(2*time.Hour + 300*time.Millisecond)))
		r.file("days.hcl", "after")
		time.Sleep(time.Hour)
		all := r.kept()
		if len(all) != 1 || all[0].Outcome != schedules.Skipped || !strings.Contains(all[0].Why, "had passed when this schedule was first seen") || len(r.called()) != 1 {
			t.Errorf("added %s after its moment: %+v, by %d processes", 2*time.Hour, all, len(r.called()))
		}
		time.Sleep(27 * time.Hour) // to the end of the next day's hours
		if begun, skipped := r.counted(); begun[late.Name] != 1 || skipped[late.Name] != 1 {
			t.Errorf("a day later: begun %v, skipped %v", begun, skipped)
		}
	})
}
