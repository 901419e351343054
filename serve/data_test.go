package serve

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gameday/internal/runrig"
	"gameday/rehearsals"
	"gameday/rehearsals/kept"
	"gameday/report"
	"gameday/schedules"
	"gameday/schedules/claims"
	"gameday/serve/store"
	"gameday/serve/web"
)

// recorded writes the record of a run that passed, of the rig's scenario "shop", for a rehearsal.
func recorded(t testing.TB, dir string, change func(*report.Record)) {
	t.Helper()
	w := runrig.New(1)
	w.Baseline, w.Load, w.Recovery, w.Outliers = 3, 6, 3, 0
	rec := w.Run(filepath.Base(dir), time.Now(), 1)
	if change != nil {
		change(rec)
	}
	if err := runrig.Write(dir, rec); err != nil {
		t.Fatal(err)
	}
}

// never is a schedule that does not come in a test.
func never(t testing.TB) *schedules.Schedule {
	return &schedules.Schedule{Name: "never", Items: item(time.Second), Cron: cron(t, "0 0 1 12 *"), Zone: time.UTC}
}

// TestRunsOfPages follows a run from its beginning to its end in what pages are told: it is there all the time, once, and nobody is told that it is
// not blind before its plan says so.
func TestRunsOfPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.calendar("one", never(t))
		c := r.config(r.file("days.hcl", "one"))
		c.Store = aStore(t)
		dir := filepath.Join(c.Runs, "20000101-000000-shop")
		recorded(t, filepath.Join(c.Runs, "before"), nil)
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.Mkdir(filepath.Join(c.Runs, "photos"), 0o755)); err != nil {
			t.Fatal(err)
		}
		var over atomic.Bool
		began := time.Now()
		c.Running = func() ([]Running, error) {
			if over.Load() {
				return nil, nil
			}
			return []Running{{Run: "x", Scenario: "shop", Dir: dir, At: began}}, nil
		}
		e, end := r.serve(c)
		defer end()
		find := func(when string) web.Run {
			t.Helper()
			all, err := e.Runs(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var found []web.Run
			for _, x := range all.All {
				if x.Folder == "20000101-000000-shop" {
					found = append(found, x)
				}
			}
			if len(found) != 1 || len(all.All) != 2 || len(all.Skipped) != 1 || all.Skipped[0].Folder != "photos" {
				t.Fatalf("%s: found %d times among %+v, skipped %v", when, len(found), all.All, all.Skipped)
			}
			return found[0]
		}
		time.Sleep(time.Minute + time.Second) // not at the instant of a look
		if x := find("it is beginning"); !x.Going || x.Over || !x.Blind || x.Scenario != "shop" || !x.Started.Equal(began) {
			t.Errorf("it is beginning: %+v", x)
		}
		recorded(t, dir, func(rec *report.Record) { rec.Events = rec.Events[:4] })
		time.Sleep(time.Minute)
		if x := find("it goes on"); !x.Going || x.Over || x.Blind {
			t.Errorf("it goes on: %+v", x)
		}
		recorded(t, dir, nil)
		over.Store(true)
		for range 2000 { // at each moment of the look that sees its end
			time.Sleep(50 * time.Millisecond)
			find("it ends")
		}
		if x := find("it is over"); x.Going || !x.Over || x.Blind || x.Verdict != report.Passed {
			t.Errorf("it is over: %+v", x)
		}
	})
}

// TestSignedOnPages signs for what is seen, and not for what it was before.
func TestSignedOnPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		plan := &rehearsals.Rehearsal{Name: "west", File: "days.hcl", StopOn: rehearsals.DefaultStops, SignOff: []string{"sre"},
			Steps: []rehearsals.Step{{Item: schedules.Item{File: "shop.hcl", Scenario: "shop"}, Fingerprint: "f"}}}
		r.calendars["one"] = func(file string) *Calendar {
			return &Calendar{Name: "days", File: file, Schedules: []*schedules.Schedule{never(t)}, Rehearsals: []*rehearsals.Rehearsal{plan}}
		}
		c := r.config(r.file("days.hcl", "one"))
		c.Store = aStore(t)
		run := func(name string) {
			t.Helper()
			dir := filepath.Join(c.Runs, name)
			recorded(t, dir, nil)
			if err := kept.WriteLabel(dir, kept.Label{Rehearsal: "west", Scenario: "shop", Fingerprint: "f", At: time.Now()}); err != nil {
				t.Fatal(err)
			}
		}
		run("one")
		e, end := r.serve(c)
		defer end()
		time.Sleep(2*time.Minute + time.Second)
		card := func() *rehearsals.Scorecard {
			t.Helper()
			all, err := e.Rehearsals(t.Context())
			if err != nil || len(all) != 1 {
				t.Fatalf("%+v %v", all, err)
			}
			return rehearsals.Judge(all[0].Plan, all[0].Shown, all[0].Signed, time.Now())
		}
		seen := card()
		if seen.Steps[0].State != rehearsals.Go || seen.State != rehearsals.NotYetKnown {
			t.Fatalf("it shows %+v", seen)
		}
		time.Sleep(time.Hour)
		run("two")
		sign := rehearsals.SignOff{Rehearsal: "west", Role: "sre", By: "ann", Saw: seen.Digest}
		if err := e.SignOff(t.Context(), sign); !errors.Is(err, web.ErrChanged) {
			t.Errorf("what has changed is signed for: %v", err)
		}
		if sign.Role = "boss"; e.SignOff(t.Context(), sign) == nil {
			t.Error("anybody signs")
		}
		sign.Role, sign.Saw = "sre", card().Digest
		if err := e.SignOff(t.Context(), sign); err != nil {
			t.Fatal(err)
		}
		if now := card(); now.State != rehearsals.Go || !strings.Contains(now.SignOffs[0].Text, "ann") {
			t.Errorf("after it was signed it is %s: %+v", now.State, now.SignOffs)
		}
		if signed, _, err := kept.SignOffs(c.Runs); err != nil || len(signed) != 1 || signed[0].As == "" || signed[0].Showed != rehearsals.NotYetKnown {
			t.Errorf("on disk: %+v %v", signed, err)
		}
		// A label that cannot be read is no part of what is signed for, but while there is one the page says go to nobody.
		torn := filepath.Join(c.Runs, "torn")
		recorded(t, torn, nil)
		if err := os.WriteFile(filepath.Join(torn, kept.LabelFile), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := e.SignOff(t.Context(), sign); err != nil {
			t.Fatal(err)
		}
		if signed, _, err := kept.SignOffs(c.Runs); err != nil || len(signed) != 2 || signed[1].Showed != rehearsals.NotYetKnown {
			t.Errorf("signed while something cannot be read: %+v %v", signed, err)
		}
		for folder, good := range map[string]bool{"one": true, "below/one": true, "../one": false, "/etc": false, "": false, ".": false} {
			if _, err := e.Dir(folder); (err == nil) != good {
				t.Errorf("the folder %q: %v", folder, err)
			}
		}
	})
}

// TestHeldAfterItsEnd has somebody hold the label of a run for minutes after it is listed no more, as who copies its record does: pages tell of it
// all the time, once, and its rehearsal goes by it.
func TestHeldAfterItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		plan := &rehearsals.Rehearsal{Name: "west", File: "days.hcl", StopOn: rehearsals.DefaultStops, Steps: []rehearsals.Step{{Item: schedules.Item{File: "shop.hcl", Scenario: "shop"}, Fingerprint: "f"}}}
		r.calendars["one"] = func(file string) *Calendar {
			return &Calendar{Name: "days", File: file, Schedules: []*schedules.Schedule{never(t)}, Rehearsals: []*rehearsals.Rehearsal{plan}}
		}
		c := r.config(r.file("days.hcl", "one"))
		c.Store = aStore(t)
		dir := filepath.Join(c.Runs, "one")
		recorded(t, dir, nil)
		if err := kept.WriteLabel(dir, kept.Label{Rehearsal: "west", Scenario: "shop", Fingerprint: "f", At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		held, err := kept.Hold(dir)
		if err != nil {
			t.Fatal(err)
		}
		var over atomic.Bool
		began := time.Now()
		c.Running = func() ([]Running, error) {
			if over.Load() {
				return nil, nil
			}
			return []Running{{Run: "one", Scenario: "shop", Dir: dir, At: began}}, nil
		}
		e, end := r.serve(c)
		defer end()
		find := func() (web.Run, []rehearsals.Run) {
			t.Helper()
			runs, err := e.Runs(t.Context())
			all, err2 := e.Rehearsals(t.Context())
			if err := errors.Join(err, err2); err != nil || len(runs.All) != 1 || len(all) != 1 || len(all[0].Shown["shop"]) != 1 {
				t.Fatalf("%v: runs %+v, rehearsals %+v", err, runs, all)
			}
			return runs.All[0], all[0].Shown["shop"]
		}
		for n := range 600 {
			time.Sleep(time.Second)
			switch n {
			case 90:
				over.Store(true)
			case 300:
				held.Close()
			}
			if n > 0 {
				find()
			}
		}
		if run, shown := find(); !run.Over || run.Going || shown[0].Running || shown[0].Verdict != report.Passed {
			t.Errorf("when nobody holds it any more: %+v, %+v", run, shown)
		}
	})
}

// TestOfAnotherCalendar has something in progress of a calendar of the state folder that is not served: pages say so, and not that whoever was at it
// died.
func TestOfAnotherCalendar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.calendar("one", never(t))
		c := r.config(r.file("days.hcl", "one"))
		c.Store = aStore(t)
		e, end := r.serve(c)
		defer end()
		begin := time.Now()
		folder, err := claims.Open(filepath.Join(c.State, "other"))
		if err != nil {
			t.Fatal(err)
		}
		held, err := folder.Claim(claims.Claim{Schedule: "x", Occasion: "2000-01-01", Outcome: schedules.Begun, At: begin, Opens: begin, Closes: begin.Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		look := func(want web.Fate) {
			t.Helper()
			time.Sleep(2*time.Minute + time.Second)
			all, err := e.Occasions(t.Context(), begin, begin.Add(time.Hour))
			if err != nil || len(all) != 1 || all[0].Fate != want || !all[0].Blind {
				t.Errorf("%+v, %v, want %s", all, err, want)
			}
		}
		look(web.Going)
		if err := held.Close(claims.End{At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		look(web.Done)
	})
}

// TestWithoutDatabase has no file for the database: what is due is begun, pages are answered, and it is said until there is one.
func TestWithoutDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.children.Wait()
		r.calendar("one", minutely(t, "one", 5*time.Second))
		c := r.config(r.file("days.hcl", "one"))
		blocked := filepath.Join(r.dir, "blocked")
		if err := os.WriteFile(blocked, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		var err error
		if c.Store, err = store.Open(context.Background(), store.Options{Path: filepath.Join(blocked, "serve.db"), Version: "1", Say: c.Say}); err != nil {
			t.Fatal(err)
		}
		defer c.Store.Close()
		begin := time.Now()
		e, end := r.serve(c)
		defer end()
		counted := func() (done int) {
			t.Helper()
			all, err := e.Occasions(t.Context(), begin, begin.Add(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range all {
				if o.Fate == web.Done {
					done++
				}
			}
			return done
		}
		time.Sleep(5*time.Minute + 30*time.Second)
		if begun, _ := r.counted(); begun["one"] != 6 || counted() != 6 {
			t.Errorf("begun %v, and pages know of %d", begun, counted())
		}
		if all := e.Troubles(); len(all) != 1 || !strings.Contains(all[0].Text, "database") {
			t.Errorf("troubles: %+v", all)
		}
		if text := r.says(); strings.Count(text, "cannot be written") != 1 {
			t.Errorf("it says %q", text)
		}
		if err := os.Remove(blocked); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if counted() != 8 || len(e.Troubles()) != 0 || !strings.Contains(r.says(), "can be written again") {
			t.Errorf("pages know of %d, troubles %v", counted(), e.Troubles())
		}
	})
}
