package web_test

import (
	"strings"
	"testing"
	"time"

	"gameday/internal/siterig"
	"gameday/room"
	"gameday/serve/web"
)

// TestOrderTellsNothing: an occasion of which something has become is answered before those of which nothing has. Where another one has the same hours,
// that does not show.
func TestOrderTellsNothing(t *testing.T) {
	opens := siterig.Now.Truncate(time.Hour)
	closes := opens.Add(6 * time.Hour)
	all := []web.Occasion{
		{Schedule: "surprise", Scenarios: []string{"surprise"}, Blind: true, Opens: opens, Closes: closes, Zone: time.UTC, Moment: opens.Add(time.Hour), Fate: web.Going},
		{Schedule: "open", Scenarios: []string{"open"}, Opens: opens, Closes: closes, Zone: time.UTC, Moment: opens, Fate: web.Skipped, Why: "an incident is open"},
		{Schedule: "surprise", Scenarios: []string{"surprise"}, Blind: true, Opens: opens, Closes: closes, Zone: time.FixedZone("CET", 3600), Fate: web.Planned},
	}
	for _, path := range []string{"/", "/calendar"} {
		for _, role := range []room.Role{room.Responder, room.Observer} {
			first := ""
			for _, order := range [][]int{{0, 1, 2}, {1, 0, 2}, {2, 1, 0}, {1, 2, 0}} {
				d := &siterig.Data{}
				for _, i := range order {
					d.O = append(d.O, all[i])
				}
				page := rigged(t, d).get(t, role, path)
				if first == "" {
					first = page
				}
				if page != first || !strings.Contains(page, "open") {
					t.Errorf("%s of %s, answered as %v, is\n%s\nand was\n%s", path, role, order, page, first)
				}
			}
		}
	}
}

// TestMissedMayBeMadeUpFor: that a blind game day did not take place is told when that is settled, and not while a run may make up for it.
func TestMissedMayBeMadeUpFor(t *testing.T) {
	day := siterig.Now.Truncate(24*time.Hour).AddDate(0, 0, -1)
	for _, forecast := range []bool{true, false} {
		d := &siterig.Data{O: []web.Occasion{{Schedule: "surprise", Blind: true, Opens: day.Add(10 * time.Hour), Closes: day.Add(16 * time.Hour), Zone: time.UTC, Fate: web.Missed, Forecast: forecast}}}
		k := rigged(t, d)
		if told := strings.Contains(k.get(t, room.Observer, "/calendar"), "did not take place"); told == forecast {
			t.Errorf("while that is open (%v) an observer is told: %v", forecast, told)
		}
		if !strings.Contains(k.get(t, room.Facilitator, "/calendar"), "missed") {
			t.Errorf("while that is open (%v) a facilitator is not told", forecast)
		}
	}
}
