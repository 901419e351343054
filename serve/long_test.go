package serve

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gameday/schedules"
)

// TestLong has a process hang before it decides: it is said once, with its id and its log, and stands on the pages until it has decided; of a blind
// schedule facilitators alone are told.
func TestLong(t *testing.T) {
	for name, blind := range map[string]bool{"blind": true, "open": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				defer r.children.Wait()
				s := &schedules.Schedule{Name: "daily", Items: item(time.Minute), Every: every(t, "1d"), Zone: time.UTC, Window: &schedules.Window{From: 0, To: clock(2, 0)}}
				s.Items[0].Blind = blind
				r.calendar("one", s, minutely(t, "beside", time.Second))
				r.starts = 9*time.Minute + 10*time.Second
				c := r.config(r.file("days.hcl", "one"))
				e, end := r.serve(c)
				defer end()
				time.Sleep(119 * time.Second)
				if text := r.says(); text != "" || len(e.Troubles()) != 0 {
					t.Errorf("after two minutes it says %q, troubles %+v", text, e.Troubles())
				}
				time.Sleep(6 * time.Minute)
				text := r.says()
				if strings.Count(text, "schedule daily of days is due, and process 4711 has been deciding about it since 2000-01-01T00:00:00Z") != 1 || strings.Count(text, "\n") != 0 ||
					!strings.Contains(text, r.called()[0].Log) || !strings.HasSuffix(text, "kill 4711") || len(r.called()) != 1 {
					t.Errorf("it says %q, and %d processes were started", text, len(r.called()))
				}
				all := e.Troubles()
				if len(all) != 1 || all[0].Detail != text || strings.Contains(all[0].Text, "daily") || all[0].Blind != blind {
					t.Errorf("troubles: %+v", all)
				}
				time.Sleep(2 * time.Minute)
				if begun, _ := r.counted(); begun["daily"] != 1 || len(e.Troubles()) != 0 {
					t.Errorf("when it has decided, begun %v, troubles %+v", begun, e.Troubles())
				}
			})
		})
	}
}

// TestNextIsDue has a process take until the next occasion of its schedule is due, and then go on to run what it was started for: it is not taken
// for one that still decides, and the other schedules of the calendar are begun.
func TestNextIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.children.Wait()
		r.calendar("both", minutely(t, "long", 2*time.Second), minutely(t, "beside", time.Second))
		r.took = func(s *schedules.Schedule, _ string) time.Duration {
			if s.Name == "long" {
				return 10 * time.Minute
			}
			return s.Length()
		}
		r.delays = []time.Duration{59*time.Second + 800*time.Millisecond} // between the last look of this minute and the first of the next one
		e, end := r.serve(r.config(r.file("days.hcl", "both")))
		defer end()
		time.Sleep(9*time.Minute + 30*time.Second)
		begun, skipped := r.counted()
		if begun["long"] != 1 || skipped["long"] != 9 || begun["beside"] != 9 {
			t.Errorf("begun %v, skipped %v", begun, skipped)
		}
		if text := r.says(); text != "" || len(e.Troubles()) != 0 {
			t.Errorf("it says %q, troubles %+v", text, e.Troubles())
		}
	})
}
