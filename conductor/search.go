package conductor

import (
	"fmt"
	"slices"
	"time"

	"gameday/clock"
	"gameday/loadgen"
	"gameday/loadgen/sli"
	"gameday/report"
	"gameday/scenarios"
)

// Search says how a run looks for the capacity, instead of going through a load phase. Rates are arrivals per second of all
// streams together; each stream keeps its share.
type Search struct {
	Bounds loadgen.SearchBounds
	// Step is how long a rate is measured, and Confirm how long the one that is found, after Settle, in which nothing counts.
	Step, Confirm, Settle time.Duration
	// MaxDuration bounds the search: what is known by then is the result.
	MaxDuration time.Duration
	// Standing is the fault that stands throughout; empty is none.
	Standing string
}

const (
	// stepRamp is how long it takes from one rate to the next.
	stepRamp = 2 * time.Second
	// restLimit is how long a system may take to come to itself after a rate that was too much.
	restLimit = 60 * time.Second
	// restSpan are how many seconds everything must hold until a system counts as itself again.
	restSpan = 3 * time.Second
	// quickSeconds are how many seconds in a row must be missed until a step is not worth going on with.
	quickSeconds = 4
	// quickSpan is over how many seconds a step is looked at while it lasts.
	quickSpan = 4 * time.Second
	// windowPatience is how long after its end the last second of a step is waited for.
	windowPatience = 3 * time.Second
)

// ForSearch returns the scenario as a search runs it: its traffic, its targets, and its expectations on the service; of its faults the one
// that stands; nothing that is expected of alarms and people.
func ForSearch(s *scenarios.Scenario, search *Search) (*scenarios.Scenario, error) {
	out := *s
	out.Timeline.Ramp, out.Timeline.Control, out.Timeline.Load, out.Timeline.Recovery = 0, 0, search.MaxDuration, 0
	out.Faults, out.Alarms, out.Responses, out.Noise, out.History = nil, nil, nil, nil, 0
	out.AlarmSources = slices.DeleteFunc(slices.Clone(s.AlarmSources), func(a scenarios.AlarmSource) bool {
		return onlyBefore(s, a.ID()) // it was asked for 1x, and what it replays is not sent
	})
	out.Traffic = nil
	for _, t := range s.Traffic {
		out.Traffic = append(out.Traffic, t.Steady())
	}
	out.Expects = nil
	for _, e := range s.Expects {
		if e.Part == report.PartSteady || e.Part == report.PartCapacity {
			out.Expects = append(out.Expects, e)
		}
	}
	if len(out.Expects) == 0 {
		return nil, fmt.Errorf("scenario %q has no objective to hold: give it a capacity block with "+
			"expectations, such as expect \"fast\" { that = sli.p95 < seconds(\"300ms\") }", s.Name)
	}
	for _, t := range s.Traffic {
		if t.KeepExecutors {
			return nil, fmt.Errorf("traffic %q keeps its script's own executors, whose rate cannot be changed "+
				"while they run: give it a baseline rate", t.Name)
		}
	}
	if search.Standing == "" {
		return &out, nil
	}
	f := s.Fault(search.Standing)
	if f == nil {
		return nil, fmt.Errorf("scenario %q has no fault %q", s.Name, search.Standing)
	}
	if !f.Kind.Reversible || selfEnding(f.Config) {
		return nil, fmt.Errorf("fault %q (%s) does not stand until it is reverted, so no capacity can be "+
			"measured meanwhile", f.Name, f.Kind.Name)
	}
	standing := *f
	standing.At, standing.After, standing.Wait, standing.Duration = 0, "", 0, search.MaxDuration+restLimit
	out.Faults = []scenarios.Fault{standing}
	return &out, nil
}

// base is 1x of all streams together.
func (r *run) base() (sum float64) {
	for _, t := range r.Scenario.Traffic {
		sum += t.Rate
	}
	return sum
}

// search goes through a search's steps. It is the load phase of a run that looks for the capacity.
func (r *run) search() error {
	r.phase(report.PhaseStarted, report.Load)
	close(r.loadBegan)
	err := r.awaitStanding()
	if err == nil {
		err = r.steps()
	}
	r.phase(report.PhaseEnded, report.Load)
	return err
}

// awaitStanding waits until the fault that is to stand does.
func (r *run) awaitStanding() error {
	for _, f := range r.faults {
		for !f.injected.Load() {
			select {
			case <-f.over:
				if !f.injected.Load() {
					return &endError{reason: report.EndError, err: fmt.Errorf("fault %s does not stand, so its "+
						"capacity cannot be measured", f.Name)}
				}
			default:
			}
			if err := r.sleep(recoveryPoll); err != nil {
				return err
			}
		}
	}
	return nil
}

// steps carries out what the search asks for, and records what became of it and what was found.
func (r *run) steps() error {
	s := loadgen.NewSearch(r.Search.Bounds)
	end := r.rec.now().Add(r.Search.MaxDuration)
	standing := r.standingNow()
	found := func() {
		r.rec.add(report.CapacityFound, report.CapacityAnswer{Found: s.Result(), Base: r.base(), Fault: r.Search.Standing})
	}
	for {
		step, more := s.Next()
		if !more {
			break
		}
		if r.rec.now().Add(r.Search.takes(step) + r.traffic.lead()).After(end) {
			s.Stop(fmt.Sprintf("the time for the search, %s, does not suffice for another step", r.Search.MaxDuration))
			break
		}
		done, err := r.step(step)
		if err != nil {
			s.Stop("the search was stopped before its end")
			found()
			return err
		}
		if r.standingNow() < standing {
			done.Outcome, done.Why = loadgen.Untold, fmt.Sprintf("fault %s did not stand throughout", r.Search.Standing)
		}
		r.rec.add(report.CapacityStepped, done)
		if r.standingNow() < standing {
			s.Stop(done.Why)
			break
		}
		s.Tell(done.Outcome)
	}
	r.traffic.to(1, stepRamp)
	found()
	return nil
}

// standingNow counts the injections that stand.
func (r *run) standingNow() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, in := range r.standing {
		if !in.gone {
			n++
		}
	}
	return n
}

// takes returns how long a step takes at most, but for a rest, which ends when the system is itself again.
func (s *Search) takes(step loadgen.Step) time.Duration {
	way := min(stepRamp, s.Settle) + s.Settle
	switch step.Kind {
	case loadgen.Rest:
		return way + restSpan
	case loadgen.Confirm:
		return way + s.Confirm
	}
	return way + s.Step
}

// step sends at one rate, and tells what became of it.
func (r *run) step(step loadgen.Step) (report.CapacityStep, error) {
	out := report.CapacityStep{Step: step, Multiple: step.Rate / r.base()}
	ramp := min(stepRamp, r.Search.Settle)
	r.traffic.to(out.Multiple, ramp)
	if step.Kind == loadgen.Rest {
		return r.rest(out)
	}
	if err := r.sleep(r.traffic.lead() + ramp + r.Search.Settle); err != nil {
		return out, err
	}
	length := r.Search.Step
	if step.Kind == loadgen.Confirm {
		length = r.Search.Confirm
	}
	out.From = r.rec.now()
	bad, last := 0, ""
	for end := out.From.Add(length); r.rec.now().Before(end) && bad < quickSeconds; {
		if err := r.sleep(min(time.Second, end.Sub(r.rec.now()))); err != nil {
			return out, err
		}
		o, why := r.carried(r.rec.now().Add(-quickSpan), r.rec.now())
		if o == loadgen.Broke && r.rec.now().Sub(out.From) > quickSpan {
			bad, last = bad+1, why
		} else {
			bad = 0
		}
	}
	if bad >= quickSeconds { // what held before does not make good for it
		out.To, out.Outcome, out.Why = r.rec.now(), loadgen.Broke, last
		return out, nil
	}
	out.To = r.rec.now()
	if err := r.traffic.waitFor(r.ctx, out.To, windowPatience); err != nil {
		return out, err
	}
	out.Outcome, out.Why = r.carried(out.From, out.To)
	return out, nil
}

// rest waits until everything holds again at a low rate.
func (r *run) rest(out report.CapacityStep) (report.CapacityStep, error) {
	out.From = r.rec.now()
	out.Outcome, out.Why = loadgen.Restless, fmt.Sprintf("not everything held again within %s", restLimit)
	for r.rec.now().Sub(out.From) < restLimit {
		if err := r.sleep(time.Second); err != nil {
			return out, err
		}
		now := r.rec.now()
		if now.Sub(out.From) < stepRamp+restSpan {
			continue
		}
		if o, _ := r.carried(now.Add(-restSpan-2*time.Second), now); o == loadgen.Held {
			out.Outcome, out.Why = loadgen.Held, ""
			break
		}
	}
	out.To = r.rec.now()
	return out, nil
}

// carried judges the seconds between two instants: did every objective hold, at the rate that was asked for?
func (r *run) carried(from, to time.Time) (loadgen.StepOutcome, string) {
	windows := r.traffic.inside(from, to)
	all := &sli.Aggregate{}
	streams := map[string][]loadgen.Window{}
	for _, w := range windows {
		all.Add(w)
		streams[w.Stream] = append(streams[w.Stream], w)
	}
	if missing := untold(windows); missing != "" {
		return loadgen.Untold, missing
	}
	outcome, why := loadgen.Held, ""
	read := readings{all, r.checks.ownOver(from, to)}
	for _, e := range r.Scenario.Expects {
		switch v := outcomeOf(e, read); {
		case v == clock.Unknown:
			return loadgen.Untold, e.Name + " (" + e.That.Source + ") has no data"
		case v == clock.Missed && outcome == loadgen.Held:
			outcome, why = loadgen.Broke, e.Name+" ("+e.That.Source+")"
		}
	}
	if reached, ok := all.Read("", "reached_ratio"); ok && reached < reachedEnough && outcome == loadgen.Held {
		outcome, why = loadgen.Broke, fmt.Sprintf("only %.0f %% of the arrivals were begun: all virtual users "+
			"waited for answers", 100*reached)
	}
	if outcome != loadgen.Broke {
		return outcome, why
	}
	for _, t := range r.Scenario.Traffic {
		if strained := report.Saturation(streams[t.Name]); strained != "" {
			return loadgen.Outgrew, fmt.Sprintf("the generator of %s was at its own limit (%s)", t.Name, strained)
		}
	}
	return outcome, why
}

// reachedEnough is the share of the arrivals that must have begun for a rate to count as reached.
const reachedEnough = 0.95

func outcomeOf(e scenarios.Expect, r sli.Readings) clock.Outcome { return outcome(e.That.Expr.Eval(r)) }

// to takes every stream to a multiple of its own baseline.
func (t *traffic) to(multiple float64, over time.Duration) {
	for _, s := range t.streams {
		t.command(s, loadgen.Command{To: multiple, Over: over})
	}
}

// inside returns the windows that lie wholly between two instants.
func (t *traffic) inside(from, to time.Time) []loadgen.Window {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []loadgen.Window
	for _, w := range t.windows {
		if !w.Start.Before(from) && !w.Start.Add(time.Second).After(to) {
			out = append(out, w)
		}
	}
	return out
}
