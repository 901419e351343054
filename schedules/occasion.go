package schedules

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"math/bits"
	"slices"
	"time"
)

// Seed is what random moments are drawn from. Whoever knows it knows them.
type Seed []byte

// Occasion is one time at which a schedule comes. Its identity is the schedule's name and ID, whatever happens to clocks,
// freezes and windows.
type Occasion struct {
	Schedule string
	// ID is the nominal local time: with cron when it comes ("2026-12-01T10:00"), with every the day on which its period
	// begins ("2026-11-30").
	ID string
	// Windows are the hours in which a run lies whole, in order. None is left when the clock jumps over all of them.
	Windows []Span
	// Starts are the instants at which a run may begin, in order; both ends belong to a span. Why is a reason when there are
	// none, and then Moment is zero.
	Starts []Span
	Moment time.Time // at which it is to begin; one of Starts
	Why    string
	// Frozen are the freezes that take something away from its windows.
	Frozen []Freeze

	civil time.Time // the nominal time
}

// Opens returns when its first window opens; where the clock jumps over all of them, when it jumps.
func (o *Occasion) Opens() time.Time { return o.Windows[0].From }

// Closes returns when its last window closes.
func (o *Occasion) Closes() time.Time { return o.Windows[len(o.Windows)-1].To }

// last returns the last instant at which a run may begin; ok is false when there is none.
func (o *Occasion) last() (t time.Time, ok bool) {
	if len(o.Starts) == 0 {
		return time.Time{}, false
	}
	return o.Starts[len(o.Starts)-1].To, true
}

// from returns the first instant, not before t, at which a run may begin.
func from(starts []Span, t time.Time) (time.Time, bool) {
	for _, s := range starts {
		if !s.To.Before(t) {
			return later(s.From, t), true
		}
	}
	return time.Time{}, false
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Upcoming returns the occasions whose windows are open at an instant or open after it, in order. It ends only where the
// calendar does: whoever ranges over it stops.
func (s *Schedule) Upcoming(t time.Time, seed Seed) iter.Seq[Occasion] {
	return func(yield func(Occasion) bool) {
		// A window may be open that opened the day before, or that opened a whole period ago.
		c := day(civil(t.Add(-s.Length()), s.Zone)).AddDate(0, 0, -2)
		if s.Every != nil {
			c = s.Every.begin(s.Every.period(c)).Add(-time.Second)
		}
		for {
			next, ok := s.after(c)
			if !ok || next.Year() > 9000 {
				return
			}
			c = next
			windows := s.windows(next)
			if len(windows) == 0 || !windows[len(windows)-1].To.After(t) {
				continue
			}
			if !yield(s.occasion(next, windows, seed)) {
				return
			}
		}
	}
}

// Next returns the first occasion that opens after an instant; ok is false when there is none any more.
func (s *Schedule) Next(after time.Time, seed Seed) (o Occasion, ok bool) {
	for o := range s.Upcoming(after, seed) {
		if o.Opens().After(after) {
			return o, true
		}
	}
	return Occasion{}, false
}

// Between returns the occasions that open in [from, to), in order.
func (s *Schedule) Between(from, to time.Time, seed Seed) []Occasion {
	var out []Occasion
	for o := range s.Upcoming(from.Add(-time.Second), seed) {
		if !o.Opens().Before(to) {
			break
		}
		if !o.Opens().Before(from) {
			out = append(out, o)
		}
	}
	return out
}

// after returns the first nominal time after another.
func (s *Schedule) after(c time.Time) (time.Time, bool) {
	if s.Every != nil {
		n := s.Every.period(c) + 1
		limit := n + 400 // a window on one day of the week, and periods of a year, meet within 28 years
		for ; n < limit; n++ {
			if begin := s.Every.begin(n); len(s.days(begin, s.Every.begin(n+1))) > 0 {
				return begin, true
			}
		}
		return time.Time{}, false
	}
	limit := c.AddDate(calendarYears, 0, 1)
	for {
		next, ok := s.Cron.next(c)
		if !ok || next.After(limit) {
			return time.Time{}, false
		}
		if s.Window == nil || s.Window.on(next.Weekday()) {
			return next, true
		}
		c = day(next).Add(clockDay - time.Second)
	}
}

// days returns the midnights of the days in [from, to) on which the window opens.
func (s *Schedule) days(from, to time.Time) []time.Time {
	var out []time.Time
	for d := from; d.Before(to); d = d.AddDate(0, 0, 1) {
		if s.Window.on(d.Weekday()) {
			out = append(out, d)
		}
	}
	return out
}

// hours returns the window of one day. It is empty where the clock jumps over it.
func (s *Schedule) hours(midnight time.Time) Span {
	w := s.Window
	return Span{At(midnight.Add(w.From), s.Zone), At(midnight.Add(w.From+w.length()), s.Zone)}
}

// windows returns the hours of an occasion. Empty ones are left out, but for the only one.
func (s *Schedule) windows(nominal time.Time) []Span {
	switch {
	case s.Window == nil:
		begin := At(nominal, s.Zone)
		end := begin.Add(Late + s.Length())
		if next, ok := s.after(nominal); ok { // the next one has a time of its own
			if most := At(next, s.Zone).Add(s.Length() - time.Second); most.Before(end) {
				end = later(most, begin.Add(s.Length()))
			}
		}
		return []Span{{begin, end}}
	case s.Cron != nil:
		return []Span{s.hours(day(nominal))}
	}
	var out []Span
	for _, d := range s.days(nominal, s.Every.begin(s.Every.period(nominal)+1)) {
		out = append(out, s.hours(d))
	}
	if some := slices.DeleteFunc(slices.Clone(out), empty); len(some) > 0 {
		return some
	}
	return out[:min(len(out), 1)]
}

func empty(s Span) bool { return !s.From.Before(s.To) }

// occasion makes the occasion of a nominal time: what of its windows is frozen, and the moment drawn from the rest.
func (s *Schedule) occasion(nominal time.Time, windows []Span, seed Seed) Occasion {
	o := Occasion{Schedule: s.Name, ID: nominal.Format("2006-01-02T15:04"), Windows: windows, civil: nominal}
	if s.Every != nil {
		o.ID = nominal.Format(time.DateOnly)
	}
	o.Starts, o.Frozen = s.starts(windows)
	if len(o.Starts) > 0 {
		o.Moment = o.Starts[0].From
		if s.Moment == AtRandom {
			o.Moment = draw(o.Starts, seed, s.Name, o.ID)
		}
		return o
	}
	room := false
	for _, w := range windows {
		room = room || w.To.Sub(w.From) >= s.Length()
	}
	switch {
	case !slices.ContainsFunc(windows, func(w Span) bool { return !empty(w) }):
		o.Why = "the clock jumps over its window"
	case !room:
		o.Why = fmt.Sprintf("the change of the clock leaves its window less than the %s that its scenarios take", s.Length())
	default:
		o.Why = "frozen: " + frozenText(o.Frozen, s.Zone)
	}
	return o
}

// starts returns when a run may begin that lies whole in one of some windows and in no freeze.
func (s *Schedule) starts(windows []Span) ([]Span, []Freeze) {
	var out []Span
	var by []Freeze
	length := s.Length()
	for _, w := range windows {
		free := []Span{{w.From, w.To.Add(-length).Truncate(time.Second)}}
		for _, f := range s.frozen(w) {
			by = append(by, f)
			var left []Span
			for _, x := range free {
				left = append(left, Span{x.From, earlier(x.To, f.From.Add(-length).Truncate(time.Second))}, Span{later(x.From, ceil(f.To)), x.To})
			}
			free = left
		}
		for _, x := range free {
			if !x.To.Before(x.From) {
				out = append(out, x)
			}
		}
	}
	slices.SortFunc(out, func(a, b Span) int { return a.From.Compare(b.From) })
	slices.SortStableFunc(by, func(a, b Freeze) int { return cmp.Or(a.From.Compare(b.From), a.To.Compare(b.To)) })
	return out, slices.CompactFunc(by, func(a, b Freeze) bool { return a == b })
}

// frozen returns the freezes in a span, in order.
func (s *Schedule) frozen(w Span) []Freeze {
	var out []Freeze
	if empty(w) {
		return nil
	}
	for _, f := range s.Freezes {
		out = append(out, f.Between(w.From, w.To)...)
	}
	return out
}

// Against returns what stands against a run that begins at an instant, within an occasion that has begun, and takes so long by its plan: its
// hours, or a freeze. It is empty when nothing does. Scenarios of a schedule are run one after the other, and those before may have taken
// longer than planned.
func (s *Schedule) Against(t time.Time, length time.Duration) string {
	run := Span{t, t.Add(length)}
	if by := s.frozen(run); len(by) > 0 {
		return "it would run into a freeze: " + frozenText(by, s.Zone)
	}
	if s.Window == nil {
		return ""
	}
	today := day(civil(t, s.Zone))
	var ends time.Time
	for _, d := range []time.Time{today.AddDate(0, 0, -1), today} { // one may be open that opened yesterday
		w := s.hours(d)
		if !s.Window.on(d.Weekday()) || t.Before(w.From) {
			continue
		}
		if !run.To.After(w.To) {
			return ""
		}
		ends = later(ends, w.To)
	}
	if ends.IsZero() {
		return "it would not lie in the window's hours"
	}
	return fmt.Sprintf("it would run until %s, and the window closes at %s", run.To.In(s.Zone).Format("15:04:05"), ends.In(s.Zone).Format("2006-01-02 15:04 MST"))
}

// ceil returns the first whole second that is not before an instant.
func ceil(t time.Time) time.Time {
	if r := t.Truncate(time.Second); r.Equal(t) {
		return t
	}
	return t.Truncate(time.Second).Add(time.Second)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// frozenText names freezes for a reason.
func frozenText(by []Freeze, zone *time.Location) string {
	if len(by) == 0 {
		return "by nothing that is known"
	}
	f := by[0]
	text := fmt.Sprintf("%s (%s), %s to %s", f.Name, f.File, f.From.In(zone).Format("2006-01-02 15:04"), f.To.In(zone).Format("2006-01-02 15:04 MST"))
	if n := len(by) - 1; n > 0 {
		text += fmt.Sprintf(", and %d more", n)
	}
	return text
}

// draw returns one of the seconds of some spans: HMAC-SHA256, keyed by the seed, of the schedule's name, a zero byte and the
// occasion's ID; the first 16 bytes of it as a number, modulo how many seconds there are. That is uniform to within one part
// in 2⁹⁰.
func draw(starts []Span, seed Seed, schedule, id string) time.Time {
	var n uint64
	for _, s := range starts {
		n += seconds(s)
	}
	mac := hmac.New(sha256.New, seed)
	mac.Write([]byte(schedule + "\x00" + id))
	sum := mac.Sum(nil)
	k := bits.Rem64(binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:16]), n)
	for _, s := range starts {
		if k < seconds(s) {
			return s.From.Add(time.Duration(k) * time.Second)
		}
		k -= seconds(s)
	}
	return starts[0].From
}

// seconds counts the seconds of a span, both ends included.
func seconds(s Span) uint64 { return uint64(s.To.Sub(s.From)/time.Second) + 1 }
