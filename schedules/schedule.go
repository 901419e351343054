// Package schedules says when game days come: which occasions a schedule has, in which hours each lies, at what moment it
// begins, what freezes it, and what is to be done at an instant with everything that has run, runs, or was missed.
//
// The package is pure: plain values, no language, no files, no clock of its own. Package scenarios decodes schedules from a
// calendar, package schedules/ical reads freezes, package schedules/claims keeps on disk what was begun. The same schedules,
// the same seed and the same state give the same answer on every machine.
//
// Times of a schedule are those of the clock on the wall of its time zone. A time that the clock jumps over is the instant of
// the jump; one that it shows twice is the first of the two.
package schedules

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"
	_ "time/tzdata" // a machine may have no time zones installed
)

// Late is how much later than its time a run without a window may begin. It is as much as clocks jump: a timer that does not call
// at an hour that the clock jumps over may call an hour later.
const Late = time.Hour

// ThisMachine is what Item.Holds names of a run whose faults land on the machine that it is started on.
const ThisMachine = "this machine"

var calendarName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,47}$`)

// CalendarName reports whether a calendar may have a name. In a state folder, folders of other names are no calendars'.
func CalendarName(name string) bool { return calendarName.MatchString(name) }

// clockDay is the length of a day by the clock on the wall.
const clockDay = 24 * time.Hour

// Schedule is when some scenarios are run, one after the other. It is never changed once made, and safe for concurrent use
// if its Freezes are.
type Schedule struct {
	Name  string
	Items []Item // in the order in which they are run
	// Cron and Every say how often; exactly one is set.
	Cron  *Cron
	Every *Every
	Zone  *time.Location
	// Window says in which hours a run lies whole; nil, which only a schedule with Cron may have, is at Cron's time, and up to
	// Late after it.
	Window  *Window
	Moment  Moment
	CatchUp CatchUp
	Freezes []Freezer
	SkipIf  SkipIf
}

// Item is one scenario of a schedule.
type Item struct {
	File     string // path of the scenario file
	Scenario string // its name in the file
	Vars     []string
	VarFiles []string
	Length   time.Duration // as planned
	Blind    bool
	// Holds names what a run of it has for itself, in words that are the same for whoever holds the same.
	Holds []string
}

// Window is a span of the day.
type Window struct {
	Days []time.Weekday // those on which it begins; none means every day
	// From and To are times of the day by the clock on the wall, since midnight. To is at most 24h; when it is not later than
	// From, the window ends on the next day.
	From, To time.Duration
}

// Moment says when in its window a run begins.
type Moment int

// The moments.
const (
	AtStart  Moment = iota // as soon as the window opens
	AtRandom               // drawn from the seed, each second as likely as any other
)

// CatchUp says what becomes of occasions that nobody was there to begin.
type CatchUp int

// The ways to catch up.
const (
	CatchUpSkip CatchUp = iota // they are skipped, and that is said
	CatchUpOnce                // one run makes up for all of them, in the window's hours
)

// SkipIf says for which reasons an occasion is skipped, besides those for which every one is: another run holds the same
// targets, or a policy forbids it.
type SkipIf struct {
	// Incident skips when a source of the scenarios tells of an open incident, or cannot tell.
	Incident bool
	// Budgets skip when an error budget is spent, or nobody can tell.
	Budgets []Budget
}

// Budget is an error budget: a query whose value says how much of it is left.
type Budget struct {
	Name   string
	Source string  // an alarm source of one of the scenarios: "prometheus.main"
	Query  string  // in the source's language; its one value is what is left
	Least  float64 // below it, the budget is spent
}

// Freeze is a time in which nothing may run.
type Freeze struct {
	Name     string
	File     string
	From, To time.Time // To is the first instant after it
}

// Freezer tells of freezes. It answers without error: what it was made of has been read and checked.
type Freezer interface {
	// Between returns the freezes that have an instant in common with [from, to), in the order of their begins.
	Between(from, to time.Time) []Freeze
}

// Span is a time from an instant up to another. Of Occasion.Starts, both ends belong to it.
type Span struct{ From, To time.Time }

// Length returns how long all scenarios of the schedule take by their plans, one after the other.
func (s *Schedule) Length() time.Duration {
	var d time.Duration
	for _, i := range s.Items {
		d += i.Length
	}
	return d
}

// Blind reports whether one of the scenarios is blind: then only facilitators may know the moment.
func (s *Schedule) Blind() bool {
	return slices.ContainsFunc(s.Items, func(i Item) bool { return i.Blind })
}

// Holds returns what a run of the schedule has for itself.
func (s *Schedule) Holds() []string {
	var out []string
	for _, i := range s.Items {
		out = append(out, i.Holds...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Mistake is what is wrong with a schedule. Field is the attribute that it is about.
type Mistake struct {
	Field, Summary, Detail string
}

// Error returns the summary and the detail.
func (m *Mistake) Error() string { return m.Summary + ": " + m.Detail }

// Validate reports everything in a schedule that contradicts itself or can never come about, joined, each a *Mistake.
func (s *Schedule) Validate() error {
	var errs []error
	bad := func(field, summary, detail string, args ...any) {
		errs = append(errs, &Mistake{field, summary, fmt.Sprintf(detail, args...)})
	}
	switch {
	case s.Cron == nil && s.Every == nil:
		bad("", "Neither cron nor every", "Say how often: cron = \"0 10 * * tue\", or every = \"1w\" with a window.")
		return errors.Join(errs...)
	case s.Cron != nil && s.Every != nil:
		bad("every", "Both cron and every", "Both say how often, and they do not say the same. Take one of them out.")
		return errors.Join(errs...)
	case s.Every != nil && s.Window == nil:
		bad("every", "No window", "every = %q says how often, and nothing says at what time of the day. Add window { from = \"10:00\", to = \"16:00\" }.", s.Every)
		return errors.Join(errs...)
	}
	if len(s.Items) == 0 {
		bad("scenarios", "No scenarios", "A schedule runs scenarios: scenarios = [\"checkout.hcl\"].")
	}
	if s.Cron != nil && s.Window != nil {
		if at, ok := s.Cron.once(); !ok {
			bad("cron", "More than one time a day", "With a window, cron says on which days it opens and at what time, so that it may name one minute and one hour: "+
				"\"0 10 * * tue\". This one, %q, would open it again before it closes.", s.Cron)
		} else if at != s.Window.From {
			bad("window.from", "Two times to open", "The cron expression opens the window at %s, and from = %q. Leave from out, or make them the same.", wall(at), wall(s.Window.From))
		}
	}
	if s.Moment == AtRandom && s.Window == nil {
		bad("moment", "No window", "A random moment is drawn from a window, and there is none. Add window { to = \"16:00\" }, or write moment = \"start\".")
	}
	if w := s.Window; w != nil {
		if w.From < 0 || w.From >= clockDay || w.To < 0 || w.To > clockDay || w.From == w.To {
			bad("window", "Empty window", "From %s to %s is no span of the day. A whole day is from = \"00:00\", to = \"24:00\".", wall(w.From), wall(w.To))
			return errors.Join(errs...)
		}
		if n := w.length(); n < s.Length() {
			bad("window", "Window shorter than its scenarios", "The window is open for %s, and the scenarios take %s by their plans, one after the other. Open it for longer, or "+
				"take scenarios out.", n, s.Length())
		}
	}
	if len(errs) == 0 {
		if _, ok := s.after(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)); !ok {
			field, what, do := "cron", "The cron expression names no day that any calendar has", "Take a day that its months have; all of them have a 28th."
			if s.Window != nil && len(s.Window.Days) > 0 {
				field, what, do = "window.days", "No day that the schedule names is among the window's days", "Let days have one of those days, or leave days out."
			}
			bad(field, "It never comes", "%s, so that nothing would ever run. %s", what, do)
		}
	}
	return errors.Join(errs...)
}

// length returns how long the window is open on a day without a change of the clock.
func (w *Window) length() time.Duration {
	if w.To > w.From {
		return w.To - w.From
	}
	return w.To + clockDay - w.From
}

// on reports whether the window opens on a day of the week.
func (w *Window) on(d time.Weekday) bool { return len(w.Days) == 0 || slices.Contains(w.Days, d) }

// wall prints a time of the day.
func wall(d time.Duration) string {
	return fmt.Sprintf("%02d:%02d", int(d/time.Hour), int(d%time.Hour/time.Minute))
}
