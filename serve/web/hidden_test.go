package web_test

import (
	"strings"
	"testing"
	"time"

	"gameday/internal/siterig"
	"gameday/room"
	"gameday/serve/web"
)

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
