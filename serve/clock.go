package serve

import (
	"fmt"
	"time"

	"gameday/serve/web"
)

// Bounds of what is believed of the clock.
const (
	jumpOf    = 10 * time.Minute // of the clock, against what has passed since the last look: a machine that slept jumps as well
	jumpStays = 2 * time.Minute  // for how long nothing is begun then, to see whether the clock stays there
	aheadBy   = 5 * time.Minute  // what is dated later than that was dated by another clock: those of two machines differ a little
)

// machineClock is what the engine has seen of the machine's clock. It is for one goroutine.
type machineClock struct {
	began  time.Time     // with a monotonic reading
	wall   time.Time     // of the last look; zero before the first
	passed time.Duration // from began to the last look, whatever was done to the clock
	jumped time.Duration // as passed, when the clock last jumped; 0 if it never did
	text   string        // what was said of that
}

// look compares the time that a look goes by with what has passed since the last one.
func (c *machineClock) look(e *Engine, now time.Time) {
	wall, passed := now.Round(0), time.Since(c.began) // the first by the clock alone
	by := wall.Sub(c.wall) - (passed - c.passed)
	if !c.wall.IsZero() && by.Abs() > jumpOf {
		c.jumped = max(passed, 1)
		c.text = fmt.Sprintf("the clock has jumped by %s, to %s; nothing is begun for %s, to see whether it stays there", by.Round(time.Second), wall.UTC().Format(time.RFC3339), jumpStays)
		e.Say(c.text)
	}
	c.wall, c.passed = wall, passed
}

// wait returns for how long nothing is to be begun, because the clock has jumped; 0 when it may be.
func (c *machineClock) wait() time.Duration {
	if c.jumped == 0 {
		return 0
	}
	return max(0, c.jumped+jumpStays-c.passed)
}

// seeAhead says once what of a calendar is dated later than now: its schedules go by that, and begin nothing before.
func (e *Engine) seeAhead(c *calendar, now time.Time) {
	var last time.Time
	for name, t := range c.state.Since {
		if c.Schedule(name) != nil {
			last = latest(last, t)
		}
	}
	for _, x := range c.state.Settled {
		if c.Schedule(x.Schedule) != nil {
			last = latest(last, x.At)
		}
	}
	text := ""
	if last.Sub(now) > aheadBy {
		text = fmt.Sprintf("what ran of the calendar %s is dated until %s, which is to come: the clock was ahead, or is behind now. Until then its schedules may begin nothing. "+
			"If the clock is right now, move what is dated later out of %s, and take the times that are to come out of its since.json", c.Name, last.UTC().Format(time.RFC3339), c.folder.Dir())
	}
	if text != c.ahead && text != "" {
		e.Say(text)
	}
	c.ahead = text
}

// clockTroubles are what is wrong with the clock, or was.
func (e *Engine) clockTroubles() []web.Trouble {
	var out []web.Trouble
	if e.clock.wait() > 0 {
		out = append(out, web.Trouble{Text: "The clock has jumped, so nothing is begun for some minutes.", Detail: e.clock.text})
	}
	for _, c := range e.calendars {
		if c.ahead != "" {
			out = append(out, web.Trouble{Text: "What ran is dated later than now, so game days may not begin.", Detail: c.ahead})
		}
	}
	return out
}
