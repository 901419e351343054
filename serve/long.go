package serve

import (
	"fmt"
	"time"

	"gameday/serve/web"
)

// decidingTooLong is for how long a process may decide before it is said: nothing else of its calendar is decided about meanwhile.
const decidingTooLong = 2 * time.Minute

// sayLong says once that a process has been deciding for long. Whoever reads it may end it; it may also wait for a source that is slow.
func (e *Engine) sayLong(c *calendar, p *child, now time.Time) {
	if p.long != "" || now.Sub(p.began) <= decidingTooLong {
		return
	}
	p.long = fmt.Sprintf("schedule %s of %s is due, and process %d has been deciding about it since %s; nothing else of this calendar is begun meanwhile", p.schedule, c.Name, p.pid, p.began.UTC().Format(time.RFC3339))
	if p.log != "" {
		p.long += "; what it says is in " + p.log
	}
	p.long += fmt.Sprintf("; if it hangs, end it: kill %d", p.pid)
	e.Say(p.long)
}

// longTroubles are the processes that have been deciding for long.
func (e *Engine) longTroubles() []web.Trouble {
	var out []web.Trouble
	for _, c := range e.calendars {
		if p := c.deciding; p != nil && p.long != "" {
			s := c.Schedule(p.schedule)
			out = append(out, web.Trouble{Text: "Something is due, and it takes long to decide whether it may begin.", Detail: p.long, Blind: s == nil || s.Blind()})
		}
	}
	return out
}
