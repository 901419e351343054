package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gameday/audit"
	"gameday/schedules"
	"gameday/schedules/claims"
)

// otherCalendar is what another calendar of the state folder is at, and why nothing is begun beside it; empty when it is.
type otherCalendar struct {
	holds   []string
	damaged bool // its claim cannot be read
	over    bool // it is not at it any more
	host    string
	why     string
}

// claim has the other calendar claim in its folder what it is at, for as long as the test goes on.
func (x *otherCalendar) claim(t *testing.T, other *claims.Folder) {
	t.Helper()
	if x.damaged {
		f, err := os.Create(filepath.Join(other.Dir(), "other@1.json"))
		if err == nil {
			err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		if x.over {
			f.Close()
		}
		return
	}
	held, err := other.Claim(claims.Claim{Schedule: "other", Occasion: "1", Outcome: schedules.Begun, Host: x.host, Holds: x.holds})
	if err != nil {
		t.Fatal(err)
	}
	end := func() { _ = held.Close(claims.End{}) }
	if x.over {
		end()
	} else {
		t.Cleanup(end)
	}
}

// TestOtherCalendars decides about a schedule while another calendar of the state folder is at something. What holds the same is not begun, nor
// is anything while nobody knows what the other one holds; nobody decides while the other one is just claiming.
func TestOtherCalendars(t *testing.T) {
	rig := newRehearsalRig(t)
	rig.write("drill.hcl", strings.NewReplacer("8s", "5m", "60s", "20m", "shop", "drill").Replace(readText(t, "shop.hcl")))
	rig.write("calendar.hcl", "time_zone = \"UTC\"\nschedule \"night\" {\n  scenario \"drill.hcl\" {\n    variables = { region = \"x\" }\n  }\n  cron = \"0 0 * * *\"\n}\n")
	a := root(io.Discard, io.Discard)
	cal, s, err := a.scheduleOf("calendar.hcl", "night")
	if err != nil {
		t.Fatal(err)
	}
	s.Items[0].Holds = append(s.Items[0].Holds, schedules.ThisMachine) // as when its faults land here
	for name, x := range map[string]otherCalendar{
		"holds the same":              {holds: s.Holds(), why: `schedule "other" of days, 1, is in progress and holds ` + s.Holds()[0]},
		"holds something else":        {holds: []string{"host elsewhere"}},
		"held the same":               {holds: s.Holds(), over: true},
		"holds this machine":          {holds: []string{schedules.ThisMachine}, host: audit.Me().Host, why: `schedule "other" of days, 1, is in progress and holds this machine`},
		"holds another machine":       {holds: []string{schedules.ThisMachine}, host: audit.Me().Host + "-2"},
		"holds the same elsewhere":    {holds: s.Holds(), host: audit.Me().Host + "-2", why: `schedule "other" of days, 1, is in progress and holds scenario drill`},
		"what it holds is not read":   {damaged: true, why: unknownBeside},
		"what it held cannot be read": {damaged: true, over: true},
	} {
		t.Run(name, func(t *testing.T) {
			state := t.TempDir()
			open := func(name string) *claims.Folder {
				f, err := claims.Open(filepath.Join(state, name))
				if err != nil {
					t.Fatal(err)
				}
				return f
			}
			own, other := open("calendar"), open("days")
			synctest.Test(t, func(t *testing.T) { // it is midnight in it
				unlock, err := other.LockBeside(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				run := &scheduling{app: a, flags: &scheduleFlags{noWait: true}, calendar: cal, schedule: s, folder: own, seed: []byte("0123456789abcdef")}
				var held *claims.Held
				decided := make(chan error)
				go func() {
					var err error
					held, _, err = run.decide(context.Background())
					decided <- err
				}()
				time.Sleep(5 * time.Second)
				select {
				case err := <-decided:
					t.Fatalf("it decides while another calendar claims: %+v, %v", run.out, err)
				default:
				}
				x.claim(t, other)
				unlock()
				if err := <-decided; err != nil {
					t.Fatal(err)
				}
				if (held != nil) != (x.why == "") || run.out.Why != x.why {
					t.Errorf("begun %v, %+v", held != nil, run.out)
				}
				if held != nil {
					if err := held.Close(claims.End{}); err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}
