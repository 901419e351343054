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

// cutOut takes the stretches in cut from spans, and puts their reason before all others.
func cutOut(spans []clock.Span, why []string, cut []clock.Span, reason string) ([]clock.Span, []string) {
	var out []clock.Span
	for _, s := range clock.Merge(spans) {
		out = append(out, without(s, cut)...)
	}
	return out, slices.Insert(slices.Clone(why), 0, reason)
}
