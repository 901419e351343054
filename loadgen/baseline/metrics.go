package baseline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"gameday/clock"
)

// Metrics measures 1x from the samples of a metric: a quantile of the rates in a part of the past.
type Metrics struct {
	Query string // yields one series, in requests per second
	// Over is how far to look back.
	Over time.Duration
	// Step is what one sample stands for. 0 is DefaultStep of the query.
	Step     time.Duration
	Quantile float64
	At       At
	Zone     *time.Location // of the hours that At speaks of
	// MaxAge is how old the newest sample may be; 0 is an hour, or two steps if that is longer.
	MaxAge time.Duration
	// Ours is when game days sent traffic of their own, which may be in the samples.
	Ours []clock.Span
}

// Asker answers a query over a span: its value at the begin and after each step, up to and with the end. The calls are made
// one after the other.
type Asker func(ctx context.Context, query string, span clock.Span, step time.Duration) ([]Series, error)

// Series is one of the series that a query yields.
type Series struct {
	Labels  map[string]string
	Samples []Sample // in order of time
}

const (
	// maxPoints is how many samples are asked for at once: Prometheus refuses more than 11,000.
	maxPoints = 10_000
	// usualStep is what a sample stands for when nothing tells.
	usualStep = 5 * time.Minute
	// usualAge is how old the newest sample may be when nothing tells.
	usualAge = time.Hour
	// uneven is by what factor weeks may differ without a word.
	uneven = 2
	// fewMissing is the share of samples that may be missing without a word.
	fewMissing = 0.01
)

// ranges finds the ranges in a query: the 5m of rate(x[5m]), the 1h of a subquery [1h:1m].
var ranges = regexp.MustCompile(`\[\s*((?:\d+[wdhms]|\d+ms)+)\s*[:\]]`)

// DefaultStep returns the longest range in a query, so that no two samples are made of the same data, or five minutes.
func DefaultStep(query string) time.Duration {
	longest := time.Duration(0)
	for _, m := range ranges.FindAllStringSubmatch(query, -1) {
		if d, err := ParseSpan(m[1]); err == nil {
			longest = max(longest, d)
		}
	}
	return cmp.Or(longest, usualStep)
}

// Measure asks for the samples and measures the rate for a run that begins at when. now is the time at which it is asked.
func (m Metrics) Measure(ctx context.Context, ask Asker, when, now time.Time) (*Measured, error) {
	m.Step = cmp.Or(m.Step, DefaultStep(m.Query))
	m.MaxAge = cmp.Or(m.MaxAge, max(usualAge, 2*m.Step))
	now = now.Truncate(time.Second)
	spans, chosen := m.spans(when, now)
	samples, err := m.read(ctx, ask, spans)
	if err != nil {
		return nil, err
	}
	if err := m.fresh(ctx, ask, samples, now); err != nil {
		return nil, err
	}
	missing, err := m.whole(samples, spans)
	if err != nil {
		return nil, err
	}
	if m.At == Peak {
		var days int
		samples, days = busiest(samples, now, m.Over, m.Step, max(1, int(time.Hour/m.Step)))
		chosen = fmt.Sprintf("the busiest hour of each of %d days", days)
	}
	if len(samples) < MinSamples {
		return nil, tooFew(len(samples), m.Step)
	}
	out := quantile(samples, m.Quantile, m.Step)
	out.Chosen = chosen
	if m.At == SameHour {
		out.Notes = compared(samples, spans, m.Zone)
	}
	for _, note := range []string{missing, ownTraffic(samples, m.Step, m.Ours)} {
		if note != "" {
			out.Notes = append(out.Notes, note)
		}
	}
	return settled(out)
}

// spans returns what is asked for, oldest first, and what that is in words.
func (m Metrics) spans(when, now time.Time) ([]clock.Span, string) {
	if m.At != SameHour {
		return []clock.Span{{Start: now.Add(-m.Over), End: now}}, "the last " + Span(m.Over)
	}
	weeks := int(m.Over / week)
	words := fmt.Sprintf("%s of %d weeks", hourText(when, m.Zone), weeks)
	if weeks == 1 {
		words = hourText(when, m.Zone) + " of the week before"
	}
	return sameHour(when, now, weeks, m.Zone), words
}

// read asks for the samples of each span. A sample stands for the step that ends with it.
func (m Metrics) read(ctx context.Context, ask Asker, spans []clock.Span) ([]Sample, error) {
	var out []Sample
	var labels []string // of the series seen
	for _, s := range spans {
		for from := s.Start.Add(m.Step); !from.After(s.End); from = from.Add(maxPoints * m.Step) {
			to := from.Add((maxPoints - 1) * m.Step)
			if to.After(s.End) {
				to = s.End
			}
			series, err := ask(ctx, m.Query, clock.Span{Start: from, End: to}, m.Step)
			if err != nil {
				return nil, err
			}
			for _, one := range series {
				if name := labelText(one.Labels); !slices.Contains(labels, name) {
					labels = append(labels, name)
				}
				out = append(out, one.Samples...)
			}
		}
	}
	if len(labels) > 1 {
		more := ""
		if len(labels) > 3 {
			more = fmt.Sprintf(" and %d more", len(labels)-3)
		}
		return nil, fmt.Errorf("the query yields %d series, where one is needed: %s%s. Add them up: sum(%s)",
			len(labels),
			strings.Join(labels[:min(3, len(labels))], ", "), more, m.Query)
	}
	return out, sensible(out)
}

// labelText prints a series' labels as Prometheus does.
func labelText(labels map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		parts = append(parts, fmt.Sprintf("%s=%q", name, labels[name]))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// sensible refuses values that are no rates.
func sensible(samples []Sample) error {
	var bad []Sample
	for _, s := range samples {
		if !(s.Value >= 0) || math.IsInf(s.Value, 1) {
			bad = append(bad, s)
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d samples are no rates, the first one %v at %s: a rate is a number from 0 up. Is "+
		"something divided by 0, or a "+
		"gauge taken for a counter?", len(bad), len(samples), bad[0].Value, stamp(bad[0].At))
}

// fresh refuses a metric that has no samples any more. For hours that are long over, it is asked what it says now.
func (m Metrics) fresh(ctx context.Context, ask Asker, samples []Sample, now time.Time) error {
	newest := time.Time{}
	if n := len(samples); n > 0 {
		newest = samples[n-1].At
	}
	if now.Sub(newest) <= m.MaxAge {
		return nil
	}
	if m.At == SameHour {
		latest := m
		latest.Step = min(m.Step, m.MaxAge)
		lately, err := latest.read(ctx, ask, []clock.Span{{Start: now.Add(-m.MaxAge - latest.Step), End: now}})
		if err != nil || len(lately) > 0 {
			return err
		}
	}
	if newest.IsZero() {
		return errors.New("there are no samples: the query yields nothing in the time asked for. Is the name of " +
			"the metric right, and is it scraped?")
	}
	return TooOld("the newest sample", newest, now, m.MaxAge, "Is it still scraped, or is the server's clock behind?")
}

// whole refuses samples that cover too little of the spans, and says what is missing; of less than that it returns a note.
func (m Metrics) whole(samples []Sample, spans []clock.Span) (note string, err error) {
	want, gap := 0, clock.Span{}
	var without []string
	for _, s := range spans {
		want += int(s.Length() / m.Step)
		longest, have := gapIn(samples, s, m.Step)
		if longest.Length() > gap.Length() {
			gap = longest
		}
		if have == 0 {
			without = append(without, s.Start.In(m.Zone).Format("2006-01-02"))
		}
	}
	switch have := float64(len(samples)); {
	case want == 0 || have >= (1-fewMissing)*float64(want):
		return "", nil
	case have >= MinCoverage*float64(want) && m.At == SameHour && len(without) > 0:
		return "", nil // compared says which weeks
	case have >= MinCoverage*float64(want):
		return fmt.Sprintf("%d of %d samples are missing; the longest gap is from %s to %s", want-len(samples), want,
			stamp(gap.Start), stamp(gap.End)), nil
	}
	text := fmt.Sprintf("only %d of %d samples are there, and %.0f %% are needed", len(samples), want, 100*MinCoverage)
	if m.At == SameHour && len(without) > 0 {
		return "", fmt.Errorf("%s: there are none of %s. Look back less far (over), or choose at = %q", text,
			strings.Join(without, ", "), Any)
	}
	return "", fmt.Errorf("%s; the longest gap is from %s to %s. Look back less far (over), or not as finely (step)",
		text, stamp(gap.Start), stamp(gap.End))
}

// gapIn returns the longest stretch of a span without samples, and how many samples lie in it.
func gapIn(samples []Sample, s clock.Span, step time.Duration) (gap clock.Span, have int) {
	last := s.Start
	longest := func(to time.Time) {
		if to.Sub(last) > gap.Length() {
			gap = clock.Span{Start: last, End: to}
		}
	}
	for _, x := range samples {
		if x.At.After(s.Start) && !x.At.After(s.End) {
			have++
			longest(x.At.Add(-step))
			last = x.At
		}
	}
	longest(s.End)
	return gap, have
}

// compared says what is odd about the weeks: one that has no samples, and weeks of which one was far busier than another, as
// when there was a holiday.
func compared(samples []Sample, spans []clock.Span, zone *time.Location) []string {
	type weekly struct {
		date string
		mean float64
	}
	var weeks []weekly
	var notes []string
	for _, s := range spans {
		sum, n := 0.0, 0
		for _, x := range samples {
			if x.At.After(s.Start) && !x.At.After(s.End) {
				sum += x.Value
				n++
			}
		}
		date := s.Start.In(zone).Format("2006-01-02")
		if n == 0 {
			notes = append(notes, "there are no samples of "+date)
			continue
		}
		weeks = append(weeks, weekly{date, sum / float64(n)})
	}
	slices.SortStableFunc(weeks, func(a, b weekly) int { return cmp.Compare(a.mean, b.mean) })
	if n := len(weeks); n > 1 && weeks[n-1].mean > uneven*weeks[0].mean {
		notes = append(notes, fmt.Sprintf("the weeks differ: on %s there was more than %d times as much as on "+
			"%s. Was one of them unusual?",
			weeks[n-1].date, uneven, weeks[0].date))
	}
	return notes
}
