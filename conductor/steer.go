package conductor

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gameday/policy"
	"gameday/report"
	"gameday/scenarios"
)

// Limits of what a facilitator can ask of the timeline.
const (
	// usualHold is how long a hold lasts at most when nobody says so.
	usualHold = 15 * time.Minute
	// mostHeld is for how long a run can be held in all: it keeps load on somebody's service.
	mostHeld = time.Hour
	// mostHeldApart is that with runners that somebody else starts: they are there for longer than the plan by runnerSlack.
	mostHeldApart = runnerSlack / 2
	// shortestHold is what is worth holding for.
	shortestHold = time.Second
	// again is how soon after one skip another is taken for the same: two people press at once, or one does twice.
	again = 2 * time.Second
	// tellAgain is how soon after one change of a program runners that report by their pods' logs can be told of another.
	tellAgain = 10 * time.Second
)

// steer does what a facilitator asks of the timeline, and says in words what became of it.
func (r *run) steer(req Request) (string, error) {
	if req.Do == "inject" {
		return r.injectNow(req)
	}
	p := &r.pace
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := r.steerable(); err != nil {
		return "", err
	}
	switch req.Do {
	case "hold":
		return r.holdTimeline(req)
	case "release":
		return r.release(req)
	}
	return r.skip(req)
}

// steerable returns why nothing can be asked of the timeline now. It needs the pace's lock, as does all that follows here.
func (r *run) steerable() error {
	switch p := &r.pace; {
	case r.Search != nil:
		return errors.New("a search for the capacity has no timeline to hold or skip: its steps follow from what it finds; it can be stopped")
	case r.over.Load() || r.ctx.Err() != nil:
		return errors.New("the run is ending: every fault is being reverted, and nothing more is injected")
	case p.stage == "":
		return errors.New("the run has not begun its baseline phase: what it needs is still being checked")
	case p.turning:
		return fmt.Errorf("the %s phase is just beginning or ending; ask again in a moment", p.stage)
	}
	return nil
}

func (r *run) holdTimeline(req Request) (string, error) {
	p, now := &r.pace, r.rec.now()
	if p.hold != nil && req.For == 0 {
		return fmt.Sprintf("%s holds it already, since %s and until %s: nothing changed; --for says how much longer it is to last from now",
			p.hold.by, dayTime(p.hold.since), dayTime(p.hold.until)), nil
	}
	limit, err := r.holdable(req.For, now)
	if err != nil {
		return "", err
	}
	more := p.hold != nil
	if more {
		p.hold.until = now.Add(limit)
		p.hold.lapse.Reset(limit)
	} else {
		if err := r.tellable(); err != nil {
			return "", err
		}
		h := &standstill{by: req.By, since: now, until: now.Add(limit)}
		h.lapse = time.AfterFunc(limit, func() { r.lapse(h) })
		p.hold, p.holds = h, p.holds+1
	}
	at := p.at(now)
	r.rec.add(report.HoldBegan, report.Hold{By: req.By, Why: req.Why, Phase: p.stage, At: at, Limit: limit, More: more})
	if more {
		return fmt.Sprintf("held on, until %s at the latest", dayTime(p.hold.until)), nil
	}
	r.conductTraffic()
	p.turned()
	text := fmt.Sprintf("held at %s of the %s phase, until %s at the latest; traffic goes on as it is", mmss(at), p.stage, dayTime(p.hold.until))
	if on := r.underWay(); len(on) > 0 {
		text += fmt.Sprintf("; %s in its own time, as the scenario says: %s", plural(len(on), "this fault goes on and ends", "each of these faults goes on and ends"), joinNames(on))
	}
	return text, nil
}

func plural(n int, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}

// holdable returns how long a hold that begins or goes on now may last.
func (r *run) holdable(wanted time.Duration, now time.Time) (time.Duration, error) {
	most, why := mostHeld, ""
	if slices.ContainsFunc(r.Scenario.Traffic, func(t scenarios.Traffic) bool { return t.RunOn != nil }) {
		most, why = mostHeldApart, ", because its runners are not there for longer"
	}
	left := (most - r.pace.held(now)).Truncate(time.Second)
	switch {
	case wanted < 0 || wanted > 0 && wanted < shortestHold:
		return 0, fmt.Errorf("a hold of %s is none: ask for a second at least", wanted)
	case left < shortestHold:
		return 0, fmt.Errorf("the run was held for %s already, and can be held for no longer%s", short(most), why)
	case wanted > left:
		return 0, fmt.Errorf("the run was held for %s already, and can be held for %s in all%s: ask for --for %s at most",
			short((most - left).Round(time.Second)), short(most), why, short(left))
	case wanted == 0:
		wanted = min(usualHold, left)
	}
	// A run that is held is a longer run, and its owner may allow none so long, or at that hour.
	q := policy.Request{Claims: policy.Claims{Duration: r.Scenario.Timeline.Length() + r.pace.held(now) + wanted, ApprovedBy: r.ApprovedBy}}
	for _, owner := range r.Policies {
		if all := owner.Check(q, r.rec.start); len(all) > 0 {
			return 0, fmt.Errorf("held for %s, the run would be longer than the policy allows: %s (%s in %s); ask for a shorter time with --for",
				short(wanted), all[0].Text, all[0].Rule, all[0].Policy)
		}
	}
	return wanted, nil
}

// tellable returns why the streams cannot be told now that the timeline goes another way.
func (r *run) tellable() error {
	p := &r.pace
	if p.told {
		return fmt.Errorf("the %s phase ends in %s, and runners were told so already: what reports by its pods' logs is told %s before. Ask again in the next phase",
			p.stage, short((p.length - p.at(r.rec.now())).Round(time.Second)), short(r.traffic.lead()))
	}
	if p.moved != nil && r.traffic.toldByLogs() && r.rec.now().Sub(p.moved.at) < tellAgain {
		return fmt.Errorf("the runners that report by their pods' logs are just being told of what %s asked; ask again in %s", p.moved.by, short(tellAgain))
	}
	return nil
}

// release ends a hold. That nobody holds the timeline is no mistake: it may have lapsed, or somebody else was faster.
func (r *run) release(req Request) (string, error) {
	p := &r.pace
	if p.hold == nil {
		return "nobody holds the timeline: nothing changed", nil
	}
	d := r.unhold(report.Release{By: req.By, Why: req.Why})
	return fmt.Sprintf("released at %s of the %s phase, after %s", mmss(p.at(r.rec.now())), p.stage, short(d.Round(time.Second))), nil
}

// lapse ends a hold that nobody has released.
func (r *run) lapse(h *standstill) {
	p := &r.pace
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hold != h || r.ctx.Err() != nil || r.rec.now().Before(h.until) {
		return
	}
	r.unhold(report.Release{Lapsed: true})
}

func (r *run) unhold(told report.Release) time.Duration {
	p, now := &r.pace, r.rec.now()
	p.hold.lapse.Stop()
	told.Held, told.Phase = now.Sub(p.hold.since), p.stage
	p.still += told.Held
	p.hold = nil
	p.moved = &deed{by: told.By, at: now}
	if told.Lapsed {
		p.moved.by = "the end of the hold"
	}
	r.rec.add(report.HoldEnded, told)
	r.conductTraffic()
	p.turned()
	return told.Held
}

// skip ends the wait for what comes next: the timeline jumps there.
func (r *run) skip(req Request) (string, error) {
	p, now := &r.pace, r.rec.now()
	if p.hold != nil {
		return "", fmt.Errorf("%s holds the timeline: release it first; a fault can be injected meanwhile", p.hold.by)
	}
	if p.skip != nil && now.Sub(p.skip.at) < again {
		return "", fmt.Errorf("%s has skipped to %s just now; ask again if you mean what comes after it", p.skip.by, p.skip.what)
	}
	if err := r.tellable(); err != nil {
		return "", err
	}
	to, what, fault, err := r.next(now)
	if err != nil {
		return "", err
	}
	at := p.at(now)
	if to-at < time.Second {
		return "", fmt.Errorf("%s comes within a second: there is nothing to skip", what)
	}
	r.rec.add(report.WaitSkipped, report.Skip{By: req.By, Why: req.Why, Phase: p.stage, At: at, Over: to - at, To: what, Fault: fault})
	p.skipped += to - at
	p.skip, p.moved = &deed{req.By, what, now}, &deed{by: req.By, at: now}
	r.conductTraffic()
	p.turned()
	text := fmt.Sprintf("skipped %s of the %s phase: %s comes now", short((to - at).Round(time.Second)), p.stage, what)
	if on := r.underWay(); fault == "" && len(on) > 0 {
		text = fmt.Sprintf("skipped %s of the %s phase: it ends as soon as what stands is over: %s", short((to - at).Round(time.Second)), p.stage, joinNames(on))
	}
	if p.stage == report.Load && p.skipped > p.length/20 { // as the report has it
		text += fmt.Sprintf("; %s of %s are left out by now, so what must hold under load may stay unknown", short(p.skipped.Round(time.Second)), short(p.length))
	}
	return text, nil
}

// next returns to where a skip goes in the phase, or why nothing can be skipped.
func (r *run) next(now time.Time) (to time.Duration, what, fault string, err error) {
	p := &r.pace
	at := p.at(now)
	if need, why := r.needed(); at < need {
		return 0, "", "", fmt.Errorf("the %s phase cannot be shorter than %s: %s; ask again in %s", p.stage, short(need), why,
			short((need - at).Round(time.Second)))
	}
	to, what = p.length, fmt.Sprintf("the end of the %s phase", p.stage)
	switch p.stage {
	case report.Ramp, report.Control:
		return to - min(to, r.traffic.lead()), what, "", nil
	case report.Load:
	default:
		return to, what, "", nil
	}
	var first, waits *faultRun
	for _, f := range r.faults {
		switch {
		case f.isOver() || f.claimed || f.called:
		case !f.timed:
			waits = f
		case first == nil || f.due < first.due:
			first = f
		}
	}
	switch {
	case first != nil:
		// Its target is looked for a moment before it is injected, as always.
		return first.due - resolveAhead, "fault " + first.Name, first.Name, nil
	case waits != nil:
		return 0, "", "", fmt.Errorf("fault %s is next, and comes after %s, which is not over: how long a fault stands cannot be skipped", waits.Name, waits.After)
	}
	return to, what, "", nil
}

// needed returns how long the phase must last to be judged at all, and why.
func (r *run) needed() (time.Duration, string) {
	s := r.Scenario
	switch r.pace.stage {
	case report.Baseline:
		return max(time.Second, longestSteady(s)), "the steady state is judged over that much of it"
	case report.Control:
		var need time.Duration
		for _, a := range s.Alarms {
			need = max(need, a.FiresWithin)
		}
		return min(need, s.Timeline.Control), "an alarm has that long to show that it fires without a fault"
	case report.Recovery:
		if longest := longestSteady(s); longest > 0 {
			return min(longest+settle, s.Timeline.Recovery), "the return to the steady state is judged over that much of it"
		}
	}
	return 0, ""
}

// underWay names the faults that stand, or are on their way.
func (r *run) underWay() []string {
	var out []string
	for _, f := range r.faults {
		if (f.claimed || f.called) && !f.isOver() {
			out = append(out, f.Name)
		}
	}
	return out
}

// dayTime prints an instant for people who look at a clock on the wall.
func dayTime(t time.Time) string { return t.Format(time.TimeOnly) }

// faultNames names the faults of a scenario.
func faultNames(s *scenarios.Scenario) string {
	var names []string
	for _, f := range s.Faults {
		names = append(names, f.Name)
	}
	return strings.Join(names, ", ")
}
