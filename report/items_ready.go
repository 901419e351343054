package report

import (
	"fmt"
	"strings"

	"gameday/clock"
)

// waitsForReady reports whether it is judged of a fault when its pods were Ready again. Of kills and restarts the return of their targets
// is, and of a manifest only what was seen.
func (j *judge) waitsForReady(p *FaultPlan) bool {
	return p.Reversible && p.Kind != nodeRestart && (p.Pods || j.tl.Fault(p.Name).Ready != nil)
}

// readyAgain judges how long after a fault all pods that it hit, and that had been Ready, took to be Ready again. The recovery ends with
// the later of both: the proof that the fault is gone, and the pods.
func (j *judge) readyAgain(p *FaultPlan) Item {
	what := strings.Join(p.Targets, " and ")
	if what == "" {
		what = "the pods"
	}
	it := Item{ID: "recovery." + p.Name + ".ready", Title: what + " Ready again after " + p.Name, Weight: 1, cause: p.Name, Measured: "unknown", Limit: "–"}
	f := j.tl.Fault(p.Name)
	it.timed(ClockRecover, "", "the end of "+p.Name)
	it.Within = j.steadyLimit(f)
	it.Expected = fmt.Sprintf("every pod that %s hit and that was Ready before is Ready again once it is gone, or another stands for it", p.Name)
	if it.Within > 0 {
		it.Limit = span(it.Within)
		it.Expected += ", within " + it.Limit
	}
	if j.skipped(&it, p.Name) {
		return it
	}
	from := f.Gone()
	if from.IsZero() {
		it.unknown(p.Name + " is not proven to be gone, so nothing can have recovered from it")
		return it
	}
	it.Clock.From = "the proof that " + p.Name + " was gone"
	it.runs(from)
	r := f.Ready
	switch {
	case r == nil:
		it.unknown("nobody looked at its pods before the run ended, or none of them was Ready before the fault")
	case !r.At.IsZero():
		j.wereReady(&it, f, from)
	default:
		j.neverReady(&it, f, from)
	}
	return it
}

// wereReady judges pods that were seen to be Ready.
func (j *judge) wereReady(it *Item, f *FaultLife, from clock.Interval) {
	r := f.Ready
	at := clock.Between(laterOf(r.At.Lo, from.Lo), laterOf(r.At.Hi, from.Hi))
	l := at.Sub(from)
	l.Lo = max(0, l.Lo)
	text := fmt.Sprintf("%s Ready at %s", list(r.Pods), j.tl.around(at))
	if len(r.Replaced) > 0 {
		text += fmt.Sprintf("; %s in place of what was gone", list(r.Replaced))
	}
	it.sawAs("A", "guard", j.people.scrub(text), f.readyLine)
	if it.Within > 0 {
		it.within(l)
		return
	}
	it.met()
	it.Latency, it.Measured = &l, latency(l)
}

// neverReady judges pods that were not: missed when they had their time and somebody saw that they were not, otherwise unknown.
func (j *judge) neverReady(it *Item, f *FaultLife, from clock.Interval) {
	r := f.Ready
	it.Measured = "not seen"
	if r.Error != "" || r.Looked.IsZero() {
		it.unknown("whether its pods are Ready again cannot be seen: " + j.people.scrub(strings.TrimSuffix(r.Error, ".")))
		return
	}
	it.sawAs("A", "guard", j.people.scrub(fmt.Sprintf("%s not Ready at %s", list(r.Not), j.tl.stamp(r.Looked))), f.readyLine)
	if it.Within == 0 && !j.complete() || r.Looked.Add(2*second).Before(from.Hi.Add(it.Within)) {
		it.unknown("the run ended before its pods had their time to be Ready again")
		return
	}
	it.Measured = "never"
	it.missed(j.people.scrub(list(r.Not)) + " was not Ready again by the end of the run")
	it.Hint = "Look at the pod's readiness probe and at what it waits for: `kubectl describe pod` tells why it is not Ready."
}
