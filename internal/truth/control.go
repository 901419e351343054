package truth

import "time"

// leaveOut puts a control phase before the load phase, and has some alarms come in it.
func (w *World) leaveOut() {
	if len(w.faults) == 0 || !w.chance(0.35) {
		return
	}
	w.control = w.between(95, 130)
	for _, f := range w.faults { // all that was drawn comes later
		f.shift(w.control)
	}
	w.load, w.back, w.length, w.ended = w.load+w.control, w.back+w.control, w.length+w.control, w.ended+w.control
}

func (f *fault) shift(by time.Duration) {
	f.at += by
	for _, at := range []*time.Duration{&f.onset, &f.gone, &f.told.from, &f.told.to, &f.over.from, &f.over.to} {
		if *at > 0 && *at < forever {
			*at += by
		}
	}
}

// byItself adds a time at which an alarm comes without its fault, now and then.
func (w *World) byItself(a *alarm) {
	if w.control > 0 && w.chance(0.25) {
		a.bout(w.load-w.control+w.between(0, w.control.Seconds()), a.wait+a.apart+w.between(0, 30))
	}
}

// background says of an alarm whether it fired without a fault too, in the control phase or before.
type background struct {
	is    bool
	open  bool // and whether anybody has to know
	plain bool // and whether anybody can tell
}

// without answers that for the time before anything was done. What came in the control phase has to be known; what came
// before or after it only when it was seen.
func (w *World) without(a *alarm, margin time.Duration) background {
	from, told := w.first()
	margin += told
	out := background{plain: w.rules.whole()}
	for _, b := range a.bouts {
		if !b.firing() || b.fired > from+margin {
			continue
		}
		near := !apartBy(b.fired, from, margin)
		out.plain = out.plain && !near
		controlled := w.control > 0 && b.fired >= w.load-w.control && b.fired < w.load
		out.is = out.is || b.fired < from
		out.open = out.open || near || !controlled && !w.rules.whole()
	}
	return out
}

// unproven is what is left of a promise about an alarm that fired without the fault too: in time it shows nothing.
func (f Fact) unproven(b background) Fact {
	f.Plain = f.Plain && b.plain
	f.Open = f.Open || b.open
	if !b.is {
		return f
	}
	if f.Answer == Kept {
		return Fact{Open: f.Open}
	}
	f.Value = 0
	return f
}
