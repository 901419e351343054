package ical

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/teambition/rrule-go"
)

// rule reads an RRULE for something that begins at a time by the clock on the wall. toLocal says what that clock shows when
// it is so much in UTC. A rule has at most one recurrence a day.
func rule(value string, begin time.Time, toLocal func(time.Time) time.Time) (*rrule.ROption, error) {
	if len(value) > 1000 {
		return nil, errors.New("the rule has more than 1000 characters")
	}
	seen := map[string]bool{}
	until := ""
	for part := range strings.SplitSeq(strings.TrimSuffix(value, ";"), ";") {
		name, v, _ := strings.Cut(part, "=")
		name = strings.ToUpper(name)
		if seen[name] {
			return nil, fmt.Errorf("%s stands twice in the rule", name)
		}
		seen[name] = true
		switch name {
		case "UNTIL":
			until = v
		case "DTSTART", "BYEASTER", "RSCALE", "SKIP":
			return nil, fmt.Errorf("%s is no part of a rule that is understood here", name)
		case "BYHOUR", "BYMINUTE", "BYSECOND":
			if strings.Contains(v, ",") {
				return nil, fmt.Errorf("%s names several times a day; write an event for each", name)
			}
		}
	}
	opt, err := rrule.StrToROption(strings.ToUpper(strings.TrimSuffix(value, ";")))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the rule %s: %w", short(value), err)
	case opt.Freq > rrule.DAILY:
		return nil, fmt.Errorf("FREQ=%s comes more often than once a day; write days, or an event for each", opt.Freq)
	case opt.Interval < 0 || opt.Interval > 1000 || seen["INTERVAL"] && opt.Interval == 0:
		return nil, fmt.Errorf("INTERVAL=%d is not between 1 and 1000", opt.Interval)
	case opt.Count < 0 || seen["COUNT"] && opt.Count == 0:
		return nil, fmt.Errorf("COUNT=%d is not a number of times", opt.Count)
	case opt.Count > 0 && until != "":
		return nil, errors.New("a rule has COUNT or UNTIL, and not both")
	}
	for _, list := range [][]int{opt.Bysetpos, opt.Bymonth, opt.Bymonthday, opt.Byyearday, opt.Byweekno, opt.Byhour, opt.Byminute, opt.Bysecond} {
		if len(list) > 400 {
			return nil, errors.New("a list in the rule has more than 400 entries")
		}
	}
	if until != "" {
		if opt.Until, err = ending(until, toLocal); err != nil {
			return nil, err
		}
		if opt.Until.Before(begin) {
			return nil, fmt.Errorf("UNTIL=%s lies before the begin", until)
		}
	}
	opt.Dtstart = begin
	probe := *opt
	if probe.Until.IsZero() {
		probe.Count = 1
	}
	r, err := rrule.NewRRule(probe)
	if err != nil {
		return nil, fmt.Errorf("the rule %s: %w", short(value), err)
	}
	if _, ok := r.Iterator()(); !ok {
		return nil, fmt.Errorf("the rule %s names no day at all", short(value))
	}
	return opt, nil
}

// ending reads UNTIL: the last time by the clock on the wall. A date holds its whole day.
func ending(text string, toLocal func(time.Time) time.Time) (time.Time, error) {
	if t, err := time.Parse("20060102", text); err == nil {
		return t.Add(24*time.Hour - time.Second), nil
	}
	if t, err := time.Parse("20060102T150405Z", text); err == nil {
		return toLocal(t), nil
	}
	t, err := time.Parse("20060102T150405", text)
	if err != nil {
		return t, fmt.Errorf("UNTIL=%s is neither a date nor a time", text)
	}
	return t, nil
}
