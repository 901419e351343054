package truth

import "gameday/report"

// kill has gameday killed at some time of some runs: the record ends there, and no source is asked for its account.
func (w *World) kill() {
	if w.reason != report.EndComplete || !w.chance(0.06) {
		return
	}
	w.killed, w.reason = true, report.EndInterrupted
	w.ended = w.load + w.between(0, (w.length-w.load).Seconds())
	for _, f := range w.faults {
		switch {
		case f.at >= w.ended: // it never came to that
			f.fate = refused
		case f.fate != refused:
			f.gone = min(f.gone, w.ended+w.between(0.01, 2)) // its guard hears of it
		}
	}
}

// cut leaves out what nobody was there to write down.
func (w *World) cut(events []event) []event {
	if !w.killed {
		return events
	}
	var out []event
	for _, e := range events {
		if e.at < w.ended || e.kind == report.Overrode {
			out = append(out, e)
		}
	}
	return out
}

// unwritten says of every fact of a run that was killed that not everybody can tell it: what a source knows it was not asked for.
func (w *World) unwritten(facts map[string]Fact) {
	if !w.killed {
		return
	}
	for id, f := range facts {
		f.Plain = false
		facts[id] = f
	}
}
