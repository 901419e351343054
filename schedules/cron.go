package schedules

import (
	"errors"
	"fmt"
	"math/bits"
	"regexp"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Cron is a cron expression of five fields. As in every cron, a day counts if it is one of the days of the month or one of
// those of the week where both are given; a field with a star gives nothing.
type Cron struct {
	text string
	spec *cron.SpecSchedule
}

// sundaySeven is Sunday as some crons number it, and the library does not.
var sundaySeven = regexp.MustCompile(`(^|[,-])7($|[,/])`)

// ParseCron reads a cron expression, or one of @yearly, @monthly, @weekly, @daily and @hourly. It names no time zone.
func ParseCron(text string) (*Cron, error) {
	switch {
	case strings.Contains(text, "TZ="):
		return nil, errors.New("the time zone of a schedule is its time_zone, and not in its cron expression")
	case strings.HasPrefix(text, "@every"):
		return nil, errors.New("@every counts from whenever a program was started; write every = \"1w\"")
	case len(text) > 200:
		return nil, errors.New("it has more than 200 characters")
	}
	if f := strings.Fields(text); len(f) == 5 && sundaySeven.MatchString(f[4]) {
		return nil, fmt.Errorf("in the day of the week, %q: Sunday is 0 or sun", f[4])
	}
	parsed, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor).Parse(text)
	if err != nil {
		return nil, err
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, fmt.Errorf("%q is not a cron expression", text)
	}
	// By the clock on the wall, which this package makes instants of itself: the library leaves out what the clock jumps over.
	spec.Location = time.UTC
	return &Cron{text, spec}, nil
}

// String returns the expression as written.
func (c *Cron) String() string { return c.text }

// The calendar is the same every 400 years, and the library looks five years ahead.
const (
	calendarYears = 400
	libraryYears  = 5
)

// next returns the first civil time after another that the expression names.
func (c *Cron) next(after time.Time) (time.Time, bool) {
	for range calendarYears/libraryYears + 1 {
		if t := c.spec.Next(after); !t.IsZero() {
			return t, true
		}
		after = time.Date(after.Year()+libraryYears, 1, 1, 0, 0, 0, -1, time.UTC)
	}
	return time.Time{}, false
}

// once returns the time of the day that the expression names, if it is one.
func (c *Cron) once() (time.Duration, bool) {
	const star = 1 << 63
	hours, minutes := c.spec.Hour&^star, c.spec.Minute&^star
	if bits.OnesCount64(hours) != 1 || bits.OnesCount64(minutes) != 1 {
		return 0, false
	}
	return time.Duration(bits.TrailingZeros64(hours))*time.Hour + time.Duration(bits.TrailingZeros64(minutes))*time.Minute, true
}

// Once returns the time of the day that the expression names, if it is one and the same on every day.
func (c *Cron) Once() (time.Duration, bool) { return c.once() }

// weekday reports whether the expression's field for the day of the week, if it gives any, names a day.
func (c *Cron) weekday(d time.Weekday) bool { return c.spec.Dow&(1<<uint(d)) != 0 }

// Fields are the sets of a cron expression. A nil set is everything.
type Fields struct {
	Minutes, Hours, Days, Months, Weekdays []int
	// Either says that a day counts if it is in Days or in Weekdays; else it must be in both.
	Either bool
}

// Fields returns the sets of the expression.
func (c *Cron) Fields() Fields {
	const star = 1 << 63
	set := func(b uint64, from, to int) []int {
		var out []int
		for i := from; i <= to; i++ {
			if b&(1<<uint(i)) != 0 {
				out = append(out, i)
			}
		}
		if len(out) == to-from+1 {
			return nil
		}
		return out
	}
	s := c.spec
	return Fields{set(s.Minute, 0, 59), set(s.Hour, 0, 23), set(s.Dom, 1, 31), set(s.Month, 1, 12), set(s.Dow, 0, 6), s.Dom&star == 0 && s.Dow&star == 0}
}
