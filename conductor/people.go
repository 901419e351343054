package conductor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gameday/alarms"
	"gameday/report"
	"gameday/responders"
	"gameday/scenarios"
)

// matches are the labels of the alarms whose pages a scenario waits for; and an empty match, for every page, where a source is
// watched for real incidents.
func matches(s *scenarios.Scenario, source string) []map[string]string {
	var out []map[string]string
	for _, a := range s.Alarms {
		if !a.Quiet {
			out = append(out, maps.Clone(a.Match))
		}
	}
	if slices.ContainsFunc(s.Incidents, func(i scenarios.Incident) bool { return !i.Alarms && i.Source == source }) {
		out = append(out, map[string]string{})
	}
	return out
}

// drill is the marker that pages of a game day carry where gameday itself sends them.
func drill(scenario, run string) string {
	return fmt.Sprintf("This is a drill: game day %s, run %s.", scenario, run)
}

// tellsOf says which sources of responses tell of what beside pages.
func tellsOf(s *scenarios.Scenario) map[string][]responders.Kind {
	var out map[string][]responders.Kind
	for _, d := range s.Responders {
		tells := d.Kind.Tells
		if t, ok := d.Config.(responders.Teller); ok {
			tells = t.Tells()
		}
		if len(tells) > 0 {
			if out == nil {
				out = map[string][]responders.Kind{}
			}
			out[d.ID()] = tells
		}
	}
	return out
}

// realPages lists the sources whose pages reach people. Opening a source contacts nobody.
func realPages(s *scenarios.Scenario) []string {
	var out []string
	for _, d := range s.Responders {
		src, err := d.Kind.Open(d.ID(), d.Config)
		if err != nil {
			continue // preflight says so
		}
		if r, ok := src.(responders.Real); ok && r.RealPages() {
			out = append(out, d.ID())
		}
		_ = release(src) // it was asked nothing
	}
	for _, d := range s.AlarmSources {
		if d.RealPages {
			out = append(out, d.ID())
		}
	}
	return out
}

// tell says what the facilitator must have told people before the first request.
func (s *sources) tell() []report.Found {
	var out []report.Found
	say := func(what, summary, detail string) {
		out = append(out, report.Found{What: what, Summary: summary, Detail: detail})
	}
	if real := realPages(s.run.Scenario); len(real) > 0 {
		say("pages", "people are paged by "+strings.Join(real, ", "), "They must know that there is a drill, or at whom to ask; a real incident goes first.")
	}
	for _, r := range s.run.Scenario.Responses {
		if r.Withhold {
			say("response "+r.Name, "the first level is asked not to acknowledge "+r.To, "Ask them now, if nobody did: what is tested is the escalation.")
		}
		for _, w := range r.Without {
			say("response "+r.Name, w.Down+" counts as down", fmt.Sprintf("Tell people when %s is paged that they must do without it; %s is to be used.", r.To, w.Use))
		}
	}
	return out
}

// onCall asks every source that has a roster who is on call now, and records it.
func (s *sources) onCall() {
	for _, src := range s.responders {
		roster, ok := src.Source.(responders.Roster)
		if !ok {
			continue
		}
		ctx, cancel := context.WithTimeout(s.run.ctx, askLimit)
		duties, err := roster.OnCall(ctx)
		cancel()
		rec := report.OnCallRecord{Source: src.id, Duties: duties}
		if err != nil {
			rec.Error = err.Error()
		}
		s.run.rec.add(report.OnCallSeen, rec)
	}
}

// incidentPage ends the run when a page opens at a source that is watched for incidents, and no alarm of the scenario accounts for it.
func (s *sources) incidentPage(id string, e responders.Event) {
	// A page that was notified or acknowledged but never seen to open is as real as one that was.
	if e.Page == "" || e.At.Hi.Before(s.run.rec.start) {
		return
	}
	switch e.Kind {
	case responders.Resolved, responders.Noted, responders.Marked, responders.Filed: // also of one that is long over
		return
	}
	for _, i := range s.run.Scenario.Incidents {
		if i.Source == id && !i.Alarms && (len(i.Match) == 0 || alarms.Match(i.Match, e.Labels)) && !s.ours(e.Labels) {
			s.incident(i, "page "+e.Page, e.Labels)
		}
	}
}

// incidentAlarm is incidentPage for an alarm that fires.
func (s *sources) incidentAlarm(id string, o alarms.Observation) {
	if o.State != alarms.StateFiring && o.State != alarms.StatePaged || o.At.Hi.Before(s.run.rec.start) {
		return
	}
	for _, i := range s.run.Scenario.Incidents {
		if i.Source == id && i.Alarms && alarms.Match(i.Match, o.Labels) && !s.ours(o.Labels) {
			s.incident(i, "alarm "+o.Labels["alertname"], o.Labels)
		}
	}
}

// ours reports whether an alarm of the scenario accounts for these labels, or its noise allows them.
func (s *sources) ours(labels map[string]string) bool {
	for _, a := range s.run.Scenario.Alarms {
		if alarms.Match(a.Match, labels) {
			return true
		}
	}
	n := s.run.Scenario.Noise
	return n != nil && (slices.Contains(n.Allow, labels["alertname"]) ||
		slices.ContainsFunc(n.Collateral, func(m map[string]string) bool { return alarms.Match(m, labels) }))
}

// incident ends the run: a drill gives way to what is real.
func (s *sources) incident(i scenarios.Incident, what string, labels map[string]string) {
	if s.run.ctx.Err() != nil {
		return // it is ending already
	}
	if name := labels["alertname"]; name != "" && !strings.Contains(what, name) {
		what += " (" + name + ")"
	}
	when := "an incident that is not the drill's opened in " + i.Source + ": " + what
	if s.run.over.Load() {
		s.run.rec.add(report.Noted, report.Note{Text: when + ", as the drill came to its end"})
		return
	}
	s.run.rec.add(report.AbortSeen, report.Abort{Name: i.Name, When: when})
	s.run.end(report.EndAborted, errors.New(when))
}
