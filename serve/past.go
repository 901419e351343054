package serve

import (
	"cmp"
	"context"
	"path"
	"time"

	"gameday/report/history"
	"gameday/schedules"
	"gameday/schedules/claims"
	"gameday/serve/store"
)

// past is what is known of runs that are over, for occasions that did not keep them.
type past struct {
	records []store.Record    // the newest first
	skipped []history.Skipped // folders that tell nothing: they may be of anything
	leaving []goingRun        // what went on a moment ago, and may not be among the records
	whole   bool              // all records are there
}

// past returns what is known now of runs that are over.
func (e *Engine) past(ctx context.Context) (*past, error) {
	out := &past{whole: e.Store.Whole()}
	// In this order: a run that is derived meanwhile is in both, and not in neither.
	_, out.leaving = e.seenLeaving()
	var err error
	out.records, out.skipped, err = e.Store.Records(ctx)
	return out, err
}

// diedWithin is how much later than planned the runs of an occasion may begin that died: it may have been held, and was prepared.
const diedWithin = time.Hour

// died returns the folders of the runs of an occasion whose process was killed, and kept none of them: one of each of its scenarios in their order, up to
// the one that has no end. It is empty where that one is not known, for it may be one of which nobody who plays may know: also where a folder that tells
// nothing may be its record, for then a run that somebody began by hand would be taken for it.
func (r *past) died(c *calendarNow, k *claims.Kept) []string {
	s := c.Schedule(k.Schedule)
	if s == nil || !r.whole {
		return nil
	}
	begin, until := k.At.Add(-time.Second), k.At.Add(s.Length()+diedWithin)
	for i := range c.kept {
		if x := &c.kept[i]; x.Schedule == k.Schedule && x.Outcome == schedules.Begun && x.At.After(k.At) {
			until = earlier(until, x.At)
		}
	}
	for _, g := range r.leaving {
		if !g.At.Before(begin) {
			return nil
		}
	}
	for i := range r.skipped {
		if mayBeOf(&r.skipped[i], begin, until) {
			return nil
		}
	}
	var out []string
	for i := len(r.records) - 1; i >= 0 && len(out) < len(s.Items); i-- {
		x := &r.records[i]
		if x.Scenario != s.Items[len(out)].Scenario || x.Started.Before(begin) || !x.Started.Before(until) {
			continue
		}
		if out = append(out, x.Folder); !x.Over {
			return out
		}
	}
	if len(out) < len(s.Items) {
		return nil
	}
	return out
}

// dated is how the names of records' folders begin: when they were made, by the clock of whoever made them.
const dated = "20060102-150405"

// The zones of clocks, by how far they are from UTC.
const (
	lastZone  = 12 * time.Hour // behind it
	firstZone = 14 * time.Hour // ahead of it
)

// mayBeOf reports whether a folder that tells nothing may be the record of a run that began in [from, until). Schedules date what they make, so nothing
// of theirs was in one that has neither a date nor anything of a record.
func mayBeOf(s *history.Skipped, from, until time.Time) bool {
	name := path.Base(s.Folder)
	at, err := time.Parse(dated, name[:min(len(name), len(dated))])
	if err != nil {
		return s.Why != history.NoRecord
	}
	return at.Add(lastZone).After(from) && at.Add(-firstZone).Before(until)
}

// inTheWay returns the folders of the runs of what was in the way of an occasion that was skipped, by the reason that was kept; nothing while that goes
// on, and where it is not known.
func (e *Engine) inTheWay(r *past, now *snapshot, calendar, why string) []string {
	w, ok := schedules.ParseInTheWay(why)
	if !ok {
		return nil
	}
	var out []string
	if w.Run != "" {
		for i := range r.records {
			if r.records[i].Run == w.Run {
				out = append(out, r.records[i].Folder)
			}
		}
		return out
	}
	for i := range now.calendars {
		c := &now.calendars[i]
		for j := range c.kept {
			if k := &c.kept[j]; c.Name == cmp.Or(w.Calendar, calendar) && k.Schedule == w.Schedule && k.Occasion == w.Occasion {
				out = append(out, e.runsThen(r, c, k)...)
			}
		}
	}
	return out
}

// runsThen returns the folders of all runs of an occasion that nobody is at any more; nothing where they are not all known.
func (e *Engine) runsThen(r *past, c *calendarNow, k *claims.Kept) []string {
	switch {
	case k.Outcome != schedules.Begun || k.Running || k.Unread != "":
		return nil
	case k.End == nil:
		return r.died(c, k)
	}
	var out []string
	for _, x := range k.End.Runs {
		folder, _, ok := e.below(x.Record)
		if !ok {
			return nil
		}
		out = append(out, folder)
	}
	return out
}
