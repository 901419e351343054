package baseline

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gameday/clock"
)

// now is a Saturday evening.
var now = time.Date(2026, 11, 28, 20, 40, 0, 0, time.UTC)

// metric is a server with one series, or several.
type metric struct {
	series []map[string]string
	// at is the rate at an instant; ok is false where there is no sample.
	at func(time.Time) (rate float64, ok bool)

	asked []clock.Span
}

func (m *metric) ask(_ context.Context, _ string, s clock.Span, step time.Duration) ([]Series, error) {
	m.asked = append(m.asked, s)
	var out []Series
	for _, labels := range m.series {
		one := Series{Labels: labels}
		for at := s.Start; !at.After(s.End); at = at.Add(step) {
			if v, ok := m.at(at); ok {
				one.Samples = append(one.Samples, Sample{At: at, Value: v})
			}
		}
		if len(one.Samples) > 0 {
			out = append(out, one)
		}
	}
	return out, nil
}

// steadily is a rate that goes up and down a little around 40.
func steadily(at time.Time) (float64, bool) { return 40 + float64(at.Unix()/300%7), true }

// only leaves out the samples for which a condition does not hold.
func only(when func(time.Time) bool) func(time.Time) (float64, bool) {
	return func(at time.Time) (float64, bool) {
		v, _ := steadily(at)
		return v, when(at)
	}
}

func value(v float64) func(time.Time) (float64, bool) {
	return func(time.Time) (float64, bool) { return v, true }
}

func usualMetrics() Metrics {
	return Metrics{Query: "sum(rate(http_requests_total[5m]))", Over: 14 * day, Quantile: 0.95, At: Any, Zone: time.UTC}
}

// TestMetricsRefuse names what is wrong with the data, and what to do.
func TestMetricsRefuse(t *testing.T) {
	one := []map[string]string{{}}
	before := func(d time.Duration) func(time.Time) bool {
		return func(at time.Time) bool { return at.Before(now.Add(-d)) }
	}
	for _, c := range []struct {
		name   string
		set    func(*Metrics)
		metric metric
		want   []string // parts of the error
	}{
		{"nothing", nil, metric{at: steadily}, []string{"there are no samples", "Is the name of the metric right"}},
		{"nothing at that hour", func(m *Metrics) { m.At = SameHour }, metric{at: steadily}, []string{"there are no samples"}},
		{"stale", nil, metric{series: one, at: only(before(3 * time.Hour))}, []string{"the newest sample is 3h5m old (2026-11-28 17:35:00 UTC)",
			"1h is the most", "still scraped", "max_age"}},
		{"stale, for weeks", func(m *Metrics) { m.At = SameHour }, metric{series: one, at: only(before(2 * time.Hour))},
			[]string{"the newest sample is 6d23h40m old", "still scraped"}},
		{"several series", nil, metric{series: []map[string]string{{"job": "a"}, {"job": "b", "code": "200"}, {"job": "c"}, {"job": "d"}}, at: steadily},
			[]string{"4 series", `{job="a"}, {code="200", job="b"}`, "and 1 more", "sum(sum(rate("}},
		{"not a number", nil, metric{series: one, at: func(at time.Time) (float64, bool) {
			if at.Hour() == 3 {
				return math.NaN(), true
			}
			return 40, true
		}}, []string{"168 of 4032 samples are no rates, the first one NaN at 2026-11-15 03:00:00 UTC", "divided by 0"}},
		{"negative", nil, metric{series: one, at: value(-1)}, []string{"are no rates, the first one -1", "a gauge taken for a counter"}},
		{"infinite", nil, metric{series: one, at: value(math.Inf(1))}, []string{"are no rates, the first one +Inf"}},
		{"a gap", nil, metric{series: one, at: only(func(at time.Time) bool { return at.Day() < 18 || at.Day() > 22 })},
			[]string{"only 2592 of 4032 samples", "80 %", "the longest gap is from 2026-11-17 23:55:00 UTC to 2026-11-22 23:55:00 UTC", "(over)", "(step)"}},
		{"no such week", func(m *Metrics) { m.At = SameHour }, metric{series: one, at: only(func(at time.Time) bool { return at.Day() > 15 })},
			[]string{"only 12 of 24 samples", "there are none of 2026-11-14", `at = "any"`}},
		{"nothing served", nil, metric{series: one, at: value(0)}, []string{"the rate is 0"}},
		{"too few", func(m *Metrics) { m.Over, m.Step = 2*time.Hour, time.Hour }, metric{series: one, at: steadily}, []string{"too few samples: 2 of 1h each"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := usualMetrics()
			if c.set != nil {
				c.set(&m)
			}
			got, err := m.Measure(t.Context(), c.metric.ask, now, now)
			if err == nil {
				t.Fatalf("measured %+v", got)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q lacks %q", err, want)
				}
			}
		})
	}
	refused := errors.New("429 Too Many Requests")
	_, err := usualMetrics().Measure(t.Context(), func(context.Context, string, clock.Span, time.Duration) ([]Series, error) { return nil, refused }, now, now)
	if !errors.Is(err, refused) {
		t.Errorf("the server's refusal became %v", err)
	}
}

// TestMetricsMeasure measures each part of the past.
func TestMetricsMeasure(t *testing.T) {
	// Busy on Saturdays from 20:00 to 21:00, and every noon.
	busy := func(at time.Time) (float64, bool) {
		switch at = at.UTC().Add(-time.Nanosecond); { // a sample is of the time before it
		case at.Weekday() == time.Saturday && at.Hour() == 20:
			return 200, true
		case at.Hour() == 12:
			return 100, true
		}
		return 10, true
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		set     func(*Metrics)
		when    time.Time
		rate    float64
		samples int
		chosen  string
	}{
		{"any", func(m *Metrics) { m.Quantile = 0.96 }, now, 100, 4032, "the last 14d"},
		{"any, the median", func(m *Metrics) { m.Quantile = 0.5 }, now, 10, 4032, "the last 14d"},
		{"peak", func(m *Metrics) { m.At, m.Quantile = Peak, 0.5 }, now, 100, 14 * 12, "the busiest hour of each of 14 days"},
		{"the hour", func(m *Metrics) { m.At = SameHour }, now, 200, 24, "Sat 20:00 to 21:00 UTC of 2 weeks"},
		{"another hour", func(m *Metrics) { m.At = SameHour }, now.Add(2 * time.Hour), 10, 24, "Sat 22:00 to 23:00 UTC of 2 weeks"},
		{"next Tuesday noon", func(m *Metrics) { m.At = SameHour }, time.Date(2026, 12, 1, 12, 59, 0, 0, time.UTC), 100, 24, "Tue 12:00 to 13:00 UTC of 2 weeks"},
		{"one week", func(m *Metrics) { m.At, m.Over = SameHour, week }, now, 200, 12, "Sat 20:00 to 21:00 UTC of the week before"},
		{"in Berlin it is another hour", func(m *Metrics) { m.At, m.Zone = SameHour, berlin }, now, 200, 24, "Sat 21:00 to 22:00 Europe/Berlin of 2 weeks"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := usualMetrics()
			if c.set != nil {
				c.set(&m)
			}
			server := metric{series: []map[string]string{{}}, at: busy}
			got, err := m.Measure(t.Context(), server.ask, c.when, now)
			if err != nil {
				t.Fatal(err)
			}
			if got.Rate != c.rate || got.Samples != c.samples || got.Chosen != c.chosen || got.Each != 5*time.Minute {
				t.Errorf("%g of %d samples of %s: %s", got.Rate, got.Samples, got.Each, got.Chosen)
			}
			for _, s := range server.asked {
				if points := s.Length()/got.Each + 1; points > 11_000 {
					t.Errorf("%d points are asked for at once", points)
				}
			}
		})
	}
}

// TestManyPoints asks for more samples than a server answers at once.
func TestManyPoints(t *testing.T) {
	m := usualMetrics()
	m.Step = time.Minute
	server := metric{series: []map[string]string{{}}, at: steadily}
	got, err := m.Measure(t.Context(), server.ask, now, now)
	if err != nil || got.Samples != 14*24*60 || len(server.asked) != 3 {
		t.Errorf("%+v in %d questions, %v", got, len(server.asked), err)
	}
}

// TestWeeksDiffer notes weeks of which one was far busier, and one that is missing among enough others.
func TestWeeksDiffer(t *testing.T) {
	m := usualMetrics()
	m.At, m.Over = SameHour, 6*week
	server := metric{series: []map[string]string{{}}, at: func(at time.Time) (float64, bool) {
		if at.Month() == time.October && at.Day() == 31 {
			return 90, true
		}
		return 40, at.Day() != 7
	}}
	got, err := m.Measure(t.Context(), server.ask, now, now)
	if err != nil || got.Samples != 60 || len(got.Notes) != 2 || got.Notes[0] != "there are no samples of 2026-11-07" ||
		!strings.HasPrefix(got.Notes[1], "the weeks differ: on 2026-10-31 there was more than 2 times as much as on ") {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestMissingSamplesAreNoted says of samples that are missing among enough others, but for a few.
func TestMissingSamplesAreNoted(t *testing.T) {
	for want, when := range map[string]func(time.Time) bool{
		"288 of 4032 samples are missing; the longest gap is from 2026-11-19 23:55:00 UTC to 2026-11-20 23:55:00 UTC": func(at time.Time) bool { return at.Day() != 20 },
		"": func(at time.Time) bool { return at.Day() != 20 || at.Hour() > 2 },
	} {
		server := metric{series: []map[string]string{{}}, at: only(when)}
		got, err := usualMetrics().Measure(t.Context(), server.ask, now, now)
		if err != nil || strings.Join(got.Notes, "; ") != want {
			t.Errorf("%+v, %v; want %q", got, err, want)
		}
	}
}

// TestGameDaysAreNoted says of samples in which a game day had a part: a multiple of itself would be sent the week after.
func TestGameDaysAreNoted(t *testing.T) {
	m := usualMetrics()
	m.At = SameHour
	last := time.Date(2026, 11, 21, 20, 5, 0, 0, time.UTC)
	for _, start := range []time.Time{last, last.Add(-week), last.Add(-time.Hour), last.Add(20 * time.Minute).Add(-week)} {
		m.Ours = append(m.Ours, clock.Span{Start: start, End: start.Add(15 * time.Minute)})
	}
	server := metric{series: []map[string]string{{}}, at: steadily}
	got, err := m.Measure(t.Context(), server.ask, now, now)
	want := "of 9 of the 24 samples a part may be what a game day sent, the last one from 2026-11-21 20:05:00 UTC on"
	if err != nil || len(got.Notes) != 1 || !strings.HasPrefix(got.Notes[0], want) {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestClocksThatChange takes the same hour of the day by the clock on the wall, which is another one by UTC in summer.
func TestClocksThatChange(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	list := func(spans []clock.Span) string {
		var out []string
		for _, s := range spans {
			if s.Length() != time.Hour {
				t.Errorf("%s lasts %s", s.Start, s.Length())
			}
			out = append(out, s.Start.UTC().Format("01-02 15:04"))
		}
		return strings.Join(out, ", ")
	}
	winter := time.Date(2026, 10, 26, 9, 30, 0, 0, berlin) // clocks went back on the 25th
	if got := list(sameHour(winter, winter, 2, berlin)); got != "10-12 07:00, 10-19 07:00" {
		t.Errorf("after the clocks went back: %s", got)
	}
	// On 2026-03-29 there was no 02:30, and the week before that counts as before.
	spring := time.Date(2026, 4, 5, 2, 30, 0, 0, berlin)
	if got := list(sameHour(spring, spring, 2, berlin)); got != "03-22 01:00" {
		t.Errorf("across the hour that was not: %s", got)
	}
	later := now.AddDate(0, 0, 40)
	if got := list(sameHour(later, now, 2, time.UTC)); got != "11-19 20:00, 11-26 20:00" {
		t.Errorf("for a run in 40 days: %s", got)
	}
}

// TestHoursAreOver holds the hours of any run to be whole, over, in order, and of the same day of the week.
func TestHoursAreOver(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	york, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		when, now time.Time
		weeks     int
	}{
		"the only week did not have the hour":     {time.Date(2021, 4, 4, 2, 30, 0, 0, berlin), time.Date(2021, 3, 30, 12, 0, 0, 0, berlin), 1},
		"it has the hour again, but not yet over": {time.Date(2021, 4, 4, 2, 30, 0, 0, berlin), time.Date(2021, 4, 4, 2, 59, 59, 0, berlin), 1},
		"it is that day itself":                   {time.Date(2021, 4, 4, 2, 30, 0, 0, berlin), time.Date(2021, 3, 28, 4, 0, 0, 0, berlin), 1},
		"one of two weeks did not have it":        {time.Date(2021, 4, 4, 2, 30, 0, 0, berlin), time.Date(2021, 3, 30, 12, 0, 0, 0, berlin), 2},
		"a week ago it had the hour":              {time.Date(2021, 3, 21, 2, 30, 0, 0, york), time.Date(2021, 3, 14, 7, 30, 0, 0, time.UTC), 1},
		"the hour came twice":                     {time.Date(2021, 11, 7, 2, 30, 0, 0, berlin), time.Date(2021, 11, 2, 12, 0, 0, 0, berlin), 1},
	} {
		t.Run(name, func(t *testing.T) { hoursAreOver(t, tt.when, tt.now, tt.weeks, tt.when.Location()) })
	}
	rapid.Check(t, func(t *rapid.T) {
		zone, err := time.LoadLocation(rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"}).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		at := time.Unix(rapid.Int64Range(1.6e9, 2e9).Draw(t, "now"), 0)
		when := at.Add(time.Duration(rapid.IntRange(-48, 24*400).Draw(t, "ahead")) * time.Hour)
		hoursAreOver(t, when, at, rapid.IntRange(1, 8).Draw(t, "weeks"), zone)
	})
}

// hoursAreOver tries one run.
func hoursAreOver(t rapid.TB, when, at time.Time, weeks int, zone *time.Location) {
	t.Helper()
	spans := sameHour(when, at, weeks, zone)
	if len(spans) > weeks || len(spans) < weeks-1 {
		t.Fatalf("%d spans of %d weeks", len(spans), weeks)
	}
	same := func(x time.Time) bool {
		return x.In(zone).Weekday() == when.In(zone).Weekday() && x.In(zone).Hour() == when.In(zone).Hour()
	}
	for i, s := range spans {
		if s.End.After(at) || s.Length() != time.Hour || !same(s.Start) {
			t.Fatalf("%s to %s for %s at %s", s.Start, s.End, when, at)
		}
		if i > 0 && !s.Start.After(spans[i-1].End) {
			t.Fatalf("%s is not after %s", s.Start, spans[i-1].End)
		}
	}
	if len(spans) > 0 {
		if last := spans[len(spans)-1]; at.Sub(last.End) > 2*week+2*time.Hour {
			t.Fatalf("the last hour is %s, now is %s", last.End, at)
		}
		return
	}
	// The one week had no such hour: none that is over began in it. In New York the hour that was left out counts as the one before.
	last := at.Add(-time.Hour)
	for x := last.Truncate(15 * time.Minute); x.After(last.Add(time.Hour - week)); x = x.Add(-15 * time.Minute) {
		if same(x) && x.In(zone).Minute() == 0 {
			t.Fatalf("no span of one week, and there was %s for %s at %s", x, when, at)
		}
	}
}

// TestDefaultStep reads the ranges of queries.
func TestDefaultStep(t *testing.T) {
	for query, want := range map[string]time.Duration{
		"sum(rate(x[5m]))": 5 * time.Minute, "rate(x[1m]) + rate(y[10m])": 10 * time.Minute, "max_over_time(rate(x[1m])[1h:1m])": time.Hour,
		"x": 5 * time.Minute, "sum(job:requests:rate30s)": 5 * time.Minute, "rate(x[90s])": 90 * time.Second, `rate(x{path="[1d]"}[2m])`: day,
	} {
		if got := DefaultStep(query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}
