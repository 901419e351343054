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
	Begun   What = "begun"   // somebody has begun it
	Skipped What = "skipped" // it is settled that it will not begin
	Ended   What = "ended"   // whoever began it is not at it any more: see Kept.End, which is nil when they were killed
)

// Event is something that happened with an occasion, whoever made it happen: this server, one before it, or a timer.
//
// Events come again: at the start of a server what is in progress, and what was settled or ended in the day before.
type Event struct {
	What What
	// Again says that it may have been told before: it had happened when this server looked for the first time.
	Again    bool
	Calendar *Calendar
	// Schedule is nil when the calendar has none of that name any more.
	Schedule *schedules.Schedule
	Kept     claims.Kept
}

// tellBack is how long ago something may have happened to be told again at the start.
const tellBack = 24 * time.Hour

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
			e.tell(c, Begun, k, first)
		}
		switch {
		case !mark.begun:
			e.tell(c, Skipped, k, first)
		case !k.Running:
			e.tell(c, Ended, k, first)
		}
	}
	c.told = next
}

// lastOf returns when something last became of an occasion.
func lastOf(k *claims.Kept) time.Time {
	if k.End != nil {
		return k.End.At
	}
	return k.At
}

func (e *Engine) tell(c *calendar, what What, k claims.Kept, again bool) {
	e.Tell(Event{What: what, Again: again, Calendar: c.Calendar, Schedule: c.Schedule(k.Schedule), Kept: k})
}
