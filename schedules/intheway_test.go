package schedules

import (
	"testing"
	"time"
)

// TestInTheWay reads from the reasons of skips what was in the way.
func TestInTheWay(t *testing.T) {
	own, by := InTheWay{Schedule: "surprise, is", Occasion: "2026-12-01T10:00"}, InTheWay{Run: "20261201-101500-checkout"}
	beside := InTheWay{Calendar: "days", Schedule: "nightly", Occasion: "2026-12-01T10:00"}
	for why, want := range map[string]InTheWay{
		`schedule "surprise, is", 2026-12-01T10:00, is in progress and holds shop`:        own,
		`schedule "surprise, is", 2026-12-01T10:00, begins first and holds shop`:          own,
		`schedule "nightly" of days, 2026-12-01T10:00, is in progress and holds of, shop`: beside,
		"run 20261201-101500-checkout of ann (uid 7) is in progress and holds shop":       by,
		"the run of 2026-12-01T10:00 is still in progress":                                {},
		"frozen: Sales (sales.ics)":                                   {},
		"an incident is open: the disk is in progress and holds shop": {},
		`schedule "nightly is in progress and holds shop`:             {},
		`schedule "nightly" is in progress and holds shop`:            {},
		`schedule "nightly"days, x, is in progress and holds shop`:    {},
		"run of is in progress and holds shop":                        {},
	} {
		got, ok := ParseInTheWay(why)
		if ok != (want != InTheWay{}) || ok && got != want {
			t.Errorf("of %q it is %+v, %v", why, got, ok)
		}
	}
}

// TestInTheWayOfDecide reads what Decide has written, of each kind.
func TestInTheWayOfDecide(t *testing.T) {
	at := time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC)
	daily := func(name string) *Schedule {
		return &Schedule{Name: name, Items: item(time.Hour, "shop"), Cron: mustCron(t, "0 10 * * *"), Zone: time.UTC}
	}
	for _, tt := range []struct {
		all   []*Schedule
		state State
		want  InTheWay
	}{
		{[]*Schedule{daily("b"), daily("a")}, State{}, InTheWay{Schedule: "b", Occasion: "2026-12-01T10:00"}},
		{[]*Schedule{daily("a")}, State{Settled: []Settled{{Schedule: "c", ID: "x", Outcome: Begun, At: at, Running: true, Holds: []string{"shop"}}}}, InTheWay{Schedule: "c", Occasion: "x"}},
		{[]*Schedule{daily("a")}, State{Held: []Held{{What: "run r1 of ann", Holds: []string{"shop"}}}}, InTheWay{Run: "r1"}},
	} {
		d := Decide(tt.all, tt.state, nil, at)
		if len(d.Skip) != 1 || d.Skip[0].Schedule.Name != "a" {
			t.Fatalf("%+v", d)
		}
		if got, ok := ParseInTheWay(d.Skip[0].Why); !ok || got != tt.want || !Collision(d.Skip[0].Why) {
			t.Errorf("of %q it is %+v, %v", d.Skip[0].Why, got, ok)
		}
	}
}
