package main

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gameday/schedules/claims"
)

// TestLastSecond calls for a schedule whose window is just as long as its scenario a moment after the window has opened: it is begun, and so
// is one whose last second has come.
func TestLastSecond(t *testing.T) {
	r := newRehearsalRig(t)
	r.write("drill.hcl", strings.NewReplacer("8s", "5m", "60s", "20m", "shop", "drill").Replace(readText(t, "shop.hcl")))
	for name, x := range map[string]struct {
		opens, closes string
		wait          time.Duration
		begun         bool
	}{
		"the only second": {"0 0 * * *", "00:30", 300 * time.Millisecond, true},
		"a second later":  {"0 0 * * *", "00:30", time.Second, false},
		"the last second": {"0 0 * * *", "00:31", time.Minute + 999*time.Millisecond, true},
	} {
		r.write("calendar.hcl", "time_zone = \"UTC\"\nschedule \"night\" {\n  scenario \"drill.hcl\" {\n    variables = { region = \"x\" }\n  }\n  cron = \""+x.opens+
			"\"\n  window {\n    to = \""+x.closes+"\"\n  }\n}\n")
		a := root(io.Discard, io.Discard)
		cal, s, err := a.scheduleOf("calendar.hcl", "night")
		if err != nil {
			t.Fatal(err)
		}
		folder, err := claims.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		synctest.Test(t, func(t *testing.T) { // it is midnight in it
			time.Sleep(x.wait)
			run := &scheduling{app: a, flags: &scheduleFlags{noWait: true}, calendar: cal, schedule: s, folder: folder, seed: []byte("0123456789abcdef")}
			held, again, err := run.decide(t.Context())
			if err != nil || (held != nil) != x.begun {
				t.Errorf("%s: begun %v, %+v, again %s, %v", name, held != nil, run.out, again, err)
			}
			if held != nil {
				if err := held.Close(claims.End{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
