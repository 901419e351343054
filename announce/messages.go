package announce

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gameday/clock"
	"gameday/report"
)

// Day is one game day: an occasion of a schedule, or a run by hand, which has neither schedule nor hours.
type Day struct {
	Schedule  string
	Occasion  string
	Scenarios []string // in the order in which they are run
	Blind     bool     // one of them is
	Hours     []Span
	// Open says that the hours have no end that anybody planned: it is begun at their begin, or as soon as it can.
	Open bool
	Zone *time.Location
	// Moment is when it is to begin; zero when that is not known. Of a blind one only facilitators are told.
	Moment time.Time
	// Run tells a run by hand from others: its record's folder, and the machine.
	Run string
}

// hidden reports whether a channel may learn nothing but the hours of the day before it is over.
func (d *Day) hidden(c *Channel) bool { return d.Blind && c.To != Facilitators }

// name says what the day is called: its schedule, or its scenarios.
func (d *Day) name() string {
	if d.Schedule != "" {
		return d.Schedule
	}
	return list(d.Scenarios)
}

// about is what tells the day from others.
func (d *Day) about() []string { return []string{d.Schedule, d.Occasion, d.Run} }

// opens and closes return the begin and the end of the hours; zero where there are none.
func (d *Day) opens() time.Time {
	if len(d.Hours) == 0 {
		return time.Time{}
	}
	return d.Hours[0].From
}

func (d *Day) closes() time.Time {
	if len(d.Hours) == 0 {
		return time.Time{}
	}
	return d.Hours[len(d.Hours)-1].To
}

// facts returns what a program may know of the day. Of a hidden one that is its hours.
func (d *Day) facts(hidden bool) *Facts {
	f := &Facts{}
	if len(d.Hours) > 0 {
		opens := d.opens().In(d.Zone)
		f.Opens, f.TimeZone = &opens, d.Zone.String()
		if !d.Open {
			closes := d.closes().In(d.Zone)
			f.Closes = &closes
		}
	}
	if hidden {
		return f
	}
	f.Schedule, f.Occasion, f.Scenarios = d.Schedule, d.Occasion, d.Scenarios
	return f
}

// hiddenAbout is what tells hidden messages apart: what they say. So two game days of the same hours are told once, and nobody can
// count them.
func (d *Day) hiddenAbout() []string {
	out := []string{"blind", d.Zone.String()}
	for _, h := range d.Hours {
		out = append(out, h.From.UTC().Format(time.RFC3339), h.To.UTC().Format(time.RFC3339))
	}
	return out
}

// Coming announces a day ahead of its hours. It is of use until they close.
func (c *Channel) Coming(d *Day) (Draft, bool) {
	if !c.wants(Coming) || len(d.Hours) == 0 {
		return Draft{}, false
	}
	hidden := d.hidden(c)
	m := Message{Event: Coming, Title: "Game day " + hoursText(d.Hours, d.Open, d.Zone), Facts: d.facts(hidden)}
	about := d.hiddenAbout()
	if !hidden {
		about = d.about()
		m.Lines = append(m.Lines, "schedule "+d.Schedule+": "+list(d.Scenarios))
		if !d.Moment.IsZero() {
			at := d.Moment.In(d.Zone)
			m.Facts.Moment = &at
			m.Lines = append(m.Lines, "It begins on "+at.Format("Monday")+" at "+at.Format("15:04:05")+".")
		}
		if d.Blind {
			m.Lines = append(m.Lines, "It is blind: others know the hours and nothing else.")
		}
		m.Link = c.Link
	}
	out := c.draft(m, about...)
	out.NotBefore, out.Expires = d.opens().Add(-c.Ahead), d.closes()
	return out, true
}

// Begun says that a day begins now. Those from whom it is hidden hear nothing.
func (c *Channel) Begun(d *Day, at time.Time, late string) (Draft, bool) {
	event := Begun
	if late != "" && !c.wants(Begun) {
		event = Missed
	}
	if !c.wants(event) || d.hidden(c) {
		return Draft{}, false
	}
	m := Message{Event: event, Title: "Game day " + d.name() + " has begun", Facts: d.facts(false), Link: c.Link}
	if d.Schedule != "" {
		m.Lines = append(m.Lines, "It runs "+list(d.Scenarios)+late+".")
	}
	out := c.draft(m, d.about()...)
	out.Expires = at.Add(time.Hour)
	return out, true
}

// Result is what came of one scenario. Low, High and Coverage are those of its scorecard; Judged is false when there is none, and
// Why says why.
type Result struct {
	Scenario string   `json:"scenario"`
	Judged   bool     `json:"judged"`
	Verdict  string   `json:"verdict,omitempty"`
	Low      float64  `json:"score_low"`
	High     float64  `json:"score_high"`
	Coverage float64  `json:"coverage"` // 0 to 1
	Missed   []string `json:"missed,omitempty"`
	Residue  []string `json:"residue,omitempty"`
	Left     bool     `json:"left_standing,omitempty"` // a fault is left standing, or may be
	Why      string   `json:"why,omitempty"`
	Record   string   `json:"record,omitempty"` // its folder
	Host     string   `json:"host,omitempty"`   // where that is

	score string // in words
}

// ResultOf returns what a scorecard says of a run whose record is in a folder of a machine.
func ResultOf(card *report.Scorecard, record, host string) Result {
	r := Result{Scenario: card.Scenario, Judged: true, Verdict: card.Verdict.String(), Low: card.Low, High: card.High, Coverage: card.Coverage,
		Left: card.Residue, Residue: card.Safety.Residue, Record: record, Host: host, score: card.ScoreWords()}
	if len(card.Why) > 0 {
		r.Why = card.Why[0]
	}
	items := card.Items()
	slices.SortStableFunc(items, func(a, b *report.Item) int {
		switch {
		case a.Required != b.Required && a.Required:
			return -1
		case a.Required != b.Required:
			return 1
		case a.Lost() > b.Lost():
			return -1
		case a.Lost() < b.Lost():
			return 1
		}
		return 0
	})
	for _, i := range items {
		if i.Outcome == clock.Missed {
			r.Missed = append(r.Missed, i.Title+": "+i.Measured)
		}
	}
	return r
}

// scoreText prints the score as an interval with its coverage.
func (r *Result) scoreText() string {
	score := r.score
	if score == "" {
		if score = fmt.Sprintf("%.0f–%.0f of 100", r.Low, r.High); r.Low == r.High {
			score = fmt.Sprintf("%.0f of 100", r.Low)
		}
	}
	return score + ", " + report.Share(r.Coverage) + " of it could be judged"
}

// lines tells of one result.
func (r *Result) lines() []string {
	if !r.Judged {
		return append([]string{r.Scenario + ": no verdict: " + r.Why}, r.left()...)
	}
	out := []string{r.Scenario + ": " + strings.ToUpper(r.Verdict) + ", " + r.scoreText()}
	if r.Verdict == report.Aborted.String() || r.Verdict == report.Inconclusive.String() {
		out = append(out, "why: "+r.Why)
	}
	for i, missed := range r.Missed[:min(2, len(r.Missed))] {
		if n := len(r.Missed) - 2; i == 1 && n > 0 {
			missed = line(missed)
			missed = string([]rune(missed)[:min(len([]rune(missed)), mostRunes-30)]) + fmt.Sprintf(", and %d more", n)
		}
		out = append(out, "missed: "+missed)
	}
	return append(append(out, r.left()...), r.place()...)
}

// left says what is left standing and what to do.
func (r *Result) left() []string {
	if !r.Left {
		return nil
	}
	out := []string{}
	for _, x := range r.Residue {
		out = append(out, "LEFT STANDING: "+x)
	}
	if len(out) == 0 {
		out = []string{"LEFT STANDING: a fault, or nobody knows that none is"}
	}
	where := ""
	if r.Host != "" {
		where = " on " + r.Host
	}
	return append(out, "Run `gameday revert`"+where+" now.")
}

// place says where to look.
func (r *Result) place() []string {
	if r.Record == "" {
		return nil
	}
	where := ""
	if r.Host != "" {
		where = " (on " + r.Host + ")"
	}
	return []string{"look: gameday report " + r.Record + where}
}

// End is how a day ended.
type End struct {
	At      time.Time
	Results []Result
	NotRun  []string // scenarios that were not begun any more
	Why     string   // they were not
}

// Ended tells everybody how a day ended. It is called when it is over: nothing is hidden any more. A channel that asks for any of
// ended, aborted and residue hears of what fits.
func (c *Channel) Ended(d *Day, e End) (Draft, bool) {
	events := []Event{Ended}
	left := slices.ContainsFunc(e.Results, func(r Result) bool { return r.Left })
	aborted := slices.ContainsFunc(e.Results, func(r Result) bool { return r.Verdict == report.Aborted.String() })
	title := "Game day " + d.name() + " " + verdictText(e)
	if aborted {
		events = append(events, Aborted)
		title = "Game day " + d.name() + " was aborted"
	}
	if left {
		events = append(events, Residue)
		title = "RESIDUE: game day " + d.name() + " may have left a fault standing"
		if slices.ContainsFunc(e.Results, func(r Result) bool { return len(r.Residue) > 0 }) {
			title = "RESIDUE: game day " + d.name() + " has left a fault standing"
		}
	}
	if !c.wants(events...) {
		return Draft{}, false
	}
	m := Message{Event: Ended, Title: title, Facts: d.facts(false), Link: c.Link}
	m.Facts.Results = e.Results
	for i := range e.Results {
		m.Lines = append(m.Lines, e.Results[i].lines()...)
	}
	if len(e.NotRun) > 0 {
		why := ""
		if e.Why != "" {
			why = ": " + e.Why
		}
		m.Lines = append(m.Lines, "not run after that: "+list(e.NotRun)+why)
	}
	out := c.draft(m, d.about()...)
	out.Message.Event = events[len(events)-1] // however it ended, it is one message
	out.Expires = e.At.Add(3 * 24 * time.Hour)
	return out, true
}

// endedKey is the key of the message that tells the channel how a day ended.
func (c *Channel) endedKey(d *Day) string { return c.draft(Message{Event: Ended}, d.about()...).Key }

// verdictText words what came of all results together.
func verdictText(e End) string {
	passed, judged := 0, 0
	worst := report.Passed
	for _, r := range e.Results {
		v := report.Inconclusive
		if r.Judged {
			judged++
			_ = v.UnmarshalText([]byte(r.Verdict)) // what it does not know is inconclusive
		}
		if v == report.Passed {
			passed++
		}
		worst = worst.Merge(v)
	}
	switch n := len(e.Results) + len(e.NotRun); {
	case judged == 0:
		return "has ended without a verdict"
	case worst == report.Passed && len(e.NotRun) == 0:
		return "passed"
	case n > 1:
		return fmt.Sprintf("%s: %d of %d scenarios passed", worst, passed, n)
	case worst == report.Inconclusive:
		return "is inconclusive"
	default:
		return worst.String()
	}
}

// Unfinished says that the process that ran a day died before its end. It is told when that is seen, by whoever comes next. Its run may go on by itself: those from
// whom it is hidden hear it when its hours have closed. Of a run by hand it is made when that begins, and watches it. The host is where it was begun, empty if
// nobody knows.
func (c *Channel) Unfinished(d *Day, began time.Time, by, host string) (Draft, bool) {
	if !c.wants(Unfinished, Ended) {
		return Draft{}, false
	}
	zone := d.Zone
	if zone == nil {
		zone = time.UTC
	}
	if host == "" {
		host = "the machine on which it was begun"
	}
	m := Message{Event: Unfinished, Title: "Game day " + d.name() + " did not come to its end", Facts: d.facts(false), Link: c.Link}
	m.Lines = []string{
		"It was begun on " + began.In(zone).Format("Monday 2 January 2006 at 15:04 MST") + " by " + by + ", and gameday was killed before it was over.",
		"Nobody knows what came of it, or whether a fault is left standing. If its run went on by itself, its record tells: gameday history.",
		"Run `gameday revert` on " + host + ": it reverts what is left, and says so.",
	}
	out := c.draft(m, d.about()...)
	out.Unless = c.endedKey(d)
	switch {
	case d.Run != "":
		out.Watch, out.NotBefore, out.Expires = d.Run, began.Add(firstLook), began.Add(30*24*time.Hour)
	case d.hidden(c):
		if out.NotBefore = d.closes(); began.After(out.NotBefore) { // it made up for a missed one, or there are no hours in its claim
			out.NotBefore = began.Add(24 * time.Hour)
		}
		out.Expires = out.NotBefore.Add(3 * 24 * time.Hour)
	default:
		out.Expires = began.Add(6 * 24 * time.Hour)
	}
	return out, true
}

// firstLook is how long after a run has begun somebody may first say that it has died: it takes a moment until it can be asked.
const firstLook = 2 * time.Minute

// Judgement is what is known of a rehearsal.
type Judgement struct {
	Rehearsal string
	State     string   // "go", "no-go", "not yet known"
	Why       []string // the reasons that may be told to this channel's audience
	Residue   bool
	Digest    string // of what was judged
	Command   string // that shows all of it
	At        time.Time
	// Again counts how often the same was told before, with something else between.
	Again int
}

// Rehearsed says what a rehearsal has come to. The same judgement of the same runs has the same key, unless it is told again.
func (c *Channel) Rehearsed(j Judgement) (Draft, bool) {
	if !c.wants(Rehearsal) && !(j.Residue && c.wants(Residue)) {
		return Draft{}, false
	}
	m := Message{Event: Rehearsal, Title: "Rehearsal " + j.Rehearsal + ": " + strings.ToUpper(j.State), Link: c.Link,
		Facts: &Facts{Rehearsal: j.Rehearsal, State: j.State}}
	if j.Residue {
		m.Event = Residue
		m.Title += ", RESIDUE"
		m.Lines = append(m.Lines, "LEFT STANDING: a fault, or nobody knows that none is. Run `gameday revert` now.")
	}
	for i, why := range j.Why {
		if i == 6 {
			m.Lines = append(m.Lines, fmt.Sprintf("and %d reasons more", len(j.Why)-i))
			break
		}
		m.Lines = append(m.Lines, "– "+why)
	}
	switch {
	case len(j.Why) > 0:
	case j.State == "not yet known":
		m.Lines = append(m.Lines, "Something is not run yet, or cannot be told.")
	case j.State == "no-go":
		m.Lines = append(m.Lines, "What speaks against it only facilitators are told.")
	}
	m.Lines = append(m.Lines, "look: "+j.Command)
	about := []string{j.Rehearsal, j.State, j.Digest, strings.Join(j.Why, "\x01")}
	if j.Again > 0 {
		about = append(about, strconv.Itoa(j.Again))
	}
	out := c.draft(m, about...)
	if !j.At.IsZero() {
		out.Expires = j.At.Add(3 * 24 * time.Hour)
	}
	return out, true
}

// Age is how long ago a scenario last passed.
type Age struct {
	Scenario string
	Blind    bool
	Passed   time.Time // zero is never
	Unread   int       // records that cannot be read, and may tell otherwise
}

// TooOld says that a scenario has not passed for longer than the channel's limit. It is told once until it passes again. Those who
// may not know of blind scenarios are not told its name.
func (c *Channel) TooOld(a Age, now time.Time) (Draft, bool) {
	if !c.wants(Stale) || c.StaleAfter <= 0 || !a.Passed.IsZero() && now.Sub(a.Passed) <= c.StaleAfter {
		return Draft{}, false
	}
	m := Message{Event: Stale, Link: c.Link}
	limit := "the limit is " + aboutDays(c.StaleAfter)
	since := "never"
	if !a.Passed.IsZero() {
		since = a.Passed.UTC().Format(time.RFC3339)
	}
	expires := now.Add(3 * 24 * time.Hour)
	if a.Blind && c.To != Facilitators {
		m.Title = "A game day has not passed for too long"
		m.Lines = []string{strings.ToUpper(limit[:1]) + limit[1:] + "."}
		out := c.draft(m, "blind", since)
		out.Expires = expires
		return out, true
	}
	m.Facts = &Facts{Scenarios: []string{a.Scenario}}
	m.Title = a.Scenario + " has never passed"
	if !a.Passed.IsZero() {
		m.Title = a.Scenario + " last passed " + aboutDays(now.Sub(a.Passed)) + " ago"
	}
	m.Lines = []string{strings.ToUpper(limit[:1]) + limit[1:] + ". Look: gameday fresh"}
	if a.Unread > 0 {
		m.Lines = append(m.Lines, plural(a.Unread, "record")+" cannot be read, and may tell otherwise.")
	}
	out := c.draft(m, a.Scenario, since)
	out.Expires = expires
	return out, true
}

// Try is the message by which somebody tries a channel.
func (c *Channel) Try(by string, at time.Time) Draft {
	m := Message{Event: Test, Title: "A test of gameday's announcements", Link: c.Link, Lines: []string{
		"Nothing is wrong, and nothing is planned: " + by + " tries whether this channel, " + c.ID() + ", is reached.",
	}}
	return c.draft(m, at.UTC().Format(time.RFC3339Nano), by)
}
