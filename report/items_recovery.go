package report

import (
	"fmt"
	"strings"
	"time"

	"gameday/clock"
	"gameday/faults"
)

// nodeRestart is the kind whose target must come back with another boot id, or as a container started anew.
const nodeRestart = "node_restart"

// recovery returns the items of the recovery part: for each fault, that its targets came back, and that the steady
// state held again.
func (j *judge) recovery() []Item {
	steady := false
	for _, e := range j.plan.Expects {
		steady = steady || e.Part == PartSteady
	}
	var out []Item
	for i := range j.plan.Faults {
		p := &j.plan.Faults[i]
		if p.RestartsWithin > 0 || p.Kind == nodeRestart {
			out = append(out, j.restarted(p))
		}
		if j.waitsForReady(p) {
			out = append(out, j.readyAgain(p))
		}
		if steady {
			out = append(out, j.steadyAgain(p))
		}
	}
	return out
}

// restarted judges that every target of a fault came back by itself.
func (j *judge) restarted(p *FaultPlan) Item {
	target := strings.Join(p.Targets, " and ")
	it := Item{ID: "recovery." + p.Name + ".restarted", Title: target + " came back after " + p.Name, Weight: 1,
		cause:    p.Name,
		Measured: "unknown", Limit: "–", Within: p.RestartsWithin,
		Expected: fmt.Sprintf("%s comes back by itself after %s", target, p.Name)}
	it.timed(ClockRestart, "", "the onset of "+p.Name)
	if p.RestartsWithin > 0 {
		it.Limit = span(p.RestartsWithin)
		it.Expected += " within " + it.Limit
	}
	if j.skipped(&it, p.Name) {
		return it
	}
	it.runs(j.tl.Fault(p.Name).Onset())
	var slowest *clock.Latency
	for _, in := range j.tl.Fault(p.Name).Injections {
		if in.Onset.IsZero() {
			continue
		}
		if why := in.notBack(); why != "" {
			j.neverBack(&it, in, why)
			return it
		}
		l := in.Back.Sub(in.Onset)
		l.Lo = max(0, l.Lo) // nobody is back before they are gone
		it.sawAs("A", "guard", fmt.Sprintf("%s was back at %s, %s after the onset%s", in.Place, j.tl.around(in.Back), latency(l),
			j.effectWords(in.BackEffect)), in.Lines...)
		if slowest == nil || l.Hi > slowest.Hi {
			slowest = &l
			it.runs(in.Onset)
		}
	}
	if p.RestartsWithin > 0 {
		it.within(*slowest)
		return it
	}
	it.met()
	it.Latency, it.Measured = slowest, latency(*slowest)
	return it
}

// notBack returns why an injection's target does not count as back, or nothing.
func (in *InjectionLife) notBack() string {
	switch before, after := in.Effect, in.BackEffect; {
	case in.Back.IsZero():
		return "it was not seen again"
	case after != nil && !after.Proven:
		return "its return was not proven"
	case in.Kind != nodeRestart || before == nil || after == nil:
		return ""
	case before.Details["started_at"] != "": // a container, which has no boot id
		if after.Details["new_started_at"] == before.Details["started_at"] {
			return "its container was not started anew"
		}
	case before.Details["object"] != "": // what Chaos Mesh restarted; a pod is back when it was seen to be Ready again
		switch {
		case after.Details["ready"] != "":
			return ""
		case after.Details["pod"] != "":
			return "its pod is gone, and what has taken its place was not looked at"
		}
		return "Chaos Mesh asked for its start, and whether it came is not to be seen from the cluster"
	case after.Details["new_boot_id"] == before.Details["boot_id"]:
		return "its boot id did not change, so it was cut off rather than restarted"
	}
	return ""
}

// neverBack judges a target that is not back: missed when it had its time, otherwise unknown.
func (j *judge) neverBack(it *Item, in *InjectionLife, why string) {
	it.sawAs("A", "guard", fmt.Sprintf("%s: %s by the end of the record at %s", in.Place, why, j.tl.stamp(j.tl.End)), in.Lines...)
	it.Measured = "not seen"
	switch {
	case !in.Back.IsZero():
		it.Measured = "not proven"
		it.unknown(in.Place + ": " + why)
	case j.tl.Ended == nil:
		it.unknown("gameday was killed, so the return of " + in.Place + " may have gone unseen")
	case it.Within == 0 && !j.complete(), j.tl.End.Before(in.Onset.Hi.Add(it.Within)):
		it.unknown("the run ended before " + in.Place + " had its time to come back")
	default:
		it.Measured = "never"
		it.missed(in.Place + " did not come back")
		it.Hint = fmt.Sprintf("Nothing brought %s back: let a supervisor restart it (systemd Restart=, a deployment), "+
			"and alert on "+
			"its absence.", in.Place)
	}
}

// steadyAgain judges how long the steady state took to be back after a fault.
func (j *judge) steadyAgain(p *FaultPlan) Item {
	it := Item{ID: "recovery." + p.Name + ".steady_state", Title: "back to steady state after " + p.Name, Weight: 1,
		cause: p.Name, Measured: "unknown", Limit: "–"}
	f := j.tl.Fault(p.Name)
	it.timed(ClockRecover, "", "the end of "+p.Name)
	it.Within = j.steadyLimit(f)
	it.Expected = fmt.Sprintf("every steady-state expectation holds again once %s is gone, and keeps holding for %s",
		p.Name,
		span(holdFor))
	if it.Within > 0 {
		it.Limit = span(it.Within)
		it.Expected += ", within " + it.Limit
	}
	if j.skipped(&it, p.Name) || j.uncounted(&it, j.steadyExpects()...) {
		return it
	}
	from, ok := j.recoveryFrom(f)
	if !ok {
		it.unknown(p.Name + " is not proven to be gone, so nothing can have recovered from it")
		return it
	}
	since := "the proof that " + p.Name + " was gone"
	switch {
	case f.Gone().IsZero():
		since = "the onset, for " + strings.Join(p.Targets, " and ") + " never came back"
	case !f.Reversible():
		since = "the return of " + strings.Join(p.Targets, " and ")
	}
	it.Clock.From = since
	it.runs(from)
	it.saw("record", fmt.Sprintf("measured from %s at %s", since, j.tl.around(from)), f.lines()...)
	j.judgeSteady(&it, f, from)
	return it
}

// judgeSteady searches for the steady state from an instant until another fault begins, or the record ends.
func (j *judge) judgeSteady(it *Item, f *FaultLife, from clock.Interval) {
	end, by := j.disturbed(f, from.Hi)
	r := j.steadyFrom(from.Hi, end)
	if r.found {
		l := r.at.Sub(from)
		l.Lo = max(0, l.Lo)
		it.sawAs("A", "traffic", "the steady state holds from "+j.tl.around(r.at)+" on")
		if it.Within > 0 {
			it.within(l)
		} else {
			it.met()
			it.Latency, it.Measured = &l, latency(l)
		}
		if it.Outcome == clock.Missed && r.blind {
			it.unknown(r.blindness() + " before it held, so it may have held sooner")
		}
		if it.Outcome == clock.Missed {
			it.Hint = "It came back late: look at what had to warm up, reconnect or drain after " + f.Name + " was gone."
		}
		return
	}
	if !r.seen.IsZero() && len(r.failed) > 0 {
		it.sawAs("A", "traffic", fmt.Sprintf("%s did not hold: %s", list(r.failed), r.last))
	}
	it.Measured = "not seen"
	deadline := from.Hi.Add(it.Within)
	switch {
	case r.maybe:
		it.unknown("it held at the end, but not for long enough to count")
	case by != "" && (it.Within == 0 || end.Before(deadline)):
		it.unknown(by + " began before it was back")
	case r.blind:
		it.unknown(r.blindness() + ", so it may have been back")
	case it.Within == 0 && !j.complete(), it.Within > 0 && r.seen.Add(2*second).Before(deadline):
		it.unknown("the run ended before its time was over")
	default:
		it.Measured = "never"
		it.missed(list(r.failed) + " did not hold again: " + r.last)
		it.Hint = fmt.Sprintf("The service did not recover from %s by itself (%s): look for retry storms, stale "+
			"connections and "+
			"caches that never refill.", f.Name, r.last)
	}
}

// disturbed returns when the search for the steady state must stop: when another fault may be felt, else at the
// record's end. by is that fault.
func (j *judge) disturbed(f *FaultLife, from time.Time) (end time.Time, by string) {
	end = j.tl.End
	for _, o := range j.tl.Faults {
		s, ok := o.reach(j.tl.End)
		if o == f || !ok || !s.End.After(from) || !s.Start.Before(end) {
			continue
		}
		end, by = laterOf(s.Start, from), o.Name
	}
	return end, by
}

// effectWords prints the summary of an effect, to be put after what it is about.
func (j *judge) effectWords(e *faults.Effect) string {
	if e == nil || e.Summary == "" {
		return ""
	}
	return ": " + j.people.scrub(e.Summary)
}
