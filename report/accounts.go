package report

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"gameday/alarms"
	"gameday/clock"
)

// alarmAccount is what one source of alarms says of the run.
type alarmAccount struct {
	Source   string
	Episodes []episode // by beginning
	Coverage alarms.Coverage
	Begin    time.Time // of what was asked for, or seen
	End      time.Time // likewise
	Line     int       // of the source's own account; 0 when the episodes were put together from sightings
	Error    string
}

// episode is an alarms.Episode with the lines of the record that tell of it.
type episode struct {
	alarms.Episode
	lines []int
}

// begin returns when the alarm's condition began to hold, or when it fired where a source does not know.
func (e episode) begin() clock.Interval {
	if e.Pending.IsZero() {
		return e.Firing
	}
	return e.Pending
}

// fired reports whether the episode came to firing.
func (e episode) fired() bool { return !e.Firing.IsZero() }

// name returns the alarm's name.
func (e episode) name() string { return cmp.Or(e.Labels["alertname"], e.Key, "unnamed") }

// alarmAccounts returns one account a source: the source's own history, which is the truth; when a source was never
// asked or could not answer, what was seen live. An answer without an error outranks one with an error.
func alarmAccounts(rec *Record, live []seen[AlarmSighting], end time.Time) []alarmAccount {
	by := map[string]*alarmAccount{}
	get := func(name string) *alarmAccount {
		if by[name] == nil {
			by[name] = &alarmAccount{Source: name}
		}
		return by[name]
	}
	for _, s := range live {
		get(s.V.Source)
	}
	for _, a := range all[AlarmRecord](rec, AlarmHistory) {
		acc := get(a.V.Source)
		if a.V.Error != "" && (acc.Line != 0 || len(a.V.Coverage.Spans) == 0) {
			acc.Error = cmp.Or(acc.Error, a.V.Error)
			continue
		}
		acc.Coverage, acc.Begin, acc.End, acc.Line, acc.Error = a.V.Coverage, a.V.Span.Start, a.V.Span.End, a.line(), a.V.Error
		acc.Episodes = nil
		for _, e := range a.V.Episodes {
			e.Source = acc.Source
			acc.Episodes = append(acc.Episodes, episode{e, []int{a.line()}})
		}
	}
	var out []alarmAccount
	for _, name := range sortedKeys(by) {
		acc := by[name]
		if acc.Line == 0 {
			acc.fromSightings(live, end)
		} else {
			acc.addLines(live)
		}
		slices.SortStableFunc(acc.Episodes, func(a, b episode) int {
			return cmp.Or(a.begin().Lo.Compare(b.begin().Lo), cmp.Compare(a.Key, b.Key))
		})
		out = append(out, *acc)
	}
	return out
}

// addLines adds to each episode the lines of the sightings that belong to it.
func (acc *alarmAccount) addLines(live []seen[AlarmSighting]) {
	for i := range acc.Episodes {
		e := &acc.Episodes[i]
		for _, s := range live {
			late := !e.Ended.IsZero() && s.V.At.Lo.After(e.Ended.Hi.Add(second))
			if s.V.Source != acc.Source || s.V.Key != e.Key || s.V.Key == "" || s.V.At.Hi.Before(e.begin().Lo) || late {
				continue
			}
			e.lines = append(e.lines, s.line())
		}
		slices.Sort(e.lines)
	}
}

// liveLook is how far apart a source's looks may be of which only what they saw is recorded. What came since the last of them
// nobody saw.
const liveLook = time.Minute

// fromSightings puts episodes together from what was seen live. Coverage begins with the first sign of life: before it,
// nothing shows that the source was watched at all.
func (acc *alarmAccount) fromSightings(live []seen[AlarmSighting], end time.Time) {
	open := map[string]*episode{}
	// The watcher tells of its failures, so silence is silence of the alarms: up to its last look.
	acc.End = end
	last := end.Add(-liveLook)
	var up time.Time // the begin of the covered span, zero while the source is not to be trusted
	var down time.Time
	var why string // of the hole that began at down
	hole := func(end time.Time) {
		if !down.IsZero() {
			acc.Coverage.Why = append(acc.Coverage.Why, clockTimes(clock.Span{Start: down, End: end})+": "+why)
		}
		down = time.Time{}
	}
	for _, s := range live {
		if s.V.Source != acc.Source {
			continue
		}

		switch s.V.State {
		case alarms.StateUnreachable, alarms.StateBroken:
			if !up.IsZero() {
				acc.Coverage.Spans = append(acc.Coverage.Spans, clock.Span{Start: up, End: s.V.At.Lo})
			}
			up = time.Time{}
			if down.IsZero() {
				down, why = s.V.At.Lo, string(s.V.State)
				if s.V.Why != "" {
					why += ": " + s.V.Why
				}
			}
			continue
		}
		hole(s.V.At.Hi)
		up, last = cmpTime(up, s.V.At.Hi), laterOf(last, s.V.At.Hi)
		e := open[s.V.Key]
		if e == nil && s.V.State != alarms.StateInactive && s.V.State != alarms.StateReachable {
			e = &episode{Episode: alarms.Episode{Source: acc.Source, Key: s.V.Key, Labels: maps.Clone(s.V.Labels)}}
			open[s.V.Key] = e
		}
		if e == nil {
			continue
		}
		e.lines = append(e.lines, s.line())
		if e.see(s.V) {
			acc.Episodes = append(acc.Episodes, *e)
			delete(open, s.V.Key)
		}
	}
	if !up.IsZero() && last.After(up) {
		acc.Coverage.Spans = append(acc.Coverage.Spans, clock.Span{Start: up, End: earlierOf(last, acc.End)})
		acc.Coverage.Why = append(acc.Coverage.Why, clockTimes(clock.Span{Start: last, End: acc.End})+": it was not asked for its own account, and its last look is not known")
	}
	hole(acc.End)
	for _, k := range sortedKeys(open) {
		acc.Episodes = append(acc.Episodes, *open[k])
	}
	if len(acc.Coverage.Spans) > 0 && !slices.ContainsFunc(acc.Episodes, func(e episode) bool { return !e.Paged.IsZero() }) {
		acc.Coverage.Blind = []alarms.Blind{{To: alarms.StatePaged, Spans: []clock.Span{{Start: acc.Coverage.Spans[0].Start, End: acc.End}},
			Why: "it was not asked for its own account, and whether it tells of pages at all is not known"}}
	}
}

// see applies a sighting and reports whether it ended the episode.
func (e *episode) see(s AlarmSighting) (ended bool) {
	first := func(i *clock.Interval) {
		if i.IsZero() {
			*i = s.At
		}
	}
	switch s.State {
	case alarms.StatePending:
		first(&e.Pending)
	case alarms.StateFiring:
		first(&e.Firing)
	case alarms.StateSuppressed:
		first(&e.Firing)
		e.SuppressedBy = append(e.SuppressedBy, cmp.Or(s.Why, "the source"))
	case alarms.StatePaged:
		first(&e.Paged)
	case alarms.StateInactive:
		first(&e.Ended)
		return true
	}
	return false
}

// alarmSource returns the account of a source of alarms, or nil when the record has nothing from it.
func (t *Timeline) alarmSource(name string) *alarmAccount {
	for i := range t.Alarms {
		if t.Alarms[i].Source == name {
			return &t.Alarms[i]
		}
	}
	return nil
}
