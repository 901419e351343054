package ical

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func berlin(t testing.TB) *time.Location {
	t.Helper()
	z, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// file makes a calendar of lines.
func file(lines string) []byte {
	return []byte("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//y//EN\r\n" + strings.ReplaceAll(strings.TrimSpace(lines), "\n", "\r\n") + "\r\nEND:VCALENDAR\r\n")
}

func event1(lines string) string { return "BEGIN:VEVENT\nUID:1\n" + lines + "\nEND:VEVENT\n" }

// own is a zone that no database knows, which changes as Berlin's does.
const own = `BEGIN:VTIMEZONE
TZID:Our Standard Time
BEGIN:STANDARD
DTSTART:16011028T030000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010325T020000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
END:DAYLIGHT
END:VTIMEZONE
`

// TestFreezes reads events and compares what is frozen from 2026 to 2029 with what was worked out by hand, in Berlin's time.
func TestFreezes(t *testing.T) {
	tests := []struct{ name, ics, want string }{
		{"a day", event1("DTSTART;VALUE=DATE:20261224\nSUMMARY:Christmas\\, eve"), "2026-12-24 00:00–2026-12-25 00:00 Christmas, eve"},
		{"days to a date that is not among them", event1("DTSTART;VALUE=DATE:20261220\nDTEND;VALUE=DATE:20270102"), "2026-12-20 00:00–2027-01-02 00:00"},
		{"a day with the same end", event1("DTSTART;VALUE=DATE:20261220\nDTEND;VALUE=DATE:20261220"), "2026-12-20 00:00–2026-12-21 00:00"},
		{"a day in which the clock changes", event1("DTSTART;VALUE=DATE:20260329\nDURATION:P1D"), "2026-03-29 00:00–2026-03-30 00:00"},
		{"UTC", event1("DTSTART:20260701T100000Z\nDTEND:20260701T113000Z"), "2026-07-01 12:00–2026-07-01 13:30"},
		{"floating", event1("DTSTART:20260701T100000\nDURATION:PT90M"), "2026-07-01 10:00–2026-07-01 11:30"},
		{"another zone", event1("DTSTART;TZID=America/New_York:20260310T090000\nDTEND;TZID=America/New_York:20260310T100000"), "2026-03-10 14:00–2026-03-10 15:00"},
		{"a zone behind a prefix", event1("DTSTART;TZID=/freeassociation.sourceforge.net/America/New_York:20260310T090000\nDURATION:PT1H"), "2026-03-10 14:00–2026-03-10 15:00"},
		{"a zone of its own", own + event1("DTSTART;TZID=Our Standard Time:20260710T090000\nDURATION:PT1H\nRRULE:FREQ=MONTHLY;INTERVAL=6;COUNT=2"),
			"2026-07-10 09:00–2026-07-10 10:00; 2027-01-10 09:00–2027-01-10 10:00"},
		{"folded", event1("DTSTART;VALUE=DATE:202612\n 24\nSUMMARY:Chr\n\tist\n mas"), "2026-12-24 00:00–2026-12-25 00:00 Christmas"},
		{"every year on 29 February", event1("DTSTART;VALUE=DATE:20240229\nRRULE:FREQ=YEARLY"), "2028-02-29 00:00–2028-03-01 00:00"},
		{"over a change of the clock", event1("DTSTART;TZID=Europe/Berlin:20260328T013000\nDURATION:PT2H\nRRULE:FREQ=DAILY;COUNT=2"),
			"2026-03-28 01:30–2026-03-28 03:30; 2026-03-29 01:30–2026-03-29 04:30"},
		{"days by the calendar over a change of the clock", event1("DTSTART;TZID=Europe/Berlin:20260328T120000\nDURATION:P1D"), "2026-03-28 12:00–2026-03-29 12:00"},
		{"a time that the clock jumps over", event1("DTSTART;TZID=Europe/Berlin:20260329T023000\nDURATION:PT1H"), "2026-03-29 03:00–2026-03-29 04:00"},
		{"until a UTC time", event1("DTSTART;TZID=Europe/Berlin:20260701T003000\nDURATION:PT1H\nRRULE:FREQ=DAILY;UNTIL=20260702T223000Z"),
			"2026-07-01 00:30–2026-07-01 01:30; 2026-07-02 00:30–2026-07-02 01:30; 2026-07-03 00:30–2026-07-03 01:30"},
		{"until a UTC time a second too early", event1("DTSTART;TZID=Europe/Berlin:20260701T003000\nDURATION:PT1H\nRRULE:FREQ=DAILY;UNTIL=20260702T222959Z"),
			"2026-07-01 00:30–2026-07-01 01:30; 2026-07-02 00:30–2026-07-02 01:30"},
		{"the last working day of a quarter", event1("DTSTART;VALUE=DATE:20280331\nRRULE:FREQ=MONTHLY;INTERVAL=3;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;COUNT=3"),
			"2028-03-31 00:00–2028-04-01 00:00; 2028-06-30 00:00–2028-07-01 00:00; 2028-09-29 00:00–2028-09-30 00:00"},
		{"a begin that its rule does not name", event1("DTSTART;VALUE=DATE:20260701\nRRULE:FREQ=YEARLY;BYMONTH=8;BYMONTHDAY=1;UNTIL=20261231"),
			"2026-07-01 00:00–2026-07-02 00:00; 2026-08-01 00:00–2026-08-02 00:00"},
		{"dates added and taken away", event1("DTSTART;VALUE=DATE:20260701\nRRULE:FREQ=DAILY;COUNT=4\nEXDATE;VALUE=DATE:20260702,20260703\nRDATE;VALUE=DATE:20260901"),
			"2026-07-01 00:00–2026-07-02 00:00; 2026-07-04 00:00–2026-07-05 00:00; 2026-09-01 00:00–2026-09-02 00:00"},
		{"a date taken away in another zone", event1("DTSTART;TZID=Europe/Berlin:20260701T100000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=2\nEXDATE:20260702T080000Z"), "2026-07-01 10:00–2026-07-01 11:00"},
		{"periods", event1("DTSTART:20260701T100000Z\nDTEND:20260701T110000Z\nRDATE;VALUE=PERIOD:20260801T100000Z/PT2H,20260901T100000Z/20260901T103000Z"),
			"2026-07-01 12:00–2026-07-01 13:00; 2026-08-01 12:00–2026-08-01 14:00; 2026-09-01 12:00–2026-09-01 12:30"},
		{"a recurrence that was moved", event1("DTSTART;VALUE=DATE:20260701\nRRULE:FREQ=DAILY;COUNT=2") + event1("RECURRENCE-ID;VALUE=DATE:20260702\nDTSTART;VALUE=DATE:20260710\nSUMMARY:moved"),
			"2026-07-01 00:00–2026-07-02 00:00; 2026-07-10 00:00–2026-07-11 00:00 moved"},
		{"a recurrence that was cancelled", event1("DTSTART;VALUE=DATE:20260701\nRRULE:FREQ=DAILY;COUNT=2") + event1("RECURRENCE-ID;VALUE=DATE:20260702\nDTSTART;VALUE=DATE:20260702\nSTATUS:CANCELLED"),
			"2026-07-01 00:00–2026-07-02 00:00"},
		{"cancelled", event1("DTSTART;VALUE=DATE:20260701\nSTATUS:CANCELLED"), ""},
		{"transparent", event1("DTSTART;VALUE=DATE:20260701\nTRANSP:TRANSPARENT"), ""},
		{"tentative freezes", event1("DTSTART;VALUE=DATE:20260701\nSTATUS:TENTATIVE\nTRANSP:OPAQUE"), "2026-07-01 00:00–2026-07-02 00:00"},
		{"a newer version", event1("DTSTART;VALUE=DATE:20260701\nSEQUENCE:9") + event1("DTSTART;VALUE=DATE:20260801\nSEQUENCE:10"), "2026-08-01 00:00–2026-08-02 00:00"},
		{"two without a UID", "BEGIN:VEVENT\nDTSTART;VALUE=DATE:20260701\nEND:VEVENT\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20260801\nSEQUENCE:1\nEND:VEVENT",
			"2026-07-01 00:00–2026-07-02 00:00; 2026-08-01 00:00–2026-08-02 00:00"},
		{"what is no event", "BEGIN:VTODO\nDTSTART:20260701T100000Z\nEND:VTODO\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20260701\nBEGIN:VALARM\nTRIGGER:-PT30M\nDURATION:garbage\nEND:VALARM\nEND:VEVENT", "2026-07-01 00:00–2026-07-02 00:00"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			z := berlin(t)
			c, err := Read(file(test.ics), "freeze.ics", z)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range c.Between(time.Date(2026, 1, 1, 0, 0, 0, 0, z), time.Date(2029, 1, 1, 0, 0, 0, 0, z)) {
				text := f.From.In(z).Format("2006-01-02 15:04") + "–" + f.To.In(z).Format("2006-01-02 15:04")
				if !strings.HasPrefix(f.Name, "the event in line") {
					text += " " + f.Name
				}
				if f.File != "freeze.ics" {
					t.Errorf("the freeze is of %q", f.File)
				}
				got = append(got, text)
			}
			if diff := cmp.Diff(test.want, strings.Join(got, "; ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestGarbage reads what is no calendar, or none that could be understood. Each must be refused, at its line.
func TestGarbage(t *testing.T) {
	head := "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20261224\n"
	tail := "END:VEVENT\nEND:VCALENDAR\n"
	tests := []struct {
		name, src, want string
		line            int
	}{
		{"empty", "", "there is no calendar in it", 0},
		{"a web page", "<html>\n", "is not a line of iCalendar", 1},
		{"cut off", head + "END:VEV", "what is open is VEVENT", 4},
		{"cut off after a line", head, "the file ends within VEVENT", 3},
		{"a line of garbage", head + "garbage\n" + tail, "is not a line of iCalendar", 4},
		{"binary", head + "X:\x00\n" + tail, "control character", 4},
		{"a todo alone", "BEGIN:VTODO\nEND:VTODO\n", "begins with BEGIN:VCALENDAR", 1},
		{"no begin", "BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:x\n" + tail, "has no DTSTART", 2},
		{"no end", "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260101T100000Z\n" + tail, "neither DTEND nor DURATION", 2},
		{"31 February", "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20260231\n" + tail, "is not a date", 3},
		{"year 1", "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:00010101\n" + tail, "not between 1900 and 2200", 3},
		{"a time called a date", "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20260101T100000\n" + tail, "is not a date", 3},
		{"ends before it begins", head + "DTEND;VALUE=DATE:20261223\n" + tail, "ends when it begins, or before", 4},
		{"ends at a time", head + "DTEND:20261225T000000\n" + tail, "one is a date and the other a time", 4},
		{"two ends", head + "DTEND;VALUE=DATE:20261225\nDURATION:P1D\n" + tail, "a DTEND and a DURATION", 5},
		{"two begins", head + "DTSTART;VALUE=DATE:20261225\n" + tail, "a second DTSTART", 4},
		{"a negative duration", head + "DURATION:-P1D\n" + tail, "none that something could be frozen for", 4},
		{"no duration", head + "DURATION:P\n" + tail, "is not a duration", 4},
		{"a duration of centuries", head + "DURATION:P9999W\n" + tail, "longer than ten years", 4},
		{"an unknown zone", "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;TZID=Mars/Olympus:20260101T100000\nDURATION:PT1H\n" + tail, "neither in the tz database nor described", 3},
		{"a zone without parts", "BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:x\nEND:VTIMEZONE\nBEGIN:VEVENT\nDTSTART;TZID=x:20260101T100000\nDURATION:PT1H\n" + tail, "no part STANDARD", 6},
		{"every second", head + "RRULE:FREQ=SECONDLY\n" + tail, "more often than once a day", 4},
		{"several times a day", head + "RRULE:FREQ=DAILY;BYHOUR=1,2\n" + tail, "several times a day", 4},
		{"a rule without a frequency", head + "RRULE:COUNT=3\n" + tail, "FREQ is required", 4},
		{"30 February for ever", head + "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30\n" + tail, "names no day at all", 4},
		{"until before", head + "RRULE:FREQ=DAILY;UNTIL=20200101\n" + tail, "before the begin", 4},
		{"count and until", head + "RRULE:FREQ=DAILY;COUNT=3;UNTIL=20300101\n" + tail, "COUNT or UNTIL", 4},
		{"no interval", head + "RRULE:FREQ=DAILY;INTERVAL=0\n" + tail, "INTERVAL=0", 4},
		{"an exception at a time", head + "RRULE:FREQ=DAILY\nEXDATE:20261225T000000Z\n" + tail, "one is a date and the other a time", 5},
		{"this and the future", head + "UID:1\nRECURRENCE-ID;RANGE=THISANDFUTURE;VALUE=DATE:20261224\n" + tail, "is not understood here", 5},
		{"deep", strings.Repeat("BEGIN:VCALENDAR\n", 20), "within each other", 11},
		{"long", head + "X:" + strings.Repeat("x", maxLine) + "\n" + tail, "a line of more than", 4},
		{"long, folded", head + "X:" + strings.Repeat("x\n ", maxLine) + "\n" + tail, "a line of more than", 4},
		{"large", strings.Repeat("X", MaxSize+1), "a calendar may have", 0},
		{"many events", "BEGIN:VCALENDAR\n" + strings.Repeat("BEGIN:VEVENT\nDTSTART;VALUE=DATE:20261224\nEND:VEVENT\n", maxEvents+1) + "END:VCALENDAR\n", "more than 10000 events", 0},
		{"many rules", "BEGIN:VCALENDAR\n" + strings.Repeat("BEGIN:VEVENT\nDTSTART;VALUE=DATE:20261224\nRRULE:FREQ=YEARLY\nEND:VEVENT\n", maxRecurrence+1) + "END:VCALENDAR\n", "more than 500 recurrence rules", 2004},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Read([]byte(test.src), "freeze.ics", berlin(t))
			var m *Mistake
			if !errors.As(err, &m) {
				t.Fatalf("it is read: %v", err)
			}
			if m.Line != test.line || !strings.Contains(m.Text, test.want) || m.File != "freeze.ics" {
				t.Errorf("it says %q; want line %d: …%s…", m, test.line, test.want)
			}
		})
	}
}

// TestOwnZone compares a zone that a file describes with the same one of the tz database, at any minute.
func TestOwnZone(t *testing.T) {
	z := berlin(t)
	r := &reader{file: "x"}
	parts := r.components("BEGIN:VCALENDAR\n" + own + "END:VCALENDAR\n")
	if r.err != nil {
		t.Fatal(r.err)
	}
	c := &calendar{reader: r, zones: map[string]zone{}, described: map[string]*component{"Our": parts[0].parts[0]}}
	mine, err := c.zone("Our")
	if err != nil {
		t.Fatal(err)
	}
	theirs := place{z}
	check := func(t interface{ Errorf(string, ...any) }, civil time.Time) {
		if a, b := mine.at(civil), theirs.at(civil); !a.Equal(b) {
			t.Errorf("%s is %s by the file and %s by the database", civil, a, b)
		}
		if a, b := mine.shown(civil), theirs.shown(civil); !a.Equal(b) {
			t.Errorf("at %s it is %s by the file and %s by the database", civil, a, b)
		}
	}
	from := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		check(t, from.Add(time.Duration(rapid.IntRange(0, 36*365*24*60).Draw(t, "minute"))*time.Minute))
	})
	for _, d := range []time.Time{time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC), time.Date(2026, 10, 25, 0, 0, 0, 0, time.UTC)} {
		for m := range 6 * 60 {
			check(t, d.Add(time.Duration(m)*time.Minute))
		}
	}
}

// TestPieces asks for freezes in pieces and at once: what is frozen does not depend on how one asks.
func TestPieces(t *testing.T) {
	z := berlin(t)
	c, err := Read(file(own+event1("DTSTART;TZID=Our Standard Time:20200115T220000\nDURATION:P2DT3H\nRRULE:FREQ=WEEKLY;INTERVAL=3;BYDAY=MO,TH")+event1("DTSTART;VALUE=DATE:20201220\nDTEND;VALUE=DATE:20210110\nRRULE:FREQ=YEARLY")), "x", z)
	if err != nil {
		t.Fatal(err)
	}
	from := time.Date(2025, 1, 1, 0, 0, 0, 0, z)
	all := c.Between(from, from.AddDate(6, 0, 0))
	rapid.Check(t, func(t *rapid.T) {
		a := from.Add(time.Duration(rapid.IntRange(0, 5*365*24*60).Draw(t, "begin")) * time.Minute)
		b := a.Add(time.Duration(rapid.IntRange(1, 365*24*60).Draw(t, "length")) * time.Minute)
		want := []string{}
		for _, f := range all {
			if f.From.Before(b) && f.To.After(a) {
				want = append(want, fmt.Sprint(f))
			}
		}
		got := []string{}
		for _, f := range c.Between(a, b) {
			got = append(got, fmt.Sprint(f))
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

// TestHolidays reads files with transparent events, as calendars of holidays have them.
func TestHolidays(t *testing.T) {
	z := berlin(t)
	day := "DTSTART;VALUE=DATE:20261225\nSUMMARY:Christmas"
	from, to := time.Date(2026, 12, 1, 0, 0, 0, 0, z), time.Date(2027, 1, 1, 0, 0, 0, 0, z)
	for _, x := range []struct {
		name, ics              string
		freeze, holidays, free int
		alone                  bool
	}{
		{"free", event1(day + "\nTRANSP:TRANSPARENT"), 0, 1, 1, true},
		{"free, and another", event1(day+"\nTRANSP:TRANSPARENT") + strings.Replace(event1("DTSTART;VALUE=DATE:20261228"), "UID:1", "UID:2", 1), 1, 2, 1, false},
		{"cancelled", event1(day + "\nTRANSP:TRANSPARENT\nSTATUS:CANCELLED"), 0, 0, 0, false},
		{"busy", event1(day), 1, 1, 0, false},
	} {
		c, err := Read(file(x.ics), "x", z)
		all, err2 := ReadHolidays(file(x.ics), "x", z)
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		n, alone := c.Free()
		if a, b := len(c.Between(from, to)), len(all.Between(from, to)); a != x.freeze || b != x.holidays || n != x.free || alone != x.alone {
			t.Errorf("%s: %d freezes, %d holidays, %d are free, alone %v; want %+v", x.name, a, b, n, alone, x)
		}
		if n, _ := all.Free(); n != 0 || c.File() != "x" {
			t.Errorf("%s: of holidays %d are free", x.name, n)
		}
	}
}

// FuzzRead reads anything. It must not panic, nor take for ever; what it refuses it refuses with a Mistake, and what it takes
// it answers about, twice the same.
func FuzzRead(f *testing.F) {
	f.Add(file(own + event1("DTSTART;TZID=Our Standard Time:20260710T090000\nDURATION:PT1H\nRRULE:FREQ=MONTHLY;COUNT=2\nEXDATE:20260810T070000Z\nRDATE:20260811T070000Z")))
	f.Add(file(event1("DTSTART;VALUE=DATE:20260701\nRRULE:FREQ=DAILY;COUNT=2") + event1("RECURRENCE-ID;VALUE=DATE:20260702\nDTSTART;VALUE=DATE:20260710\nSUMMARY:moved")))
	f.Add([]byte("BEGIN:VCALENDAR\nX;Y=\"z\":\\n\nEND:VCALENDAR"))
	f.Fuzz(func(t *testing.T, src []byte) {
		z := berlin(t)
		c, err := Read(src, "x.ics", z)
		if err != nil {
			var m *Mistake
			if !errors.As(err, &m) || m.Text == "" {
				t.Fatalf("refused without a mistake: %v", err)
			}
			return
		}
		from := time.Date(2026, 3, 1, 0, 0, 0, 0, z)
		a, b := c.Between(from, from.AddDate(0, 2, 0)), c.Between(from, from.AddDate(0, 2, 0))
		if diff := cmp.Diff(a, b); diff != "" {
			t.Fatal(diff)
		}
		for _, x := range a {
			if !x.From.Before(x.To) || !x.From.Before(from.AddDate(0, 2, 0)) || !x.To.After(from) {
				t.Fatalf("a freeze that is none: %v", x)
			}
		}
	})
}
