package room

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/conductor/screen"
	"gameday/report"
	"gameday/responders"
)

// State is what the events of a run add up to. It is not safe for concurrent use.
type State struct {
	plan   *report.Plan
	teller *screen.Teller
	start  time.Time
	heard  time.Duration // the newest event, on the run's clock
	pulse  time.Duration // the newest of those that come in every run, whatever happens in it
	strip  report.Strip
	seen   Seen
	told   Told
	firing map[string]Alarm
	faults []*report.FaultLife
	spans  []report.PhaseSpan // as they are
	stages []report.PhaseSpan // as everybody may know them
	ended  bool
	shown  bool // somebody has revealed it
}

// Told is what is known beyond Seen: by facilitators always, by all others when the run is not blind, or is over.
type Told struct {
	Scenario, Summary, Owner, Run string
	Phase                         report.Phase
	PhaseBegan, PhaseLength       time.Duration // length 0: not known
	Next                          string        // "cut in 1:20"
	Waiting                       []string      // faults that were not injected yet
	Standing                      []Standing
	Alarms                        []Alarm
	Duties                        []string // who is on call
	Findings                      []string // of the preflight
	Log                           []Line
	Marks                         []string // names of marks that somebody may have to make
	Diagnosis                     string   // the last thing that was said to be wrong, and by whom
	Judged                        string   // what the facilitator said of it
	Evidence                      []Remark // what anybody attached
	End                           string   // why the run ended, in a sentence
}

// Standing is a fault that stands at a place.
type Standing struct {
	ID, Fault, Kind, Place string
	Effect                 string
	Since                  time.Duration
	Stuck                  bool // it could not be reverted
}

// Alarm is an alarm that is not quiet.
type Alarm struct {
	Name, State string
	Since       time.Duration
	Expected    bool
	Limit       time.Duration // it must fire within that of its cause's onset; 0: no limit
}

// Line is one line of the run's log, in words.
type Line struct {
	At   time.Duration
	Text string
}

// NewState returns the state of a run before its first event.
func NewState(p *report.Plan) *State {
	s := &State{plan: p, teller: screen.NewTeller(p), firing: map[string]Alarm{}, seen: Seen{Stage: Preparing}}
	s.told = Told{Scenario: p.Scenario, Summary: p.Summary, Owner: p.Owner}
	for _, f := range p.Faults {
		s.told.Waiting = append(s.told.Waiting, f.Name)
	}
	s.told.Marks = marks(p)
	return s
}

// marks are those that the plan waits for, and after them the steps that people take in every game day.
func marks(p *report.Plan) []string {
	var out []string
	add := func(name string) {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	for _, r := range p.Responses {
		for _, m := range r.Marks {
			add(m.Name)
		}
	}
	for _, s := range report.StepNames() {
		add(s.Mark())
	}
	return out
}

// Reveal shows everybody all that there is from now on: a run that was killed has no end, and somebody has revealed it.
func (s *State) Reveal() { s.shown = true }

// Take adds one event.
func (s *State) Take(e report.Event) {
	if s.start.IsZero() {
		s.start = e.At.Add(-e.T)
	}
	s.heard = max(s.heard, e.T)
	switch e.Kind {
	case report.WindowClosed, report.RunStarted, report.PhaseStarted, report.PhaseEnded, report.RunEnded:
		s.pulse = max(s.pulse, e.T)
	}
	if e.Kind == report.WindowClosed {
		// One that begins after it was told of is of a clock that jumped: what comes in its time would be taken for late.
		if w, ok := window(e); ok && !w.Start.After(e.At.Add(clockJump)) {
			s.strip.Add(w)
		}
		return
	}
	s.seen.take(e)
	s.phases(e)
	if line := s.teller.Tell(e); line != "" {
		s.told.Log = bounded(append(s.told.Log, Line{e.T, tidy(Remark{Text: line}).Text}), mostRemarks)
	}
	switch e.Kind {
	case report.RunStarted:
		var v report.Started
		decode(e, &v)
		s.told.Run = v.Run
	case report.PreflightFound:
		var f report.Found
		decode(e, &f)
		s.told.Findings = bounded(append(s.told.Findings, tidy(Remark{Text: f.What + ": " + f.Summary}).Text), mostRemarks)
	case report.Injected, report.InjectFailed, report.Lapsed, report.Reverted, report.RevertFailed, report.Recovered:
		s.injection(e)
	case report.AlarmSeen:
		s.alarm(e)
	case report.OnCallSeen:
		var o report.OnCallRecord
		decode(e, &o)
		s.duties(o)
	case report.Marked:
		s.mark(e)
	case report.ResponseSeen:
		var r responders.Event
		if decode(e, &r); r.Kind == responders.Diagnosed {
			s.diagnosed(r.Actor.ID, r.Text)
		}
	case report.RunEnded:
		var r report.Ended
		decode(e, &r)
		s.ended, s.told.End = true, ending(r)
	}
}

// phases keeps the spans that pictures have behind them.
func (s *State) phases(e report.Event) {
	var c report.PhaseChange
	switch e.Kind {
	case report.PhaseStarted:
		decode(e, &c)
		s.told.Phase, s.told.PhaseBegan, s.told.PhaseLength = c.Phase, e.T, 0
		for _, p := range s.plan.Phases {
			if p.Phase == c.Phase {
				s.told.PhaseLength = p.Length
			}
		}
		s.spans = follow(s.spans, c.Phase, s.start.Add(e.T))
		if n := len(s.stages); n == 0 || s.stages[n-1].Phase != report.Phase(s.seen.Stage) {
			s.stages = follow(s.stages, report.Phase(s.seen.Stage), s.start.Add(e.T))
		}
	case report.RunEnded:
		s.spans, s.stages = closed(s.spans, s.start.Add(e.T)), closed(s.stages, s.start.Add(e.T))
	}
}

func follow(spans []report.PhaseSpan, p report.Phase, at time.Time) []report.PhaseSpan {
	return append(closed(spans, at), report.PhaseSpan{Phase: p, Span: clock.Span{Start: at}, Open: true})
}

// closed returns the spans with an end of the last one.
func closed(spans []report.PhaseSpan, at time.Time) []report.PhaseSpan {
	out := slices.Clone(spans)
	if n := len(out); n > 0 && out[n-1].Open {
		out[n-1].End, out[n-1].Open = at, false
	}
	return out
}

func (s *State) injection(e report.Event) {
	var in report.Injection
	decode(e, &in)
	i := slices.IndexFunc(s.told.Standing, func(o Standing) bool { return o.ID == in.ID })
	drop := func() {
		if i >= 0 {
			s.told.Standing = slices.Delete(slices.Clone(s.told.Standing), i, i+1)
		}
	}
	switch e.Kind {
	case report.Injected:
		s.told.Waiting = slices.DeleteFunc(slices.Clone(s.told.Waiting), func(f string) bool { return f == in.Fault })
		s.faults = append(s.faults, &report.FaultLife{Name: in.Fault, Kind: in.Kind, Injections: []*report.InjectionLife{
			{ID: in.ID, Fault: in.Fault, Kind: in.Kind, Place: in.Place, Onset: in.Onset}}})
		if i < 0 && s.reversible(in.Fault) {
			n := Standing{ID: in.ID, Fault: in.Fault, Kind: in.Kind, Place: in.Place, Since: e.T}
			if in.Effect != nil {
				n.Effect = in.Effect.Summary
			}
			s.told.Standing = append(s.told.Standing, n)
		}
	case report.InjectFailed:
		s.told.Waiting = slices.DeleteFunc(slices.Clone(s.told.Waiting), func(f string) bool { return f == in.Fault })
		drop()
	case report.Reverted, report.Lapsed:
		s.over(func(l *report.InjectionLife) bool { return l.ID == in.ID }, in.Gone, e.At)
		drop()
	case report.RevertFailed:
		if i >= 0 {
			s.told.Standing = slices.Clone(s.told.Standing)
			s.told.Standing[i].Stuck = true
		} else {
			s.told.Standing = append(s.told.Standing, Standing{ID: in.ID, Fault: in.Fault, Kind: in.Kind, Place: in.Place, Since: e.T, Stuck: true})
		}
	case report.Recovered:
		var c report.Comeback
		decode(e, &c)
		s.over(func(l *report.InjectionLife) bool { return l.Fault == c.Fault && l.Place == c.Place }, c.At, e.At)
	}
}

// reversible reports whether a fault stands until it is reverted. Of one that the plan does not know nobody can say, so it counts
// as standing until it is told otherwise.
func (s *State) reversible(fault string) bool {
	for _, f := range s.plan.Faults {
		if f.Name == fault {
			return f.Reversible
		}
	}
	return true
}

// over notes when an injection was gone.
func (s *State) over(which func(*report.InjectionLife) bool, gone clock.Interval, at time.Time) {
	if gone.IsZero() {
		gone = clock.At(at)
	}
	for _, f := range s.faults {
		for _, l := range f.Injections {
			if which(l) && l.Gone.IsZero() {
				l.Gone = gone
			}
		}
	}
}

func (s *State) alarm(e report.Event) {
	var a report.AlarmSighting
	decode(e, &a)
	name := a.Labels["alertname"]
	if name == "" {
		return
	}
	was := s.firing[name]
	switch a.State {
	case alarms.StateInactive:
		delete(s.firing, name)
	case alarms.StatePending, alarms.StateFiring, alarms.StateSuppressed:
		if was.State == string(a.State) {
			break
		}
		n := Alarm{Name: name, State: string(a.State), Since: e.T}
		for _, p := range s.plan.Alarms {
			if alarms.Match(p.Match, a.Labels) {
				n.Expected, n.Limit = !p.Quiet, p.FiresWithin
			}
		}
		if _, known := s.firing[name]; known || len(s.firing) < mostAlarms {
			s.firing[name] = n
		}
	}
	s.told.Alarms = slices.SortedFunc(maps.Values(s.firing), func(a, b Alarm) int { return cmp.Compare(a.Name, b.Name) })
}

func (s *State) duties(o report.OnCallRecord) {
	var out []string
	for _, d := range o.Duties {
		line := d.Who
		if d.Level > 0 {
			line += fmt.Sprintf(", level %d", d.Level)
		}
		if d.Team != "" {
			line += ", " + d.Team
		}
		if !slices.Contains(s.told.Duties, line) {
			out = append(out, line)
		}
	}
	s.told.Duties = bounded(append(slices.Clone(s.told.Duties), out...), mostPeople)
}

// mark keeps the last diagnosis and what was said of it.
func (s *State) mark(e report.Event) {
	var m report.Mark
	decode(e, &m)
	switch m.Name {
	case report.EvidenceMark:
		who := m.By
		if name, _, ok := signer(m.By); ok {
			who = name
		}
		s.told.Evidence = bounded(append(slices.Clone(s.told.Evidence), tidy(Remark{At: e.T, Who: who, What: m.Name, Text: m.Text, File: m.File})), mostRemarks)
	case report.DiagnosisMark:
		s.diagnosed(m.By, m.Text)
	case report.DiagnosisRight, report.DiagnosisPartly, report.DiagnosisWrong:
		s.told.Judged = m.Name
	}
}

func (s *State) diagnosed(by, text string) {
	s.told.Diagnosis, s.told.Judged = tidy(Remark{Text: by + ": " + text}).Text, ""
}

// ending says why a run ended.
func ending(r report.Ended) string {
	words, ok := map[report.EndReason]string{
		report.EndComplete: "It came to its planned end.", report.EndUnsteady: "The steady state did not hold before any fault, so nothing was injected.",
		report.EndPreflight: "The preflight found what kept it from beginning.", report.EndAborted: "A stop condition held.",
		report.EndStopped: "Somebody stopped it.", report.EndTraffic: "Its traffic broke off.", report.EndError: "gameday itself failed.",
	}[r.Reason]
	if !ok {
		words = "It ended: " + string(r.Reason) + "."
	}
	if r.Error != "" && r.Reason != report.EndComplete {
		words += " " + r.Error
	}
	if len(r.Residue) > 0 {
		words += " Still standing: " + strings.Join(r.Residue, ", ") + "."
	}
	if r.Unseen != "" {
		words += " Whether that is all is not known: " + r.Unseen
	}
	return report.PlainText(words)
}
