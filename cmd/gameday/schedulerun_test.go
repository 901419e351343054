package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gameday/announce"
	"gameday/announce/crier"
	"gameday/announce/told"
	"gameday/scenarios"
	"gameday/schedules"
	"gameday/schedules/claims"
)

// TestEndIsPostedFirst posts how an occasion ended before that is kept, so that whoever comes after a kill between the two, or after a disk that took no more, does not
// tell that it had no end.
func TestEndIsPostedFirst(t *testing.T) {
	for _, full := range []bool{false, true} {
		folder, err := claims.Open(filepath.Join(t.TempDir(), "state"))
		if err != nil {
			t.Fatal(err)
		}
		box, err := told.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now().UTC()
		s := &schedules.Schedule{Name: "weekly", Zone: time.UTC}
		o := schedules.Occasion{ID: "x", Windows: []schedules.Span{{From: now, To: now.Add(time.Hour)}}}
		c := claims.Claim{Schedule: s.Name, Occasion: o.ID, Outcome: schedules.Begun, At: now, Opens: o.Opens(), Closes: o.Closes()}
		held, err := folder.Claim(c)
		if err != nil {
			t.Fatal(err)
		}
		kept := false
		cr := crier.New(crier.Config{Box: box, Channels: []*announce.Channel{{Kind: announce.Slack, Name: "a", On: announce.Events}}, Now: func() time.Time {
			_, err := os.Stat(filepath.Join(folder.Dir(), "weekly@x.end"))
			kept = kept || err == nil
			return now
		}})
		if full {
			if err := os.RemoveAll(folder.Dir()); err != nil {
				t.Fatal(err)
			}
		}
		r := &scheduling{app: root(io.Discard, io.Discard), flags: &scheduleFlags{}, schedule: s, folder: folder, crier: cr, begun: o}
		if _, err := r.items(held); (err != nil) != full {
			t.Errorf("full %v: %v", full, err)
		}
		posted, err := box.List()
		if err != nil || len(posted) != 1 || posted[0].Draft.Message.Event != announce.Ended || kept {
			t.Errorf("full %v: posted %+v, %v; kept before that %v", full, posted, err, kept)
		}
		cr.Unfinished([]*schedules.Schedule{s}, []claims.Claim{c}, nil)
		if posted, err := box.List(); err != nil || len(posted) != 1 {
			t.Errorf("full %v: and then %+v, %v", full, posted, err)
		}
	}
}

// TestEndIsPostedAgain posts how an occasion ended once there is space again, where the disk did not take it before.
func TestEndIsPostedAgain(t *testing.T) {
	folder, err := claims.Open(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "announcements")
	box, err := told.Open(dir)
	if err == nil {
		err = os.Remove(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	s := &schedules.Schedule{Name: "weekly", Zone: time.UTC}
	o := schedules.Occasion{ID: "x", Windows: []schedules.Span{{From: now, To: now.Add(time.Hour)}}}
	held, err := folder.Claim(claims.Claim{Schedule: s.Name, Occasion: o.ID, Outcome: schedules.Begun, At: now, Opens: o.Opens(), Closes: o.Closes()})
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	cr := crier.New(crier.Config{Box: box, Channels: []*announce.Channel{{Kind: announce.Slack, Name: "a", On: announce.Events}}, Say: func(text string) {
		said = append(said, text)
		if err := os.Mkdir(dir, 0o700); err != nil { // and then there is
			t.Error(err)
		}
	}})
	r := &scheduling{app: root(io.Discard, io.Discard), flags: &scheduleFlags{}, schedule: s, folder: folder, crier: cr, begun: o}
	if _, err := r.items(held); err != nil {
		t.Error(err)
	}
	posted, err := box.List()
	if err != nil || len(posted) != 1 || posted[0].Draft.Message.Event != announce.Ended || len(said) != 1 {
		t.Errorf("posted %+v, %v; it says %q", posted, err, said)
	}
}

// TestSkipIsRecalled tells of what was skipped by somebody who was killed before they told it, when the schedule is called again; not where that may be because a moment
// has come.
func TestSkipIsRecalled(t *testing.T) {
	every, err := schedules.ParseEvery("1d", schedules.DefaultAnchor)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().Truncate(time.Second)
	s := &schedules.Schedule{Name: "daily", Every: every, Zone: noonAt(now).location(t), Window: &schedules.Window{To: 24 * time.Hour}, Items: []schedules.Item{{Scenario: "a", Length: time.Minute}}}
	for _, noWait := range []bool{false, true} {
		folder, err := claims.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		box, err := told.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		for o := range s.Upcoming(now, nil) {
			c := claims.Claim{Schedule: s.Name, Occasion: o.ID, Outcome: schedules.Skipped, Why: "an incident is open", At: now.Add(-time.Hour), Opens: o.Opens(), Closes: o.Closes()}
			if _, err := folder.Claim(c); err != nil {
				t.Fatal(err)
			}
			break
		}
		cr := crier.New(crier.Config{Box: box, Channels: []*announce.Channel{{Kind: announce.Slack, Name: "a", On: []announce.Event{announce.Skipped}}}})
		r := &scheduling{app: root(io.Discard, io.Discard), flags: &scheduleFlags{noWait: noWait}, calendar: &scenarios.Calendar{Schedules: []*schedules.Schedule{s}}, schedule: s, folder: folder, crier: cr,
			out: became{Outcome: "ran"}}
		if _, _, err := r.decide(t.Context()); err != nil {
			t.Fatal(err)
		}
		posted, err := box.List()
		if err != nil || len(posted) != map[bool]int{false: 1, true: 0}[noWait] || !noWait && posted[0].Draft.Message.Title != "Game day daily is skipped" {
			t.Errorf("no wait %v: %+v, %v", noWait, posted, err)
		}
	}
}

// TestMissedIsToldAfterwards posts one message of all that was missed, and not before what is due was begun.
func TestMissedIsToldAfterwards(t *testing.T) {
	folder, err := claims.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	box, err := told.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().Truncate(time.Second)
	cr := crier.New(crier.Config{Box: box, Channels: []*announce.Channel{{Kind: announce.Slack, Name: "a", On: announce.Events}}})
	r := &scheduling{app: root(io.Discard, io.Discard), flags: &scheduleFlags{}, schedule: &schedules.Schedule{Name: "often", Zone: time.UTC}, folder: folder, crier: cr}
	for i := range 5 {
		from := now.Add(time.Duration(i-5) * time.Minute)
		o := schedules.Occasion{ID: from.Format("2006-01-02T15:04"), Windows: []schedules.Span{{From: from, To: from.Add(time.Minute)}}}
		if err := r.skip(o, schedules.MissedWhy+"nobody was there", now); err != nil {
			t.Fatal(err)
		}
	}
	if posted, err := box.List(); err != nil || len(posted) != 0 {
		t.Errorf("before what is due was begun: %+v, %v", posted, err)
	}
	r.tellMissed(now)
	posted, err := box.List()
	if err != nil || len(posted) != 1 || posted[0].Draft.Message.Title != "Game day often was missed 5 times" {
		t.Errorf("%+v, %v", posted, err)
	}
	kept, _, err := folder.Reader().Read()
	if err != nil || len(kept) != 5 {
		t.Fatalf("%d claims, %v", len(kept), err)
	}
}

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

// TestStoppedWhileAsking is stopped while it is asked whether an occasion may begin: that nobody answered in time says nothing, and another
// call begins it.
func TestStoppedWhileAsking(t *testing.T) {
	newRehearsalRig(t)
	zone := time.UTC
	folder, err := claims.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	a := root(io.Discard, io.Discard)
	run := &scheduling{app: a, flags: &scheduleFlags{}, schedule: &schedules.Schedule{Name: "night", Zone: zone}, folder: folder, seed: []byte("0123456789abcdef")}
	due := schedules.Start{Schedule: run.schedule, Occasion: schedules.Occasion{ID: "2026-12-01T00:00", Moment: time.Now(), Windows: []schedules.Span{{From: time.Now(), To: time.Now().Add(time.Hour)}}}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if held, err := run.begin(ctx, due, time.Now()); held != nil || err == nil || !strings.Contains(err.Error(), "nothing was begun") {
		t.Errorf("begun %v, %v", held != nil, err)
	}
	if state, err := folder.State(); err != nil || len(state.Settled) != 0 {
		t.Errorf("settled: %+v, %v", state.Settled, err)
	}
	held, err := run.begin(t.Context(), due, time.Now())
	if held == nil || err != nil {
		t.Fatalf("called again: begun %v, %v", held != nil, err)
	}
	if err := held.Close(claims.End{}); err != nil {
		t.Error(err)
	}
}
