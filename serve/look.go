package serve

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gameday/rehearsals"
	"gameday/rehearsals/kept"
	"gameday/report"
	"gameday/schedules"
	"gameday/schedules/claims"
	"gameday/serve/web"
)

// child is a process that decides about a schedule, or runs what it decided.
type child struct {
	schedule string
	due      []string // its occasions that were, when it was started
	pid      int
	log      string
	began    time.Time
	long     string        // what was said of it when it had been deciding for long
	ended    chan struct{} // closed at its end
	code     int           // when it has ended
}

// failure is that a process could not decide about a schedule.
type failure struct {
	until time.Time // not tried again before
	why   string
}

// look is one look at everything. It returns how long to wait until the next.
func (e *Engine) look(ctx context.Context, now time.Time) time.Duration {
	e.clock.look(e, now)
	e.reload(now)
	running, err := e.Running()
	var troubles []web.Trouble
	if err != nil {
		troubles = append(troubles, web.Trouble{Text: "Which runs go on cannot be told, so nothing is begun.", Detail: err.Error()})
	}
	next := now.Add(askEvery)
	if err != nil {
		next = now.Add(unreadEvery)
	}
	for _, c := range e.calendars {
		if c.Calendar == nil {
			continue
		}
		e.readState(c)
		if !c.read {
			next = earlier(next, now.Add(unreadEvery))
			continue
		}
		e.seeAhead(c, now)
		if err == nil {
			next = earlier(next, e.decide(ctx, c, running, now))
		}
		e.tellAll(c, now)
	}
	going := e.seen().going // while nobody can tell, as before
	if err == nil {
		going = e.going(running)
		e.rooms.keep(ctx, e, going, now)
	}
	e.publish(now, going, append(troubles, e.ownTroubles()...))
	return max(soonest, next.Sub(now))
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// errEmptied says that a folder of what ran has nothing any more of what was in it.
var errEmptied = errors.New("it had what ran, and is empty now; put that back, or if it is meant, start the server again")

// readState reads what became of a calendar's occasions. A folder that has lost all of it, as when its disk is not mounted any more, knows no better
// than one that cannot be read: what ran today would run again.
func (e *Engine) readState(c *calendar) {
	all, state, err := c.reader.Read()
	has := len(all)+len(state.Since) > 0
	if err == nil && c.had && !has {
		err = fmt.Errorf("%s: %w", c.folder.Dir(), errEmptied)
	}
	c.had = c.had || err == nil && has
	if err != nil {
		if c.read = false; c.unread != err.Error() {
			c.unread = err.Error()
			e.Say(fmt.Sprintf("nothing of the calendar %s is begun: %v", c.Name, err))
		}
		return
	}
	if c.unread != "" {
		c.unread = ""
		e.Say(fmt.Sprintf("what ran of the calendar %s can be read again", c.Name))
	}
	c.all, c.state, c.read = all, state, true
}

// decide sees what is due, and has a process decide about it: about one schedule of a calendar at a time, so that of two which are in each
// other's way the first is settled before the second is looked at. It returns when to look again.
func (e *Engine) decide(ctx context.Context, c *calendar, running []Running, now time.Time) time.Time {
	if wait := e.clock.wait(); wait > 0 {
		return now.Add(wait)
	}
	state := c.state
	for _, r := range running {
		state.Held = append(state.Held, schedules.Held{What: fmt.Sprintf("run %s of %s", r.Run, r.By), Holds: r.Holds})
	}
	whole := now.Truncate(time.Second) // runs may begin at whole seconds, and nobody is woken at one to the nanosecond
	d := schedules.Decide(c.Schedules, state, c.seed, whole)
	e.firstSeen(ctx, c, d.Skip, whole)
	names, due := dueOf(d)
	next := now.Add(askEvery)
	if !d.Wake.IsZero() {
		next = earlier(next, d.Wake)
	}
	if p := c.deciding; p != nil {
		if e.stillDeciding(c, p, due, now) {
			e.sayLong(c, p, now)
			return earlier(next, now.Add(patience(now.Sub(p.began))))
		}
		c.deciding = nil
	}
	for name := range c.failed {
		if !slices.Contains(names, name) {
			delete(c.failed, name)
		}
	}
	for _, name := range names {
		if f, bad := c.failed[name]; bad && now.Before(f.until) {
			next = earlier(next, f.until)
			continue
		}
		if e.call(c, name, due[name], now) {
			return earlier(next, now.Add(decidingEvery))
		}
	}
	return next
}

// patience returns how long to wait for a process that has been deciding for a while.
func patience(since time.Duration) time.Duration {
	if since > decidingLong {
		return decidingSlow
	}
	return decidingEvery
}

// dueOf returns what is due, or to be skipped: the names of schedules, in the order in which processes are to decide about them, and the
// occasions of each.
func dueOf(d schedules.Decision) (names []string, occasions map[string][]string) {
	occasions = map[string][]string{}
	add := func(s *schedules.Schedule, id string) {
		if occasions[s.Name] == nil {
			names = append(names, s.Name)
		}
		occasions[s.Name] = append(occasions[s.Name], id)
	}
	for _, x := range d.Start {
		add(x.Schedule, x.Occasion.ID)
	}
	for _, x := range d.Skip {
		add(x.Schedule, x.Occasion.ID)
	}
	return names, occasions
}

// stillDeciding reports whether a process is at it. One that has settled what was due when it was started goes on to run it, or has ended,
// whatever else of its schedule has come due since; one that ended and did not settle that has failed.
func (e *Engine) stillDeciding(c *calendar, p *child, due map[string][]string, now time.Time) bool {
	open := func(due map[string][]string) bool {
		return slices.ContainsFunc(due[p.schedule], func(id string) bool { return slices.Contains(p.due, id) })
	}
	if !open(due) {
		return false
	}
	select {
	case <-p.ended:
	default:
		return true
	}
	// What it settled was on disk before it ended, but may not have been when this look read.
	e.readState(c)
	if !c.read {
		return false
	}
	if _, due := dueOf(schedules.Decide(c.Schedules, c.state, c.seed, now.Truncate(time.Second))); !open(due) {
		return false
	}
	printed := lastLine(p.log)
	if printed == "" {
		printed = e.unprinted()
	}
	why := fmt.Sprintf("schedule %s of %s is due, and the process that decides about it ended with %d: %s", p.schedule, c.Name, p.code, printed)
	if c.failed[p.schedule].why != why {
		e.Say(why)
	}
	c.failed[p.schedule] = failure{now.Add(tryAgain), why}
	return false
}

// unprinted says why it is not known what a process printed: mostly because the disk is full, which then is what was in its way as well.
func (e *Engine) unprinted() string {
	const what = "what it printed is not known"
	probe := filepath.Join(OwnDir(e.State), ".space")
	defer os.Remove(probe)
	if err := os.WriteFile(probe, make([]byte, 4<<10), 0o600); err != nil {
		return what + ", and nothing can be written there: " + report.PlainText(err.Error())
	}
	return what
}

// lastLine returns the last line of a file that says something.
func lastLine(path string) string {
	const most = 4 << 10
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	text := make([]byte, most)
	n, _ := f.ReadAt(text, max(0, info.Size()-most))
	lines := strings.Split(strings.TrimSpace(string(text[:n])), "\n")
	return report.PlainText(strings.TrimSpace(lines[len(lines)-1]))
}

// firstSeen keeps since when schedules are decided about that nobody has seen before: else what is missed while nobody is there would never
// be known to be. One whose moment has passed unseen is left to the process that settles that: whoever finds it in the list as known would
// begin it.
func (e *Engine) firstSeen(ctx context.Context, c *calendar, skips []schedules.Skip, now time.Time) {
	fresh := func() map[string]time.Time {
		out := map[string]time.Time{}
		for _, s := range c.Schedules {
			unseen := slices.ContainsFunc(skips, func(x schedules.Skip) bool { return x.Schedule == s && x.Unseen })
			if _, known := c.state.Since[s.Name]; !known && !unseen {
				out[s.Name] = now
			}
		}
		return out
	}
	if len(fresh()) == 0 {
		return
	}
	limited, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	unlock, err := c.folder.Lock(limited)
	if err != nil {
		return // whoever decides now keeps it, or this does at the next look
	}
	defer unlock()
	if e.readState(c); !c.read {
		return
	}
	if times := fresh(); len(times) > 0 {
		if err := c.folder.Since(times); err != nil {
			e.Say(err.Error())
			return
		}
		for name, t := range times {
			c.state.Since[name] = t
		}
	}
}

// call starts a process that decides about a schedule, of which some occasions are due.
func (e *Engine) call(c *calendar, schedule string, due []string, now time.Time) bool {
	p := &child{schedule: schedule, due: due, began: now, ended: make(chan struct{}), log: e.logFile(c.Name, schedule, now)}
	call := Call{File: c.file, Schedule: schedule, State: e.State, Runs: e.Config.Runs, Log: p.log, Asked: now.Truncate(time.Second)}
	if c.kept {
		call.Text = c.copy
	}
	pid, wait, err := e.Begin(call)
	if err != nil {
		why := fmt.Sprintf("schedule %s of %s is due, and no process can be started for it: %v", schedule, c.Name, err)
		if c.failed[schedule].why != why {
			e.Say(why)
		}
		c.failed[schedule] = failure{now.Add(tryAgain), why}
		return false
	}
	p.pid, c.deciding = pid, p
	go func() {
		p.code = wait()
		close(p.ended)
		wake(e.news)
	}()
	return true
}

// going finds the records of runs in progress that are below Runs.
func (e *Engine) going(running []Running) []goingRun {
	before := e.seen().going
	var out []goingRun
	for _, r := range running {
		folder, dir, ok := e.below(r.Dir)
		if !ok {
			continue
		}
		g := goingRun{Running: r, folder: folder, dir: dir, blind: true}
		if i := slices.IndexFunc(before, func(o goingRun) bool { return o.folder == folder && o.planned }); i >= 0 {
			out = append(out, before[i])
			continue
		}
		if f, err := report.Follow(dir); err == nil {
			g.planned, g.blind = true, f.Plan().Blind
			_ = f.Close() // nothing of it was read
		}
		if l, err := kept.ReadLabel(dir); err == nil {
			g.label, g.step = l.Rehearsal, kept.Show(dir, folder, l, true)
		}
		out = append(out, g)
	}
	return out
}

// below returns where a record's folder is in Runs, by whatever path it was given.
func (e *Engine) below(dir string) (folder, path string, ok bool) {
	if rel, err := filepath.Rel(e.Config.Runs, dir); err == nil && filepath.IsLocal(rel) && rel != "." {
		return filepath.ToSlash(rel), filepath.Join(e.Config.Runs, rel), true
	}
	path = filepath.Join(e.Config.Runs, filepath.Base(dir))
	a, err := os.Stat(path)
	if err != nil {
		return "", "", false
	}
	b, err := os.Stat(dir)
	if err != nil || !os.SameFile(a, b) {
		return "", "", false
	}
	return filepath.Base(dir), path, true
}

// publish shows pages what was seen, and has the store derive what is new.
func (e *Engine) publish(now time.Time, going []goingRun, troubles []web.Trouble) {
	next := snapshot{at: now, going: going, troubles: troubles}
	for _, c := range e.calendars {
		if c.Calendar != nil {
			next.calendars = append(next.calendars, calendarNow{c.Calendar, c.seed, c.state, c.all, c.read})
		}
	}
	e.mu.Lock()
	changed := e.now.at.IsZero() || differs(&e.now, &next)
	for _, g := range e.now.going {
		e.leaving[g.folder] = g
	}
	for _, g := range going {
		delete(e.leaving, g.folder)
	}
	e.now = next
	e.mu.Unlock()
	if changed {
		wake(e.derive)
	}
}

// differs reports whether there may be something new for the store: a run that began or ended, an occasion that was settled or ended.
func differs(a, b *snapshot) bool {
	if len(a.going) != len(b.going) || len(a.calendars) != len(b.calendars) {
		return true
	}
	for i := range a.going {
		if a.going[i].folder != b.going[i].folder {
			return true
		}
	}
	for i := range a.calendars {
		if !slices.EqualFunc(a.calendars[i].kept, b.calendars[i].kept, func(x, y claims.Kept) bool {
			return x.Schedule == y.Schedule && x.Occasion == y.Occasion && x.At.Equal(y.At) && (x.End == nil) == (y.End == nil) && x.Running == y.Running && x.Unread == y.Unread
		}) {
			return true
		}
	}
	return false
}

// ownTroubles are what is wrong with calendars and processes.
func (e *Engine) ownTroubles() []web.Trouble {
	var out []web.Trouble
	for _, c := range e.calendars {
		if c.unread != "" {
			out = append(out, web.Trouble{Text: "What ran of a calendar cannot be read, so nothing of it is begun.", Detail: c.unread})
		}
		if c.trouble != "" {
			text := "A calendar has a mistake, and goes on as it was before."
			if c.Calendar == nil {
				text = "A calendar has a mistake, and nothing of it is begun."
			}
			out = append(out, web.Trouble{Text: text, Detail: c.trouble})
		}
		for _, name := range sortedKeys(c.failed) {
			s := c.Schedule(name)
			out = append(out, web.Trouble{Text: "Something is due and cannot be begun.", Detail: c.failed[name].why, Blind: s == nil || s.Blind()})
		}
	}
	return slices.Concat(out, e.longTroubles(), e.clockTroubles())
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// shownWith adds to what the store has of rehearsals the runs of theirs that go on, and those that are over and that it does not have yet.
func shownWith(all map[string]rehearsals.Shown, going, leaving []goingRun) {
	for i, g := range slices.Concat(going, leaving) {
		stored := slices.ContainsFunc(all[g.label][g.Scenario], func(r rehearsals.Run) bool { return r.Record == g.step.Record })
		if g.label == "" || stored && i >= len(going) {
			continue
		}
		if all[g.label] == nil {
			all[g.label] = rehearsals.Shown{}
		}
		all[g.label][g.Scenario] = append(all[g.label][g.Scenario], g.step)
	}
}
