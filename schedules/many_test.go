package schedules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestForecastOfMany forecasts what pages of a server ask for, of schedules that come each hour: what is far from each other is not compared. So sixty days
// take some four times as long as fifteen, less than eight times, and not sixteen times.
func TestForecastOfMany(t *testing.T) {
	var all []*Schedule
	for i := range 5 {
		all = append(all, &Schedule{Name: fmt.Sprint("s", i), Items: item(time.Minute, fmt.Sprint("h", i)), Cron: mustCron(t, "0 * * * *"), Zone: time.UTC})
	}
	from := time.Date(2026, 12, 1, 0, 30, 0, 0, time.UTC)
	state := State{}
	for i := range 1500 {
		state.Settled = append(state.Settled, Settled{Schedule: "s0", ID: fmt.Sprint(i), Outcome: Skipped, At: from})
	}
	// Fifteen days four times, one after another, are about as long at it as sixty days once: what else happens is in the way of both alike.
	const few, many, times = 15, 60, 4
	took := func(days, times int) time.Duration {
		before := processorTime(t)
		for range times {
			if got := Forecast(all, Coming{From: from, Until: from.AddDate(0, 0, days)}, state, nil, nil); len(got) != 5*(days*24+1) {
				t.Fatalf("%d days have %d occasions", days, len(got))
			}
		}
		return processorTime(t) - before
	}
	best, bestMany := took(few, times), took(many, 1)
	for range 2 {
		best, bestMany = min(best, took(few, times)), min(bestMany, took(many, 1))
	}
	t.Logf("%d times %d days take %s, %d days %s", times, few, best, many, bestMany)
	if bestMany >= 2*best {
		t.Errorf("%d times %d days take %s, and %d days %s: more than their share", times, few, best, many, bestMany)
	}
}

// processorTime is for how long the processors have worked for this process, which does not count that others were in its way.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// TestCollide notes of any occasions the same that is noted when each is compared with each.
func TestCollide(t *testing.T) {
	begin := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		minutes := func(most int, what string) time.Duration {
			return time.Duration(rapid.IntRange(0, most).Draw(t, what)) * time.Minute
		}
		var all []*Schedule
		for i := range rapid.IntRange(1, 4).Draw(t, "schedules") {
			all = append(all, &Schedule{Name: fmt.Sprint("s", i), Items: item(minutes(90, "length"), fmt.Sprint("h", rapid.IntRange(0, 1).Draw(t, "holds"))), Zone: time.UTC})
		}
		var list []Planned
		for i := range rapid.IntRange(0, 25).Draw(t, "occasions") {
			at := begin.Add(minutes(600, "at"))
			end := at.Add(minutes(200, "until"))
			p := Planned{Schedule: rapid.SampledFrom(all).Draw(t, "schedule"), Known: rapid.Bool().Draw(t, "known"),
				Occasion: Occasion{ID: fmt.Sprint(i), Windows: []Span{{at, end}}, Starts: []Span{{at, end}}, Moment: at}}
			if rapid.IntRange(0, 4).Draw(t, "settled") == 0 {
				p.Why = "settled"
			}
			list = append(list, p)
		}
		want := slices.Clone(list)
		collideAll(all, want)
		collide(all, list)
		for i := range list {
			if list[i].Why != want[i].Why || strings.Join(list[i].Maybe, "\n") != strings.Join(want[i].Maybe, "\n") {
				t.Fatalf("%s of %s: %q %q, want %q %q", list[i].Occasion.ID, list[i].Schedule.Name, list[i].Why, list[i].Maybe, want[i].Why, want[i].Maybe)
			}
		}
	})
}

// collideAll is collide that compares each with each.
func collideAll(all []*Schedule, list []Planned) {
	index := func(s *Schedule) int { return slices.Index(all, s) }
	order := make([]*Planned, len(list))
	for i := range list {
		order[i] = &list[i]
	}
	slices.SortStableFunc(order, func(a, b *Planned) int {
		return cmp.Or(a.span().From.Compare(b.span().From), cmp.Compare(index(a.Schedule), index(b.Schedule)))
	})
	for i, p := range order {
		if p.Why != "" {
			continue
		}
		for j, q := range order {
			if i == j || q.Why != "" || !p.span().meets(q.span()) {
				continue
			}
			holds := "itself"
			if p.Schedule != q.Schedule {
				h, both := common(p.Schedule.Holds(), q.Schedule.Holds())
				if !both {
					continue
				}
				holds = h
			}
			switch {
			case !p.Known || !q.Known:
				p.Maybe = append(p.Maybe, fmt.Sprintf("schedule %q, %s, holds %s and may be in progress then", q.Schedule.Name, q.Occasion.ID, holds))
			case j < i:
				p.Why = fmt.Sprintf("schedule %q, %s, begins first and holds %s", q.Schedule.Name, q.Occasion.ID, holds)
			}
			if p.Why != "" {
				p.Maybe = nil
				break
			}
		}
	}
}
