package ical

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/teambition/rrule-go"
)

// zone returns the zone of a TZID: of the tz database if it is known there by that name, or by the end of it, as some programs
// write them; else as the file's VTIMEZONE describes it.
func (c *calendar) zone(tzid string) (zone, error) {
	if z, ok := c.zones[tzid]; ok {
		return z, nil
	}
	if z := known(tzid); z != nil {
		c.zones[tzid] = z
		return z, nil
	}
	d, ok := c.described[tzid]
	if !ok {
		return nil, fmt.Errorf("the time zone %s is neither in the tz database nor described in the file by a VTIMEZONE", short(tzid))
	}
	z, err := c.ruled(d)
	if err != nil {
		return nil, err
	}
	c.zones[tzid] = z
	return z, nil
}

// known returns a zone of the tz database, or nil.
func known(tzid string) zone {
	parts := strings.Split(strings.Trim(tzid, "/"), "/")
	for i := range min(len(parts), 6) {
		name := strings.Join(parts[i:], "/")
		if name == "" || strings.EqualFold(name, "local") || (i > 0 && !strings.Contains(name, "/")) {
			continue
		}
		if l, err := time.LoadLocation(name); err == nil {
			return place{l}
		}
	}
	return nil
}

// onset is when the offset from UTC changes, by the clock as it was before.
type onset struct {
	civil    time.Time
	from, to time.Duration // offsets before and after
}

// rules is a zone as a file describes it: its onsets, in order. Before the first one its offset from counts.
type rules []onset

// before returns the number of onsets up to what the clock on the wall shows for the first time.
func (r rules) before(c time.Time) int {
	return sort.Search(len(r), func(i int) bool { return r[i].civil.After(c) })
}

func (r rules) at(c time.Time) time.Time {
	i := r.before(c)
	if i == 0 {
		return c.Add(-r[0].from)
	}
	o := r[i-1]
	// A time that the clock jumps over is when it jumps.
	if c.Before(o.civil.Add(o.to - o.from)) {
		return o.civil.Add(-o.from)
	}
	return c.Add(-o.to)
}

func (r rules) shown(t time.Time) time.Time {
	i := sort.Search(len(r), func(i int) bool { return r[i].civil.Add(-r[i].from).After(t) })
	if i == 0 {
		return t.Add(r[0].from)
	}
	return t.Add(r[i-1].to)
}

var offsetForm = regexp.MustCompile(`^([+-])(\d{2})(\d{2})(\d{2})?$`)

func offset(p property) (time.Duration, error) {
	m := offsetForm.FindStringSubmatch(p.value)
	if m == nil {
		return 0, fmt.Errorf("%s is not an offset such as +0100", short(p.value))
	}
	n := func(i int) time.Duration {
		v, _ := strconv.Atoi(m[i]) // two digits, as matched, or none
		return time.Duration(v)
	}
	d := n(2)*time.Hour + n(3)*time.Minute + n(4)*time.Second
	if d > 15*time.Hour {
		return 0, fmt.Errorf("the offset %s is more than any zone has", short(p.value))
	}
	if m[1] == "-" {
		d = -d
	}
	return d, nil
}

// ruled reads a VTIMEZONE.
func (c *calendar) ruled(d *component) (zone, error) {
	var r rules
	for _, part := range d.parts {
		if part.name != "STANDARD" && part.name != "DAYLIGHT" {
			continue
		}
		some, err := c.observance(part)
		if err != nil {
			return nil, err
		}
		if r = append(r, some...); len(r) > maxOnsets {
			return nil, fmt.Errorf("the VTIMEZONE in line %d changes its offset more than %d times", d.line, maxOnsets)
		}
	}
	if len(r) == 0 {
		return nil, fmt.Errorf("the VTIMEZONE in line %d has no part STANDARD or DAYLIGHT", d.line)
	}
	slices.SortStableFunc(r, func(a, b onset) int { return a.civil.Compare(b.civil) })
	return r, nil
}

// maxOnsets is more than two a year over six hundred years: some programs begin in 1601.
const maxOnsets = 2000

// observance reads a part of a VTIMEZONE: from when on which offset counts.
func (c *calendar) observance(part *component) ([]onset, error) {
	in := func(p property, err error) error { return fmt.Errorf("in line %d: %w", p.line, err) }
	var o onset
	var err error
	for _, x := range []struct {
		name string
		to   *time.Duration
	}{{"TZOFFSETFROM", &o.from}, {"TZOFFSETTO", &o.to}} {
		p := part.all(x.name)
		if len(p) != 1 {
			return nil, fmt.Errorf("the %s in line %d has not one %s", part.name, part.line, x.name)
		}
		if *x.to, err = offset(p[0]); err != nil {
			return nil, in(p[0], err)
		}
	}
	start := part.all("DTSTART")
	if len(start) != 1 {
		return nil, fmt.Errorf("the %s in line %d has not one DTSTART", part.name, part.line)
	}
	if o.civil, err = local(start[0].value); err != nil {
		return nil, in(start[0], err)
	}
	out := []onset{o}
	for _, p := range part.all("RDATE") {
		for v := range strings.SplitSeq(p.value, ",") {
			t, err := local(v)
			if err != nil {
				return nil, in(p, err)
			}
			if out = append(out, onset{t, o.from, o.to}); len(out) > maxOnsets {
				return nil, in(p, fmt.Errorf("more than %d dates", maxOnsets))
			}
		}
	}
	for _, p := range part.all("RRULE") {
		opt, err := rule(p.value, o.civil, func(u time.Time) time.Time { return u.Add(o.from) })
		if err == nil && opt.Freq != rrule.YEARLY {
			err = errors.New("a zone's clock changes by rules with FREQ=YEARLY")
		}
		if err != nil {
			return nil, in(p, err)
		}
		if end := time.Date(lastYear+1, 1, 1, 0, 0, 0, 0, time.UTC); opt.Until.IsZero() || opt.Until.After(end) {
			opt.Until = end
		}
		r, err := rrule.NewRRule(*opt)
		if err != nil {
			return nil, in(p, err)
		}
		next := r.Iterator()
		for t, ok := next(); ok; t, ok = next() {
			if !t.Equal(o.civil) {
				out = append(out, onset{t, o.from, o.to})
			}
			if len(out) > maxOnsets {
				return nil, in(p, fmt.Errorf("more than %d changes of the clock", maxOnsets))
			}
		}
	}
	return out, nil
}

// local reads when an observance begins.
func local(value string) (time.Time, error) {
	t, err := time.Parse("20060102T150405", value)
	if err != nil {
		return t, fmt.Errorf("%s is not a local time such as 20261025T030000", short(value))
	}
	return t, nil
}
