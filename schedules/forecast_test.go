package schedules

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestForecast lists occasions that are frozen, settled, late, missed, and in each other's way.
func TestForecast(t *testing.T) {
	berlin := zoned(t, "Europe/Berlin")
	monday := time.Date(2026, 12, 7, 10, 5, 0, 0, berlin) // five past ten
	first := &Schedule{Name: "first", Items: item(time.Hour, "shop"), Cron: mustCron(t, "0 10 * * *"), Zone: berlin}
	second := &Schedule{Name: "second", Items: item(time.Hour, "shop"), Cron: mustCron(t, "30 10 * * tue"), Zone: berlin}
	third := &Schedule{Name: "third", Items: item(time.Hour, "shop"), Cron: mustCron(t, "0 11 * * tue"), Zone: berlin}
	secret := &Schedule{Name: "secret", Items: item(time.Hour, "shop"), Cron: mustCron(t, "0 9 * * wed"), Zone: berlin, Moment: AtRandom,
		Window:  &Window{From: at(9, 0), To: at(12, 0)},
		Freezes: []Freezer{fixed{{Name: "sales", File: "f.ics", From: time.Date(2026, 12, 16, 0, 0, 0, 0, berlin), To: time.Date(2026, 12, 17, 0, 0, 0, 0, berlin)}}}}
	all := []*Schedule{first, second, third, secret}
	state := State{Settled: []Settled{{Schedule: "first", ID: "2026-12-08T10:00", Outcome: Skipped, Why: "somebody said so", At: monday}}}
	told := func(state State, seed Seed, known func(*Schedule) bool) map[string]string {
		out := map[string]string{}
		for _, p := range Forecast(all, Coming{From: monday, Until: monday.AddDate(0, 0, 10)}, state, seed, known) {
			text := "random"
			if p.Known {
				text = p.Occasion.Moment.In(berlin).Format("15:04:05")
			}
			if p.Late {
				text = "late"
			}
			if p.Why != "" {
				text = p.Why
			}
			for _, m := range p.Maybe {
				text += "; " + m
			}
			if p.Schedule != first || p.Occasion.ID < "2026-12-10" {
				out[p.Schedule.Name+" "+p.Occasion.ID] = text
			}
		}
		return out
	}
	want := map[string]string{
		"first 2026-12-07T10:00":  "late",
		"first 2026-12-08T10:00":  "10:00:00",
		"second 2026-12-08T10:30": `schedule "first", 2026-12-08T10:00, begins first and holds shop`,
		// What does not begin is in nobody's way: not second's, which would still be in progress, and first's has just ended.
		"third 2026-12-08T11:00":  "11:00:00",
		"first 2026-12-09T10:00":  `10:00:00; schedule "secret", 2026-12-09T09:00, holds shop and may be in progress then`,
		"secret 2026-12-09T09:00": `random; schedule "first", 2026-12-09T10:00, holds shop and may be in progress then`,
		"secret 2026-12-16T09:00": "frozen: sales (f.ics), 2026-12-16 00:00 to 2026-12-17 00:00 CET",
		"second 2026-12-15T10:30": `schedule "first", 2026-12-15T10:00, begins first and holds shop`,
		"third 2026-12-15T11:00":  "11:00:00",
	}
	if diff := cmp.Diff(want, told(State{}, nil, nil)); diff != "" {
		t.Error(diff)
	}
	want["first 2026-12-08T10:00"] = "skipped: somebody said so"
	want["second 2026-12-08T10:30"] = "10:30:00"
	want["third 2026-12-08T11:00"] = `schedule "second", 2026-12-08T10:30, begins first and holds shop`
	if diff := cmp.Diff(want, told(state, nil, nil)); diff != "" {
		t.Error(diff)
	}
	seed := Seed("0123456789abcdef")
	got := told(State{}, seed, func(*Schedule) bool { return true })
	o, _ := secret.Next(monday, seed)
	both := map[string]string{"first": got["first 2026-12-09T10:00"], "secret": got["secret 2026-12-09T09:00"]}
	first1 := time.Date(2026, 12, 9, 10, 0, 0, 0, berlin)
	wanted := map[string]string{"first": "10:00:00", "secret": o.Moment.In(berlin).Format("15:04:05")}
	switch apart := o.Moment.Sub(first1); {
	case apart < 0 && apart > -time.Hour:
		wanted["first"] = `schedule "secret", 2026-12-09T09:00, begins first and holds shop`
	case apart >= 0 && apart < time.Hour:
		wanted["secret"] = `schedule "first", 2026-12-09T10:00, begins first and holds shop`
	}
	if diff := cmp.Diff(wanted, both); diff != "" {
		t.Errorf("with a known seed: %s", diff)
	}
}
