package schedules

import "time"

// A civil time is what the clock on the wall shows: a time.Time in UTC whose date and time of the day are meant as those of
// some zone.

// civil returns what the clock on the wall of a zone shows at an instant.
func civil(t time.Time, zone *time.Location) time.Time {
	l := t.In(zone)
	return time.Date(l.Year(), l.Month(), l.Day(), l.Hour(), l.Minute(), l.Second(), 0, time.UTC)
}

// day returns the midnight at which a civil time's day begins.
func day(c time.Time) time.Time {
	return time.Date(c.Year(), c.Month(), c.Day(), 0, 0, 0, 0, time.UTC)
}

// farthest is more than any zone is away from UTC.
const farthest = 16 * time.Hour

// At returns the instant at which the clock on the wall of a zone shows the date and the time of the day that c has in UTC:
// the first one, where it is shown twice, and the instant of the jump, where the clock jumps over it.
func At(c time.Time, zone *time.Location) time.Time {
	t := c.Add(-farthest).In(zone)
	for {
		_, offset := t.Zone()
		begin, end := t.ZoneBounds()
		if !end.IsZero() && !end.After(t) {
			// On the last day of a leap year after 2037 the library (Go 1.26) answers with that day's midnight in UTC.
			end = t.Add(time.Hour)
		}
		shown := c.Add(-time.Duration(offset) * time.Second).In(zone)
		switch {
		case !begin.IsZero() && shown.Before(begin):
			return begin
		case end.IsZero() || shown.Before(end):
			return shown
		}
		t = end
	}
}
