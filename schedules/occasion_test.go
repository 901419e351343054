package schedules

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestAt compares At with a clock that is watched: the first second in which it shows a time, or one beyond it.
func TestAt(t *testing.T) {
	for _, name := range []string{"Europe/Berlin", "Australia/Lord_Howe", "Pacific/Chatham", "America/New_York", "Asia/Kathmandu", "Africa/Casablanca", "Pacific/Apia", "America/Sao_Paulo", "UTC"} {
		zone := zoned(t, name)
		rapid.Check(t, func(t *rapid.T) {
			from := time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 30*366*24*60).Draw(t, "minute")) * time.Minute)
			if rapid.Bool().Draw(t, "near a change") { // where the clock does something
				if _, end := from.In(zone).ZoneBounds(); !end.IsZero() {
					from = civil(end, zone).Add(time.Duration(rapid.IntRange(-180, 180).Draw(t, "minutes from it")) * time.Minute)
				}
			}
			got := At(from, zone)
			if civil(got, zone).Before(from) {
				t.Fatalf("%s in %s is %s, when the clock does not show it yet", from, name, got)
			}
			for i := range 26 * 60 { // in no minute of the day before does it show as much
				if m := got.Add(-time.Duration(i+1) * time.Minute); !civil(m, zone).Before(from) {
					t.Fatalf("%s in %s is %s, and the clock shows %s at %s already", from, name, got, civil(m, zone), m)
				}
			}
		})
	}
}

// TestLeapYearsEnd goes through the last days of leap years, on which the library's bounds of a zone's offset are wrong after 2037.
func TestLeapYearsEnd(t *testing.T) {
	for _, name := range []string{"Europe/Berlin", "Australia/Lord_Howe", "America/New_York"} {
		zone := zoned(t, name)
		for year := 2028; year < 2080; year += 4 {
			for h := range 96 {
				c := time.Date(year, 12, 30, h, 30, 0, 0, time.UTC)
				if got := civil(At(c, zone), zone); !got.Equal(c) {
					t.Errorf("%s in %s is when the clock shows %s", c, name, got)
				}
			}
		}
	}
}

// TestChanges looks at windows on the days on which the clock changes, as worked out by hand.
func TestChanges(t *testing.T) {
	tests := []struct {
		name, zone, date string
		window           Window
		length           time.Duration
		want             string // the windows in UTC, or the reason
	}{
		{"a day as any other", "Europe/Berlin", "2026-03-28", Window{From: at(2, 0), To: at(4, 0)}, time.Hour, "01:00–03:00"},
		{"an hour less", "Europe/Berlin", "2026-03-29", Window{From: at(1, 0), To: at(4, 0)}, time.Hour, "00:00–02:00"},
		{"begins in the jump", "Europe/Berlin", "2026-03-29", Window{From: at(2, 30), To: at(4, 0)}, time.Hour, "01:00–02:00"},
		{"ends in the jump", "Europe/Berlin", "2026-03-29", Window{From: at(1, 0), To: at(2, 30)}, time.Hour, "00:00–01:00"},
		{"within the jump", "Europe/Berlin", "2026-03-29", Window{From: at(2, 0), To: at(3, 0)}, time.Hour, "the clock jumps over its window"},
		{"too short by the jump", "Europe/Berlin", "2026-03-29", Window{From: at(1, 30), To: at(3, 30)}, 90 * time.Minute, "the change of the clock leaves its window less than the 1h30m0s that its scenarios take"},
		{"an hour more", "Europe/Berlin", "2026-10-25", Window{From: at(1, 0), To: at(4, 0)}, time.Hour, "23:00–03:00"},
		{"begins in what comes twice", "Europe/Berlin", "2026-10-25", Window{From: at(2, 30), To: at(4, 0)}, time.Hour, "00:30–03:00"},
		{"ends in what comes twice", "Europe/Berlin", "2026-10-25", Window{From: at(1, 0), To: at(2, 30)}, time.Hour, "23:00–00:30"},
		{"over midnight", "Europe/Berlin", "2026-10-24", Window{From: at(22, 0), To: at(4, 0)}, time.Hour, "20:00–03:00"},
		{"half an hour less", "Australia/Lord_Howe", "2026-10-04", Window{From: at(1, 0), To: at(3, 0)}, time.Hour, "14:30–16:00"},
		{"half an hour more", "Australia/Lord_Howe", "2026-04-05", Window{From: at(1, 0), To: at(3, 0)}, time.Hour, "14:00–16:30"},
		{"a day that was left out", "Pacific/Apia", "2011-12-30", Window{From: at(10, 0), To: at(16, 0)}, time.Hour, "the clock jumps over its window"},
		{"12:45 ahead", "Pacific/Chatham", "2026-07-01", Window{From: at(10, 0), To: at(16, 0)}, time.Hour, "21:15–03:15"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			date, err := time.Parse(time.DateOnly, test.date)
			if err != nil {
				t.Fatal(err)
			}
			s := &Schedule{Name: "x", Items: item(test.length), Every: mustEvery(t, "1d"), Window: &test.window, Zone: zoned(t, test.zone)}
			o := s.occasion(date, s.windows(date), nil)
			got := o.Why
			if got == "" {
				got = o.Windows[0].From.UTC().Format("15:04") + "–" + o.Windows[0].To.UTC().Format("15:04")
			}
			if got != test.want {
				t.Errorf("it is %q; want %q", got, test.want)
			}
		})
	}
}

// TestDraw compares a drawn moment with the definition, done with big numbers, and sees that moments lie in all of the window.
func TestDraw(t *testing.T) {
	from := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	starts := []Span{{from, from.Add(99 * time.Second)}, {from.Add(time.Hour), from.Add(time.Hour + 49*time.Second)}} // 150 seconds
	seed := Seed("0123456789abcdef0123456789abcdef")
	counts := map[time.Time]int{}
	ids := 0
	for d := from; ids < 15_000; d = d.AddDate(0, 0, 1) {
		id := d.Format(time.DateOnly)
		ids++
		got := draw(starts, seed, "weekly", id)
		mac := hmac.New(sha256.New, seed)
		mac.Write([]byte("weekly"))
		mac.Write([]byte{0})
		mac.Write([]byte(id))
		k := new(big.Int).Mod(new(big.Int).SetBytes(mac.Sum(nil)[:16]), big.NewInt(150)).Int64()
		want := from.Add(time.Duration(k) * time.Second)
		if k >= 100 {
			want = from.Add(time.Hour + time.Duration(k-100)*time.Second)
		}
		if !got.Equal(want) {
			t.Fatalf("of %s it draws %s; want %s", id, got, want)
		}
		counts[got]++
	}
	chi := 0.0
	for _, n := range counts {
		chi += float64((n-100)*(n-100)) / 100
	}
	if len(counts) != 150 || chi > 220 { // 149 degrees of freedom: more than 220 in one of five thousand seeds, and this seed is fixed
		t.Errorf("%d of 150 seconds are drawn, χ² is %.0f", len(counts), chi)
	}
	if a, b := draw(starts, seed, "weekly", "2026-12-01"), draw(starts, Seed("another one, as long as that one"), "weekly", "2026-12-01"); a.Equal(b) {
		t.Error("the seed does not matter")
	}
}

// schedule draws a schedule.
func schedule(t *rapid.T, freeze fixed, zones []*time.Location) *Schedule {
	s := &Schedule{Name: "x", Items: []Item{{Length: time.Duration(rapid.IntRange(1, 7200).Draw(t, "seconds")) * time.Second, Holds: []string{"x"}}},
		Zone: rapid.SampledFrom(zones).Draw(t, "zone"), Freezes: []Freezer{freeze}}
	if rapid.Bool().Draw(t, "random") {
		s.Moment = AtRandom
	}
	if rapid.Bool().Draw(t, "once") {
		s.CatchUp = CatchUpOnce
	}
	opens, length := rapid.IntRange(0, 23*60).Draw(t, "opens"), rapid.IntRange(121, 1439).Draw(t, "minutes open")
	s.Window = &Window{From: time.Duration(opens) * time.Minute, To: time.Duration((opens+length)%1440) * time.Minute}
	for d := range 7 {
		if rapid.Bool().Draw(t, "on a day") {
			s.Window.Days = append(s.Window.Days, time.Weekday(d))
		}
	}
	e, err := ParseEvery(rapid.SampledFrom([]string{"1d", "2d", "5d", "1w", "3w", "1mo", "6mo"}).Draw(t, "every"), DefaultAnchor)
	if err != nil {
		t.Fatal(err)
	}
	s.Every = e
	return s
}

// around2029 are the freezes of that year and of some time before and after.
func around2029() fixed {
	return freezes().Between(time.Date(2028, 12, 1, 0, 0, 0, 0, time.UTC), time.Date(2030, 6, 1, 0, 0, 0, 0, time.UTC))
}

// TestOccasionsHold draws schedules, and looks at what holds of all occasions: their identities and order, and that every
// start, and so every moment, lies whole in the window and in no freeze.
func TestOccasionsHold(t *testing.T) {
	zones := []*time.Location{zoned(t, "Europe/Berlin"), zoned(t, "Australia/Lord_Howe"), zoned(t, "Pacific/Chatham"), zoned(t, "America/New_York")}
	freeze := around2029()
	rapid.Check(t, func(t *rapid.T) {
		s := schedule(t, freeze, zones)
		from := time.Date(2029, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 365*24*60).Draw(t, "from")) * time.Minute)
		seed := Seed("seed")
		all := s.Between(from, from.AddDate(0, 2, 0), seed)
		for i, o := range all {
			if i > 0 && (o.ID <= all[i-1].ID || o.Opens().Before(all[i-1].Opens())) {
				t.Fatalf("%s comes after %s", o.ID, all[i-1].ID)
			}
			if next, ok := s.Next(o.Opens().Add(-time.Second), seed); !ok || next.ID != o.ID || !next.Moment.Equal(o.Moment) {
				t.Fatalf("the next before %s is %s at %s, and not at %s", o.ID, next.ID, next.Moment, o.Moment)
			}
			if (len(o.Starts) == 0) != (o.Why != "") || (o.Why == "") != !o.Moment.IsZero() {
				t.Fatalf("%s has starts %v, a reason %q, a moment %s", o.ID, o.Starts, o.Why, o.Moment)
			}
			edges := []time.Time{}
			for _, x := range o.Starts {
				edges = append(edges, x.From, x.To)
			}
			if o.Why == "" {
				edges = append(edges, o.Moment)
			}
			for _, begin := range edges {
				end := begin.Add(s.Length())
				if !slices.ContainsFunc(o.Windows, func(w Span) bool { return !begin.Before(w.From) && !end.After(w.To) }) {
					t.Fatalf("%s to %s lies in no window of %v", begin, end, o.Windows)
				}
				for _, f := range freeze {
					if f.From.Before(end) && f.To.After(begin) {
						t.Fatalf("%s to %s meets the freeze %v", begin, end, f)
					}
				}
			}
		}
	})
}

// TestOnce lets decisions be asked for at any times, by processes that die between what they do, and sees that no occasion is
// settled twice, that none begins outside of its starts unless it makes up for a missed one, and that no two runs overlap.
func TestOnce(t *testing.T) {
	zones := []*time.Location{zoned(t, "Europe/Berlin"), zoned(t, "America/New_York")}
	freeze := around2029()
	rapid.Check(t, func(t *rapid.T) {
		s := schedule(t, freeze, zones)
		seed := Seed("seed")
		now := time.Date(2029, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 365*24*60).Draw(t, "from")) * time.Minute)
		state := State{Since: map[string]time.Time{s.Name: now}}
		ends := map[string]time.Time{}
		for range 30 {
			for i := range state.Settled {
				x := &state.Settled[i]
				x.Running = x.Outcome == Begun && now.Before(ends[x.ID])
			}
			d := Decide([]*Schedule{s}, state, seed, now)
			dies := rapid.IntRange(0, 10).Draw(t, "dies after")
			settle := func(x Settled) bool {
				for _, y := range state.Settled {
					if y.ID == x.ID {
						t.Fatalf("%s is settled again, as %s", x.ID, x.Outcome)
					}
				}
				state.Settled = append(state.Settled, x)
				dies--
				return dies >= 0
			}
			alive := true
			for _, x := range d.Skip {
				if alive {
					alive = settle(Settled{Schedule: s.Name, ID: x.Occasion.ID, Outcome: Skipped, At: now})
				}
			}
			for _, x := range d.Start {
				if !alive {
					break
				}
				for id, end := range ends {
					if now.Before(end) {
						t.Fatalf("%s begins at %s, and %s runs until %s", x.Occasion.ID, now, id, end)
					}
				}
				if at, ok := from(x.Occasion.Starts, now); x.MadeUp == 0 && (!ok || !at.Equal(now) || now.Before(x.Occasion.Moment)) {
					t.Fatalf("%s begins at %s, which is none of %v, or before %s", x.Occasion.ID, now, x.Occasion.Starts, x.Occasion.Moment)
				}
				for _, f := range freeze {
					if f.From.Before(now.Add(s.Length())) && f.To.After(now) {
						t.Fatalf("%s begins at %s, in the freeze %v", x.Occasion.ID, now, f)
					}
				}
				alive = settle(Settled{Schedule: s.Name, ID: x.Occasion.ID, Outcome: Begun, At: now, Running: true, Holds: s.Holds()})
				ends[x.Occasion.ID] = now.Add(s.Length() * time.Duration(rapid.IntRange(1, 3).Draw(t, "takes")))
			}
			if alive {
				state.Since = d.Through
			}
			wait := time.Duration(rapid.IntRange(1, 6000).Draw(t, "minutes")) * time.Minute
			if d.Wake.After(now) && rapid.IntRange(0, 3).Draw(t, "on time") > 0 {
				wait = d.Wake.Sub(now)
			}
			now = now.Add(wait)
		}
	})
}

// TestManyMissed asks after months in which nobody was there about a schedule that comes every minute.
func TestManyMissed(t *testing.T) {
	s := &Schedule{Name: "x", Items: item(10 * time.Second), Cron: mustCron(t, "* * * * *"), Zone: time.UTC, CatchUp: CatchUpOnce}
	now := yearsFrom.AddDate(0, 3, 0).Add(59 * time.Second) // too late for the occasion of this minute
	state := State{Since: map[string]time.Time{"x": yearsFrom}}
	d := Decide([]*Schedule{s}, state, nil, now.Add(500*time.Millisecond))
	if len(d.Skip) != mostTold {
		t.Errorf("%d are told of one by one", len(d.Skip))
	}
	if len(d.Start) != 0 || d.Wake.IsZero() { // a run of ten seconds does not end before the next minute
		t.Errorf("it begins %v, and is asked again at %s", d.Start, d.Wake)
	}
	now = now.Add(-20 * time.Second)
	d = Decide([]*Schedule{s}, state, nil, now)
	if len(d.Start) != 1 || d.Start[0].MadeUp != 0 || !d.Through["x"].Equal(now) {
		t.Errorf("%v begins, through %s", d.Start, d.Through["x"])
	}
}

// TestAgainst asks whether a later scenario of an occasion still lies in its hours.
func TestAgainst(t *testing.T) {
	berlin := zoned(t, "Europe/Berlin")
	night := &Schedule{Name: "x", Items: item(time.Hour), Every: mustEvery(t, "1w"), Zone: berlin, Window: &Window{Days: []time.Weekday{time.Friday}, From: at(22, 0), To: at(2, 0)},
		Freezes: []Freezer{fixed{{Name: "release", File: "f.ics", From: time.Date(2026, 12, 4, 23, 30, 0, 0, berlin), To: time.Date(2026, 12, 4, 23, 45, 0, 0, berlin)}}}}
	always := &Schedule{Name: "y", Items: item(time.Hour), Cron: mustCron(t, "0 22 * * *"), Zone: berlin}
	for _, x := range []struct {
		name   string
		s      *Schedule
		at     time.Time
		length time.Duration
		want   string
	}{
		{"in its hours", night, time.Date(2026, 12, 4, 22, 0, 0, 0, berlin), 90 * time.Minute, ""},
		{"to their end, after midnight", night, time.Date(2026, 12, 5, 0, 30, 0, 0, berlin), 90 * time.Minute, ""},
		{"a second too long", night, time.Date(2026, 12, 5, 0, 30, 1, 0, berlin), 90 * time.Minute, "it would run until 02:00:01, and the window closes at 2026-12-05 02:00 CET"},
		{"into a freeze", night, time.Date(2026, 12, 4, 22, 30, 1, 0, berlin), time.Hour, "it would run into a freeze: release (f.ics), 2026-12-04 23:30 to 2026-12-04 23:45 CET"},
		{"after its hours", night, time.Date(2026, 12, 5, 2, 10, 0, 0, berlin), time.Minute, "and the window closes at 2026-12-05 02:00 CET"},
		{"on another day", night, time.Date(2026, 12, 6, 22, 30, 0, 0, berlin), time.Minute, "it would not lie in the window's hours"},
		{"without a window", always, time.Date(2026, 12, 5, 23, 0, 0, 0, berlin), 90 * time.Minute, ""},
	} {
		if got := x.s.Against(x.at, x.length); got != x.want && (x.want == "" || !strings.HasSuffix(got, x.want)) {
			t.Errorf("%s: %q, want %q", x.name, got, x.want)
		}
	}
}

// TestFirstSeen sets a schedule up in the middle of its window: what has a random moment that passed is left alone, and that is said; what
// begins as soon as it can does, and so does what a timer calls for late.
func TestFirstSeen(t *testing.T) {
	week := &Schedule{Name: "x", Items: item(time.Hour), Every: mustEvery(t, "1w"), Zone: time.UTC, Window: &Window{Days: []time.Weekday{time.Tuesday}, From: at(10, 0), To: at(16, 0)}, Moment: AtRandom}
	seed := Seed("another")
	o, _ := week.Next(time.Date(2026, 12, 7, 0, 0, 0, 0, time.UTC), seed)
	last, _ := o.last()
	if last.Sub(o.Moment) < Late+2*time.Minute {
		t.Fatalf("the moment %s is too late for this test: take another seed", o.Moment)
	}
	late, soon := o.Moment.Add(Late+time.Second), o.Moment.Add(Late)
	d := Decide([]*Schedule{week}, State{}, seed, late)
	want := "its moment, " + o.Moment.Format("2006-01-02 15:04:05 UTC") + ", had passed when this schedule was first seen"
	if len(d.Start) != 0 || len(d.Skip) != 1 || d.Skip[0].Why != want || !d.Wake.After(o.Closes()) {
		t.Errorf("set up after its moment: %+v, want it skipped: %s", d, want)
	}
	all, never := func(*Schedule) bool { return true }, State{Since: map[string]time.Time{}}
	for _, x := range []struct {
		state State
		known func(*Schedule) bool
		why   string
		late  bool
	}{{never, all, want, false}, {never, nil, "", false}, {State{}, all, "", true}, {State{Since: map[string]time.Time{"x": o.Opens()}}, all, "", true}} {
		if p := Forecast([]*Schedule{week}, Coming{From: late, Count: 1}, x.state, seed, x.known); len(p) != 1 || p[0].Why != x.why || p[0].Late != x.late {
			t.Errorf("it is told of as %+v, want %+v", p, x)
		}
	}
	if d := Decide([]*Schedule{week}, State{}, seed, soon); len(d.Start) != 1 {
		t.Errorf("a timer that is an hour late: %+v", d)
	}
	if d := Decide([]*Schedule{week}, State{Since: map[string]time.Time{"x": o.Opens()}}, seed, late); len(d.Start) != 1 {
		t.Errorf("nobody was there at the moment: %+v", d)
	}
	week.Moment = AtStart
	if d := Decide([]*Schedule{week}, State{}, seed, late); len(d.Start) != 1 {
		t.Errorf("as soon as it can: %+v", d)
	}
}

// TestValidate refuses what contradicts itself. What the language says of each is in the golden files of package scenarios.
func TestValidate(t *testing.T) {
	s := &Schedule{Name: "x", Items: item(time.Hour), Cron: mustCron(t, "0 10 30 2 *"), Zone: time.UTC}
	var m *Mistake
	if err := s.Validate(); !errors.As(err, &m) || m.Summary != "It never comes" {
		t.Errorf("30 February: %v", err)
	}
	for _, text := range []string{"0 10 29 2 *", "0 10 29 2 */7", "0 0 31 12 *", "* * * * *", "@yearly"} {
		s.Cron = mustCron(t, text)
		if err := s.Validate(); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"", "TZ=", "CRON_TZ=UTC * * * * *", "@every 1s", "@reboot", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 7", "*/0 * * * *", "5-1 * * * *",
		strings.Repeat("1,", 200) + "1 * * * *"} {
		if c, err := ParseCron(text); err == nil {
			t.Errorf("%q is taken as %v", text, c)
		}
	}
	// 29 February was left out in 2100, so that the library alone, which looks five years ahead, finds none.
	s.Cron = mustCron(t, "0 10 29 2 *")
	o, ok := s.Next(time.Date(2097, 1, 1, 0, 0, 0, 0, time.UTC), nil)
	if diff := cmp.Diff("2104-02-29T10:00", o.ID); !ok || diff != "" {
		t.Errorf("after 2097: %s", diff)
	}
}

// FuzzParseCron parses anything, and asks what it parses for a time.
func FuzzParseCron(f *testing.F) {
	for _, text := range []string{"0 10 * * tue", "*/5 1-3,7 29 2 mon-fri", "@weekly", "TZ=x", "? ? ? ? ?"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseCron(text)
		if err != nil {
			return
		}
		after := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
		if next, ok := c.next(after); ok && !next.After(after) {
			t.Fatalf("%q is next at %s", text, next)
		}
	})
}
