package serve

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gameday/schedules"
)

// freezes is a list of them.
type freezes []schedules.Freeze

func (f freezes) Between(from, to time.Time) []schedules.Freeze {
	var out []schedules.Freeze
	for _, x := range f {
		if x.From.Before(to) && x.To.After(from) {
			out = append(out, x)
		}
	}
	return out
}

// The days of the test: the clock changes in Berlin and on Lord Howe Island.
var (
	daysFrom = time.Date(2000, 3, 25, 0, 0, 0, 0, time.UTC)
	daysTo   = time.Date(2000, 3, 31, 0, 0, 0, 0, time.UTC)
)

// subjects are schedules with something of everything.
func subjects(t testing.TB) []*schedules.Schedule {
	berlin, york, howe := zone(t, "Europe/Berlin"), zone(t, "America/New_York"), zone(t, "Australia/Lord_Howe")
	frozen := []schedules.Freezer{freezes{{Name: "move", File: "f.ics", From: time.Date(2000, 3, 28, 9, 0, 0, 0, time.UTC), To: time.Date(2000, 3, 29, 15, 0, 0, 0, time.UTC)}}}
	return []*schedules.Schedule{
		{Name: "workdays", Items: item(31*time.Minute, "shop"), Cron: cron(t, "0 10 * * mon-fri"), Zone: berlin, Freezes: frozen, CatchUp: schedules.CatchUpOnce,
			Window: &schedules.Window{From: clock(10, 0), To: clock(14, 0)}},
		{Name: "rival", Items: item(44*time.Minute, "shop"), Cron: cron(t, "0 10 * * *"), Zone: berlin, Freezes: frozen},
		{Name: "nightly", Items: item(90*time.Minute, "b"), Cron: cron(t, "30 1 * * *"), Zone: york, Window: &schedules.Window{From: clock(1, 30), To: clock(4, 30)}},
		{Name: "jumped", Items: item(17*time.Minute, "c"), Cron: cron(t, "15 2 * * *"), Zone: howe},
		{Name: "random", Items: item(25*time.Minute, "d"), Every: every(t, "1d"), Zone: berlin, Moment: schedules.AtRandom, Freezes: frozen, CatchUp: schedules.CatchUpOnce,
			Window: &schedules.Window{From: clock(9, 0), To: clock(17, 0)}},
		{Name: "six-hourly", Items: item(5*time.Hour, "e"), Cron: cron(t, "0 */6 * * *"), Zone: york},
		{Name: "often", Items: item(17*time.Minute, "f"), Cron: cron(t, "*/40 * * * *"), Zone: time.UTC},
	}
}

// tookOf is how long a run really takes: a little longer than planned, and one in seven three times as long.
func tookOf(s *schedules.Schedule, id string) time.Duration {
	h := fnv.New32a()
	h.Write([]byte(s.Name + id))
	d := s.Length() + 7*time.Second
	if h.Sum32()%7 == 0 {
		d += 2 * s.Length()
	}
	return d
}

// away are the times in which there is no server.
func away() []schedules.Span {
	var out []schedules.Span
	for n := range 15 {
		from := daysFrom.Add(time.Duration(n)*9*time.Hour + time.Duration(n*n*37%500)*time.Minute + 13*time.Second)
		length := time.Duration(1+n*n*7%90) * time.Minute
		if n%5 == 0 {
			length = time.Duration(n) * time.Second
		}
		out = append(out, schedules.Span{From: from, To: from.Add(length)})
	}
	out = append(out, schedules.Span{From: time.Date(2000, 3, 27, 7, 1, 2, 0, time.UTC), To: time.Date(2000, 3, 28, 21, 3, 4, 0, time.UTC)})
	slices.SortFunc(out, func(a, b schedules.Span) int { return a.From.Compare(b.From) })
	var apart []schedules.Span
	for _, x := range out {
		if n := len(apart); n > 0 && !x.From.After(apart[n-1].To) {
			if x.To.After(apart[n-1].To) {
				apart[n-1].To = x.To
			}
			continue
		}
		apart = append(apart, x)
	}
	return apart
}

// happened is what became of an occasion, and when it was begun.
type happened struct {
	what string
	at   time.Time
}

func happen(schedule, id string, outcome schedules.Outcome, why string, at time.Time, made int) happened {
	word, _, _ := strings.Cut(why, " ")
	if outcome == schedules.Skipped {
		at = time.Time{}
	}
	return happened{fmt.Sprintf("%s %s %s %s %d", schedule, id, outcome, strings.Trim(word, ":,"), made), at}
}

func sorted(all []happened) []happened {
	slices.SortFunc(all, func(a, b happened) int { return strings.Compare(a.what, b.what) })
	return all
}

// divine says what should have happened, by the rules alone: nobody starts a process, nothing is on a disk.
func divine(t *testing.T, all []*schedules.Schedule, down []schedules.Span) []happened {
	t.Helper()
	var out []happened
	state := schedules.State{Since: map[string]time.Time{}}
	for _, s := range all {
		state.Since[s.Name] = daysFrom
	}
	ends := map[string]time.Time{}
	for now, asked := daysFrom, 0; now.Before(daysTo); asked++ {
		if asked > 100_000 {
			t.Fatal("it asks to be asked for ever")
		}
		for _, d := range down {
			if !now.Before(d.From) && now.Before(d.To) {
				now = d.To
			}
		}
		for i := range state.Settled {
			x := &state.Settled[i]
			x.Running = x.Outcome == schedules.Begun && now.Before(ends[x.Schedule+x.ID])
		}
		d := schedules.Decide(all, state, schedules.Seed("a seed of the tests"), now)
		for _, x := range d.Skip {
			out = append(out, happen(x.Schedule.Name, x.Occasion.ID, schedules.Skipped, x.Why, now, 0))
			state.Settled = append(state.Settled, schedules.Settled{Schedule: x.Schedule.Name, ID: x.Occasion.ID, Outcome: schedules.Skipped, At: now})
		}
		for _, x := range d.Start {
			out = append(out, happen(x.Schedule.Name, x.Occasion.ID, schedules.Begun, "", now, x.MadeUp))
			state.Settled = append(state.Settled, schedules.Settled{Schedule: x.Schedule.Name, ID: x.Occasion.ID, Outcome: schedules.Begun, At: now, Holds: x.Schedule.Holds()})
			ends[x.Schedule.Name+x.Occasion.ID] = now.Add(tookOf(x.Schedule, x.Occasion.ID))
		}
		state.Since = d.Through
		now = d.Wake
	}
	return sorted(out)
}

// soon is how much later than due something may be begun here: processes start one after the other.
const soon = 10 * time.Second

// TestDays lets a server go through six days with two changes of the clock and a freeze, ended and started again some fifteen times, once
// for a day and a half. Runs go on meanwhile. What became of each occasion, and when, is what the rules say.
func TestDays(t *testing.T) {
	for name, down := range map[string][]schedules.Span{"always there": nil, "ended and started again": away()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && down == nil {
				t.Skip("the other one shows more")
			}
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				all := subjects(t)
				r.calendar("v1", all...)
				r.took = tookOf
				c := r.config(r.file("days.hcl", "v1"))
				time.Sleep(time.Until(daysFrom))
				for _, d := range down {
					_, end := r.serve(c)
					time.Sleep(time.Until(d.From))
					end()
					time.Sleep(time.Until(d.To))
				}
				_, end := r.serve(c)
				time.Sleep(time.Until(daysTo))
				end()
				r.children.Wait()
				var got []happened
				for _, k := range r.kept() {
					if k.At.Before(daysTo) {
						got = append(got, happen(k.Schedule, k.Occasion, k.Outcome, k.Why, k.At, k.MadeUp))
					}
				}
				sorted(got)
				want := divine(t, all, down)
				near := cmp.Comparer(func(a, b happened) bool { return a.what == b.what && b.at.Sub(a.at).Abs() < soon })
				if diff := cmp.Diff(want, got, near); diff != "" {
					t.Errorf("what became of occasions (-rules +server):\n%s", diff[:min(len(diff), 6000)])
				}
				if text := r.says(); text != "" {
					t.Errorf("it says:\n%s", text)
				}
				r.toldOnce(down == nil)
				t.Logf("%d occasions", len(got))
				if len(got) < 250 {
					t.Errorf("only %d occasions: the test shows little", len(got))
				}
			})
		})
	}
}

// toldOnce fails when something was told twice by one server, or told of an end without a begin.
func (r *rig) toldOnce(one bool) {
	r.t.Helper()
	seen := map[string]bool{}
	for _, line := range r.told {
		if seen[line] && one {
			r.t.Errorf("told twice: %s", line)
		}
		seen[line] = true
		if what, of, _ := strings.Cut(line, " "); what == string(Ended) && !seen[string(Begun)+" "+of] {
			r.t.Errorf("told of the end and not of the begin: %s", of)
		}
	}
	for _, k := range r.kept() {
		if !k.At.Before(daysTo) {
			continue // nobody was there any more
		}
		of := k.Schedule + " " + k.Occasion
		if k.Outcome == schedules.Skipped && !seen["skipped "+of] || k.Outcome == schedules.Begun && !seen["begun "+of] {
			r.t.Errorf("nobody was told of %s", of)
		}
	}
}
