package hook

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"gameday/clock"
)

// mostQuoted bounds what a message repeats of a text that others wrote.
const mostQuoted = 80

// Instant reads a time as posted: RFC 3339, or Unix seconds, or milliseconds.
func Instant(text string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	n, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil || !(n >= 1e8 && n <= 1e14):
		return time.Time{}, fmt.Errorf("%q is neither RFC 3339 nor Unix seconds or milliseconds", Clip(text, mostQuoted))
	case n > 1e11:
		return time.UnixMilli(int64(n)), nil
	}
	return time.UnixMilli(int64(n * 1000)), nil
}

// When says when something happened that was posted with a time of its own. That is by the sender's clock, which nobody can
// measure from here: it is as good as slack says. It was never after it was posted.
func When(text string, slack time.Duration, received time.Time) (clock.Interval, error) {
	at, err := Instant(text)
	if err != nil {
		return clock.Interval{}, err
	}
	lo, hi := at.Add(-slack), at.Add(slack)
	if hi.After(received) {
		hi = received
	}
	if lo.After(hi) {
		return clock.Interval{}, fmt.Errorf("%s is %s after it was posted: the sender's clock is wrong by more than clock_error",
			at.Format(time.RFC3339), at.Sub(received).Round(time.Second))
	}
	return clock.Between(lo, hi), nil
}

// Clip bounds a text that others wrote, in bytes, and lets go of what it was cut from.
func Clip(s string, most int) string {
	return strings.ToValidUTF8(strings.Clone(s[:min(len(s), most)]), "\uFFFD")
}
