package schedules

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"testing"
	"time"
)

// The ten years of the tests. 2028 and 2032 have a 29 February.
var (
	yearsFrom = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	yearsTo   = time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC)
)

// fixed is a list of freezes.
type fixed []Freeze

func (f fixed) Between(from, to time.Time) []Freeze {
	var out []Freeze
	for _, x := range f {
		if x.From.Before(to) && x.To.After(from) {
			out = append(out, x)
		}
	}
	return out
}

// subject is a schedule of the ten years, with what the oracle knows of it by itself: on which local dates it has an
// occasion, and at what times of the day.
type subject struct {
	*Schedule
	// dates returns the identity of the occasion that a local date belongs to, or nothing.
	dates func(date time.Time) string
	// opens and closes are times of the day; closes may be past 24h. Without a window closes is opens.
	opens, closes time.Duration
	every         time.Duration // of several a day, how far apart
	makeUpOn      func(time.Weekday) bool
}

func zoned(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func mustCron(t *testing.T, text string) *Cron {
	t.Helper()
	c, err := ParseCron(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func mustEvery(t *testing.T, text string) *Every {
	t.Helper()
	e, err := ParseEvery(text, DefaultAnchor)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func item(length time.Duration, holds ...string) []Item {
	return []Item{{File: "x.hcl", Scenario: "x", Length: length, Holds: holds}}
}

func at(hour, minute int) time.Duration {
	return time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute
}

func workday(d time.Weekday) bool { return d >= time.Monday && d <= time.Friday }
func anyDay(time.Weekday) bool    { return true }

// stamp returns the identity of an occasion that opens at one time of a day.
func stamp(hour, minute int, if_ func(time.Time) bool) func(time.Time) string {
	return func(d time.Time) string {
		if !if_(d) {
			return ""
		}
		return d.Add(at(hour, minute)).Format("2006-01-02T15:04")
	}
}

func subjects(t *testing.T) []subject {
	berlin, york := zoned(t, "Europe/Berlin"), zoned(t, "America/New_York")
	howe, chatham := zoned(t, "Australia/Lord_Howe"), zoned(t, "Pacific/Chatham")
	freeze := []Freezer{freezes()}
	weekdays := []time.Weekday{1, 2, 3, 4, 5}
	return []subject{
		{Schedule: &Schedule{Name: "first-tuesday", Items: item(2*time.Hour, "a"), Cron: mustCron(t, "0 10 1-7 * *"), Zone: berlin, Freezes: freeze,
			Window: &Window{Days: []time.Weekday{time.Tuesday}, From: at(10, 0), To: at(16, 0)}},
			dates: stamp(10, 0, func(d time.Time) bool { return d.Weekday() == time.Tuesday && d.Day() <= 7 }), opens: at(10, 0), closes: at(16, 0),
			makeUpOn: func(d time.Weekday) bool { return d == time.Tuesday }},
		// Over the change of the clock: in spring there are two hours, which is too short; in autumn four.
		{Schedule: &Schedule{Name: "nightly", Items: item(150*time.Minute, "b"), Cron: mustCron(t, "30 1 * * *"), Zone: york, Freezes: freeze,
			Window: &Window{From: at(1, 30), To: at(4, 30)}},
			dates: stamp(1, 30, func(time.Time) bool { return true }), opens: at(1, 30), closes: at(4, 30), makeUpOn: anyDay},
		{Schedule: &Schedule{Name: "leap", Items: item(time.Hour, "c"), Cron: mustCron(t, "0 9 29 2 *"), Zone: howe},
			dates: stamp(9, 0, func(d time.Time) bool { return d.Month() == 2 && d.Day() == 29 }), opens: at(9, 0), closes: at(9, 0), makeUpOn: anyDay},
		// At a time that Lord Howe's clock, which changes by half an hour, jumps over each spring.
		{Schedule: &Schedule{Name: "jumped", Items: item(20*time.Minute, "d"), Cron: mustCron(t, "15 2 * * sun"), Zone: howe, Freezes: freeze, CatchUp: CatchUpOnce},
			dates: stamp(2, 15, func(d time.Time) bool { return d.Weekday() == time.Sunday }), opens: at(2, 15), closes: at(2, 15), makeUpOn: anyDay},
		// Over midnight, every other week.
		{Schedule: &Schedule{Name: "fortnight", Items: item(3*time.Hour, "e"), Every: mustEvery(t, "2w"), Zone: chatham, Freezes: freeze, CatchUp: CatchUpOnce,
			Window: &Window{Days: weekdays, From: at(22, 0), To: at(2, 0)}},
			dates: func(d time.Time) string {
				weeks := int(d.Sub(DefaultAnchor).Hours()/24) / 7
				if !workday(d.Weekday()) {
					return ""
				}
				return DefaultAnchor.AddDate(0, 0, 7*(weeks-weeks%2)).Format(time.DateOnly)
			}, opens: at(22, 0), closes: at(26, 0), makeUpOn: workday},
		{Schedule: &Schedule{Name: "workdays", Items: item(30*time.Minute, "f", "shop"), Cron: mustCron(t, "0 10 * * mon-fri"), Zone: berlin, Freezes: freeze, CatchUp: CatchUpOnce,
			Window: &Window{From: at(10, 0), To: at(12, 0)}},
			dates: stamp(10, 0, func(d time.Time) bool { return workday(d.Weekday()) }), opens: at(10, 0), closes: at(12, 0), makeUpOn: workday},
		// Holds what workdays holds, at the same time.
		{Schedule: &Schedule{Name: "rival", Items: item(45*time.Minute, "g", "shop"), Cron: mustCron(t, "0 10 * * wed,sat"), Zone: berlin, Freezes: freeze},
			dates: stamp(10, 0, func(d time.Time) bool { return d.Weekday() == 3 || d.Weekday() == 6 }), opens: at(10, 0), closes: at(10, 0), makeUpOn: anyDay},
		// Its runs take longer than planned at times, and then longer than it is to the next.
		{Schedule: &Schedule{Name: "six-hourly", Items: item(5*time.Hour, "h"), Cron: mustCron(t, "0 */6 * * *"), Zone: york, Freezes: freeze},
			dates: stamp(0, 0, func(time.Time) bool { return true }), every: 6 * time.Hour, makeUpOn: anyDay},
	}
}

// freezes are some that recur, some odd ones, some at a narrow miss, and a long one.
func freezes() fixed {
	var out fixed
	for y := 2025; y <= 2036; y++ {
		out = append(out, Freeze{Name: "turn of the year", File: "f.ics", From: time.Date(y, 12, 20, 0, 0, 0, 0, time.UTC), To: time.Date(y+1, 1, 2, 23, 0, 0, 0, time.UTC)})
	}
	for n := range 400 {
		from := yearsFrom.Add(time.Duration(n)*9*clockDay + time.Duration(n*n%1440)*time.Minute)
		out = append(out, Freeze{Name: fmt.Sprint("odd ", n), File: "f.ics", From: from, To: from.Add(time.Duration(30+n%200) * time.Minute)})
	}
	// A minute before a run that begins at ten would be over, so that it begins when the freeze is over.
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		panic(err)
	}
	for n := range 90 {
		from := time.Date(2026, 1, 5+37*n, 10, 29, 0, 0, berlin)
		out = append(out, Freeze{Name: fmt.Sprint("just too early ", n), File: "f.ics", From: from, To: from.Add(30 * time.Minute)})
	}
	out = append(out, Freeze{Name: "moving house", File: "f.ics", From: time.Date(2029, 5, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2029, 7, 15, 0, 0, 0, 0, time.UTC)})
	slices.SortFunc(out, func(a, b Freeze) int { return a.From.Compare(b.From) })
	return out
}

// downtimes are when nobody is there to decide: hours, nights, some weeks, and once seven of them.
func downtimes() []Span {
	var out []Span
	for n := range 300 {
		from := yearsFrom.Add(time.Duration(n)*12*clockDay + time.Duration(n*n*7%17280)*time.Minute)
		out = append(out, Span{from, from.Add(time.Duration(5+n*n%900) * time.Minute)})
	}
	// Whole weeks that end a quarter of an hour before the next occasion of a run that takes longer than that.
	howe, err := time.LoadLocation("Australia/Lord_Howe")
	if err != nil {
		panic(err)
	}
	for n := range 12 {
		out = append(out, Span{time.Date(2026, 2, 1+210*n, 2, 0, 0, 0, howe), time.Date(2026, 2, 8+210*n, 2, 0, 0, 0, howe)})
	}
	out = append(out, Span{time.Date(2030, 8, 3, 1, 7, 0, 0, time.UTC), time.Date(2030, 9, 21, 9, 33, 0, 0, time.UTC)})
	slices.SortFunc(out, func(a, b Span) int { return a.From.Compare(b.From) })
	return out
}

// took is how long a run really takes: as planned but for one in seven, which takes three times as long.
func took(s *Schedule, id string) time.Duration {
	h := fnv.New32a()
	h.Write([]byte(s.Name + id))
	if h.Sum32()%7 == 0 {
		return 3 * s.Length()
	}
	return s.Length()
}

// lived is what happened in the ten years: a line for each run and for each skipped occasion.
type lived struct{ runs, skips []string }

func (l *lived) run(s *Schedule, id string, t time.Time, made int) {
	l.runs = append(l.runs, fmt.Sprintf("%s %s %s makes up for %d", t.UTC().Format("2006-01-02T15:04:05Z"), s.Name, id, made))
}

func (l *lived) skip(s *Schedule, id, why string) {
	word, _, _ := strings.Cut(why, " ")
	l.skips = append(l.skips, s.Name+" "+id+" "+strings.Trim(word, ":"))
}

// live lets Decide decide for ten years. Everything that it says is settled, as whoever asks must.
func live(t *testing.T, all []*Schedule, down []Span) lived {
	t.Helper()
	var out lived
	state := State{Since: map[string]time.Time{}}
	for _, s := range all {
		state.Since[s.Name] = yearsFrom
	}
	type end struct {
		key
		at time.Time
	}
	var ends []end
	for now, asked := yearsFrom, 0; now.Before(yearsTo); asked++ {
		if asked > 100_000 {
			t.Fatal("it asks to be asked for ever")
		}
		for _, d := range down {
			if !now.Before(d.From) && now.Before(d.To) {
				now = d.To
			}
		}
		for i := range state.Settled {
			x := &state.Settled[i]
			for _, e := range ends {
				if e.key == (key{x.Schedule, x.ID}) {
					x.Running = now.Before(e.at)
				}
			}
		}
		d := Decide(all, state, Seed("ten years"), now)
		for _, x := range d.Skip {
			out.skip(x.Schedule, x.Occasion.ID, x.Why)
			state.Settled = append(state.Settled, Settled{Schedule: x.Schedule.Name, ID: x.Occasion.ID, Outcome: Skipped, At: now})
		}
		for _, x := range d.Start {
			out.run(x.Schedule, x.Occasion.ID, now, x.MadeUp)
			k := key{x.Schedule.Name, x.Occasion.ID}
			state.Settled = append(state.Settled, Settled{Schedule: k.schedule, ID: k.id, Outcome: Begun, At: now, Running: true, Holds: x.Schedule.Holds()})
			ends = append(ends, end{k, now.Add(took(x.Schedule, k.id))})
		}
		state.Since = d.Through
		// What is long over takes no part any more.
		state.Settled = slices.DeleteFunc(state.Settled, func(x Settled) bool { return !x.Running && x.At.Before(now.AddDate(0, 0, -60)) })
		ends = slices.DeleteFunc(ends, func(e end) bool { return e.at.Before(now.AddDate(0, 0, -2)) })
		if !d.Wake.After(now) {
			t.Fatalf("at %s it asks to be asked again at %s", now, d.Wake)
		}
		now = d.Wake
	}
	return out
}
