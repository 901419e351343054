package report

import (
	"slices"

	"gameday/alarms"
	"gameday/clock"
	"gameday/responders"
)

// seeing returns the account as it is for one thing alone: what its source could not see of it is not covered.
func (a *alarmAccount) seeing(s alarms.State) *alarmAccount {
	c := *a
	for _, b := range a.Coverage.Blind {
		if b.To == s {
			c.Coverage.Spans, c.Coverage.Why = cutOut(c.Coverage.Spans, c.Coverage.Why, b.Spans, b.Why)
		}
	}
	return &c
}

// seeing returns the account as it is for one kind of event alone.
func (a *responseAccount) seeing(k responders.Kind) *responseAccount {
	c := *a
	for _, b := range a.Coverage.Blind {
		if b.To == k {
			c.Coverage.Spans, c.Coverage.Why = cutOut(c.Coverage.Spans, c.Coverage.Why, b.Spans, b.Why)
		}
	}
	return &c
}

// cutOut takes the stretches in cut from spans, and adds their reason: with their times, unless nothing is
// left.
func cutOut(spans []clock.Span, why []string, cut []clock.Span, reason string) ([]clock.Span, []string) {
	var out []clock.Span
	for _, s := range clock.Merge(spans) {
		out = append(out, without(s, cut)...)
	}
	switch why = slices.Clone(why); {
	case total(out) == total(clock.Merge(spans)):
		return spans, why // it was not seen then anyway
	case len(out) == 0:
		return out, slices.Insert(why, 0, reason)
	}
	for _, c := range clock.Merge(cut) {
		why = append(why, clockTimes(c)+": "+reason)
	}
	return out, why
}
