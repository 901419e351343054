package conductor

import (
	"fmt"
	"slices"

	"gameday/clock"
	"gameday/faults/guard"
	"gameday/report"
)

// lapsed records, once, that a fault let go before it was told to.
func (r *run) lapsed(in *injection, why string) {
	<-in.settled
	if !r.forget(in) {
		return
	}
	told := r.known(in)
	told.Error, told.Gone = why, clock.At(r.rec.now())
	r.rec.add(report.Lapsed, told)
}

// wasRefused reports whether the guard could not revert a fault when it was told to.
func (r *run) wasRefused(in *injection) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return in.refused
}

// late records that a guard's own further try reverted what it could not when it was told to.
func (r *run) late(in *injection) {
	if !r.forget(in) {
		return
	}
	told := r.known(in)
	told.Gone = clock.At(r.rec.now())
	r.rec.add(report.Reverted, told)
	r.rec.add(report.Noted, report.Note{Fault: in.Fault, Text: fmt.Sprintf("%s on %s could not be reverted at first; a further try of its guard did it", in.Fault, in.Place)})
}

// halted records that a guard reverted a fault because game days are stopped on its machine.
func (r *run) halted(in *injection, why string) {
	<-in.settled
	if !r.forget(in) {
		return
	}
	told := r.known(in)
	told.Gone = clock.At(r.rec.now())
	r.rec.add(report.Reverted, told)
	r.rec.add(report.Noted, report.Note{Fault: in.Fault, Text: fmt.Sprintf("the guard of %s on %s reverted it: %s", in.Fault, in.Place, why)})
}

// followGuard hands the guard's own reports to the injections they speak of.
func (r *run) followGuard(c *guard.Client) {
	for e := range c.Events() {
		r.mu.Lock()
		i := slices.IndexFunc(r.standing, func(in *injection) bool { return in.ID == e.ID })
		var in *injection
		if i >= 0 {
			in = r.standing[i]
		}
		r.mu.Unlock()
		if in == nil {
			continue
		}
		switch e.Type {
		case guard.EventOver:
			select {
			case in.over <- e:
			default:
			}
		case guard.EventHalted:
			r.halted(in, e.Why)
		case guard.EventReverted:
			if r.wasRefused(in) {
				r.late(in)
				continue
			}
			r.lapsed(in, e.Why)
		case guard.EventLapsed:
			r.lapsed(in, e.Why)
		case guard.EventWaiting:
			r.rec.add(report.Noted, report.Note{Fault: in.Fault, Text: fmt.Sprintf("reverting %s on %s takes longer than usual: %s", in.Fault, in.Place, e.Why)})
		case guard.EventResidue:
			r.rec.add(report.Noted, report.Note{Fault: in.Fault, Text: fmt.Sprintf("the guard could not revert %s on %s and tries again: %s", in.Fault, in.Place, e.Why)})
		}
	}
}
