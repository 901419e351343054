package schedules

import (
	"testing"
	"time"
)

// TestCollision knows the reasons that name what else holds something, and no other ones.
func TestCollision(t *testing.T) {
	now := time.Date(2026, 12, 8, 10, 0, 0, 0, time.UTC)
	first := &Schedule{Name: "first", Items: item(time.Hour, "shop"), Cron: mustCron(t, "0 10 * * *"), Zone: time.UTC}
	second := &Schedule{Name: "second", Items: item(time.Hour, "shop"), Cron: mustCron(t, "0 10 * * *"), Zone: time.UTC}
	since := map[string]time.Time{"first": now.Add(-time.Hour), "second": now.Add(-time.Hour)}
	for what, tt := range map[string]struct {
		state State
		all   []*Schedule
		want  bool
	}{
		"a run by hand":        {State{Since: since, Held: []Held{{What: "run x of ann", Holds: []string{"shop"}}}}, []*Schedule{first}, true},
		"another schedule":     {State{Since: since, Settled: []Settled{{Schedule: "second", ID: "x", Outcome: Begun, Running: true, Holds: []string{"shop"}}}}, []*Schedule{first}, true},
		"one at the same time": {State{Since: since}, []*Schedule{first, second}, true},
		"its own run":          {State{Since: since, Settled: []Settled{{Schedule: "first", ID: "2026-12-07T10:00", Outcome: Begun, Running: true, Holds: []string{"shop"}}}}, []*Schedule{first}, false},
	} {
		d := Decide(tt.all, tt.state, nil, now)
		if len(d.Skip) != 1 || Collision(d.Skip[0].Why) != tt.want {
			t.Errorf("%s: %+v, a collision is %v", what, d.Skip, tt.want)
		}
	}
	d := Decide([]*Schedule{first}, State{Since: map[string]time.Time{"first": now.Add(-24 * time.Hour)}}, nil, now.Add(2*time.Hour))
	if len(d.Skip) == 0 || Collision(d.Skip[0].Why) {
		t.Errorf("what was missed: %+v", d.Skip)
	}
}
