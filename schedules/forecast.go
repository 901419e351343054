package schedules

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Planned is an occasion to come, and what can be said of it now.
type Planned struct {
	Schedule *Schedule
	Occasion Occasion
	// Known says that the moment may be told: it is not random, or the seed is known to whoever asks.
	Known bool
	// Why is the reason why it will not begin, as things are planned: it is frozen, the clock jumps over it, or another one begins
	// first and holds the same. Maybe names what might hold the same when it is due, where moments are not known.
	Why   string
	Maybe []string
	// Late says that its moment has passed, that it was not begun, and that it still may be.
	Late bool
}

// Coming are occasions from an instant on, as Forecast returns them.
type Coming struct {
	From  time.Time
	Until time.Time // zero has no end
	Count int       // of each schedule at most; 0 has no bound, and then Until is set
}

// Forecast returns the occasions of some schedules that are open or to come, in the order in which they open. Runs are taken
// to be as long as planned. What a state settled is known to be in nobody's way. Whether a schedule's random moments may be told is for known to say; nil tells none.
func Forecast(all []*Schedule, coming Coming, state State, seed Seed, known func(*Schedule) bool) []Planned {
	var out []Planned
	settled := make(map[key]*Settled, len(state.Settled))
	for i := range state.Settled {
		x := &state.Settled[i]
		if k := (key{x.Schedule, x.ID}); settled[k] == nil {
			settled[k] = x
		}
	}
	for _, s := range all {
		n := 0
		_, seen := state.Since[s.Name]
		seen = seen || state.Since == nil // nothing is known of what was seen
		for o := range s.Upcoming(coming.From, seed) {
			if !coming.Until.IsZero() && !o.Opens().Before(coming.Until) || coming.Count > 0 && n == coming.Count {
				break
			}
			n++
			p := Planned{Schedule: s, Occasion: o, Why: o.Why}
			if x := settled[key{s.Name, o.ID}]; x != nil {
				p.Why = settledText(x, s.Zone)
			}
			if p.Why == "" {
				p.Known = s.Moment == AtStart || known != nil && known(s)
				last, _ := o.last()
				switch passed := o.Moment.Before(coming.From); {
				case passed && last.Before(coming.From):
					p.Why = "missed: the time in which it could begin is over"
				case !seen && p.Known && unseen(s, &o, coming.From):
					p.Why = unseenText(&o, s.Zone)
				case passed && p.Known:
					p.Late = true
				}
			}
			out = append(out, p)
		}
	}
	collide(all, out)
	slices.SortStableFunc(out, func(a, b Planned) int { return a.Occasion.Opens().Compare(b.Occasion.Opens()) })
	return out
}

// settledText says what became of an occasion.
func settledText(x *Settled, zone *time.Location) string {
	at := x.At.In(zone).Format("2006-01-02 15:04 MST")
	switch {
	case x.Outcome == Skipped:
		return "skipped: " + x.Why
	case x.Running:
		return "in progress since " + at
	}
	return "was begun at " + at
}

// collide notes which occasions are in each other's way. Those of known moments are gone through in their order: what does not
// begin is in nobody's way.
func collide(all []*Schedule, list []Planned) {
	type placed struct {
		*Planned
		in    Span
		index int // of its schedule
	}
	order := make([]placed, len(list))
	var longest time.Duration
	for i := range list {
		order[i] = placed{&list[i], list[i].span(), slices.Index(all, list[i].Schedule)}
		longest = max(longest, order[i].in.To.Sub(order[i].in.From))
	}
	slices.SortStableFunc(order, func(a, b placed) int {
		return cmp.Or(a.in.From.Compare(b.in.From), cmp.Compare(a.index, b.index))
	})
	near := 0 // what comes before has ended when p begins, however long it is
	for i, p := range order {
		for !order[near].in.From.Add(longest).After(p.in.From) && near < i {
			near++
		}
		if p.Why != "" {
			continue
		}
		for j, q := range order[near:] {
			if j += near; !q.in.From.Before(p.in.To) { // nor does any that comes after it
				break
			}
			if i == j || q.Why != "" || !p.in.meets(q.in) {
				continue
			}
			holds := "itself"
			if p.Schedule != q.Schedule {
				h, both := common(p.Schedule.Holds(), q.Schedule.Holds())
				if !both {
					continue
				}
				holds = h
			}
			switch {
			case !p.Known || !q.Known:
				p.Maybe = append(p.Maybe, fmt.Sprintf("schedule %q, %s, holds %s and may be in progress then", q.Schedule.Name, q.Occasion.ID, holds))
			case j < i:
				p.Why = fmt.Sprintf("schedule %q, %s, begins first and holds %s", q.Schedule.Name, q.Occasion.ID, holds)
			}
			if p.Why != "" {
				p.Maybe = nil
				break
			}
		}
	}
}

// span returns in what time a run lies, as far as it may be told.
func (p *Planned) span() Span {
	length := p.Schedule.Length()
	switch {
	case p.Why != "":
		return Span{p.Occasion.Opens(), p.Occasion.Opens()}
	case p.Known:
		return Span{p.Occasion.Moment, p.Occasion.Moment.Add(length)}
	}
	last, _ := p.Occasion.last()
	return Span{p.Occasion.Starts[0].From, last.Add(length)}
}

func (s Span) meets(t Span) bool { return s.From.Before(t.To) && t.From.Before(s.To) }
