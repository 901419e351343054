package web_test

import (
	"strings"
	"testing"
	"time"

	"gameday/internal/siterig"
	"gameday/report"
	"gameday/report/history"
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

// TestWhyItWasSkipped: what was in the way of a game day is told to those who play when they may know of all of its runs and none of them goes on, and
// else the page is the same as for any other reason.
func TestWhyItWasSkipped(t *testing.T) {
	day := siterig.Now.Truncate(24*time.Hour).AddDate(0, 0, -1)
	page := func(role room.Role, inTheWay ...string) string {
		run := func(folder string, blind, over, going bool) web.Run {
			return web.Run{Entry: history.Entry{Folder: folder, Run: folder, Scenario: folder, Started: day, End: report.EndComplete}, Blind: blind, Over: over, Going: going}
		}
		d := &siterig.Data{R: web.Runs{All: []web.Run{run("was-blind", true, true, false), run("was-open", false, true, false), run("goes-on", false, false, true), run("hidden", true, false, false)}},
			O: []web.Occasion{{Schedule: "open", Scenarios: []string{"open"}, Opens: day, Closes: day.Add(time.Hour), Moment: day, Zone: time.UTC, Fate: web.Skipped, Why: "it was in the way", InTheWay: inTheWay}}}
		return rigged(t, d).get(t, role, "/calendar")
	}
	for _, tt := range []struct {
		inTheWay []string
		told     bool
	}{
		{nil, false}, {[]string{"was-blind"}, true}, {[]string{"was-open"}, true}, {[]string{"was-blind", "was-open"}, true}, {[]string{"hidden"}, false}, {[]string{"was-blind", "hidden"}, false},
		{[]string{"goes-on"}, false}, {[]string{"nothing"}, false},
	} {
		for _, role := range []room.Role{room.Responder, room.Observer} {
			got := page(role, tt.inTheWay...)
			if told := strings.Contains(got, "it was in the way"); told != tt.told || !told && got != page(role) {
				t.Errorf("with %v in the way %s is told: %v", tt.inTheWay, role, told)
			}
		}
		if !strings.Contains(page(room.Facilitator, tt.inTheWay...), "it was in the way") {
			t.Errorf("with %v in the way a facilitator is not told", tt.inTheWay)
		}
	}
}
