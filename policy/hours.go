package policy

import (
	"fmt"
	"slices"
	"time"
)

// clockDay is the length of a day by the clock on the wall, which a day with a change of time is not.
const clockDay = 24 * time.Hour

// Hours is a span of the day on some days of the week, in a time zone.
type Hours struct {
	Days []time.Weekday `json:"days"` // those on which the span begins; none means every day
	// From and To are times of the day by the clock on the wall, since midnight. To is up to 24h; when it is not later
	// than From, the span ends on the next day.
	From time.Duration `json:"from"`
	To   time.Duration `json:"to"`
	Zone string        `json:"time_zone"` // a name of the tz database
}

// Freeze is a time in which nothing may run.
type Freeze struct {
	Name string    `json:"name"`
	From time.Time `json:"from"`
	To   time.Time `json:"to"` // the first instant after it
	Why  string    `json:"why,omitempty"`
}

func (h Hours) validate() error {
	if _, err := time.LoadLocation(h.Zone); err != nil {
		return fmt.Errorf("hours: %w", err)
	}
	if h.From < 0 || h.From >= clockDay || h.To < 0 || h.To > clockDay || h.From == h.To {
		return fmt.Errorf("hours from %s to %s are not a span of the day", wall(h.From), wall(h.To))
	}
	for _, d := range h.Days {
		if d < time.Sunday || d > time.Saturday {
			return fmt.Errorf("hours: there is no day %d of the week", d)
		}
	}
	return nil
}

// span returns when the hours that begin on a date begin and end. The clock on the wall decides: on a day on which it
// jumps, the span is an hour shorter or longer. An end before the begin is no span.
func (h Hours) span(year int, month time.Month, day int, zone *time.Location) (begin, end time.Time) {
	to := h.To
	if to <= h.From {
		to += clockDay
	}
	at := func(d time.Duration) time.Time {
		return shownAt(time.Date(year, month, day, int(d/time.Hour), int(d%time.Hour/time.Minute), int(d%time.Minute/time.Second), 0, time.UTC), zone)
	}
	return at(h.From), at(to)
}

// shownAt returns when the clock on the wall of a zone shows what clock shows. A time that it jumps over is when it jumps.
func shownAt(clock time.Time, zone *time.Location) time.Time {
	year, month, day := clock.Date()
	t := time.Date(year, month, day, clock.Hour(), clock.Minute(), clock.Second(), 0, zone)
	_, offset := t.Zone()
	before, after := t.ZoneBounds()
	switch shown := t.Add(time.Duration(offset) * time.Second); {
	case shown.Before(clock):
		return after
	case shown.After(clock):
		return before
	}
	return t
}

// around returns the span that holds an instant, if one does.
func (h Hours) around(t time.Time) (end time.Time, ok bool) {
	zone, err := time.LoadLocation(h.Zone)
	if err != nil {
		return time.Time{}, false
	}
	local := t.In(zone)
	for back := range 2 { // a span may have begun the day before
		year, month, day := local.Date()
		// By the calendar: where the clock jumps at midnight, an instant of that day may lie on another by the clock on the wall.
		date := time.Date(year, month, day-back, 0, 0, 0, 0, time.UTC)
		begin, till := h.span(date.Year(), date.Month(), date.Day(), zone)
		on := len(h.Days) == 0 || slices.Contains(h.Days, date.Weekday())
		if on && !t.Before(begin) && t.Before(till) && till.After(end) {
			end, ok = till, true
		}
	}
	return end, ok
}

// within reports whether hours hold the whole of a time, one after the other if need be, and if not, the first instant
// that none holds.
func within(hours []Hours, from, to time.Time) (gap time.Time, ok bool) {
	at := from
	for range 10_000 { // each step goes on by a span; no run is that long
		var reach time.Time
		for _, h := range hours {
			if end, in := h.around(at); in && end.After(reach) {
				reach = end
			}
		}
		if !reach.After(at) {
			return at, false
		}
		if !reach.Before(to) {
			return time.Time{}, true
		}
		at = reach
	}
	return at, false
}

// String returns "Mon Tue 09:00–17:00 Europe/Berlin".
func (h Hours) String() string {
	days := ""
	for _, d := range h.Days {
		days += d.String()[:3] + " "
	}
	return fmt.Sprintf("%s%s–%s %s", days, wall(h.From), wall(h.To), h.Zone)
}

// zone returns the location of the hours, or UTC.
func (h Hours) zone() *time.Location {
	if l, err := time.LoadLocation(h.Zone); err == nil {
		return l
	}
	return time.UTC
}

// wall prints a time of the day.
func wall(d time.Duration) string {
	return fmt.Sprintf("%02d:%02d", int(d/time.Hour), int(d%time.Hour/time.Minute))
}
