package policy_test

import (
	"testing"
	"time"
	_ "time/tzdata" // zones whose clocks jump at midnight, wherever this runs

	"pgregory.net/rapid"

	"gameday/policy"
)

func berlin(t testing.TB) *time.Location {
	t.Helper()
	l, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// hoursOnly is a policy with nothing but hours.
func hoursOnly(h ...policy.Hours) *policy.Policy {
	return &policy.Policy{Format: policy.Format, Hours: h}
}

func fits(p *policy.Policy, from time.Time, length time.Duration) bool {
	return len(p.Check(policy.Request{Claims: policy.Claims{Duration: length}}, from)) == 0
}

func TestHours(t *testing.T) {
	zone := berlin(t)
	hour := time.Hour
	night := policy.Hours{Days: []time.Weekday{time.Friday}, From: 22 * hour, To: 6 * hour, Zone: "Europe/Berlin"}
	whole := policy.Hours{From: 0, To: 24 * hour, Zone: "Europe/Berlin"}
	early := policy.Hours{From: 6 * hour, To: 12 * hour, Zone: "Europe/Berlin"}
	late := policy.Hours{From: 12 * hour, To: 18 * hour, Zone: "Europe/Berlin"}
	at := func(month time.Month, day, h, m int) time.Time { return time.Date(2026, month, day, h, m, 0, 0, zone) }
	for _, tc := range []struct {
		name   string
		hours  []policy.Hours
		from   time.Time
		length time.Duration
		want   bool
	}{
		{"Friday night", []policy.Hours{night}, at(9, 18, 23, 0), hour, true},
		{"over midnight into Saturday", []policy.Hours{night}, at(9, 18, 23, 0), 6 * hour, true},
		{"Saturday morning belongs to Friday", []policy.Hours{night}, at(9, 19, 5, 0), hour, true},
		{"to the last instant", []policy.Hours{night}, at(9, 19, 5, 0), hour + time.Nanosecond, false},
		{"Friday morning belongs to Thursday", []policy.Hours{night}, at(9, 18, 5, 0), hour, false},
		{"Saturday night", []policy.Hours{night}, at(9, 19, 23, 0), hour, false},
		{"a whole day after the other", []policy.Hours{whole}, at(9, 18, 23, 0), 100 * hour, true},
		{"one span after the other", []policy.Hours{late, early}, at(9, 18, 11, 0), 6 * hour, true},
		{"and past both", []policy.Hours{early, late}, at(9, 18, 11, 0), 8 * hour, false},
		{"an end that is a begin", []policy.Hours{early}, at(9, 18, 12, 0), 0, false},
		// On 2026-10-25 the clock goes back from 3:00 to 2:00: the night has nine hours, by the clock on the wall eight.
		{"the night the clock goes back", []policy.Hours{{From: 22 * hour, To: 6 * hour, Zone: "Europe/Berlin"}}, at(10, 24, 22, 0), 9 * hour, true},
		{"and not ten", []policy.Hours{{From: 22 * hour, To: 6 * hour, Zone: "Europe/Berlin"}}, at(10, 24, 22, 0), 10 * hour, false},
		// On 2026-03-29 it goes forward: seven hours.
		{"the night it goes forward", []policy.Hours{{From: 22 * hour, To: 6 * hour, Zone: "Europe/Berlin"}}, at(3, 28, 22, 0), 7 * hour, true},
		{"and not eight", []policy.Hours{{From: 22 * hour, To: 6 * hour, Zone: "Europe/Berlin"}}, at(3, 28, 22, 0), 8 * hour, false},
		{"a zone that cannot be known", []policy.Hours{{From: 0, To: 24 * hour, Zone: "Mars/Base"}}, at(9, 18, 12, 0), 0, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := fits(hoursOnly(tc.hours...), tc.from, tc.length); got != tc.want {
				t.Errorf("fits: %v, want %v", got, tc.want)
			}
		})
	}
}

// TestHoursProperty compares, minute by minute, with what a clock on the wall says.
func TestHoursProperty(t *testing.T) {
	zone := berlin(t)
	rapid.Check(t, func(t *rapid.T) {
		from := rapid.IntRange(0, 24*60-1).Draw(t, "from")
		to := rapid.IntRange(0, 24*60).Filter(func(n int) bool { return n != from }).Draw(t, "to")
		days := rapid.SliceOfDistinct(rapid.Map(rapid.IntRange(0, 6), func(n int) time.Weekday { return time.Weekday(n) }),
			func(d time.Weekday) time.Weekday { return d }).Draw(t, "days")
		p := hoursOnly(policy.Hours{Days: days, From: time.Duration(from) * time.Minute, To: time.Duration(to) * time.Minute, Zone: "Europe/Berlin"})
		// In June no clock jumps.
		now := time.Date(2026, 6, 1, 0, rapid.IntRange(0, 14*24*60).Draw(t, "minute"), 0, 0, zone)
		minute := now.Hour()*60 + now.Minute()
		on := func(d time.Weekday) bool {
			for _, x := range days {
				if x == d {
					return true
				}
			}
			return len(days) == 0
		}
		want := on(now.Weekday()) && minute >= from && (minute < to || to <= from)
		if to <= from && on((now.Weekday()+6)%7) && minute < to {
			want = true
		}
		if got := fits(p, now, 0); got != want {
			t.Fatalf("%s in %d–%d on %v: %v, want %v", now, from, to, days, got, want)
		}
	})
}

func TestFreeze(t *testing.T) {
	p := &policy.Policy{Format: policy.Format, Freezes: []policy.Freeze{{Name: "peak", From: noon, To: noon.Add(time.Hour)}}}
	for name, tc := range map[string]struct {
		from   time.Time
		length time.Duration
		want   bool
	}{
		"before":                {noon.Add(-time.Minute), 30 * time.Second, true},
		"until the very begin":  {noon.Add(-time.Minute), time.Minute, false},
		"in it":                 {noon, 0, false},
		"at its end":            {noon.Add(time.Hour), 0, true},
		"all the way around it": {noon.Add(-time.Hour), 3 * time.Hour, false},
	} {
		if got := fits(p, tc.from, tc.length); got != tc.want {
			t.Errorf("%s: fits %v, want %v", name, got, tc.want)
		}
	}
}

// midnights are zones whose clocks jump at midnight, with a date near that.
var midnights = []struct {
	zone  string
	month time.Month
	year  int
	day   int // the one that begins at 1:00, or whose eve has its last hour twice
}{
	{"America/Santiago", time.September, 2026, 6}, {"America/Havana", time.March, 2026, 8}, {"America/Asuncion", time.October, 2023, 1},
	{"America/Santiago", time.April, 2026, 5}, {"America/Asuncion", time.March, 2023, 26},
}

// TestHoursAtMidnight checks the days around a midnight at which the clock jumps, a Sunday's each time.
func TestHoursAtMidnight(t *testing.T) {
	for _, m := range midnights {
		zone, err := time.LoadLocation(m.zone)
		if err != nil {
			t.Fatal(err)
		}
		for _, tc := range []struct {
			on                time.Weekday
			day, hour, minute int
			want              bool
		}{
			{time.Saturday, m.day, 12, 0, false}, {time.Saturday, m.day, 1, 30, false}, {time.Saturday, m.day - 1, 12, 0, true},
			{time.Saturday, m.day - 1, 23, 30, true}, {time.Saturday, m.day - 1, 0, 0, true}, {time.Saturday, m.day + 1, 0, 0, false},
			{time.Sunday, m.day, 12, 0, true}, {time.Sunday, m.day, 1, 0, true}, {time.Sunday, m.day, 23, 59, true},
			{time.Sunday, m.day - 1, 23, 30, false}, {time.Sunday, m.day - 1, 23, 0, false}, {time.Sunday, m.day + 1, 0, 0, false},
			{time.Monday, m.day, 23, 59, false}, {time.Monday, m.day + 1, 0, 0, true},
		} {
			p := hoursOnly(policy.Hours{Days: []time.Weekday{tc.on}, From: 0, To: 24 * time.Hour, Zone: m.zone})
			now := time.Date(m.year, m.month, tc.day, tc.hour, tc.minute, 0, 0, zone)
			if got := fits(p, now, 0); got != tc.want {
				t.Errorf("on %s: %s (%s): %v, want %v", tc.on, now, now.Weekday(), got, tc.want)
			}
		}
	}
}

// TestWholeDays compares, where clocks jump at midnight, a day of the policy with the day that the clock on the wall is on.
func TestWholeDays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.SampledFrom(midnights).Draw(t, "midnight")
		zone, err := time.LoadLocation(m.zone)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Date(m.year, m.month, m.day, 12, rapid.IntRange(-36*60, 36*60).Draw(t, "minutes from noon"), 0, 0, time.UTC).In(zone)
		day := time.Weekday(rapid.IntRange(0, 6).Draw(t, "day"))
		p := hoursOnly(policy.Hours{Days: []time.Weekday{day}, From: 0, To: 24 * time.Hour, Zone: m.zone})
		if got, want := fits(p, now, 0), now.Weekday() == day; got != want {
			t.Fatalf("%s on %s: %v, want %v", now, day, got, want)
		}
	})
}
