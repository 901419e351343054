package serve

import (
	"time"

	"gameday/schedules"
	"gameday/schedules/claims"
)

// What says what happened with an occasion.
type What string

// What happens.
const (
	Coming  What = "coming"  // its hours are near
	Begun   What = "begun"   // somebody has begun it
	Skipped What = "skipped" // it is settled that it will not begin
	Ended   What = "ended"   // whoever began it is not at it any more: see Kept.End, which is nil when they were killed
)

// Event is something that happened with an occasion, whoever made it happen: this server, one before it, or a timer.
//
// Events come again: Coming every ten minutes for as long as it is to come, and at the start of a server what is in progress, and what was
// settled or ended in the day before. Whoever must tell people of each thing once has to remember what was told, by calendar, schedule,
// occasion and What.
type Event struct {
	What     What
	Calendar *Calendar
	// Schedule is nil when the calendar has none of that name any more.
	Schedule *schedules.Schedule
	// Kept is what is kept of the occasion, and Planned what is planned of one that is Coming, as facilitators may know it.
	Kept    claims.Kept
	Planned schedules.Planned
}

const (
	tellAhead = 8 * 24 * time.Hour // how long before an occasion opens it is coming
	tellMost  = 50                 // of each schedule
	tellBack  = 24 * time.Hour     // what is told again at the start
	tellEvery = 10 * time.Minute   // what comes
)

type toldKey struct{ schedule, occasion string }

type toldMark struct {
	at             int64
	running, begun bool
}

// tellAll tells what has become of a calendar's occasions since the last look.
func (e *Engine) tellAll(c *calendar, now time.Time) {
	first := c.told == nil
	next := make(map[toldKey]toldMark, len(c.all))
	for _, k := range c.all {
		key, mark := toldKey{k.Schedule, k.Occasion}, toldMark{k.At.UnixNano(), k.Running, k.Outcome == schedules.Begun}
		next[key] = mark
		if old, known := c.told[key]; known && old == mark {
			continue
		} else if first && !k.Running && now.Sub(lastOf(&k)) > tellBack {
			continue
		} else if mark.begun && (!known || old.at != mark.at) {
			e.tell(c, Begun, k)
		}
		switch {
		case !mark.begun:
			e.tell(c, Skipped, k)
		case !k.Running:
			e.tell(c, Ended, k)
		}
	}
	c.told = next
	if now.Sub(c.ahead) < tellEvery && !now.Before(c.ahead) {
		return
	}
	c.ahead = now
	ahead := schedules.Coming{From: now, Until: now.Add(tellAhead), Count: tellMost}
	for _, p := range schedules.Forecast(c.Schedules, ahead, c.state, c.seed, func(*schedules.Schedule) bool { return true }) {
		if p.Why == "" {
			e.Tell(Event{What: Coming, Calendar: c.Calendar, Schedule: p.Schedule, Planned: p})
		}
	}
}

// lastOf returns when something last became of an occasion.
func lastOf(k *claims.Kept) time.Time {
	if k.End != nil {
		return k.End.At
	}
	return k.At
}

func (e *Engine) tell(c *calendar, what What, k claims.Kept) {
	e.Tell(Event{What: what, Calendar: c.Calendar, Schedule: c.Schedule(k.Schedule), Kept: k})
}
