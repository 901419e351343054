package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"gameday/schedules"
)

// noon is what a calendar says that is tried in real time, so that it means the same whenever that is.
type noon struct {
	zone   string    // in which the clock shows past twelve: far from midnight, when windows close
	anchor time.Time // of periods of a year, as midnight in UTC: half a year away from when one ends and the next begins
}

// noonAt returns it for tests that begin at an instant.
func noonAt(now time.Time) noon {
	now = now.UTC()
	return noon{zone: fmt.Sprintf("Etc/GMT%+d", now.Hour()-12), // those to the east have a minus
		anchor: time.Date(now.Year(), now.Month()-6, 1, 0, 0, 0, 0, time.UTC)}
}

// date is the anchor as calendars write it.
func (n noon) date() string { return n.anchor.Format(time.DateOnly) }

// days counts the days of the year from the anchor on.
func (n noon) days() int { return int(n.anchor.AddDate(1, 0, 0).Sub(n.anchor).Hours() / 24) }

// location is the zone.
func (n noon) location(t testing.TB) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(n.zone)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// variables are those of scripts that have their names, and of texts.
func (n noon) variables() map[string]string {
	return map[string]string{"NOON_ZONE": n.zone, "ANCHOR": n.date(), "YEAR_DAYS": strconv.Itoa(n.days())}
}

// fill puts zone and anchor where a calendar says $NOON_ZONE and $ANCHOR.
func (n noon) fill(text string) string {
	for name, value := range n.variables() {
		text = strings.ReplaceAll(text, "$"+name, value)
	}
	return text
}

// noonCommand fills in calendars where they are: noon FILE….
func noonCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: noon FILE…")
	}
	for _, file := range args {
		text := ts.ReadFile(file)
		for _, name := range []string{"NOON_ZONE", "ANCHOR"} {
			if !strings.Contains(text, "$"+name) {
				ts.Fatalf("%s does not say $%s", file, name)
			}
			text = strings.ReplaceAll(text, "$"+name, ts.Getenv(name))
		}
		ts.Check(os.WriteFile(ts.MkAbs(file), []byte(text), 0o644))
	}
}

// TestNoon tries what tests in real time rely on at every hour of days that are about to be others: what comes once a year, on a whole day, is open, also for as long as the longest
// test goes on, and nothing else opens in the day after.
func TestNoon(t *testing.T) {
	for day, want := range map[string]struct {
		anchor string
		days   int
	}{
		"2026-11-30": {"2026-05-01", 365},
		"2026-12-31": {"2026-06-01", 365},
		"2027-01-01": {"2026-07-01", 365},
		"2027-03-28": {"2026-09-01", 365}, // clocks go forward in Europe
		"2027-08-31": {"2027-02-01", 365}, // there is none of February
		"2027-10-31": {"2027-04-01", 366}, // clocks go back in Europe
		"2028-02-28": {"2027-08-01", 366},
		"2028-02-29": {"2027-08-01", 366},
		"2028-03-01": {"2027-09-01", 366},
		"2028-12-31": {"2028-06-01", 365},
	} {
		midnight, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		for hour := range 24 {
			for _, now := range []time.Time{midnight.Add(time.Duration(hour) * time.Hour), midnight.Add(time.Duration(hour+1)*time.Hour - time.Nanosecond)} {
				n := noonAt(now)
				zone := n.location(t)
				if n.date() != want.anchor || n.days() != want.days || now.In(zone).Hour() != 12 || now.In(zone).Format(time.DateOnly) != day {
					t.Fatalf("at %s: from %s on, of %d days, it is %s", now, n.date(), n.days(), now.In(zone))
				}
				every, err := schedules.ParseEvery("12mo", n.anchor)
				if err != nil {
					t.Fatal(err)
				}
				s := &schedules.Schedule{Name: "yearly", Zone: zone, Every: every, Window: &schedules.Window{To: 24 * time.Hour}, Items: []schedules.Item{{Scenario: "a", Length: time.Minute}}}
				first := true
				for o := range s.Upcoming(now, nil) {
					if !first {
						if o.Opens().Before(now.AddDate(0, 4, 0)) {
							t.Fatalf("at %s: the next is of %s", now, o.ID)
						}
						break
					}
					first = false
					open := false
					for _, x := range o.Starts {
						open = open || !x.From.After(now) && x.To.After(now.Add(10*time.Hour))
					}
					if o.ID != want.anchor || len(o.Windows) != want.days || !open {
						t.Fatalf("at %s: that of %s, of %d days, is open: %v", now, o.ID, len(o.Windows), open)
					}
				}
			}
		}
	}
}
