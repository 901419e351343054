package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gameday/audit"
	"gameday/rehearsals"
	"gameday/rehearsals/kept"
	"gameday/report/history"
	"gameday/schedules"
	"gameday/schedules/claims"
	"gameday/serve/web"
)

var _ web.Data = (*Engine)(nil)

// errNoStore says that this engine keeps nothing for pages.
var errNoStore = errors.New("this server keeps no history")

// seen returns what the last look saw.
func (e *Engine) seen() snapshot {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.now
}

// seenLeaving returns what the last look saw, and the runs that were over before it and may not be in the store yet.
func (e *Engine) seenLeaving() (now snapshot, leaving []goingRun) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, folder := range sortedKeys(e.leaving) {
		leaving = append(leaving, e.leaving[folder])
	}
	return e.now, leaving
}

// Runs returns every run that there is a record of, and those in progress.
func (e *Engine) Runs(ctx context.Context) (*web.Runs, error) {
	if e.Store == nil {
		return nil, errNoStore
	}
	now, leaving := e.seenLeaving() // before the store is asked: a run that ends meanwhile is in both, and not in neither
	all, skipped, err := e.Store.Records(ctx)
	if err != nil {
		return nil, err
	}
	out := &web.Runs{Skipped: skipped}
	have := map[string]bool{}
	add := func(g goingRun) {
		if !have[g.folder] {
			have[g.folder] = true
			entry := history.Entry{Folder: g.folder, Run: g.Run, Scenario: g.Scenario, Started: g.At}
			out.All = append(out.All, web.Run{Entry: entry, Blind: g.blind, Going: true, Room: e.rooms.of(g.folder)})
		}
	}
	for _, g := range now.going {
		add(g)
	}
	for _, r := range all {
		if !have[r.Folder] {
			have[r.Folder] = true
			out.All = append(out.All, web.Run{Entry: r.Entry, Blind: r.Blind, Over: r.Over, Room: e.rooms.of(r.Folder)})
		}
	}
	for _, g := range leaving {
		add(g)
	}
	return out, nil
}

// Occasions returns what all schedules have in a span.
func (e *Engine) Occasions(ctx context.Context, from, to time.Time) ([]web.Occasion, error) {
	if e.Store == nil {
		return nil, errNoStore
	}
	now := e.seen()
	past, err := e.past(ctx)
	if err != nil {
		return nil, err
	}
	settled, err := e.Store.Occasions(ctx, from, to)
	if err != nil {
		return nil, err
	}
	var out []web.Occasion
	newest := map[occasionKey]claims.Kept{} // as it was seen last: whether somebody is at it is not in the store, and what is new not yet
	e.mu.Lock()
	besides := e.besides
	e.mu.Unlock()
	for key, k := range besides {
		if k.Opens.Before(to) && !latest(k.Closes, k.At).Before(from) {
			newest[key] = k
		}
	}
	for _, c := range now.calendars {
		for _, k := range c.kept {
			if k.Opens.Before(to) && !latest(k.Closes, k.At).Before(from) {
				newest[occasionKey{c.Name, k.Schedule, k.Occasion}] = k
			}
		}
	}
	done := map[occasionKey]bool{}
	for _, o := range settled {
		key := occasionKey{o.Calendar, o.Schedule, o.Occasion}
		if k, ok := newest[key]; ok {
			o.Kept = k
		}
		done[key] = true
		out = append(out, e.settled(past, &now, o.Calendar, o.Kept))
	}
	for key, k := range newest {
		if !done[key] {
			done[key] = true
			out = append(out, e.settled(past, &now, key.calendar, k))
		}
	}
	for i := range now.calendars {
		out = append(out, unsettled(&now.calendars[i], now.at, from, to, done)...)
	}
	return out, nil
}

// occasionKey is what tells an occasion from all others.
type occasionKey struct{ calendar, schedule, occasion string }

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// settled tells what became of an occasion.
func (e *Engine) settled(r *past, now *snapshot, calendar string, k claims.Kept) web.Occasion {
	o := web.Occasion{Schedule: k.Schedule, ID: k.Occasion, Blind: true, Opens: k.Opens, Closes: k.Closes, Zone: time.UTC, Moment: k.Moment, Why: k.Why}
	i := slices.IndexFunc(now.calendars, func(c calendarNow) bool { return c.Name == calendar })
	if i >= 0 {
		if s := now.calendars[i].Schedule(k.Schedule); s != nil {
			o.Zone, o.Blind, o.Scenarios = s.Zone, k.Blind || s.Blind(), names(s)
		}
	}
	switch {
	case k.Outcome == schedules.Skipped && strings.HasPrefix(k.Why, "missed"):
		o.Fate = web.Missed
	case k.Outcome == schedules.Skipped:
		o.Fate = web.Skipped
		o.Frozen = k.Moment.IsZero() && i >= 0 // nothing was drawn, for it could begin nowhere
		o.InTheWay = e.inTheWay(r, now, calendar, k.Why)
	case k.Running:
		o.Fate = web.Going
	case k.End != nil:
		o.Fate = web.Done
	case k.Unread != "":
		o.Fate, o.Why = web.Unknown, k.Unread
	default:
		o.Fate = web.Broken
		if i >= 0 {
			o.Runs = r.died(&now.calendars[i], &k)
		}
	}
	if k.Outcome == schedules.Begun {
		o.Moment = beganAt(&k)
	}
	if k.End != nil {
		code := k.End.Code
		o.Exit = &code
		for _, r := range k.End.Runs {
			if folder, _, ok := e.below(r.Record); ok {
				o.Runs = append(o.Runs, folder)
			}
			if o.Blind && len(o.Scenarios) < len(k.End.Runs) && !slices.Contains(o.Scenarios, r.Scenario) {
				o.Scenarios = append(o.Scenarios, r.Scenario)
			}
		}
	}
	if k.Running {
		o.Runs = runsOf(now, i, &k)
	}
	return o
}

// beganAt returns when an occasion was begun: at its moment, or when it was late, when it was claimed.
func beganAt(k *claims.Kept) time.Time {
	if k.Moment.IsZero() || k.At.Sub(k.Moment) > time.Minute {
		return k.At
	}
	return k.Moment
}

// runsOf returns the folders of the runs in progress of an occasion: those of its scenarios that began since it was claimed.
func runsOf(now *snapshot, calendar int, k *claims.Kept) []string {
	if calendar < 0 {
		return nil
	}
	s := now.calendars[calendar].Schedule(k.Schedule)
	if s == nil {
		return nil
	}
	var out []string
	for _, g := range now.going {
		if !g.At.Before(k.At.Add(-time.Second)) && slices.Contains(names(s), g.Scenario) {
			out = append(out, g.folder)
		}
	}
	return out
}

func names(s *schedules.Schedule) []string {
	var out []string
	for _, x := range s.Items {
		out = append(out, x.Scenario)
	}
	return out
}

// mostUnsettled bounds how many occasions of a schedule are told of that nothing has become of yet.
const mostUnsettled = 2000

// unsettled returns the occasions in a span that nothing has become of: those to come, and those that were missed and of which nobody has
// said so yet.
func unsettled(c *calendarNow, now, from, to time.Time, done map[occasionKey]bool) []web.Occasion {
	var out []web.Occasion
	plans := schedules.Forecast(c.Schedules, schedules.Coming{From: latest(from, now), Until: to, Count: mostUnsettled}, c.state, c.seed, func(*schedules.Schedule) bool { return true })
	for _, p := range plans {
		key := occasionKey{c.Name, p.Schedule.Name, p.Occasion.ID}
		if done[key] || !p.Occasion.Opens().Before(to) {
			continue
		}
		done[key] = true
		o := occasionOf(p.Schedule, &p.Occasion)
		o.Fate, o.Forecast, o.Why, o.Maybe, o.Late = web.Planned, true, p.Why, p.Maybe, p.Late
		if p.Why != "" {
			o.Fate = web.Skipped
			if len(p.Occasion.Starts) > 0 && strings.HasPrefix(p.Why, "missed") {
				o.Fate = web.Missed
			}
		}
		out = append(out, o)
	}
	for _, s := range c.Schedules {
		begin := firstSeen(c, s.Name)
		if begin.IsZero() {
			continue
		}
		n := 0
		for x := range s.Upcoming(latest(from, begin), c.seed) {
			if n++; n > mostUnsettled || !x.Opens().Before(earlier(now, to)) {
				break
			}
			key := occasionKey{c.Name, s.Name, x.ID}
			if done[key] || x.Closes().Before(from) || mayLastBegin(&x).Before(begin) {
				continue
			}
			o := occasionOf(s, &x)
			o.Fate = web.Unknown
			if c.read {
				o.Fate, o.Forecast, o.Why = web.Missed, true, "missed: nobody has begun it"
			}
			out = append(out, o)
		}
	}
	return out
}

// mayLastBegin returns the last instant at which an occasion may begin; of one that never may, when it opens.
func mayLastBegin(x *schedules.Occasion) time.Time {
	if n := len(x.Starts); n > 0 {
		return x.Starts[n-1].To
	}
	return x.Opens()
}

// firstSeen returns since when anything is known of a schedule.
func firstSeen(c *calendarNow, name string) time.Time {
	first := c.state.Since[name]
	for _, k := range c.kept {
		if k.Schedule == name && (first.IsZero() || k.At.Before(first)) {
			first = k.At
		}
	}
	return first
}

func occasionOf(s *schedules.Schedule, x *schedules.Occasion) web.Occasion {
	return web.Occasion{Schedule: s.Name, ID: x.ID, Scenarios: names(s), Blind: s.Blind(), Opens: x.Opens(), Closes: x.Closes(), Zone: s.Zone, Moment: x.Moment, Frozen: len(x.Starts) == 0}
}

// Freezes returns those of all schedules in a span.
func (e *Engine) Freezes(_ context.Context, from, to time.Time) ([]schedules.Freeze, error) {
	var out []schedules.Freeze
	for _, c := range e.seen().calendars {
		for _, s := range c.Schedules {
			for _, f := range s.Freezes {
				out = append(out, f.Between(from, to)...)
			}
		}
	}
	slices.SortFunc(out, func(a, b schedules.Freeze) int {
		return cmp.Or(a.From.Compare(b.From), a.To.Compare(b.To), strings.Compare(a.File, b.File), strings.Compare(a.Name, b.Name))
	})
	return slices.CompactFunc(out, func(a, b schedules.Freeze) bool {
		return a.From.Equal(b.From) && a.To.Equal(b.To) && a.File == b.File && a.Name == b.Name
	}), nil
}

// Rehearsals returns those of the calendars, with what records show of them.
func (e *Engine) Rehearsals(ctx context.Context) ([]web.Rehearsal, error) {
	if e.Store == nil {
		return nil, errNoStore
	}
	now, leaving := e.seenLeaving()
	shown, broken, err := e.Store.Rehearsed(ctx)
	if err != nil {
		return nil, err
	}
	signed, torn, err := e.Store.Signed(ctx)
	if err != nil {
		return nil, err
	}
	shownWith(shown, now.going, leaving)
	out := []web.Rehearsal{}
	for _, c := range now.calendars {
		for _, r := range c.Rehearsals {
			x := web.Rehearsal{Plan: r, Shown: shown[r.Name], All: shown, Signed: rehearsals.SignedBy(signed, r.Name), Broken: broken}
			if len(r.SignOff) > 0 {
				x.Broken += torn
			}
			out = append(out, x)
		}
	}
	return out, nil
}

// Rooms returns the rooms that are open, the newest first.
func (e *Engine) Rooms(context.Context) ([]web.Room, error) { return e.rooms.list(), nil }

// Halt tells whether game days are stopped; nil when they are not.
func (e *Engine) Halt(context.Context) (*web.Halt, error) { return e.Config.Halt() }

// Stop stops every run and forbids new ones.
func (e *Engine) Stop(ctx context.Context, by, why string) (string, error) {
	defer wake(e.news)
	return e.Config.Stop(ctx, by, why)
}

// Lift lets game days go on.
func (e *Engine) Lift(ctx context.Context, by, why string) (string, error) {
	defer wake(e.news)
	return e.Config.Lift(ctx, by, why)
}

// Troubles returns what is wrong with the server now.
func (e *Engine) Troubles() []web.Trouble {
	e.mu.Lock()
	out, unsynced := slices.Clone(e.now.troubles), e.unsynced
	e.mu.Unlock()
	if e.Store != nil {
		if why := e.Store.Trouble(); why != "" {
			out = append(out, web.Trouble{Text: "The database cannot be written, so what these pages show is kept in memory.", Detail: why})
		}
	}
	out = append(out, e.derivingTroubles()...)
	if unsynced != "" {
		out = append(out, web.Trouble{Text: "What is new cannot be read, so what these pages show may be old.", Detail: unsynced})
	}
	return out
}

// Scheduled returns the scenarios of all schedules.
func (e *Engine) Scheduled() []web.Scheduled {
	var out []web.Scheduled
	for _, c := range e.seen().calendars {
		for _, s := range c.Schedules {
			for _, name := range names(s) {
				out = append(out, web.Scheduled{Scenario: name, Blind: s.Blind()})
			}
		}
	}
	return out
}

// Calendars returns the calendars as the last look found them.
func (e *Engine) Calendars() []*Calendar {
	var out []*Calendar
	for _, c := range e.seen().calendars {
		out = append(out, c.Calendar)
	}
	return out
}

// Going returns the folders of the records that are being written now.
func (e *Engine) Going() ([]string, error) {
	running, err := e.Running()
	var out []string
	for _, r := range running {
		if folder, _, ok := e.below(r.Dir); ok {
			out = append(out, folder)
		}
	}
	return out, err
}

// Dir returns the folder of a record.
func (e *Engine) Dir(folder string) (string, error) {
	local, err := filepath.Localize(folder)
	if err != nil || local == "." {
		return "", fmt.Errorf("%q is no record below the folder of records", folder)
	}
	return filepath.Join(e.Config.Runs, local), nil
}

// SignOff keeps what somebody said about a rehearsal, if what there is now is what they saw.
func (e *Engine) SignOff(ctx context.Context, s rehearsals.SignOff) error {
	if err := e.Derive(ctx); err != nil {
		return fmt.Errorf("looking what there is to sign for: %w", err)
	}
	all, err := e.Rehearsals(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(r web.Rehearsal) bool { return r.Plan.Name == s.Rehearsal })
	switch {
	case i < 0:
		return fmt.Errorf("there is no rehearsal %q", s.Rehearsal)
	case !slices.Contains(all[i].Plan.SignOff, s.Role):
		return fmt.Errorf("rehearsal %s asks for the sign-off of %s, and not of %q", s.Rehearsal, cmp.Or(strings.Join(all[i].Plan.SignOff, ", "), "nobody"), s.Role)
	}
	r := all[i]
	now := time.Now()
	card := r.Judge(now)
	if s.Saw != card.Digest {
		return web.ErrChanged
	}
	me := audit.Me()
	s.As, s.Host, s.At, s.Showed = me.String(), me.Host, now.UTC().Round(0), card.State
	if err := kept.Sign(e.Config.Runs, s); err != nil {
		return err
	}
	l := audit.Line{What: audit.SignedOff, Scenario: s.Rehearsal, File: r.Plan.File, Item: "as " + s.Role, Verdict: "signed", Why: "by " + s.By + ", who saw " + s.Saw}
	if s.Refused {
		l.Verdict = "refused"
	}
	if s.Why != "" {
		l.Why += ": " + s.Why
	}
	if err := e.Audit(l); err != nil {
		e.Say("a sign-off is not in the audit log: " + err.Error())
	}
	e.Signed(r.Plan)
	wake(e.derive)
	if err := e.Derive(ctx); err != nil { // it is signed all the same, and pages show it a moment later
		e.Say("a sign-off is kept, and not yet on the pages: " + err.Error())
	}
	return nil
}
