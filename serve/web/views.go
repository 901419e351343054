package web

import (
	"fmt"
	"html/template"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gameday/rehearsals"
	"gameday/report"
	"gameday/report/badge"
	"gameday/report/fresh"
	"gameday/report/trends"
	"gameday/room"
)

// funcs are what templates put into words.
var funcs = template.FuncMap{
	"day":     func(t time.Time) string { return t.Format("Mon 2 Jan 2006") },
	"stamp":   func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") },
	"exact":   func(t time.Time) string { return t.Format("15:04:05 MST") },
	"hours":   hoursWords,
	"ago":     func(now, t time.Time) string { return badge.Ago(now.Sub(t)) },
	"length":  func(d time.Duration) string { return report.Length(d.Round(time.Second)) },
	"span":    spanWords,
	"score":   func(r *Run) string { return scoreWords(r.Low, r.High) },
	"points":  scoreWords,
	"result":  resultOf,
	"tone":    toneOf,
	"state":   stateTone,
	"outcome": func(o string) string { return map[string]string{"missed": "bad", "unknown": "unsure"}[o] },
	"path":    pathOf,
	"query":   func(q string) template.URL { return template.URL(q) }, // url.Values made it
	"join":    func(s []string) string { return strings.Join(s, ", ") },
	"upper":   strings.ToUpper,
	"short":   func(s string) string { return s[:min(len(s), 16)] },
	"deref":   func(b *bool) bool { return b != nil && *b },
	"word":    func(tone, text string) toned { return toned{tone, text} },
	"about":   func(base, v any) about { return about{base, v} },
	"dict":    func(s sheet, page, path, name string) link { return link{s, page, path, name} },
}

// toned is a word with what it says at a glance.
type toned struct{ Tone, Text string }

// about is a value with what is around it.
type about struct{ Base, V any }

// link is one of those to the pages.
type link struct {
	Sheet            sheet
	Page, Path, Name string
}

// spanWords prints a length of time in days, where it is some.
func spanWords(d time.Duration) string {
	if n := d / (24 * time.Hour); n >= 2 && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%d days", n)
	}
	return report.Length(d)
}

// hoursWords prints the hours between two instants: "between 10:00 and 16:00 CET"; with the day where they end on another; and where they are
// of several days, the first and the last of them.
func hoursWords(from, to time.Time) string {
	y, m, d := from.Date()
	midnight := func(days int) time.Time { return time.Date(y, m, d+days, 0, 0, 0, 0, from.Location()) }
	first, last := clockOf(from), clockOf(to)
	switch {
	case to.After(midnight(1).Add(first)): // longer than a day by the clock on the wall
		day := to
		if last <= first { // the last window opened the day before
			day = to.AddDate(0, 0, -1)
		}
		hours := "between " + from.Format("15:04") + " and " + to.Format("15:04 MST")
		if last == first {
			hours = "at some time"
		}
		return hours + ", on a day from " + from.Format("Mon 2 Jan") + " to " + day.Format("Mon 2 Jan 2006")
	case sameDay(from, to):
		return "between " + from.Format("15:04") + " and " + to.Format("15:04 MST")
	case to.Equal(midnight(1)):
		return "between " + from.Format("15:04") + " and 24:00" + to.Format(" MST")
	}
	return "between " + from.Format("15:04") + " and " + to.Format("Mon 15:04 MST")
}

// clockOf returns what the clock on the wall shows, since midnight.
func clockOf(t time.Time) time.Duration {
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second
}

func sameDay(a, b time.Time) bool {
	y, m, d := a.Date()
	v, n, e := b.Date()
	return y == v && m == n && d == e
}

// pathOf escapes a name for an address, with its slashes.
func pathOf(name string) template.URL {
	parts := strings.Split(name, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return template.URL(strings.Join(parts, "/"))
}

// scoreWords prints a score as the report does: cut off, not rounded up.
func scoreWords(low, high float64) string {
	cut := func(v float64) string { return strconv.FormatFloat(math.Floor(v+1e-6), 'f', -1, 64) }
	if cut(low) == cut(high) {
		return cut(low)
	}
	return cut(low) + "–" + cut(high)
}

// resultOf says how a run ended.
func resultOf(r *Run) string {
	switch {
	case r.Going:
		return "in progress"
	case r.Search:
		return "search"
	case !r.Over:
		return "not ended: killed, or cut off"
	case r.Residue:
		return r.Verdict.String() + ", residue"
	}
	return r.Verdict.String()
}

func toneOf(r *Run) string {
	switch {
	case r.Going, r.Search:
		return ""
	case r.Residue:
		return "bad"
	case !r.Over:
		return "unsure"
	}
	return map[report.Verdict]string{report.Passed: "good", report.Failed: "bad", report.Aborted: "ended", report.Inconclusive: "unsure"}[r.Verdict]
}

func stateTone(s rehearsals.State) string {
	return map[rehearsals.State]string{rehearsals.Go: "good", rehearsals.NoGo: "bad", rehearsals.NotYetKnown: "unsure"}[s]
}

// How far the start page looks.
const (
	comingDays  = 60
	comingShown = 6
	staleShown  = 8
)

// nowPage is what is on, what comes next, and what is stale.
type nowPage struct {
	Rooms  []Room
	Going  []*Run // without a room
	Coming []seenOccasion
	Stale  []staleRow
	More   int // that are stale and not shown
	Of     int // scenarios and services that there are
	Unread int // folders that tell nothing
	Last   []*Run
	Known  struct{ Rooms, Coming, Runs bool }
	Launch []seenRehearsal
	Big    bool
}

// staleRow is something that did not pass for too long.
type staleRow struct {
	Kind string // "scenario", "service"
	fresh.Row
}

func (s *Site) now(v *visit) (any, error) {
	p := &nowPage{}
	runs, err := s.past(v.Context(), v.Role)
	if p.Known.Runs = err == nil; err != nil {
		v.missing("What was run", err)
		runs = &past{}
	}
	rooms, err := s.Data.Rooms(v.Context())
	if p.Known.Rooms = err == nil; err != nil {
		v.missing("Which rooms are open", err)
	}
	p.Rooms = seenRooms(rooms, runs, v.Role)
	for _, r := range runs.all {
		if r.Going && !slices.ContainsFunc(p.Rooms, func(x Room) bool { return x.Run == r.Folder }) {
			p.Going = append(p.Going, r)
		}
		if !r.Going && len(p.Last) < 5 {
			p.Last = append(p.Last, r)
		}
	}
	// The hours of a blind one that has ended may be told for up to an hour longer, for they are rounded: it does not go before.
	all, err := s.Data.Occasions(v.Context(), v.at.Add(-time.Hour), v.at.AddDate(0, 0, comingDays))
	if p.Known.Coming = err == nil; err != nil {
		v.missing("What comes next", err)
	}
	for _, o := range seenOccasions(all, runs, v.Role, v.at) {
		if o.Closes.After(v.at) && (o.Tone == "" || o.Told.Late) && len(p.Coming) < comingShown {
			p.Coming = append(p.Coming, o)
		}
	}
	board := s.board(v, runs)
	p.Unread = len(board.Skipped)
	p.Of = len(board.Scenarios) + len(board.Services)
	for _, part := range []struct {
		kind string
		rows []fresh.Row
	}{{"scenario", board.Scenarios}, {"service", board.Services}} {
		for _, row := range part.rows {
			if row.Fresh != nil && !*row.Fresh {
				p.Stale = append(p.Stale, staleRow{part.kind, row})
			}
		}
	}
	if p.More = len(p.Stale) - staleShown; p.More > 0 {
		p.Stale = p.Stale[:staleShown]
	}
	p.Launch = s.launches(v, runs)
	return p, nil
}

// launches returns the rehearsals as far as they may be seen; what is not known of them is noted.
func (s *Site) launches(v *visit, runs *past) []seenRehearsal {
	all, err := s.Data.Rehearsals(v.Context())
	if err != nil {
		v.missing("What may launch", err)
	}
	var out []seenRehearsal
	for i := range all {
		out = append(out, seenRehearsalOf(&all[i], runs, v.Role, v.at))
	}
	return out
}

func (s *Site) trends(v *visit) (any, error) {
	runs, err := s.past(v.Context(), v.Role)
	if err != nil {
		return nil, err
	}
	return trends.Sections(trends.Of(runs.ended(""), runs.skipped, v.at))
}

// freshPage is the board of what passed when.
type freshPage struct {
	*fresh.Board
	Stale int
}

// board tells of all that was run, and of what schedules should have.
func (s *Site) board(v *visit, runs *past) *fresh.Board {
	return fresh.Of(runs.ended(""), runs.skipped, fresh.Ask{Planned: seenScheduled(s.Data.Scheduled(), v.Role), Limit: s.FreshWithin}, v.at)
}

func (s *Site) fresh(v *visit) (any, error) {
	runs, err := s.past(v.Context(), v.Role)
	if err != nil {
		return nil, err
	}
	b := s.board(v, runs)
	return freshPage{b, b.Stale()}, nil
}

func (s *Site) people(v *visit) (any, error) {
	if v.Role != room.Facilitator {
		return nil, &refusal{http.StatusForbidden, "That is for facilitators."}
	}
	return nil, nil
}

// Limits of the calendar.
const (
	weeksBack    = 2
	weeksShown   = 8
	mostWeeksOff = 520
)

// calendarPage is some weeks.
type calendarPage struct {
	Weeks         []week
	Occasions     []seenOccasion
	Freezes       []freezeRow
	Before, After int // weeks from now, for the pages beside this one
	From, Until   time.Time
	Unreasoned    bool // an occasion was skipped for a reason that is shown to facilitators alone
}

type week struct{ Days []dayCell }

// dayCell is one day of the calendar.
type dayCell struct {
	Date      time.Time // midnight, UTC
	Today     bool
	Past      bool
	Frozen    []string
	Occasions []seenOccasion
}

type freezeRow struct {
	Name     string
	From, To time.Time
}

func (s *Site) calendar(v *visit) (any, error) {
	off, _ := strconv.Atoi(v.URL.Query().Get("week"))
	off = min(max(off, -mostWeeksOff), mostWeeksOff)
	runs, err := s.past(v.Context(), v.Role)
	if err != nil {
		v.missing("What was run", err)
		runs = &past{}
	}
	today := v.at.UTC().Truncate(24 * time.Hour)
	monday := today.AddDate(0, 0, -(int(today.Weekday())+6)%7)
	p := &calendarPage{From: monday.AddDate(0, 0, 7*(off-weeksBack)), Before: off - weeksShown, After: off + weeksShown}
	p.Until = p.From.AddDate(0, 0, 7*weeksShown)
	// Days are those of the schedules' own zones, which may begin a day before or after those here.
	all, err := s.Data.Occasions(v.Context(), p.From.AddDate(0, 0, -1), p.Until.AddDate(0, 0, 1))
	if err != nil {
		return nil, err
	}
	for _, o := range seenOccasions(all, runs, v.Role, v.at) {
		if p.has(&o) {
			p.Occasions = append(p.Occasions, o)
			p.Unreasoned = p.Unreasoned || o.Told != nil && o.Word == "skipped" && o.Told.Why == ""
		}
	}
	frozen, err := s.Data.Freezes(v.Context(), p.From, p.Until)
	if err != nil {
		v.missing("What is frozen", err)
	}
	for _, f := range frozen {
		p.Freezes = append(p.Freezes, freezeRow{f.Name, f.From, f.To})
	}
	p.lay(today)
	return p, nil
}

// has reports whether an occasion is in these weeks: it begins in them, or, where its moment is not known, may.
func (p *calendarPage) has(o *seenOccasion) bool {
	begins := dateOf(o.Begins())
	return begins.Before(p.Until) && (!begins.Before(p.From) || o.Vague() && dateOf(o.Closes).After(p.From))
}

// dateOf returns the day that an instant's own zone shows, as midnight in UTC.
func dateOf(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// lay puts occasions and freezes on their days.
func (p *calendarPage) lay(today time.Time) {
	for w := range weeksShown {
		var one week
		for d := range 7 {
			date := p.From.AddDate(0, 0, 7*w+d)
			cell := dayCell{Date: date, Today: date.Equal(today), Past: date.Before(today)}
			for _, o := range p.Occasions {
				if at := dateOf(o.Begins()); at.Equal(date) || w+d == 0 && at.Before(date) {
					cell.Occasions = append(cell.Occasions, o)
				}
			}
			for _, f := range p.Freezes {
				if !dateOf(f.From).After(date) && dateOf(f.To.Add(-time.Nanosecond)).Compare(date) >= 0 && !slices.Contains(cell.Frozen, f.Name) {
					cell.Frozen = append(cell.Frozen, f.Name)
				}
			}
			one.Days = append(one.Days, cell)
		}
		p.Weeks = append(p.Weeks, one)
	}
}

// Span names the weeks that are shown.
func (p *calendarPage) Span() string {
	last := p.Until.AddDate(0, 0, -1)
	if p.From.Year() != last.Year() {
		return p.From.Format("2 January 2006") + " to " + last.Format("2 January 2006")
	}
	return p.From.Format("2 January") + " to " + last.Format("2 January 2006")
}

// Month returns the name of the month where a day begins one, else nothing.
func (d dayCell) Month() string {
	if d.Date.Day() == 1 {
		return d.Date.Format("Jan")
	}
	return ""
}
