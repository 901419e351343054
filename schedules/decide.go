package schedules

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Outcome is what became of an occasion.
type Outcome string

// The outcomes.
const (
	Begun   Outcome = "begun"   // it was begun, whether or not it has ended
	Skipped Outcome = "skipped" // it was not, and never will be
)

// Settled is an occasion of which it is decided what becomes of it. What is settled once is never begun again.
type Settled struct {
	Schedule string
	ID       string
	Outcome  Outcome
	Why      string // of one that was skipped
	At       time.Time
	// Running says that it was begun and that whoever began it is still at it; Holds is what it has for itself meanwhile.
	Running bool
	Holds   []string
}

// Held is something else in progress that has targets for itself: a run that somebody started by hand.
type Held struct {
	What  string // "run 20261201-101500-checkout of ann"
	Holds []string
}

// InTheWay returns why it is in the way of a schedule; empty when it is not.
func (h Held) InTheWay(s *Schedule) string {
	if what, ok := common(s.Holds(), h.Holds); ok {
		return h.What + GoesOnAndHolds + what
	}
	return ""
}

// State is everything that a decision depends on besides the schedules and the clock.
type State struct {
	// Since is when each schedule was first seen, by name. What could last have begun before that is no concern of this state.
	// A schedule that is not in it was first seen now.
	Since   map[string]time.Time
	Settled []Settled // in any order
	Held    []Held
}

// Start is an occasion that is due now.
type Start struct {
	Schedule *Schedule
	Occasion Occasion
	// Late is how long after its moment it begins. MadeUp counts the missed occasions for which it makes up, itself included;
	// it is 0 for one that was not missed.
	Late   time.Duration
	MadeUp int
}

// Skip is an occasion that will not be begun, and why.
type Skip struct {
	Schedule *Schedule
	Occasion Occasion
	Why      string
	// Unseen says that its random moment had passed when the schedule was first seen. So it is for as long as State.Since has nothing of the
	// schedule: whoever keeps since when it is seen settles this first.
	Unseen bool
}

// Decision is what to do at an instant.
type Decision struct {
	Start []Start   // in the order of their moments
	Skip  []Skip    // in the order in which they opened
	Wake  time.Time // when to ask again, if nothing else happens; zero is never
	// Through may take the place of State.Since once what the decision says is settled: nothing before it is left open.
	Through map[string]time.Time
}

// Decide says what to do at an instant: what is due, what is to be skipped for which reason, and when to ask again. Whoever
// asks must have settled what it says, on disk, before acting on it and before asking again; what is begun must not be begun
// before that. Then no occasion is begun twice, whenever anybody dies.
//
// These are the rules:
//
//   - An occasion is due from its moment until the last instant at which it may begin, at those instants at which it may.
//   - It is skipped when it is frozen, when the clock jumps over its window, when an earlier run of the same schedule is still
//     in progress then, and when something else holds what it would hold. Of two that are due at once, the one with the
//     earlier moment goes first, and then the one whose schedule comes first in the list.
//   - One whose random moment passed, by more than Late, before the schedule was first seen is skipped: nobody who sets a schedule up
//     expects that a run begins at that. What begins as soon as it can, does.
//   - One that nobody began while it was due is missed. With CatchUpSkip it is skipped. With CatchUpOnce the newest missed
//     one is begun as soon as a run lies in the window's hours, in no freeze, and ends before the next occasion opens; the
//     others are skipped in its favour, and it is skipped itself once an occasion has opened that can begin.
func Decide(all []*Schedule, state State, seed Seed, now time.Time) Decision {
	d := &deciding{all: all, state: state, seed: seed, now: now, settled: map[key]Outcome{}}
	d.out.Through = map[string]time.Time{}
	for _, x := range state.Settled {
		d.settled[key{x.Schedule, x.ID}] = x.Outcome
	}
	for i, s := range all {
		d.schedule(i, s)
	}
	d.choose()
	return d.out
}

type key struct{ schedule, id string }

// candidate is an occasion that is due, until it is known whether anything stands against it.
type candidate struct {
	Start
	index int
}

type deciding struct {
	all     []*Schedule
	state   State
	seed    Seed
	now     time.Time
	settled map[key]Outcome
	due     []candidate
	out     Decision
}

// For how long back missed occasions are looked for, and how many of them, the newest, are told of one by one. Those before are
// settled by Decision.Through alone.
const (
	mostMissed = 400 * 24 * time.Hour
	mostTold   = 1000
)

func (d *deciding) wake(t time.Time) {
	if d.out.Wake.IsZero() || t.Before(d.out.Wake) {
		d.out.Wake = t
	}
}

func (d *deciding) skip(s *Schedule, o Occasion, why string) {
	d.out.Skip = append(d.out.Skip, Skip{Schedule: s, Occasion: o, Why: why})
}

// schedule goes through the occasions of one schedule: those that passed, the one that is open, and the next one.
func (d *deciding) schedule(index int, s *Schedule) {
	since, known := d.state.Since[s.Name]
	if !known {
		since = d.now
	}
	since = later(since, d.now.Add(-mostMissed))
	d.out.Through[s.Name] = d.now
	var missed []Occasion
	before := 0 // how many more were missed before those
	for o := range s.Upcoming(since, d.seed) {
		if o.Opens().After(d.now) {
			d.makeUp(index, s, missed, before, &o)
			d.wake(opening(&o))
			return
		}
		last, ok := o.last()
		outcome := d.settled[key{s.Name, o.ID}]
		switch {
		case outcome == Skipped:
			continue
		case outcome == Begun:
		case !ok && o.Opens().Before(since), ok && last.Before(since): // before our time
			continue
		case !ok:
			d.skip(s, o, o.Why)
			continue
		case last.Before(d.now):
			if missed = append(missed, o); len(missed) > mostTold {
				missed, before = missed[1:], before+1
			}
			continue
		case !known && unseen(s, &o, d.now):
			d.out.Skip = append(d.out.Skip, Skip{s, o, unseenText(&o, s.Zone), true})
		default:
			d.open(index, s, o)
		}
		for _, m := range missed {
			d.skip(s, m, missedText(&m, s.Zone)+fmt.Sprintf(", and the occasion %s has opened", o.ID))
		}
		missed, before = nil, 0
	}
	d.makeUp(index, s, missed, before, nil)
}

// unseen reports whether an occasion of a schedule that was never seen before is none of anybody's: its moment is not as soon as it can, and
// passed longer ago than a timer may be late.
func unseen(s *Schedule, o *Occasion, now time.Time) bool {
	return s.Moment == AtRandom && !o.Moment.IsZero() && now.Sub(o.Moment) > Late
}

func unseenText(o *Occasion, zone *time.Location) string {
	return "its moment, " + o.Moment.In(zone).Format("2006-01-02 15:04:05 MST") + ", had passed when this schedule was first seen"
}

// opening returns when to look at an occasion that is still to come.
func opening(o *Occasion) time.Time {
	if o.Why != "" {
		return o.Opens()
	}
	return o.Moment
}

// open looks at an occasion that may still begin.
func (d *deciding) open(index int, s *Schedule, o Occasion) {
	at, _ := from(o.Starts, later(d.now, o.Moment))
	if at.After(d.now) {
		d.wake(at)
		return
	}
	d.due = append(d.due, candidate{Start{Schedule: s, Occasion: o, Late: d.now.Sub(o.Moment)}, index})
}

// makeUp deals with what was missed before the next occasion.
func (d *deciding) makeUp(index int, s *Schedule, missed []Occasion, before int, next *Occasion) {
	if len(missed) == 0 {
		return
	}
	newest := missed[len(missed)-1]
	if s.CatchUp == CatchUpSkip {
		for _, m := range missed {
			d.skip(s, m, missedText(&m, s.Zone))
		}
		return
	}
	for _, m := range missed[:len(missed)-1] {
		d.skip(s, m, missedText(&m, s.Zone)+", and "+newest.ID+" makes up for it")
	}
	at, ok := s.spare(d.now, next)
	switch {
	case !ok:
		d.skip(s, newest, missedText(&newest, s.Zone)+", and there is no time to make up for it before the next occasion")
	case at.After(d.now):
		d.out.Through[s.Name] = earlier(d.now, newest.Starts[len(newest.Starts)-1].To)
		d.wake(at)
	default:
		d.due = append(d.due, candidate{Start{s, newest, d.now.Sub(newest.Moment), len(missed) + before}, index})
	}
}

// MissedWhy begins the reason of each skip of an occasion that was missed.
const MissedWhy = "missed: "

func missedText(o *Occasion, zone *time.Location) string {
	last, _ := o.last()
	return fmt.Sprintf(MissedWhy+"nobody was there to begin it from %s to %s", o.Moment.In(zone).Format("2006-01-02 15:04:05"), last.In(zone).Format("2006-01-02 15:04:05 MST"))
}

// spare returns the first instant, not before t, at which a run may make up for a missed one: it lies in the hours of the
// window, on one of its days, in no freeze, and ends before the next occasion opens.
func (s *Schedule) spare(t time.Time, next *Occasion) (time.Time, bool) {
	limit := t.Add(mostMissed)
	if next != nil {
		limit = next.Opens()
	}
	for d := day(civil(t, s.Zone)).AddDate(0, 0, -1); ; d = d.AddDate(0, 0, 1) {
		if At(d, s.Zone).After(limit) {
			return time.Time{}, false
		}
		var w Span
		switch {
		case s.Window == nil:
			w = Span{At(d, s.Zone), At(d.AddDate(0, 0, 1), s.Zone).Add(s.Length())}
		case !s.Window.on(d.Weekday()), s.Cron != nil && len(s.Window.Days) == 0 && !s.Cron.weekday(d.Weekday()):
			continue
		default:
			w = s.hours(d)
		}
		w.To = earlier(w.To, limit)
		if empty(w) {
			continue
		}
		starts, _ := s.starts([]Span{w})
		if at, ok := from(starts, t); ok {
			return at, true
		}
	}
}

// choose lets what is due begin, but for what something stands against.
func (d *deciding) choose() {
	slices.SortStableFunc(d.due, func(a, b candidate) int {
		return cmp.Or(a.Occasion.Moment.Compare(b.Occasion.Moment), cmp.Compare(a.index, b.index))
	})
	for _, c := range d.due {
		if why := d.against(c.Schedule); why != "" {
			d.skip(c.Schedule, c.Occasion, why)
			continue
		}
		d.out.Start = append(d.out.Start, c.Start)
	}
	slices.SortStableFunc(d.out.Skip, func(a, b Skip) int {
		return a.Occasion.Opens().Compare(b.Occasion.Opens())
	})
}

// What stands in the reason of each skip for the sake of something else, between that and what it holds: Collision goes by it.
const (
	GoesOnAndHolds      = " is in progress and holds "
	beginsFirstAndHolds = " begins first and holds "
)

// Collision reports whether the reason of a skip is that something else holds what the occasion would hold. Such a reason names the other
// one, which may be blind and go on.
func Collision(why string) bool {
	return strings.Contains(why, GoesOnAndHolds) || strings.Contains(why, beginsFirstAndHolds)
}

// InTheWay is what the reason of a skip names that holds what the occasion would hold: a run, or an occasion of a schedule.
type InTheWay struct {
	Run      string // of one that somebody started by hand, or of another state folder
	Calendar string // empty is the occasion's own
	Schedule string
	Occasion string
}

// ParseInTheWay reads what the reason of a skip names; ok is false when it is another reason. It reads what Decide writes, and of calendars beside
// each other `schedule "nightly" of days, 2026-12-01T10:00, is in progress and holds shop`.
func ParseInTheWay(why string) (w InTheWay, ok bool) {
	what, _, ok := strings.Cut(why, GoesOnAndHolds)
	if !ok {
		what, _, ok = strings.Cut(why, beginsFirstAndHolds)
	}
	if !ok {
		return w, false
	}
	if rest, by := strings.CutPrefix(what, "run "); by {
		w.Run, _, ok = strings.Cut(rest, " of ")
		return w, ok && w.Run != ""
	}
	rest, ok := strings.CutPrefix(what, "schedule ")
	quoted, err := strconv.QuotedPrefix(rest)
	if !ok || err != nil {
		return w, false
	}
	w.Schedule, err = strconv.Unquote(quoted)
	rest, ok = strings.CutSuffix(rest[len(quoted):], ",")
	before, occasion, named := strings.Cut(rest, ", ")
	w.Calendar, w.Occasion = strings.TrimPrefix(before, " of "), occasion
	return w, ok && err == nil && named && w.Occasion != "" && (before == "" || w.Calendar != before)
}

// against returns what stands against beginning a schedule now, or nothing.
func (d *deciding) against(s *Schedule) string {
	holds := s.Holds()
	for _, x := range d.state.Settled {
		if !x.Running {
			continue
		}
		if x.Schedule == s.Name {
			return fmt.Sprintf("the run of %s is still in progress", x.ID)
		}
		if h, ok := common(holds, x.Holds); ok {
			return fmt.Sprintf("schedule %q, %s,"+GoesOnAndHolds+"%s", x.Schedule, x.ID, h)
		}
	}
	for _, x := range d.out.Start {
		if h, ok := common(holds, x.Schedule.Holds()); ok {
			return fmt.Sprintf("schedule %q, %s,"+beginsFirstAndHolds+"%s", x.Schedule.Name, x.Occasion.ID, h)
		}
	}
	for _, x := range d.state.Held {
		if why := x.InTheWay(s); why != "" {
			return why
		}
	}
	return ""
}

// common returns the first of some names that is among others.
func common(a, b []string) (string, bool) {
	for _, x := range a {
		if slices.Contains(b, x) {
			return x, true
		}
	}
	return "", false
}
