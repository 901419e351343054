package conductor

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gameday/faults"
	"gameday/loadgen"
	"gameday/report"
	"gameday/scenarios"
	"gameday/targets"
)

// MakePlan turns a scenario into what the record keeps of it: everything needed to judge, and nothing of the language.
// Targets stay unresolved.
func MakePlan(s *scenarios.Scenario) *report.Plan {
	p := &report.Plan{
		Scenario: s.Name, File: s.File, Summary: s.Summary, Owner: s.Owner, Blind: s.Blind, Named: s.Named,
		Score: s.Score,
	}
	for _, phase := range []report.Phase{report.Baseline, report.Ramp, report.Control, report.Load, report.Recovery} {
		if phase == report.Control && s.Timeline.Control == 0 {
			continue
		}
		p.Phases = append(p.Phases, report.PhasePlan{Phase: phase, At: s.Timeline.Start(phase),
			Length: phaseLength(s, phase)})
	}
	for _, t := range s.Traffic {
		p.Traffic = append(p.Traffic, trafficPlan(s, t))
	}
	for _, t := range s.Targets {
		p.Targets = append(p.Targets, report.TargetPlan{Name: t.Name, Kind: t.Selector.Kind(),
			Selector: t.Selector.String(),
			Pick:     pickText(t.Pick), AtMost: t.AtMost.Count, AtMostPercent: t.AtMost.Percent})
	}
	for i := range s.Faults {
		p.Faults = append(p.Faults, faultPlan(s, &s.Faults[i]))
	}
	slices.SortStableFunc(p.Faults, func(a, b report.FaultPlan) int { return int(a.At - b.At) })
	for _, e := range s.Expects {
		p.Expects = append(p.Expects, report.ExpectPlan{ID: e.ID(), Name: e.Name, Part: e.Part, Fault: e.Fault,
			That: e.That.Expr, Source: e.That.Source, Over: e.That.Over, Weight: e.Weight, Required: e.Required})
	}
	for _, a := range s.Alarms {
		p.Alarms = append(p.Alarms, a.AlarmPlan)
	}
	for _, a := range s.AlarmSources {
		if s.Lab == nil || !onlyBefore(s, a.ID()) {
			p.Watched = append(p.Watched, a.ID())
		}
	}
	if s.Regression != nil {
		p.Regression = &s.Regression.RegressionPlan
	}
	if s.Noise != nil {
		p.Noise = &s.Noise.NoisePlan
	}
	for _, r := range s.Responses {
		p.Responses = append(p.Responses, r.ResponsePlan)
	}
	p.Tells, p.RealPages = tellsOf(s), realPages(s)
	for _, a := range s.Aborts {
		p.Aborts = append(p.Aborts, report.AbortPlan{Name: a.Name, When: a.When.Expr, Source: a.When.Source,
			Held: a.Held, Over: a.When.Over})
	}
	for _, i := range s.Incidents {
		p.Aborts = append(p.Aborts, report.AbortPlan{Name: i.Name, Incident: i.Source, Source: "an incident opens in " + i.Source})
	}
	for _, secret := range s.Secrets {
		p.Secrets = append(p.Secrets, report.SecretPlan{Name: secret.Name, Set: secret.Set})
	}
	if s.Lab != nil {
		for i := range p.Targets {
			p.Targets[i].Pending = true
			for _, h := range hosts(s.Lab, s.Target(p.Targets[i].Name).Selector) {
				p.Targets[i].Places = append(p.Targets[i].Places, h.String())
			}
		}
	}
	if s.TouchesCluster() || slices.ContainsFunc(s.Traffic, func(t scenarios.Traffic) bool { return t.RunOn.InCluster() }) {
		p.Cluster = clusterText(s.Kubernetes)
	}
	p.Blast = blast(s)
	p.Warnings = warnings(s)
	return redacted(s, p)
}

func phaseLength(s *scenarios.Scenario, p report.Phase) time.Duration {
	switch p {
	case report.Baseline:
		return s.Timeline.Baseline
	case report.Ramp:
		return s.Timeline.Ramp
	case report.Control:
		return s.Timeline.Control
	case report.Load:
		return s.Timeline.Load
	default:
		return s.Timeline.Recovery
	}
}

// trafficPlan says what a stream is asked for. Nothing is said of a replay that is not known yet.
func trafficPlan(s *scenarios.Scenario, t scenarios.Traffic) report.TrafficPlan {
	p := report.TrafficPlan{Name: t.Name, Engine: "k6", Script: t.ScriptShown, Mix: t.Mix(), Rate: t.Rate,
		KeepExecutors: t.KeepExecutors, Baseline: t.Measured, Shape: t.Shape}
	if len(t.Generators) > 0 {
		p.Generators = loadgen.Names(t.Generators)
	}
	if t.RunOn != nil {
		p.RunOn = t.RunOn.String()
		for i := range t.RunOn.Parallelism {
			p.Generators = append(p.Generators, loadgen.RunnerName(i))
		}
	}
	if t.Script == "" {
		p.Engine = "native"
	}
	if t.Poisson {
		p.Arrivals = report.Poisson
	}
	if t.Late() {
		p.Start = &t.Start
	}
	if t.Pending() || t.Absolute && t.Rate == 0 { // what that is in multiples depends on a baseline that is not known
		return p
	}
	program := t.Multiples()
	p.Multiple = program.Peak(left(s, t))
	if len(program.Legs) > 0 {
		p.Program = &program
	}
	return p
}

// left is how much of the load phase a stream's program has.
func left(s *scenarios.Scenario, t scenarios.Traffic) time.Duration {
	return s.Timeline.Load - max(0, t.Start)
}

func faultPlan(s *scenarios.Scenario, f *scenarios.Fault) report.FaultPlan {
	p := report.FaultPlan{
		Name: f.Name, Kind: f.Kind.Name, Targets: f.Targets, Between: f.Between, At: beginsAt(s, f.Name),
		After: f.After, Wait: f.Wait,
		Duration: f.Lasts(), Undoing: f.Kind.Undoing, Reversible: f.Kind.Reversible,
		RestartsWithin: f.RestartsWithin, SteadyWithin: f.SteadyWithin, Machine: f.Kind.Needs == faults.NeedMachine,
	}
	if f.Kind.Reversible {
		p.Lease = f.Lease
	}
	if s.InCluster(f) {
		p.Machine = false
		p.Pods = len(f.Targets) > 0 && !slices.ContainsFunc(f.Targets, func(name string) bool {
			_, pods := s.Target(name).Selector.(*targets.Pods)
			return !pods
		})
		if f.Kind.Reversible {
			p.Undoing = inClusterUndoing
		}
	}
	return p
}

// previews adds what each fault on a target would do at one of its places.
func previews(s *scenarios.Scenario, p *report.Plan, target string, place faults.Place) {
	for i := range p.Faults {
		if !slices.Contains(p.Faults[i].Targets, target) || place.Cluster != nil { // where it is an object, which is shown
			continue
		}
		if v, ok := s.Fault(p.Faults[i].Name).Config.(faults.Previewer); ok {
			p.Faults[i].Previews = append(p.Faults[i].Previews, v.Preview(place))
		}
	}
}

// warnings lists what is allowed and probably not meant.
func warnings(s *scenarios.Scenario) []string {
	var out []string
	warn := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for _, t := range s.Traffic {
		if takes, left := t.Multiples().Length(), left(s, t); takes > left {
			warn("Traffic %s: its shape takes %s, and the load phase has %s for it: the rest is not sent.",
				t.Name, short(takes),
				short(left))
		}
	}
	for _, a := range s.AlarmSources {
		if id := a.ID(); s.Lab != nil && asksBefore(s, id) && asksMeanwhile(s, id) {
			warn("Source %s is asked for the past outside of the lab, and during the run inside of it: under its one "+
				"address there are two servers, or one that is missing. Declare a source for each.", id)
		}
	}
	warnBeyond(s, warn)
	for _, f := range s.Faults {
		if begins := s.Begins(f.Name); begins > s.Timeline.Load {
			warn("Fault %s is due %s into a load phase of %s: it will not be injected.", f.Name, short(begins),
				short(s.Timeline.Load))
		} else if end := begins + f.Lasts(); end > s.Timeline.Load {
			warn("Fault %s ends %s after the load phase does: the phase will be that much longer.", f.Name,
				short(end-s.Timeline.Load))
		}
	}
	for _, a := range s.Alarms {
		warnAlarm(s, a, warn)
	}
	for _, r := range s.Responses {
		warnResponse(s, r, warn)
	}
	if len(s.Faults) == 0 && slices.ContainsFunc(s.Alarms, func(a scenarios.Alarm) bool { return !a.Quiet }) {
		warn("There is no fault, so no alarm can be detected: alarms that fire count as noise.")
	}
	if longest := longestSteady(s); len(s.Faults) > 0 && longest > 0 && s.Timeline.Recovery < longest+settle {
		warn("The recovery phase (%s) is shorter than the longest window of steady_state (over %s) and %s: the "+
			"return to steady state after "+
			"the last fault can hardly be proven.", short(s.Timeline.Recovery), short(longest), short(settle))
	}
	if len(s.Faults) > 0 && !hasPart(s, report.PartSteady) {
		warn("No steady_state is declared, so nothing is checked before faults are injected, and no recovery can " +
			"be measured.")
	}
	return out
}

// warnAlarm points out deadlines after the end, and an alarm that is both expected and a brake.
func warnAlarm(s *scenarios.Scenario, a scenarios.Alarm, warn func(string, ...any)) {
	if a.Cause == "" {
		return
	}
	begins := beginsAt(s, a.Cause)
	ends := begins + s.Fault(a.Cause).Lasts()
	total := s.Timeline.Length()
	for _, d := range []struct {
		what string
		at   time.Duration
	}{{"fires_within", deadline(begins, a.FiresWithin)}, {"pages_within", deadline(begins, a.PagesWithin)},
		{"clears_within", deadline(ends, a.ClearsWithin)}} {
		if d.at > total {
			warn("Alarm %s: the deadline of %s (%s into the run) is later than the end of the run (%s). If it "+
				"has not happened by then, it stays unknown.",
				a.Name, d.what, short(d.at), short(total))
		}
	}
	warnBrake(s, a, warn)
}

func warnResponse(s *scenarios.Scenario, r scenarios.Response, warn func(string, ...any)) {
	i := slices.IndexFunc(s.Alarms, func(a scenarios.Alarm) bool { return a.Name == r.To })
	if i < 0 || s.Alarms[i].Cause == "" {
		return
	}
	left := s.Timeline.Length() - beginsAt(s, s.Alarms[i].Cause)
	late := func(what string, d time.Duration) {
		if d > left {
			warn("Response %s: the deadline of %s (%s after the page) is later than the end of the run (%s after "+
				"%s begins). If it has not happened by then, it stays unknown.",
				r.Name, what, short(d), short(left), s.Alarms[i].Cause)
		}
	}
	for _, d := range r.Named() {
		if d.What == string(report.StepPostMortem) {
			continue // it is filed after the run by its nature
		}
		late(d.What, d.Within)
	}
}

func deadline(from, within time.Duration) time.Duration {
	if within == 0 {
		return 0
	}
	return from + within
}

// settle is what a return to steady state takes beyond a full window: traffic of the fault's time is still answered, and the
// steady state must have held for a while.
const settle = 3 * time.Second

// longestSteady returns the longest window of the steady state's expectations, or 0.
func longestSteady(s *scenarios.Scenario) time.Duration {
	longest := time.Duration(0)
	for _, e := range s.Expects {
		if e.Part == report.PartSteady {
			longest = max(longest, e.That.Over)
		}
	}
	return longest
}

func hasPart(s *scenarios.Scenario, p report.ExpectPart) bool {
	return slices.ContainsFunc(s.Expects, func(e scenarios.Expect) bool { return e.Part == p })
}

func overlap(a, b [][2]string) bool {
	return slices.ContainsFunc(a, func(k [2]string) bool { return slices.Contains(b, k) })
}

// short prints a duration without the zero units that time.Duration adds: "3m", not "3m0s".
func short(d time.Duration) string {
	s := d.Round(time.Millisecond).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
