// Package screen shows a run while it goes on: a few lines that are drawn again and again on a terminal, one line per
// event elsewhere. It knows only what the record knows.
package screen

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/loadgen"
	"gameday/loadgen/sli"
	"gameday/report"
	"gameday/responders"
)

// state is what the events so far add up to.
type state struct {
	plan       *report.Plan
	phase      report.Phase
	phaseBegan time.Duration
	still      time.Duration // how long the phase was held, before the hold in progress
	skipped    time.Duration // of the phase
	hold       *holding      // in progress; nil is none
	now        time.Duration
	streams    map[string]*streamState
	standing   []report.Injection
	firing     map[string]since         // alarm → what it is doing
	pages      map[string]since         // page → what became of it
	happened   map[string]time.Duration // fault → when it was injected
	expects    map[string]clock.Outcome
	ended      bool
	blind      bool // nothing that is said names a fault
}

// since is what something does, and from when on the run's clock.
type since struct {
	what  string
	began time.Duration
}

// words says what it does and for how long.
func (s since) words(now time.Duration) string { return s.what + " for " + mmss(max(0, now-s.began)) }

type streamState struct {
	last   loadgen.Window
	recent []loadgen.Window // the last five seconds
	trend  []float64        // p95 of each second, in seconds
}

// trendLength is how many seconds the little picture of latency shows.
const trendLength = 24

func newState(p *report.Plan, blind bool) *state {
	return &state{plan: p, blind: blind, streams: map[string]*streamState{}, firing: map[string]since{}, pages: map[string]since{},
		happened: map[string]time.Duration{}, expects: map[string]clock.Outcome{}}
}

// take folds one event into the state and returns the line that tells of it, or "" when it is not worth one.
func (s *state) take(e report.Event) string {
	s.now = e.T
	switch e.Kind {
	case report.PhaseStarted:
		var c report.PhaseChange
		decode(e, &c)
		s.phase, s.phaseBegan = c.Phase, e.T
		s.still, s.skipped, s.hold = 0, 0, nil
		return "phase " + string(c.Phase)
	case report.WindowClosed:
		s.window(e)
		return ""
	case report.PreflightFound:
		var f report.Found
		decode(e, &f)
		mark := "note"
		if f.Blocks {
			mark = "blocked"
		}
		return fmt.Sprintf("preflight %s: %s: %s", mark, plain(f.What), finding(f))
	case report.Injected, report.InjectFailed, report.Lapsed, report.Reverted, report.RevertFailed:
		return s.injection(e)
	case report.Recovered:
		var r report.Comeback
		decode(e, &r)
		return fmt.Sprintf("fault %s: %s came back by itself%s", r.Fault, r.Place, s.sinceOnset(r.Fault, e.T))
	case report.PodsReady:
		var r report.Readiness
		decode(e, &r)
		return readiness(r)
	case report.AlarmSeen:
		return s.alarm(e)
	case report.ResponseSeen:
		return s.response(e)
	case report.ExpectSeen:
		return s.expectation(e)
	case report.HoldBegan, report.HoldEnded, report.WaitSkipped, report.InjectAsked:
		return s.steer(e)
	}
	return s.remark(e)
}

// remark tells of what is said rather than measured.
func (s *state) remark(e report.Event) string {
	switch e.Kind {
	case report.Marked:
		var m report.Mark
		decode(e, &m)
		return strings.TrimSpace(fmt.Sprintf("mark %q by %s %s", m.Name, m.By, m.Text))
	case report.AbortSeen:
		var a report.Abort
		decode(e, &a)
		if a.Held == 0 && len(a.Values) == 0 {
			return fmt.Sprintf("abort %q: %s", a.Name, a.When)
		}
		return fmt.Sprintf("abort %q: %s held for %s", a.Name, a.When, seconds(a.Held))
	case report.StopAsked:
		var st report.Stop
		decode(e, &st)
		return strings.TrimSpace("stopping: " + st.By + " " + st.Why)
	case report.GeneratorSaid:
		var g report.GeneratorNote
		decode(e, &g)
		return fmt.Sprintf("traffic %s %s: %s", g.Stream, g.Level, g.Message)
	case report.CapacityStepped:
		var c report.CapacityStep
		decode(e, &c)
		return strings.TrimSpace(fmt.Sprintf("capacity %.4g/s: %s  %s", c.Rate, c.Outcome, c.Why))
	case report.Noted:
		var n report.Note
		decode(e, &n)
		return n.Text
	case report.RunEnded:
		var r report.Ended
		decode(e, &r)
		s.ended = true
		return strings.TrimSpace("end " + string(r.Reason) + " " + r.Error)
	}
	return ""
}

func (s *state) window(e report.Event) {
	var w loadgen.Window
	decode(e, &w)
	st := s.streams[w.Stream]
	if st == nil {
		st = &streamState{}
		s.streams[w.Stream] = st
	}
	st.last = w
	st.recent = append(st.recent, w)
	if len(st.recent) > 5 {
		st.recent = st.recent[1:]
	}
	a := &sli.Aggregate{}
	a.Add(w)
	p95, _ := a.Read("", "p95")
	st.trend = append(st.trend, p95)
	if len(st.trend) > trendLength {
		st.trend = st.trend[1:]
	}
}

func (s *state) injection(e report.Event) string {
	var in report.Injection
	decode(e, &in)
	name := fmt.Sprintf("fault %s: %s", in.Fault, in.Kind)
	if in.Place != "" {
		name += " on " + in.Place
	}
	drop := func() {
		s.standing = slices.DeleteFunc(s.standing, func(o report.Injection) bool { return o.ID == in.ID })
	}
	switch e.Kind {
	case report.Injected:
		s.happened[in.Fault] = e.T
		if f := s.fault(in.Fault); f != nil && f.Reversible {
			s.standing = append(s.standing, in)
		}
		effect := ""
		if in.Effect != nil {
			effect = ", " + in.Effect.Summary
		}
		return fmt.Sprintf("%s injected, effect proven after %d ms%s", name, in.Onset.Hi.Sub(in.Onset.Lo).Milliseconds(), effect)
	case report.Reverted:
		drop()
		return name + " reverted"
	case report.Lapsed:
		drop()
		return name + " let go before it was told to: " + in.Error
	case report.RevertFailed:
		return name + " COULD NOT BE REVERTED: " + sentences(in.Error, in.Hint)
	}
	drop()
	return name + " was not injected: " + sentences(in.Error, in.Hint)
}

// finding says in one line what the preflight found. Objects for kubectl follow on lines of their own, as they are.
func finding(f report.Found) string {
	head, objects, _ := strings.Cut(f.Detail, "\n")
	if !strings.HasPrefix(objects, "apiVersion: ") {
		return plain(sentences(f.Summary, f.Detail))
	}
	return plain(sentences(f.Summary)+" "+head) + "\n" + objects
}

// sentences joins texts that may or may not end in a full stop.
func sentences(texts ...string) string {
	var out []string
	for _, t := range texts {
		if t = strings.TrimSpace(t); t == "" {
			continue
		}
		if !strings.ContainsAny(t[len(t)-1:], ".?!") {
			t += "."
		}
		out = append(out, t)
	}
	return strings.Join(out, " ")
}

func (s *state) fault(name string) *report.FaultPlan {
	for i := range s.plan.Faults {
		if s.plan.Faults[i].Name == name {
			return &s.plan.Faults[i]
		}
	}
	return nil
}

// expected returns the plan's alarm that labels belong to, or nil.
func (s *state) expected(labels map[string]string) *report.AlarmPlan {
	for i := range s.plan.Alarms {
		if alarms.Match(s.plan.Alarms[i].Match, labels) {
			return &s.plan.Alarms[i]
		}
	}
	return nil
}

func (s *state) alarm(e report.Event) string {
	var a report.AlarmSighting
	decode(e, &a)
	name := a.Labels["alertname"]
	if name == "" {
		return strings.TrimSpace(fmt.Sprintf("source %s %s %s", a.Source, a.State, a.Why))
	}
	switch a.State {
	case alarms.StateInactive:
		delete(s.firing, name)
	case alarms.StatePaged:
		return fmt.Sprintf("alarm %s paged %s", name, a.Why)
	default:
		s.firing[name] = since{string(a.State), e.T}
	}
	line := strings.TrimSpace(fmt.Sprintf("alarm %s %s %s", name, a.State, a.Why))
	if p := s.expected(a.Labels); p != nil && a.State == alarms.StateFiring {
		line += s.sinceOnset(p.Cause, e.T)
		if p.FiresWithin > 0 {
			line += fmt.Sprintf(" (limit %s)", seconds(p.FiresWithin))
		}
	}
	return line
}

// sinceOnset says how long after a fault something happened.
func (s *state) sinceOnset(fault string, at time.Duration) string {
	began, ok := s.happened[fault]
	if !ok || at < began || s.blind {
		return ""
	}
	return fmt.Sprintf(", +%.1fs after %s", (at - began).Seconds(), fault)
}

func (s *state) response(e report.Event) string {
	var r responders.Event
	decode(e, &r)
	page := "page " + r.Page
	alarm := r.Labels["alertname"]
	var what string
	switch r.Kind {
	case responders.Opened:
		s.pages[r.Page] = since{"open", e.T}
		what = "opened for " + alarm
	case responders.Notified:
		whom := "somebody" // sources need not know whom
		if len(r.Targets) > 0 {
			whom = strings.Join(r.Targets, ", ")
		}
		if r.Level > 0 {
			whom = fmt.Sprintf("level %d (%s)", r.Level, whom)
		}
		what = "told " + whom
		s.pages[r.Page] = since{whom + " has not answered", e.T}
	case responders.Acknowledged:
		what = "acknowledged by " + r.Actor.ID
		s.pages[r.Page] = since{what, e.T}
	case responders.Escalated:
		what = fmt.Sprintf("escalated to level %d", r.Level)
	case responders.Resolved:
		what = "resolved"
		delete(s.pages, r.Page)
	default:
		what = done(r)
	}
	if r.Page == "" { // it concerns no page, or the source does not know which
		return r.Source + " " + what
	}
	return page + " " + what
}

// done says what somebody did beside answering a page, who they are, and what they said about it.
func done(r responders.Event) string {
	by, text := "", ""
	if r.Actor.ID != "" {
		by = " by " + r.Actor.ID
	}
	if r.Text != "" {
		text = ": " + r.Text
	}
	if r.Kind == responders.Marked { // the text is the mark's name
		return "marked " + r.Text + by
	}
	word, ok := map[responders.Kind]string{
		responders.Unacknowledged: "no longer acknowledged",
		responders.RoomOpened:     "channel opened",
		responders.BridgeOpened:   "bridge opened",
		responders.Told:           "customers told",
		responders.RunbookOpened:  "runbook opened",
		responders.Filed:          "post-mortem filed",
	}[r.Kind]
	if !ok {
		word = string(r.Kind)
	}
	return word + by + text
}

// expectation tells of an expectation that turned, but not of the first time one is known, nor of a fault's own
// expectations while that fault does not stand: they were always true then, and will be again.
func (s *state) expectation(e report.Event) string {
	var c report.ExpectChange
	decode(e, &c)
	last := s.expects[c.ID]
	s.expects[c.ID] = c.Holds
	if c.Holds == clock.Unknown || (last == clock.Unknown && c.Holds == clock.Met) || !s.concerns(c.ID) {
		return ""
	}
	values := make([]string, 0, len(c.Values))
	for name, v := range c.Values {
		values = append(values, fmt.Sprintf("%s %.4g", name, v))
	}
	slices.Sort(values)
	return fmt.Sprintf("expectation %s %s  %s", c.ID, c.Holds, strings.Join(values, ", "))
}

// concerns reports whether an expectation is about now: a fault's only while it stands.
func (s *state) concerns(id string) bool {
	for _, x := range s.plan.Expects {
		if x.ID == id && x.Part == report.PartFault {
			return slices.ContainsFunc(s.standing, func(in report.Injection) bool { return in.Fault == x.Fault })
		}
	}
	return true
}

func decode(e report.Event, v any) { _ = json.Unmarshal(e.Data, v) } // the conductor encoded it a moment ago

// seconds prints a duration as "30s" or "1m30s".
func seconds(d time.Duration) string {
	text := d.Round(100 * time.Millisecond).String()
	if short, ok := strings.CutSuffix(text, "m0s"); ok {
		return short + "m"
	}
	return text
}

// clockTime prints a time on the run's clock: "2:11.4".
func clockTime(t time.Duration) string {
	return fmt.Sprintf("%d:%04.1f", int(t.Minutes()), (t % time.Minute).Seconds())
}

// readiness says how the pods stood that a fault had hit.
func readiness(r report.Readiness) string {
	switch {
	case !r.At.IsZero():
		return fmt.Sprintf("fault %s: its pods are Ready again", r.Fault)
	case r.Error != "" || r.Looked.IsZero():
		return fmt.Sprintf("fault %s: whether its pods are Ready again cannot be seen", r.Fault)
	}
	return fmt.Sprintf("fault %s: not Ready again by the end: %s", r.Fault, strings.Join(r.Not, ", "))
}
