package main

import (
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gameday/conductor"
	"gameday/faults"
	"gameday/schedules/claims"
)

// narrowNight is a calendar whose one schedule may begin at midnight, and at no second later.
const narrowNight = `time_zone = "UTC"
schedule "night" {
  scenario "drill.hcl" {
    variables = { region = "x" }
  }
  cron = "0 0 * * *"
  window {
    to = "00:30"
  }
}
`

// goingOn lists a run while a test goes on.
func goingOn(e conductor.Running) func(*testing.T, string) func() {
	return func(t *testing.T, ledger string) func() {
		release, err := conductor.Register(conductor.RegistryDir(ledger), e)
		if err != nil {
			t.Fatal(err)
		}
		return release
	}
}

// halted stops game days while a test goes on.
func halted(t *testing.T, ledger string) func() {
	file := faults.HaltFile(ledger)
	if err := faults.SetHalt(file, faults.Halt{By: "ann", At: time.Now(), Why: "a storm"}); err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := faults.LiftHalt(file); err != nil {
			t.Error(err)
		}
	}
}

// TestMeanwhile has something come to stand against an occasion after it was decided that it is due, and before it is claimed, as while sources are
// asked: it is skipped.
func TestMeanwhile(t *testing.T) {
	rig := newRehearsalRig(t)
	rig.write("drill.hcl", strings.NewReplacer("8s", "5m", "60s", "20m", "shop", "drill").Replace(readText(t, "shop.hcl")))
	rig.write("calendar.hcl", narrowNight)
	a := root(io.Discard, io.Discard)
	cal, s, err := a.scheduleOf("calendar.hcl", "night")
	if err != nil {
		t.Fatal(err)
	}
	ledger, err := faults.DefaultLedgerDir()
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		happens func(t *testing.T, ledger string) (over func())
		why     string
	}{
		"nothing":                    {happens: func(*testing.T, string) func() { return func() {} }},
		"a run that holds the same":  {happens: goingOn(conductor.Running{Run: "r", Scenario: "drill", By: "ann"}), why: "run r of ann is in progress and holds scenario drill"},
		"a run that holds something": {happens: goingOn(conductor.Running{Run: "r", Scenario: "else", By: "ann"})},
		"game days are stopped":      {happens: halted, why: "a storm"},
	} {
		t.Run(name, func(t *testing.T) {
			state := t.TempDir()
			var folders []*claims.Folder
			for _, name := range []string{"calendar", "days"} {
				f, err := claims.Open(filepath.Join(state, name))
				if err != nil {
					t.Fatal(err)
				}
				folders = append(folders, f)
			}
			synctest.Test(t, func(t *testing.T) { // it is midnight in it
				unlock, err := folders[1].LockBeside(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				run := &scheduling{app: a, flags: &scheduleFlags{noWait: true}, calendar: cal, schedule: s, folder: folders[0], seed: []byte("0123456789abcdef")}
				var held *claims.Held
				decided := make(chan error)
				go func() {
					var err error
					held, _, err = run.decide(context.Background())
					decided <- err
				}()
				time.Sleep(5 * time.Second)
				defer x.happens(t, ledger)()
				unlock()
				if err := <-decided; err != nil {
					t.Fatal(err)
				}
				if (held != nil) != (x.why == "") || !strings.Contains(run.out.Why, x.why) {
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

// TestAskedTooLong begins nothing that would not end in its hours any more because it took minutes to learn whether it may begin. In a window that is
// just as long as its scenario, some seconds are nothing.
func TestAskedTooLong(t *testing.T) {
	rig := newRehearsalRig(t)
	rig.write("drill.hcl", strings.NewReplacer("8s", "5m", "60s", "20m", "shop", "drill").Replace(readText(t, "shop.hcl")))
	rig.write("calendar.hcl", narrowNight)
	a := root(io.Discard, io.Discard)
	_, s, err := a.scheduleOf("calendar.hcl", "night")
	if err != nil {
		t.Fatal(err)
	}
	for took, want := range map[time.Duration]string{
		50 * time.Second: "",
		5 * time.Minute:  "it took 5m0s to learn whether it may begin: it would run until 00:35:00, and the window closes at 2000-01-01 00:30 UTC",
	} {
		synctest.Test(t, func(t *testing.T) { // it is midnight in it
			began := time.Now()
			time.Sleep(took)
			if why, err := (&scheduling{app: a, schedule: s}).meanwhile(began); err != nil || why != want {
				t.Errorf("after %s: %q, %v", took, why, err)
			}
		})
	}
}
