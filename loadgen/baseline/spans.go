package baseline

import (
	"fmt"
	"time"

	"gameday/clock"
)

// At says which part of the past counts.
type At string

// The parts.
const (
	// SameHour is the hour of the day in which the run begins, on the same day of each of the weeks before.
	SameHour At = "same weekday and hour"
	// Peak is the busiest hour of each 24 hours.
	Peak At = "peak"
	// Any is all of it.
	Any At = "any"
)

const (
	day  = 24 * time.Hour
	week = 7 * day
)

// sameHour returns the hour of the day that when lies in, on the same day of each of the weeks before now, the last one
// first over. An hour that a week did not have, as when clocks went forward, is left out.
func sameHour(when, now time.Time, weeks int, zone *time.Location) []clock.Span {
	local := when.In(zone)
	out := make([]clock.Span, 0, weeks)
	// A run that is planned for later is compared with weeks that are over.
	ahead := max(0, int(when.Sub(now)/week)-1)
	for back, found := ahead, 0; found < weeks; back++ {
		start := time.Date(local.Year(), local.Month(), local.Day()-7*back, local.Hour(), 0, 0, 0, zone)
		if start.Add(time.Hour).After(now) {
			continue
		}
		found++
		if start.Hour() == local.Hour() {
			out = append([]clock.Span{{Start: start, End: start.Add(time.Hour)}}, out...)
		}
	}
	return out
}

// hourText prints an hour of the week: "Sat 20:00 to 21:00 UTC".
func hourText(when time.Time, zone *time.Location) string {
	local := when.In(zone)
	return fmt.Sprintf("%s:00 to %02d:00 %s", local.Format("Mon 15"), local.Hour()+1, zone)
}

// busiest returns the samples of the busiest stretch of so many samples in each 24 hours before an instant, and how many such
// days there were. A stretch, and a day, of which too little is known is no candidate.
func busiest(samples []Sample, end time.Time, over, each time.Duration, stretch int) (out []Sample, days int) {
	for from := end.Add(-over.Truncate(day)); from.Before(end); from = from.Add(day) {
		var mine []Sample
		for _, s := range samples {
			if s.At.After(from) && !s.At.After(from.Add(day)) {
				mine = append(mine, s)
			}
		}
		if float64(len(mine)) < MinCoverage*float64(day/each) {
			continue
		}
		days++
		out = append(out, busiestOf(mine, each, stretch)...)
	}
	return out, days
}

// busiestOf returns the samples of the whole stretch with the highest mean.
func busiestOf(samples []Sample, each time.Duration, stretch int) []Sample {
	var best []Sample
	bestMean, sum := -1.0, 0.0
	for i, j := 0, 0; j < len(samples); j++ {
		sum += samples[j].Value
		for samples[j].At.Sub(samples[i].At) >= time.Duration(stretch)*each {
			sum -= samples[i].Value
			i++
		}
		n := j - i + 1
		if samples[j].At.Sub(samples[0].At) < time.Duration(stretch-1)*each {
			continue // it is no whole stretch yet
		}
		if mean := sum / float64(n); mean > bestMean && float64(n) >= MinCoverage*float64(stretch) {
			best, bestMean = samples[i:j+1], mean
		}
	}
	return best
}
