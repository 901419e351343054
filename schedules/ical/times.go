package ical

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"gameday/schedules"
)

// zone makes instants of what the clock on the wall shows.
type zone interface {
	// at returns the instant; c has the date and the time of the day in UTC.
	at(c time.Time) time.Time
	// shown returns what the clock shows at an instant.
	shown(t time.Time) time.Time
}

// place is a zone of the tz database.
type place struct{ *time.Location }

func (p place) at(c time.Time) time.Time { return schedules.At(c, p.Location) }

func (p place) shown(t time.Time) time.Time {
	l := t.In(p.Location)
	return time.Date(l.Year(), l.Month(), l.Day(), l.Hour(), l.Minute(), l.Second(), 0, time.UTC)
}

// moment is a date or a time as a file writes it.
type moment struct {
	civil time.Time // by the clock on the wall of zone
	date  bool
	zone  zone
	utc   bool
}

func (m moment) instant() time.Time { return m.zone.at(m.civil) }

// The years that a calendar may speak of: what lies beyond is a mistake, or a recurrence without an end from the beginning of time.
const firstYear, lastYear = 1900, 2200

// moment reads a value of DTSTART and its like.
func (c *calendar) moment(p property, value string) (moment, error) {
	z := c.floating
	tzid := p.param("TZID")
	if tzid != "" {
		var err error
		if z, err = c.zone(tzid); err != nil {
			return moment{}, err
		}
	}
	kind := strings.ToUpper(p.param("VALUE"))
	var m moment
	t, err := time.Parse("20060102", value)
	switch {
	case err == nil && kind == "DATE-TIME":
		return m, fmt.Errorf("%s is a date, and VALUE says that it is a time", short(value))
	case err == nil:
		m = moment{civil: t, date: true, zone: c.floating}
	case kind == "DATE":
		return m, fmt.Errorf("%s is not a date such as 20261224", short(value))
	default:
		text, utc := strings.CutSuffix(value, "Z")
		if t, err = time.Parse("20060102T150405", text); err != nil {
			return m, fmt.Errorf("%s is neither a date such as 20261224 nor a time such as 20261224T180000", short(value))
		}
		m = moment{civil: t, zone: z}
		if utc && tzid != "" && tzid != "UTC" {
			return m, fmt.Errorf("%s is in UTC by its Z and in %s by its TZID", short(value), tzid)
		}
		if utc {
			m.zone, m.utc = place{time.UTC}, true
		}
	}
	if y := t.Year(); y < firstYear || y > lastYear {
		return m, fmt.Errorf("the year %d is not between %d and %d", y, firstYear, lastYear)
	}
	return m, nil
}

// span is a DURATION: days by the calendar, and the rest by the clock.
type span struct {
	days  int
	exact time.Duration
}

var durationForm = regexp.MustCompile(`^([+-]?)P(?:(\d{1,5})W|(?:(\d{1,5})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,8})M)?(?:(\d{1,9})S)?)?)$`)

// duration reads a DURATION. It may not be negative or nothing.
func duration(value string) (span, error) {
	m := durationForm.FindStringSubmatch(strings.ToUpper(value))
	if m == nil || strings.HasSuffix(strings.ToUpper(value), "T") || strings.HasSuffix(strings.ToUpper(value), "P") {
		return span{}, fmt.Errorf("%s is not a duration such as P1D, PT2H30M or P2W", short(value))
	}
	n := func(i int) int {
		v, _ := strconv.Atoi(m[i]) // some digits, as matched, or none
		return v
	}
	s := span{7*n(2) + n(3), time.Duration(n(4))*time.Hour + time.Duration(n(5))*time.Minute + time.Duration(n(6))*time.Second}
	if m[1] == "-" || s == (span{}) {
		return span{}, fmt.Errorf("the duration %s is none that something could be frozen for", short(value))
	}
	if s.days > 3660 || s.exact > 3660*24*time.Hour {
		return span{}, fmt.Errorf("the duration %s is longer than ten years", short(value))
	}
	return s, nil
}

// end returns when something that begins at a time by the clock on the wall ends.
func (s span) end(civil time.Time, z zone) time.Time {
	return z.at(civil.AddDate(0, 0, s.days)).Add(s.exact)
}
