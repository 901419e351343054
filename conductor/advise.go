package conductor

import (
	"context"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/report"
)

// adviseLimit is how long all sources together may take to study their rules: it keeps a run that is over from its end.
const adviseLimit = 15 * time.Second

// study asks the sources that know their rules what these could have seen of the run, and records it. It never fails a
// run: what could not be had is recorded as that.
func (s *sources) study(span clock.Span) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.run.ctx), adviseLimit)
	defer cancel()
	calm := span
	if touched := s.run.firstTouch(); !touched.IsZero() {
		calm.End = touched
	}
	for _, src := range s.alarms {
		adviser, ok := src.Source.(alarms.Adviser)
		expected := s.expected(src.id)
		if !ok || len(expected) == 0 {
			continue
		}
		advice, err := adviser.Advise(ctx, alarms.Inquiry{Run: span, Calm: calm, Alarms: expected})
		rec := report.RuleRecord{Source: src.id, Span: span, Calm: calm, Advice: advice}
		if err != nil {
			rec.Advice, rec.Error = alarms.Advice{}, err.Error()
		}
		if tooLong(rec) {
			rec.Advice, rec.Error = alarms.Advice{}, errTooLong.Error()
		}
		s.run.rec.add(report.RulesStudied, rec)
	}
}

// touch notes when something is injected, and firstTouch returns when that was for the first time; the zero time when
// nothing was.
func (r *run) touch(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.touched.IsZero() {
		r.touched = at
	}
}

func (r *run) firstTouch() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.touched
}
