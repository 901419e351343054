package web

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"gameday/rehearsals"
	"gameday/report/history"
	"gameday/room"
)

// What people may see of what there is. Facilitators see all. What others see is made here of a list of what is allowed: whatever else Data
// answers, also in later versions, does not come to a page that is not a facilitator's.
//
// Of a blind run that is not over others see nothing at all: not its name, not its result, not that it is there. What happens hidden from
// them changes no page of theirs, but for one thing that cannot be hidden: an occasion that is not blind, and does not begin at its moment,
// is skipped, and they see that. What was in its way they are told once it is over and all of its runs may be known to them, and of
// other reasons only a freeze; that something will be in its way they are not told before.

// mayKnow reports whether somebody may know of a run.
func mayKnow(r *Run, role room.Role) bool {
	return role == room.Facilitator || !r.Blind || r.Over && !r.Going
}

// past is what somebody may see of the runs.
type past struct {
	all     []*Run // the newest first
	by      map[string]*Run
	skipped []history.Skipped
}

// past returns the runs that somebody may know of.
func (s *Site) past(ctx context.Context, role room.Role) (*past, error) {
	runs, err := s.Data.Runs(ctx)
	if err != nil {
		return nil, err
	}
	out := &past{by: make(map[string]*Run, len(runs.All))}
	for i := range runs.All {
		if r := &runs.All[i]; mayKnow(r, role) || r.Revealable() && s.revealed(r) {
			out.all, out.by[r.Folder] = append(out.all, r), r
		}
	}
	slices.SortFunc(out.all, func(a, b *Run) int { return cmp.Or(b.Started.Compare(a.Started), cmp.Compare(a.Folder, b.Folder)) })
	if role == room.Facilitator {
		out.skipped = runs.Skipped
	}
	return out, nil
}

// find returns a run by its folder, or nil.
func (p *past) find(folder string) *Run { return p.by[folder] }

// knows reports whether there are some runs, and all of them may be known and go on no more.
func (p *past) knows(folders []string) bool {
	return len(folders) > 0 && !slices.ContainsFunc(folders, func(folder string) bool {
		r := p.find(folder)
		return r == nil || r.Going
	})
}

// ended returns what figures are made of: runs that do not go on, of one scenario or, with none named, of all.
func (p *past) ended(scenario string) []history.Entry {
	out := []history.Entry{}
	for _, r := range p.all {
		if !r.Going && (scenario == "" || r.Scenario == scenario) {
			out = append(out, r.Entry)
		}
	}
	return out
}

// seenOccasion is what somebody may see of an occasion. Told is nil while it is hidden from them, and Opens and Closes are whole hours then.
type seenOccasion struct {
	Opens, Closes time.Time
	// Word is what became of it, or will; empty when there is nothing to say, or nothing that may be said.
	Word string
	Tone string // of Word: "good", "bad", "unsure" or ""
	Told *toldOccasion
}

// toldOccasion is what only those see from whom it is not hidden.
type toldOccasion struct {
	Schedule  string
	Scenarios []string
	Blind     bool
	Moment    time.Time
	Why       string
	Maybe     []string
	Late      bool
	Runs      []*Run // that may be seen
}

// Begins returns its moment, where whoever looks may know it, else when its hours open.
func (o seenOccasion) Begins() time.Time {
	if o.Vague() {
		return o.Opens
	}
	return o.Told.Moment
}

// schedule returns its schedule's name, where whoever looks may know it.
func (o seenOccasion) schedule() string {
	if o.Told == nil {
		return ""
	}
	return o.Told.Schedule
}

// Vague reports whether its moment is not known to whoever looks.
func (o seenOccasion) Vague() bool { return o.Told == nil || o.Told.Moment.IsZero() }

// Days reports whether its hours are of several days, and it is not known on which it begins.
func (o seenOccasion) Days() bool { return o.Vague() && o.Closes.Sub(o.Opens) > 25*time.Hour }

// outward rounds a span of time outward to whole hours of the clock on the wall, so that neither the moment nor how long it takes shows in
// where a blind one begins and ends.
func outward(from, to time.Time) (time.Time, time.Time) {
	down := func(t time.Time) time.Time {
		return t.Add(-time.Duration(t.Minute())*time.Minute - time.Duration(t.Second())*time.Second - time.Duration(t.Nanosecond()))
	}
	up := down(to)
	if up.Before(to) {
		up = up.Add(time.Hour)
	}
	return down(from), up
}

// seenOccasions returns what somebody may see of occasions, in the order in which they begin, as far as they may know.
func seenOccasions(all []Occasion, runs *past, role room.Role, now time.Time) []seenOccasion {
	var out []seenOccasion
	for i := range all {
		out = append(out, seenOccasionOf(&all[i], runs, role, now))
	}
	slices.SortStableFunc(out, seenOrder)
	return out
}

// seenOrder compares two occasions by what is seen of them alone: in which order they were answered tells what has become of them.
func seenOrder(a, b seenOccasion) int {
	return cmp.Or(a.Begins().Compare(b.Begins()), a.Closes.Compare(b.Closes), cmp.Compare(a.schedule(), b.schedule()), cmp.Compare(a.Opens.Location().String(), b.Opens.Location().String()),
		a.Opens.Compare(b.Opens), cmp.Compare(a.Word, b.Word))
}

func seenOccasionOf(o *Occasion, runs *past, role room.Role, now time.Time) seenOccasion {
	zone := o.Zone
	if zone == nil {
		zone = time.UTC
	}
	if role != room.Facilitator && o.Fate == Skipped && !o.Frozen && (o.Forecast || o.Opens.After(now)) {
		planned := *o // what will be in its way may be blind, and may have begun
		planned.Fate = Planned
		o = &planned
	}
	out := seenOccasion{Opens: o.Opens.In(zone), Closes: o.Closes.In(zone)}
	var known []*Run
	for _, folder := range o.Runs {
		if r := runs.find(folder); r != nil {
			known = append(known, r)
		}
	}
	// A blind one is told of when it has ended and all its runs are over, or were revealed; then nothing of it is a secret any more.
	over := (o.Fate == Done || o.Fate == Broken) && len(known) == len(o.Runs) && len(known) > 0
	if role == room.Facilitator || !o.Blind || over {
		out.Word, out.Tone = fateWord(o, now)
		t := &toldOccasion{Schedule: o.Schedule, Scenarios: o.Scenarios, Blind: o.Blind, Late: o.Late, Runs: known}
		if !o.Moment.IsZero() {
			t.Moment = o.Moment.In(zone)
		}
		if len(known) > 0 { // it may have begun late
			first := slices.MinFunc(known, func(a, b *Run) int { return a.Started.Compare(b.Started) })
			t.Moment = first.Started.In(zone)
		}
		switch {
		case role == room.Facilitator || o.Frozen:
			t.Why, t.Maybe = o.Why, o.Maybe
		case o.Fate == Skipped && runs.knows(o.InTheWay): // other reasons may name a blind run that is in the way
			t.Why = o.Why
		}
		out.Told = t
		return out
	}
	// The hours are rounded in UTC, for an hour that the clock shows twice is no reason to say less or more.
	out.Opens, out.Closes = outward(out.Opens, out.Closes)
	switch {
	case o.Frozen && (o.Fate == Planned || o.Fate == Skipped):
		out.Word = "does not take place"
	case !now.After(out.Closes): // nothing that happens within the hours shows
	case o.Fate == Skipped, o.Fate == Missed && !o.Forecast: // else it may be made up for, and its word would go at the moment that it is
		out.Word = "did not take place"
	}
	return out
}

// fateWord says what became of an occasion.
func fateWord(o *Occasion, now time.Time) (word, tone string) {
	switch o.Fate {
	case Planned:
		if o.Late {
			return "late", "unsure"
		}
		return "", ""
	case Skipped:
		if o.Forecast || o.Opens.After(now) {
			return "will be skipped", ""
		}
		return "skipped", ""
	case Missed:
		return "missed", "unsure"
	case Going:
		return "in progress", "unsure"
	case Done:
		return doneWord(o)
	case Broken:
		return "begun, and its end is not known", "bad"
	}
	return "not known", "unsure"
}

// doneWord says how an occasion ended, by the worst exit code of its runs.
func doneWord(o *Occasion) (word, tone string) {
	if o.Exit == nil {
		return "ended, and how is not known", "unsure"
	}
	switch *o.Exit {
	case 0:
		return "passed", "good"
	case 1:
		return "failed", "bad"
	case 3:
		return "inconclusive", "unsure"
	case 4:
		return "aborted", "bad"
	case 5:
		return "residue", "bad"
	}
	return "could not run", "bad"
}

// seenRooms returns the rooms of which somebody is told: of a run that they may know of it is no secret which it is.
func seenRooms(all []Room, runs *past, role room.Role) []Room {
	var out []Room
	for _, r := range all {
		if role == room.Facilitator || !r.Blind || r.Over || runs.find(r.Run) != nil {
			out = append(out, Room{ID: r.ID, Run: r.Run, Scenario: r.Scenario, Began: r.Began, Blind: r.Blind, Over: r.Over})
			continue
		}
		if r.Paged {
			out = append(out, Room{ID: r.ID, Blind: true})
		}
	}
	slices.SortStableFunc(out, func(a, b Room) int { return cmp.Or(b.Began.Compare(a.Began), cmp.Compare(a.ID, b.ID)) })
	return out
}

// seenHalt returns what somebody may see of a halt: that there is one, and why it is to facilitators.
func seenHalt(h *Halt, role room.Role) *Halt {
	if h == nil || role == room.Facilitator {
		return h
	}
	return &Halt{}
}

// seenTroubles returns what somebody may see of what is wrong with the server.
func seenTroubles(all []Trouble, role room.Role) []Trouble {
	var out []Trouble
	for _, t := range all {
		if role != room.Facilitator {
			if t.Blind {
				continue
			}
			t.Detail = ""
		}
		out = append(out, t)
	}
	return out
}

// seenScheduled names the scenarios of which somebody may know that schedules run them.
func seenScheduled(all []Scheduled, role room.Role) []string {
	var out []string
	for _, x := range all {
		if x.Scenario != "" && (role == room.Facilitator || !x.Blind) {
			out = append(out, x.Scenario)
		}
	}
	return out
}

// seenRehearsal is what somebody may see of a rehearsal.
type seenRehearsal struct {
	Name  string
	State rehearsals.State
	// Partly says that something of it is hidden, so that State is of what is not, and not go.
	Partly   bool
	Why      []string
	Require  rehearsals.Limits
	Steps    []seenStep
	SignOffs []rehearsals.SignOffSeen
	Roles    []string // that are asked to sign, where who signed is hidden
	Digest   string   // empty where something is hidden: nobody can sign for what they do not see
	Compared *rehearsals.Comparison
	Residue  bool
	Broken   int
}

// seenStep is one scenario of a rehearsal; nil Result is a blind one of which nothing may be told.
type seenStep struct {
	Lane   string
	Result *rehearsals.StepResult
}

// seenRehearsalOf judges a rehearsal by what somebody may see of it.
func seenRehearsalOf(r *Rehearsal, runs *past, role room.Role, now time.Time) seenRehearsal {
	if role == room.Facilitator {
		c := r.Judge(now)
		out := seenRehearsal{Name: c.Rehearsal, State: c.State, Why: c.Why, Require: c.Require, SignOffs: c.SignOffs, Digest: c.Digest, Residue: c.Residue, Broken: r.Broken}
		for i := range c.Steps {
			out.Steps = append(out.Steps, seenStep{c.Steps[i].Lane, &c.Steps[i]})
		}
		out.Compared = compared(r.Plan, r.Shown, r.All)
		return out
	}
	here := open(r.Shown, runs)
	blind, hidden := false, map[string]bool{}
	for _, s := range r.Plan.Steps {
		blind = blind || s.Item.Blind
		hidden[s.Name()] = s.Item.Blind && len(here[s.Name()]) == 0
	}
	c := judged(r, here, now)
	out := seenRehearsal{Name: c.Rehearsal, State: rehearsals.Go, Require: c.Require, Partly: blind}
	for i, s := range c.Steps {
		if hidden[s.Scenario] {
			out.Steps, out.State = append(out.Steps, seenStep{}), out.State.Merge(rehearsals.NotYetKnown)
			continue
		}
		out.Steps, out.State = append(out.Steps, seenStep{s.Lane, &c.Steps[i]}), out.State.Merge(s.State)
		for _, reason := range s.Reasons {
			out.Why = append(out.Why, s.Scenario+": "+reason.Text+".")
		}
		out.Residue = out.Residue || s.Run != nil && s.Run.Residue
	}
	others := make(map[string]rehearsals.Shown, len(r.All))
	for name, shown := range r.All {
		others[name] = open(shown, runs)
	}
	out.Compared = compared(r.Plan, here, others)
	if blind {
		out.State, out.Roles = out.State.Merge(rehearsals.NotYetKnown), r.Plan.SignOff
		return out
	}
	out.State, out.Why, out.SignOffs, out.Digest, out.Residue, out.Broken = c.State, c.Why, c.SignOffs, c.Digest, c.Residue, r.Broken
	return out
}

// Judge judges a rehearsal by all that is known of it, as its page shows it to facilitators: whoever signs has seen this.
func (r *Rehearsal) Judge(now time.Time) *rehearsals.Scorecard { return judged(r, r.Shown, now) }

// judged judges a rehearsal by some of its runs. While something cannot be read it is never go: that may be a failure, or a refusal.
func judged(r *Rehearsal, shown rehearsals.Shown, now time.Time) *rehearsals.Scorecard {
	c := rehearsals.Judge(r.Plan, shown, r.Signed, now)
	if r.Broken > 0 {
		c.Doubt(fmt.Sprintf("Of %d record(s) or sign-off(s) nobody can tell for which rehearsal they are: mend them, or move them away", r.Broken))
	}
	return c
}

// open returns the runs of a rehearsal that somebody may know of.
func open(all rehearsals.Shown, runs *past) rehearsals.Shown {
	out := rehearsals.Shown{}
	for name, list := range all {
		for _, run := range list {
			if runs.find(run.Record) != nil {
				out[name] = append(out[name], run)
			}
		}
	}
	return out
}

// compared compares a rehearsal with the one before it, of all those whose runs somebody may know of.
func compared(plan *rehearsals.Rehearsal, here rehearsals.Shown, all map[string]rehearsals.Shown) *rehearsals.Comparison {
	before := rehearsals.Before(plan, all)
	if before == "" || len(all[before]) == 0 {
		return nil
	}
	return rehearsals.Compare(before, here, all[before])
}
