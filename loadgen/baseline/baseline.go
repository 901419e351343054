// Package baseline finds out what 1x is from what a service was really asked: from the samples of a metric, from an access
// log, or from the seconds of an earlier run. A rate comes with its uncertainty, with what it stands on and how old that is.
// Data that is missing, stale, full of gaps or contradictory is an error that says so and what to do, never a rate of zero.
//
// The package reads no clock, and touches no file but the log that it is named.
package baseline

import (
	"errors"
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"time"
	_ "time/tzdata" // "same weekday and hour" means the same on a machine without time zones

	"gameday/clock"
)

const (
	// Confidence is the level of every interval.
	Confidence = 0.95
	// MinSamples is how few samples are no measurement.
	MinSamples = 3
	// MinCoverage is the share of the time asked for that the data must cover.
	MinCoverage = 0.80
	// DefaultQuantile is what of the samples is 1x where nothing else is asked for: what is passed in a twentieth of the time.
	DefaultQuantile = 0.95
)

// Measured is a rate with its uncertainty and what it stands on. It is kept in the record. Durations are nanoseconds.
type Measured struct {
	Rate float64 `json:"rate"` // per second
	// Low and High bound the rate at the level Confidence. High is 0 when the samples are too few to bound it from above.
	Low  float64 `json:"low"`
	High float64 `json:"high,omitempty"`
	// Statistic is what of the samples the rate is: "0.95 quantile", "mean".
	Statistic string `json:"statistic"`
	Samples   int    `json:"samples"`
	// Worth is how many independent samples these are worth: what follows upon each other is alike.
	Worth  int           `json:"worth"`
	Each   time.Duration `json:"each"`   // what one sample is the mean of
	Chosen string        `json:"chosen"` // which they are: "Sat 20:00 to 21:00 UTC of 2 weeks"
	From   time.Time     `json:"from"`   // the begin of the oldest
	To     time.Time     `json:"to"`     // the end of the newest
	// Notes are what is allowed and looks doubtful.
	Notes []string `json:"notes,omitempty"`
	// Mix is what was asked for; only logs tell.
	Mix *Mix `json:"mix,omitempty"`
}

// Sample is the mean rate over some time that ends at At.
type Sample struct {
	At    time.Time
	Value float64 // per second
}

// errZero says that nothing was asked. Three times nothing is nothing.
var errZero = errors.New("the rate is 0, and no multiple of it is traffic: choose a time in which the service was asked for something, " +
	"or give the rate yourself")

// settled refuses what is no rate to multiply.
func settled(m *Measured) (*Measured, error) {
	if m.Rate <= 0 {
		return nil, errZero
	}
	return m, nil
}

// ownTraffic says of how many samples game days sent a part themselves. What they sent is no traffic of the service, and a
// multiple of it would grow from each game day to the next.
func ownTraffic(samples []Sample, each time.Duration, ours []clock.Span) string {
	n, last := 0, time.Time{}
	ours = clock.Merge(ours)
	for _, s := range samples {
		from := sort.Search(len(ours), func(i int) bool { return ours[i].End.After(s.At.Add(-each)) })
		if from < len(ours) && ours[from].Start.Before(s.At) {
			n, last = n+1, ours[from].Start
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("of %d of the %d samples a part may be what a game day sent, the last one from %s on: if it was to this "+
		"service, leave it out in what is measured, or choose another time", n, len(samples), stamp(last))
}

// tooFew says how many samples there are, and how many are needed.
func tooFew(n int, each time.Duration) error {
	return fmt.Errorf("too few samples: %d of %s each, and %d are needed. Look back further (over), or more finely (step)", n, Span(each), MinSamples)
}

// TooOld refuses what is older than allowed. The hint says what may be wrong.
func TooOld(what string, newest, now time.Time, most time.Duration, hint string) error {
	age := now.Sub(newest)
	if age <= most {
		return nil
	}
	return fmt.Errorf("%s is %s old (%s), and %s is the most that is allowed. %s max_age allows more", what, Span(age.Truncate(time.Second)),
		stamp(newest), Span(most), hint)
}

var lookBack = regexp.MustCompile(`^(?:(\d{1,4})w)?(?:(\d{1,5})d)?(.*)$`)

// ParseSpan reads how far to look back: a duration of Go, or with weeks and days before it, as Prometheus writes them. A day
// is 24 hours.
func ParseSpan(text string) (time.Duration, error) {
	m := lookBack.FindStringSubmatch(text)
	if m == nil || text == "" {
		return 0, fmt.Errorf("%q is not a duration", text)
	}
	weeks, _ := strconv.Atoi(m[1]) // digits, or nothing, which is 0
	days, _ := strconv.Atoi(m[2])
	d := time.Duration(weeks*7+days) * 24 * time.Hour
	if m[3] == "" {
		return d, nil
	}
	rest, err := time.ParseDuration(m[3])
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration", text)
	}
	return d + rest, nil
}

// Span prints a length of time with days where it has any, and without units that are zero: "14d", "1h30m".
func Span(d time.Duration) string {
	const day = 24 * time.Hour
	text := ""
	if d >= day {
		text, d = fmt.Sprintf("%dd", d/day), d%day
		if d == 0 {
			return text
		}
	}
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"h", time.Hour}, {"m", time.Minute}} {
		if n := d / unit.size; n > 0 {
			text, d = text+fmt.Sprintf("%d%s", n, unit.name), d%unit.size
		}
	}
	if d > 0 || text == "" {
		text += d.Round(time.Millisecond).String()
	}
	return text
}

// stamp prints an instant for people.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }
