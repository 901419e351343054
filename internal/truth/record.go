package truth

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/faults"
	"gameday/report"
	"gameday/responders"
)

// Write writes the record that the game day leaves into a folder, over one that is there.
func (w *World) Write(dir string) error {
	plan, err := json.Marshal(w.plan())
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, report.PlanFile), plan, 0o644); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, report.EventsFile))
	if err != nil {
		return err
	}
	out := bufio.NewWriter(f)
	for i, e := range w.events() {
		data, err := json.Marshal(e.data)
		if err != nil {
			return fmt.Errorf("%s: %w", e.kind, err)
		}
		line, err := json.Marshal(report.Event{Seq: uint64(i + 1), At: began.Add(e.at), T: e.at, Kind: e.kind, Data: data})
		if err != nil {
			return err
		}
		out.Write(append(line, '\n')) // an error stays, and Flush returns it
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return f.Close()
}

func (w *World) plan() *report.Plan {
	p := &report.Plan{Scenario: "world", File: "world.hcl", Noise: w.noise,
		Phases: []report.PhasePlan{{Phase: report.Baseline, Length: w.load - w.control}},
		Score:  report.ScorePlan{Pass: w.pass, Weights: report.DefaultWeights()}}
	if w.control > 0 {
		p.Phases = append(p.Phases, report.PhasePlan{Phase: report.Control, At: w.load - w.control, Length: w.control})
	}
	p.Phases = append(p.Phases, report.PhasePlan{Phase: report.Load, At: w.load, Length: w.back - w.load},
		report.PhasePlan{Phase: report.Recovery, At: w.back, Length: w.length - w.back})
	for _, f := range w.faults {
		p.Faults = append(p.Faults, report.FaultPlan{Name: f.name, Kind: "network_partition", Targets: []string{"payments"},
			At: f.at, Duration: f.duration, Reversible: true, Lease: 10 * time.Second})
	}
	p.Watched = []string{w.rules.name, w.router.name}
	for _, a := range w.alarms {
		p.Alarms = append(p.Alarms, a.plan)
	}
	for _, a := range w.strangers {
		if a.quiet() {
			p.Alarms = append(p.Alarms, a.plan)
		}
	}
	if w.tells {
		p.Tells = map[string][]responders.Kind{w.desk.name: told}
	}
	for _, r := range w.responses {
		p.Responses = append(p.Responses, *r)
	}
	return p
}

type event struct {
	at   time.Duration
	kind report.EventKind
	data any
}

// events tells the whole run in the order in which gameday heard of it.
func (w *World) events() []event {
	var out []event
	add := func(at time.Duration, kind report.EventKind, data any) { out = append(out, event{at, kind, data}) }
	add(0, report.RunStarted, report.Started{Run: fmt.Sprintf("world-%d", w.Seed), Version: "simulated", At: began})
	for _, p := range w.plan().Phases {
		if p.At < w.ended {
			add(p.At, report.PhaseStarted, report.PhaseChange{Phase: p.Phase})
			add(min(w.ended, p.At+p.Length), report.PhaseEnded, report.PhaseChange{Phase: p.Phase})
		}
	}
	var residue []string
	for _, f := range w.faults {
		f.tell(add)
		if w.rostered && f.fate != refused {
			add(f.told.to+100*time.Millisecond, report.OnCallSeen, w.roster())
		}
		if f.fate == left {
			residue = append(residue, f.name+" on payments")
		}
	}
	if w.reason == report.EndStopped {
		add(w.ended-time.Second, report.StopAsked, report.Stop{By: "user carol"})
	}
	for _, s := range []*source{w.rules, w.router} {
		for _, o := range w.sightings(s, true) {
			add(o.seen, report.AlarmSeen, report.AlarmSighting{Source: s.name, Observation: o.Observation})
		}
	}
	for _, e := range w.answers(true) {
		add(e.seen, report.ResponseSeen, e.Event)
		if w.chance(0.05) {
			add(e.seen+time.Millisecond, report.ResponseSeen, e.Event) // delivered twice
		}
	}
	if w.killed { // a real record has windows each second: how long it went on is known whatever sources tell
		add(w.ended-time.Millisecond, report.Noted, report.Note{Text: "still going on"})
	}
	asked := w.ended + time.Second
	w.accounts(func(kind report.EventKind, data any) { add(asked, kind, data) })
	add(w.ended+4*time.Second, report.RunEnded, report.Ended{Reason: w.reason, Residue: residue})
	for i, o := range w.decided {
		add(w.ended+time.Duration(i+1)*time.Hour, report.Overrode, o)
	}
	slices.SortStableFunc(out, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	return w.cut(out)
}

// tell tells the life of a fault.
func (f *fault) tell(add func(time.Duration, report.EventKind, any)) {
	in := report.Injection{ID: f.name + ".1", Fault: f.name, Kind: "network_partition", Place: "payments", Planned: f.at}
	add(f.at, report.Injecting, in)
	if f.fate == refused {
		in.Error = "somebody else's table is in the way"
		add(f.at+time.Second, report.InjectFailed, in)
		return
	}
	in.Onset, in.Effect = exactly(f.told), &faults.Effect{Proven: true, Summary: "12 packets dropped"}
	add(f.told.to, report.Injected, in)
	in.Onset, in.Effect = clock.Interval{}, nil
	switch f.fate {
	case left:
		add(f.at+f.duration, report.Reverting, in)
		in.Error = "the table is still there"
		add(f.at+f.duration+time.Second, report.RevertFailed, in)
	case lapsed:
		in.Gone, in.Error = exactly(f.over), "the lease ran out"
		add(f.over.to, report.Lapsed, in)
	default:
		add(f.over.from, report.Reverting, in)
		in.Gone = exactly(f.over)
		add(f.over.to, report.Reverted, in)
	}
}

func exactly(s span) clock.Interval {
	return clock.Interval{Lo: began.Add(s.from), Hi: began.Add(s.to)}
}

// accounts tells what the sources say of the whole run, asked afterwards.
func (w *World) accounts(add func(report.EventKind, any)) {
	whole := clock.Span{Start: began, End: began.Add(w.ended)}
	for _, s := range []*source{w.rules, w.router} {
		r := report.AlarmRecord{Source: s.name, Span: whole}
		if s.silent {
			r.Error = "connection refused"
			add(report.AlarmHistory, r)
			continue
		}
		r.Coverage = alarms.Coverage{Spans: s.covered(w.ended, false), Resolution: s.every, Offset: s.offset()}
		r.Episodes = mix(w, w.episodes(s))
		if s.late { // first it knew only half of it, and said so
			half := r
			half.Episodes = slices.Clone(r.Episodes[:len(r.Episodes)/2])
			half.Coverage.Spans = nil
			half.Error = "the answer was cut off"
			add(report.AlarmHistory, half)
		}
		add(report.AlarmHistory, r)
		if w.chance(0.05) {
			add(report.AlarmHistory, report.AlarmRecord{Source: s.name, Span: whole, Error: "asked once more in vain"})
		}
	}
	s := w.desk
	r := report.ResponseAccount{Source: s.name, Span: whole}
	if s.silent {
		r.Error = "connection refused"
		add(report.ResponseRecord, r)
		return
	}
	r.Coverage = responders.Coverage{Spans: s.covered(w.ended, false), Offset: s.offset()}
	for _, e := range w.answers(false) {
		if s.late && w.chance(0.2) && e.alsoLive {
			continue // it was told of live, and has not come to the books yet
		}
		r.Events = append(r.Events, e.Event)
	}
	r.Events = mix(w, r.Events)
	add(report.ResponseRecord, r)
}

// mix puts what a source tells in another order, when that was asked for.
func mix[T any](w *World, told []T) []T {
	if w.shuffle != nil {
		w.shuffle.Shuffle(len(told), func(i, j int) { told[i], told[j] = told[j], told[i] })
	}
	return told
}

func (s *source) offset() clock.Offset { return clock.Offset{Ahead: s.claimed, Err: s.err} }
