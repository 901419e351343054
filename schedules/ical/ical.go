// Package ical reads freezes from iCalendar files (RFC 5545): in each event nothing may run, unless it is cancelled or
// transparent. Dates and recurrences are worked out by the clock on the wall of the event's zone, and become instants as
// everywhere in package schedules.
//
// What cannot be understood is a *Mistake with its line, and never "no freeze". A Calendar tells of its freezes without
// errors.
package ical

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/teambition/rrule-go"

	"gameday/schedules"
)

// Calendar is what a file has of freezes. It is safe for concurrent use.
type Calendar struct {
	file   string
	events []event
	mu     sync.Mutex
	free   int                        // events that freeze nothing because they are transparent
	years  map[int][]schedules.Freeze // that begin in a year in UTC, once asked for
	most   time.Duration              // the longest freeze
}

// event is one VEVENT, with what replaces or takes away some of its recurrences.
type event struct {
	line     int
	uid      string
	name     string
	sequence string
	start    moment
	last     span          // with DURATION, and of dates
	exact    time.Duration // with DTEND
	rules    []*rrule.ROption
	extra    []extra            // RDATE
	except   map[time.Time]bool // recurrences that are taken away or replaced, by when they began
	id       *moment            // RECURRENCE-ID: the one it stands for
	free     bool               // cancelled or transparent: it freezes nothing
}

// extra is a recurrence by an RDATE; end is set for a period.
type extra struct {
	start moment
	end   time.Time
}

// calendar carries what the events of one VCALENDAR share while they are read.
type calendar struct {
	*reader
	floating  zone
	zones     map[string]zone
	described map[string]*component
	events    []event
	recurring int
	dates     int
	all       bool // transparent events freeze as well
	free      int
}

// Read reads a file. Floating times and dates are those of a zone. The error is a *Mistake.
func Read(src []byte, file string, floating *time.Location) (*Calendar, error) {
	return read(src, file, floating, false)
}

// ReadHolidays reads a file of which transparent events freeze as well: calendars of public holidays mark all of theirs so, for nobody has an
// appointment then.
func ReadHolidays(src []byte, file string, floating *time.Location) (*Calendar, error) {
	return read(src, file, floating, true)
}

func read(src []byte, file string, floating *time.Location, all bool) (*Calendar, error) {
	r := &reader{file: file}
	out := &Calendar{file: file, years: map[int][]schedules.Freeze{}}
	for _, v := range r.components(string(src)) {
		c := &calendar{reader: r, floating: place{floating}, zones: map[string]zone{}, described: map[string]*component{}, all: all}
		for _, p := range v.parts {
			if id := p.all("TZID"); p.name == "VTIMEZONE" && len(id) == 1 {
				c.described[id[0].value] = p
			}
		}
		for _, p := range v.parts {
			if p.name == "VEVENT" && r.err == nil {
				c.event(p)
			}
		}
		if r.err == nil {
			out.events = append(out.events, c.resolved()...)
			out.free += c.free
		}
		if len(out.events) > maxEvents {
			r.fail(0, "more than %d events", maxEvents)
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	for i := range out.events {
		e := &out.events[i]
		out.most = max(out.most, e.exact, time.Duration(e.last.days+1)*24*time.Hour+e.last.exact)
		for _, x := range e.extra {
			if !x.end.IsZero() {
				out.most = max(out.most, x.end.Sub(x.start.instant()))
			}
		}
	}
	for i := range out.events {
		out.events[i].name = cmp.Or(out.events[i].name, fmt.Sprintf("the event in line %d", out.events[i].line))
	}
	return out, nil
}

// event reads one VEVENT.
func (c *calendar) event(v *component) {
	e := event{line: v.line, except: map[time.Time]bool{}}
	one := func(name string, need bool) (p property, ok bool) {
		all := v.all(name)
		switch {
		case len(all) > 1:
			c.fail(all[1].line, "a second %s in the event that begins in line %d", name, v.line)
		case len(all) == 1:
			return all[0], true
		case need:
			c.fail(v.line, "the event has no %s, so that nobody knows when it is", name)
		}
		return p, false
	}
	start, ok := one("DTSTART", true)
	if !ok {
		return
	}
	var err error
	if e.start, err = c.moment(start, start.value); err != nil {
		c.fail(start.line, "DTSTART: %v", err)
		return
	}
	if p, ok := one("SUMMARY", false); ok {
		e.name = p.value
	}
	if p, ok := one("UID", false); ok {
		e.uid = p.value
	}
	if p, ok := one("SEQUENCE", false); ok {
		e.sequence = fmt.Sprintf("%20s", p.value)
	}
	if p, ok := one("STATUS", false); ok && strings.EqualFold(p.value, "CANCELLED") {
		e.free = true
	}
	if p, ok := one("TRANSP", false); ok && strings.EqualFold(p.value, "TRANSPARENT") && !c.all && !e.free {
		e.free = true
		c.free++
	}
	if p, ok := one("RECURRENCE-ID", false); ok {
		if r := p.param("RANGE"); r != "" {
			c.fail(p.line, "RECURRENCE-ID with RANGE=%s is not understood here; write an event of its own from there on", r)
		}
		id, err := c.moment(p, p.value)
		if err != nil {
			c.fail(p.line, "RECURRENCE-ID: %v", err)
		}
		e.id = &id
	}
	c.ending(v, &e, one)
	c.recurrence(v, &e)
	c.events = append(c.events, e)
}

// ending reads how long an event lasts.
func (c *calendar) ending(v *component, e *event, one func(string, bool) (property, bool)) {
	end, hasEnd := one("DTEND", false)
	dur, hasDur := one("DURATION", false)
	switch {
	case hasEnd && hasDur:
		c.fail(dur.line, "the event has a DTEND and a DURATION; it may have one of them")
	case hasEnd:
		m, err := c.moment(end, end.value)
		switch {
		case err != nil:
			c.fail(end.line, "DTEND: %v", err)
		case m.date != e.start.date:
			c.fail(end.line, "of DTSTART and DTEND one is a date and the other a time")
		case m.date && m.civil.After(e.start.civil):
			e.last = span{days: int(m.civil.Sub(e.start.civil).Hours() / 24)}
		case !m.date && m.instant().After(e.start.instant()):
			e.exact = m.instant().Sub(e.start.instant())
		case m.date && m.civil.Equal(e.start.civil): // some programs write a single day so
			e.last = span{days: 1}
		case e.free: // it freezes nothing anyway
		default:
			c.fail(end.line, "the event ends when it begins, or before")
		}
	case hasDur:
		s, err := duration(dur.value)
		if err == nil && e.start.date && s.exact != 0 {
			err = fmt.Errorf("the event begins on a date, and the duration %s is not in days", short(dur.value))
		}
		if err != nil {
			c.fail(dur.line, "DURATION: %v", err)
		}
		e.last = s
	case e.start.date:
		e.last = span{days: 1}
	case !e.free:
		c.fail(v.line, "the event begins at a time and has neither DTEND nor DURATION, so that nobody knows how long it is")
	}
	if limit := 3660 * 24 * time.Hour; e.exact > limit || e.last.days > 3660 {
		c.fail(v.line, "the event is longer than ten years")
	}
}

// recurrence reads RRULE, RDATE and EXDATE.
func (c *calendar) recurrence(v *component, e *event) {
	for _, p := range v.all("RRULE") {
		if c.recurring++; c.recurring > maxRecurrence {
			c.fail(p.line, "more than %d recurrence rules", maxRecurrence)
			return
		}
		opt, err := rule(p.value, e.start.civil, e.start.zone.shown)
		if err != nil {
			c.fail(p.line, "RRULE: %v", err)
			return
		}
		if e.start.date && (len(opt.Byhour)+len(opt.Byminute)+len(opt.Bysecond) > 0) {
			c.fail(p.line, "RRULE: the event is a date, and the rule names times of the day")
		}
		e.rules = append(e.rules, opt)
	}
	if len(v.all("EXRULE")) > 0 {
		c.fail(v.all("EXRULE")[0].line, "EXRULE is not understood here; write EXDATE")
	}
	for _, p := range slices.Concat(v.all("RDATE"), v.all("EXDATE")) {
		for value := range strings.SplitSeq(p.value, ",") {
			if c.dates++; c.dates > maxDates {
				c.fail(p.line, "more than %d dates", maxDates)
				return
			}
			x, err := c.extra(p, value)
			if err == nil && x.start.date != e.start.date {
				err = fmt.Errorf("of DTSTART and %s one is a date and the other a time", short(value))
			}
			switch {
			case err != nil:
				c.fail(p.line, "%s: %v", p.name, err)
				return
			case p.name == "EXDATE":
				e.except[x.start.instant().UTC()] = true
			default:
				e.extra = append(e.extra, x)
			}
		}
	}
}

// extra reads one value of RDATE or EXDATE.
func (c *calendar) extra(p property, value string) (x extra, err error) {
	begin, end, isPeriod := strings.Cut(value, "/")
	if isPeriod && p.name != "RDATE" {
		return x, fmt.Errorf("%s is a period, which only RDATE may have", short(value))
	}
	if strings.EqualFold(p.param("VALUE"), "PERIOD") != isPeriod {
		return x, fmt.Errorf("%s and its VALUE do not agree on whether it is a period", short(value))
	}
	if isPeriod {
		p.params = map[string][]string{"TZID": p.params["TZID"]}
	}
	if x.start, err = c.moment(p, begin); err != nil || !isPeriod {
		return x, err
	}
	if strings.HasPrefix(end, "P") || strings.HasPrefix(end, "+P") {
		s, err := duration(end)
		x.end = s.end(x.start.civil, x.start.zone)
		return x, err
	}
	m, err := c.moment(p, end)
	if err != nil {
		return x, err
	}
	if x.end = m.instant(); !x.end.After(x.start.instant()) {
		return x, fmt.Errorf("the period %s ends when it begins, or before", short(value))
	}
	return x, nil
}

// resolved returns the events that freeze, with replaced recurrences taken out of those that recur. Of several with the same
// UID those with the highest SEQUENCE count.
func (c *calendar) resolved() []event {
	newest := map[string]string{}
	slot := func(e *event) string {
		s := e.uid + "\x00"
		if e.id != nil {
			s += e.id.instant().UTC().String()
		}
		return s
	}
	for i := range c.events {
		e := &c.events[i]
		newest[slot(e)] = max(newest[slot(e)], e.sequence)
	}
	var out []event
	for i := range c.events {
		e := &c.events[i]
		if e.uid != "" && e.sequence != newest[slot(e)] {
			continue
		}
		if e.id != nil && e.uid != "" {
			for j := range c.events {
				if m := &c.events[j]; m.uid == e.uid && m.id == nil {
					m.except[e.id.instant().UTC()] = true
				}
			}
		}
		if !e.free {
			out = append(out, *e)
		}
	}
	return out
}

// Free returns how many events of the file freeze nothing because they are transparent, and whether it has no others.
func (c *Calendar) Free() (n int, alone bool) { return c.free, c.free > 0 && len(c.events) == 0 }

// File returns the name of the file that it was read from, as given to Read.
func (c *Calendar) File() string { return c.file }

// Between returns the freezes that have an instant in common with [from, to), in the order of their begins.
func (c *Calendar) Between(from, to time.Time) []schedules.Freeze {
	var out []schedules.Freeze
	for y := from.Add(-c.most).UTC().Year(); y <= to.UTC().Year(); y++ {
		for _, f := range c.year(y) {
			if f.From.Before(to) && f.To.After(from) {
				out = append(out, f)
			}
		}
	}
	return out
}

// year returns the freezes that begin in a year.
func (c *Calendar) year(y int) []schedules.Freeze {
	c.mu.Lock()
	defer c.mu.Unlock()
	if out, ok := c.years[y]; ok {
		return out
	}
	begin, end := time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(y+1, 1, 1, 0, 0, 0, 0, time.UTC)
	var out []schedules.Freeze
	for i := range c.events {
		for _, f := range c.events[i].within(begin, end) {
			f.File = c.file
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, func(a, b schedules.Freeze) int {
		return cmp.Or(a.From.Compare(b.From), a.To.Compare(b.To), strings.Compare(a.Name, b.Name))
	})
	c.years[y] = out
	return out
}

// within returns the recurrences of an event that begin in [from, to).
func (e *event) within(from, to time.Time) []schedules.Freeze {
	var out []schedules.Freeze
	seen := map[time.Time]bool{}
	add := func(begin, end time.Time) {
		begin = begin.UTC()
		if begin.Before(from) || !begin.Before(to) || e.except[begin] || seen[begin] {
			return
		}
		seen[begin] = true
		if end.After(begin) {
			out = append(out, schedules.Freeze{Name: e.name, From: begin, To: end})
		}
	}
	at := func(civil time.Time) {
		begin := e.start.zone.at(civil)
		end := begin.Add(e.exact)
		if e.exact == 0 {
			end = e.last.end(civil, e.start.zone)
		}
		add(begin, end)
	}
	for _, x := range e.extra {
		if x.end.IsZero() {
			begin := x.start.instant()
			end := begin.Add(e.exact)
			if e.exact == 0 {
				end = e.last.end(x.start.civil, x.start.zone)
			}
			add(begin, end)
		} else {
			add(x.start.instant(), x.end)
		}
	}
	at(e.start.civil)
	for _, opt := range e.rules {
		o := *opt
		if limit := to.Add(24 * time.Hour); o.Until.IsZero() || o.Until.After(limit) {
			o.Until = limit
		}
		if o.Until.Before(o.Dtstart) {
			continue
		}
		r, err := rrule.NewRRule(o)
		if err != nil {
			continue // it was made before, with the same settings
		}
		for _, civil := range r.Between(from.Add(-48*time.Hour), o.Until, true) {
			at(civil)
		}
	}
	return out
}
