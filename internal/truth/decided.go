package truth

import (
	"maps"
	"slices"

	"gameday/clock"
	"gameday/report"
)

// decide has a facilitator decide about some items in gameday's place, now and then, and think better of it.
func (w *World) decide() {
	if !w.chance(0.1) {
		return
	}
	ids := slices.Sorted(maps.Keys(w.facts()))
	for range 1 + w.IntN(3) {
		if len(ids) == 0 {
			return
		}
		o := report.Override{Item: ids[w.IntN(len(ids))], Outcome: clock.Outcome(w.IntN(3)), By: "dana", Reason: "so it was"}
		w.decided = append(w.decided, o)
		if w.chance(0.3) {
			o.Withdrawn = true
			w.decided = append(w.decided, o)
		}
	}
}

// Facts returns the truth about every promise of the plan, by the id of its item; what people decided about one is taken for the
// truth.
func (w *World) Facts() map[string]Fact {
	out := w.facts()
	w.unwritten(out)
	last := map[string]report.Override{}
	for _, o := range w.decided {
		last[o.Item] = o
	}
	for id, o := range last {
		f := out[id]
		if o.Withdrawn {
			continue
		}
		f.Decided, f.Open, f.Plain, f.Answer, f.Value = true, false, o.Outcome != clock.Unknown, Moot, 0
		switch o.Outcome {
		case clock.Met:
			f.Answer, f.Value = Kept, 1
		case clock.Missed:
			f.Answer = Broken
		}
		out[id] = f
	}
	return out
}
