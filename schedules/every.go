package schedules

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Unit is what Every counts.
type Unit string

// The units.
const (
	Days   Unit = "d"
	Weeks  Unit = "w"
	Months Unit = "mo"
)

// Every is one occasion in each period of so many days, weeks or months. Periods begin at midnight, the first of them at
// Anchor's, and there are some before it as well.
type Every struct {
	N      int
	Unit   Unit
	Anchor time.Time // a date, as midnight in UTC
}

// DefaultAnchor is from when periods are counted where a schedule does not say: a Monday, and the first of a month and a year.
var DefaultAnchor = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

var everyForm = regexp.MustCompile(`^([1-9][0-9]{0,3})(d|w|mo)$`)

// ParseEvery reads "1d", "2w" or "3mo", at most a year.
func ParseEvery(text string, anchor time.Time) (*Every, error) {
	m := everyForm.FindStringSubmatch(text)
	if m == nil {
		return nil, fmt.Errorf("%q is not a number of days, weeks or months, such as \"3d\", \"1w\" or \"1mo\"", text)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return nil, err
	}
	e := &Every{n, Unit(m[2]), day(anchor)}
	if limit := map[Unit]int{Days: 366, Weeks: 53, Months: 12}[e.Unit]; n > limit {
		return nil, fmt.Errorf("%q is longer than a year", text)
	}
	if e.Unit == Months && e.Anchor.Day() > 28 {
		return nil, fmt.Errorf("not every month has a day %d for a period to begin on; take an anchor up to the 28th", e.Anchor.Day())
	}
	return e, nil
}

// String returns "1w".
func (e *Every) String() string { return fmt.Sprintf("%d%s", e.N, e.Unit) }

// begin returns the midnight at which the period n begins.
func (e *Every) begin(n int) time.Time {
	switch e.Unit {
	case Weeks:
		return e.Anchor.AddDate(0, 0, 7*e.N*n)
	case Months:
		return e.Anchor.AddDate(0, e.N*n, 0)
	default:
		return e.Anchor.AddDate(0, 0, e.N*n)
	}
}

// period returns which period holds a civil time.
func (e *Every) period(c time.Time) int {
	days := map[Unit]float64{Days: 1, Weeks: 7, Months: 30.44}[e.Unit] * float64(e.N)
	n := int(c.Sub(e.Anchor).Hours() / 24 / days)
	for e.begin(n).After(c) {
		n--
	}
	for !e.begin(n + 1).After(c) {
		n++
	}
	return n
}
