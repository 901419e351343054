package report

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"gameday/clock"
)

// tooSoon begins the reason of an absence that nobody could have seen, for the run was over.
const tooSoon = "the run ended before the deadline"

// gap says in words why an absence over a span does not count. spans are what was watched up to end, why what the
// source says of its holes.
func gap(source string, spans []clock.Span, why []string, end time.Time, need clock.Span, asked bool) string {
	if !asked {
		return "the record has nothing from " + source
	}
	text := "%s was watched for only %s of the time%s"
	if end.Before(need.End) {
		need.End = laterOf(need.Start, end)
		if clock.Share(spans, need) >= covered {
			return tooSoon
		}
		text = tooSoon + ", and until then " + text
	}
	s := holeReasons(spans, why, need)
	if s != "" {
		s = " (" + s + ")"
	}
	return fmt.Sprintf(text, source, percent(clock.Share(spans, need)), s)
}

// clockTimes prints a span the way sources begin what they say of a hole: "14:04:10 to 14:04:40".
func clockTimes(s clock.Span) string {
	return s.Start.Format(time.TimeOnly) + " to " + s.End.Format(time.TimeOnly)
}

var (
	timedReason = regexp.MustCompile(`^(\d\d:\d\d:\d\d) to (\d\d:\d\d:\d\d): `)
	moreHoles   = regexp.MustCompile(`^and \d+ more `)
)

// mostHoles bounds how many holes explain one gap.
const mostHoles = 2

// holeReasons picks, of what a source says of its holes, that which is about the holes in the time needed. Reasons
// without times speak of all of it, and are given when no other fits.
func holeReasons(spans []clock.Span, why []string, need clock.Span) string {
	holes := without(need, spans)
	var untimed []string
	for _, w := range why {
		if !timedReason.MatchString(w) && !moreHoles.MatchString(w) {
			untimed = append(untimed, w)
		}
	}
	// The words hold no date and no zone; the zone is most likely the one in which the source gave its spans.
	zones := []*time.Location{need.Start.Location(), time.UTC}
	if len(spans) > 0 {
		zones = append([]*time.Location{spans[0].End.Location()}, zones...)
	}
	for _, zone := range zones {
		var fit []string
		for _, w := range why {
			if s, ok := timesOf(w, need.Start.In(zone)); ok && overlaps(s, holes) && len(fit) < mostHoles {
				fit = append(fit, w)
			}
		}
		if len(fit) > 0 {
			return strings.Join(fit, "; ")
		}
	}
	if len(untimed) > 0 {
		return untimed[0]
	}
	return ""
}

// timesOf returns the span that a reason begins with, on the day that brings it nearest to an instant.
func timesOf(why string, near time.Time) (clock.Span, bool) {
	m := timedReason.FindStringSubmatch(why)
	if m == nil {
		return clock.Span{}, false
	}
	day := near.Format(time.DateOnly) + " "
	from, err := time.ParseInLocation(time.DateTime, day+m[1], near.Location())
	if err != nil {
		return clock.Span{}, false
	}
	to, err := time.ParseInLocation(time.DateTime, day+m[2], near.Location())
	if err != nil {
		return clock.Span{}, false
	}
	if to.Before(from) {
		to = to.AddDate(0, 0, 1)
	}
	for _, days := range []int{-1, 1} {
		if d := 12 * time.Hour; from.Sub(near) > d && days < 0 || near.Sub(from) > d && days > 0 {
			from, to = from.AddDate(0, 0, days), to.AddDate(0, 0, days)
			break
		}
	}
	// Times were cut off to whole seconds.
	return clock.Span{Start: from, End: to.Add(second)}, true
}

func overlaps(s clock.Span, holes []clock.Span) bool {
	for _, h := range holes {
		if s.Overlap(h).Length() > 0 {
			return true
		}
	}
	return false
}
