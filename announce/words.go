package announce

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"gameday/report"
)

// Bounds of a message. The least that a channel takes is 28 KB, of Teams.
const (
	mostLines = 20
	mostRunes = 240 // of a line
)

// tidy makes texts that others wrote fit to be shown, and bounds them.
func (m *Message) tidy() {
	m.Title = line(m.Title)
	if n := len(m.Lines) - mostLines; n > 0 {
		m.Lines = append(m.Lines[:mostLines:mostLines], fmt.Sprintf("… and %d lines more", n))
	}
	for i, l := range m.Lines {
		m.Lines[i] = line(l)
	}
}

// line puts a text on one line and cuts it.
func line(s string) string {
	s = strings.Join(strings.Fields(report.PlainText(s)), " ")
	if utf8.RuneCountInString(s) <= mostRunes {
		return s
	}
	return string([]rune(s)[:mostRunes-1]) + "…"
}

// Span is a time from an instant up to another.
type Span struct{ From, To time.Time }

// hoursText says when a game day may be, by the clock on the wall: "on Tuesday 1 December 2026 between 10:00 and 16:00
// (Europe/Berlin)".
func hoursText(hours []Span, open bool, zone *time.Location) string {
	if len(hours) == 0 {
		return ""
	}
	in := " (" + zone.String() + ")"
	first, last := hours[0].From.In(zone), hours[len(hours)-1].To.In(zone)
	if open {
		return "on " + dayText(first) + " from " + first.Format("15:04") + in
	}
	from, to, ok := clocks(hours[0], zone)
	for _, h := range hours[1:] {
		f, t, same := clocks(h, zone)
		ok = ok && same && f == from && t == to
	}
	if !ok {
		return fmt.Sprintf("between %s %s and %s %s%s", dayText(first), first.Format("15:04"), dayText(last), last.Format("15:04"), in)
	}
	return fmt.Sprintf("on %s between %s and %s%s", daysText(hours, zone), from, to, in)
}

// clocks returns the times of day at which a span begins and ends; ok is false when it goes past midnight.
func clocks(s Span, zone *time.Location) (from, to string, ok bool) {
	f, t := s.From.In(zone), s.To.In(zone)
	from, to = f.Format("15:04"), t.Format("15:04")
	if to == "00:00" && f.AddDate(0, 0, 1).Format(time.DateOnly) == t.Format(time.DateOnly) {
		return from, "24:00", true
	}
	return from, to, f.Format(time.DateOnly) == t.Format(time.DateOnly)
}

// mostDays bounds how many days are named one by one.
const mostDays = 5

// daysText names the days on which spans begin.
func daysText(hours []Span, zone *time.Location) string {
	var days []string
	for _, h := range hours {
		if d := dayText(h.From.In(zone)); !slices.Contains(days, d) {
			days = append(days, d)
		}
	}
	switch n := len(days); {
	case n == 1:
		return days[0]
	case n <= mostDays:
		return "one of " + strings.Join(days[:n-1], ", ") + " and " + days[n-1] + ","
	default:
		return fmt.Sprintf("one of %d days from %s to %s,", n, days[0], days[n-1])
	}
}

func dayText(t time.Time) string { return t.Format("Monday 2 January 2006") }

// aboutDays prints how long ago something was in whole days, or hours within the first two.
func aboutDays(d time.Duration) string {
	if d < 48*time.Hour {
		return plural(int(d/time.Hour), "hour")
	}
	return plural(int(d/(24*time.Hour)), "day")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// list prints names for a sentence.
func list(names []string) string {
	switch n := len(names); n {
	case 0:
		return ""
	case 1:
		return names[0]
	default:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}
