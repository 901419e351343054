package serve

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gameday/report"
	"gameday/report/history"
	"gameday/room"
	"gameday/schedules"
	"gameday/schedules/claims"
	"gameday/serve/store"
)

// TestRevealedOccasion has a blind game day whose process was killed, and which was in the way of one that is not blind: once its run is revealed, those who play
// are told what became of it, and why the other one was skipped.
func TestRevealedOccasion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		surprise, open := never(t), never(t)
		surprise.Name, open.Name = "surprise", "open"
		surprise.Items = []schedules.Item{{File: "shop.hcl", Scenario: "shop", Length: time.Hour, Blind: true}}
		r.calendar("both", surprise, open)
		c := r.config(r.file("days.hcl", "both"))
		c.Store = aStore(t)
		folder, err := claims.Open(filepath.Join(c.State, "days"))
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		claim := func(schedule string, outcome schedules.Outcome, why string) {
			t.Helper()
			held, err := folder.Claim(claims.Claim{Schedule: schedule, Occasion: "2000-01-01", Outcome: outcome, Why: why, At: now, Moment: now, Opens: now, Closes: now.Add(6 * time.Hour), Blind: schedule == "surprise"})
			if err == nil && held != nil {
				err = held.File().Close() // as the death of whoever has it does
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		const why = `schedule "surprise", 2000-01-01, is in progress and holds shop`
		claim("surprise", schedules.Begun, "")
		claim("open", schedules.Skipped, why)
		dir := filepath.Join(c.Runs, "killed")
		recorded(t, dir, func(rec *report.Record) { rec.Plan.Blind, rec.Events = true, rec.Events[:4] })
		e, end := r.serve(c)
		defer end()
		observer, facilitator := observed(t, e), asked(t, e, room.Facilitator)
		told := func(ask func(string) (int, string)) (broken, reason, run bool) {
			_, page := ask("/calendar")
			return strings.Contains(page, "begun, and its end is not known"), strings.Contains(page, "is in progress and holds shop"), strings.Contains(page, "/runs/killed")
		}
		time.Sleep(90 * time.Second)
		if broken, reason, run := told(observer); broken || reason || run {
			t.Errorf("before it is revealed an observer is told of it: %v, of why the other one was skipped: %v, of its run: %v", broken, reason, run)
		}
		if broken, reason, run := told(facilitator); !broken || !reason || !run {
			t.Errorf("a facilitator is told of it: %v, of why the other one was skipped: %v, of its run: %v", broken, reason, run)
		}
		if err := os.WriteFile(filepath.Join(dir, report.RevealedFile), []byte("{}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if broken, reason, run := told(observer); !broken || !reason || !run {
			t.Errorf("when it is revealed an observer is told of it: %v, of why the other one was skipped: %v, of its run: %v", broken, reason, run)
		}
	})
}

// TestTakenForAnother has a blind game day whose process was killed, and a power cut took all that its record had: a run of the same scenario that
// somebody began by hand a little later is not taken for it, and those who play are told nothing of it.
func TestTakenForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		surprise := never(t)
		surprise.Name = "surprise"
		surprise.Items = []schedules.Item{{File: "shop.hcl", Scenario: "shop", Length: time.Hour, Blind: true}}
		r.calendar("one", surprise)
		c := r.config(r.file("days.hcl", "one"))
		c.Store = aStore(t)
		folder, err := claims.Open(filepath.Join(c.State, "days"))
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		held, err := folder.Claim(claims.Claim{Schedule: "surprise", Occasion: "2000-01-01", Outcome: schedules.Begun, At: now, Moment: now, Opens: now, Closes: now.Add(6 * time.Hour), Blind: true})
		if err == nil {
			err = held.File().Close() // as the death of whoever has it does
		}
		if err != nil {
			t.Fatal(err)
		}
		killed := filepath.Join(c.Runs, "20000101-000001-shop")
		recorded(t, killed, func(rec *report.Record) { rec.Plan.Blind, rec.Events = true, rec.Events[:4] })
		if err := os.Truncate(filepath.Join(killed, report.EventsFile), 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Minute)
		recorded(t, filepath.Join(c.Runs, "20000101-002000-shop"), nil)
		e, end := r.serve(c)
		defer end()
		observer, facilitator := observed(t, e), asked(t, e, room.Facilitator)
		time.Sleep(90 * time.Second)
		_, page := observer("/calendar")
		for _, told := range []string{"surprise", "begun, and its end is not known"} {
			if strings.Contains(page, told) {
				t.Errorf("an observer is told %q", told)
			}
		}
		if !strings.Contains(page, "between 00:00 and 06:00 UTC") || !strings.Contains(page, "within these hours") {
			t.Errorf("an observer is not told that there is a game day: %s", page)
		}
		if _, page := facilitator("/calendar"); !strings.Contains(page, "surprise") || !strings.Contains(page, "begun, and its end is not known") || strings.Contains(page, "/runs/20000101-002000-shop") {
			t.Errorf("a facilitator is told %s", page)
		}
		if all, err := e.Runs(t.Context()); err != nil || len(all.All) != 1 || len(all.Skipped) != 1 {
			t.Errorf("of runs: %+v, %v", all, err)
		}
	})
}

// TestDied finds the runs of an occasion that kept none of them, and none where one of them may be missing.
func TestDied(t *testing.T) {
	at := time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC)
	s := &schedules.Schedule{Name: "s", Items: []schedules.Item{{Scenario: "a", Length: time.Hour}, {Scenario: "b", Length: time.Hour, Blind: true}}}
	k := claims.Kept{Claim: claims.Claim{Schedule: "s", Occasion: "1", Outcome: schedules.Begun, At: at}}
	next := claims.Kept{Claim: claims.Claim{Schedule: "s", Occasion: "2", Outcome: schedules.Begun, At: at.Add(90 * time.Minute)}}
	rec := func(folder string, after time.Duration, over bool) store.Record {
		return store.Record{Entry: history.Entry{Folder: folder, Scenario: folder[:1], Started: at.Add(after)}, Over: over}
	}
	for name, tt := range map[string]struct {
		records []store.Record // the oldest first
		kept    []claims.Kept
		leaving time.Duration // after the claim; 0 is nothing
		skipped []string      // folders that tell nothing
		foreign []string      // folders in which there is no record
		part    bool
		want    string
	}{
		"the first was killed":                       {records: []store.Record{rec("a1", time.Second, false)}, want: "a1"},
		"the second was killed":                      {records: []store.Record{rec("a1", time.Second, true), rec("b1", time.Hour, false)}, want: "a1 b1"},
		"both are over":                              {records: []store.Record{rec("a1", time.Second, true), rec("b1", 2*time.Hour, true)}, want: "a1 b1"},
		"the second is not known":                    {records: []store.Record{rec("a1", time.Second, true)}},
		"nothing is known":                           {},
		"another before, and by hand":                {records: []store.Record{rec("a0", -time.Minute, false), rec("a1", time.Second, false), rec("a2", 20*time.Minute, true), rec("b2", 30*time.Minute, true)}, want: "a1"},
		"another scenario beside":                    {records: []store.Record{rec("c1", time.Second, true), rec("a1", 2*time.Second, true), rec("b1", time.Hour, false)}, want: "a1 b1"},
		"it came again":                              {records: []store.Record{rec("a1", time.Second, true), rec("b2", 2*time.Hour, false)}, kept: []claims.Kept{next}},
		"one is not among them yet":                  {records: []store.Record{rec("a1", time.Second, true), rec("b1", time.Hour, true)}, leaving: time.Hour},
		"what is over now began earlier":             {records: []store.Record{rec("a1", time.Second, false)}, leaving: -time.Hour, want: "a1"},
		"not all are read":                           {records: []store.Record{rec("a1", time.Second, false)}, part: true},
		"the killed one tells nothing, and by hand":  {records: []store.Record{rec("a2", 20*time.Minute, true), rec("b2", 2*time.Hour, true)}, skipped: []string{"20261201-100001-a"}},
		"the last one tells nothing":                 {records: []store.Record{rec("a1", time.Second, true), rec("b2", 2*time.Hour, true)}, skipped: []string{"20261201-110000-b-2"}},
		"one that was killed, and one tells nothing": {records: []store.Record{rec("a1", time.Second, false)}, skipped: []string{"more/20261201-101500-a"}},
		"nobody can tell of when one is":             {records: []store.Record{rec("a1", time.Second, false)}, skipped: []string{"mine"}},
		"a clock in Auckland names it":               {records: []store.Record{rec("a1", time.Second, false)}, skipped: []string{"20261201-230001-a"}},
		"a clock in Honolulu names it":               {records: []store.Record{rec("a1", time.Second, false)}, skipped: []string{"20261201-000001-a"}},
		"one tells nothing, of other days":           {records: []store.Record{rec("a1", time.Second, false)}, skipped: []string{"20261129-100001-a", "20261203-100000-a"}, want: "a1"},
		"it was killed before it had a record":       {records: []store.Record{rec("a2", 20*time.Minute, true), rec("b2", 2*time.Hour, true)}, foreign: []string{"20261201-100001-a"}},
		"what is not of runs":                        {records: []store.Record{rec("a1", time.Second, false)}, foreign: []string{"photos", "20261129-100001-a"}, want: "a1"},
	} {
		slices.Reverse(tt.records)
		r := &past{records: tt.records, whole: !tt.part}
		for _, folder := range tt.skipped {
			r.skipped = append(r.skipped, history.Skipped{Folder: folder, Why: "reading events.jsonl: line 3 is damaged"})
		}
		for _, folder := range tt.foreign {
			r.skipped = append(r.skipped, history.Skipped{Folder: folder, Why: history.NoRecord})
		}
		if tt.leaving != 0 {
			r.leaving = []goingRun{{Running: Running{At: at.Add(tt.leaving)}}}
		}
		c := &calendarNow{Calendar: &Calendar{Name: "days", Schedules: []*schedules.Schedule{s}}, kept: append(tt.kept, k)}
		if got := strings.Join(r.died(c, &k), " "); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
