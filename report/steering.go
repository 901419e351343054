package report

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"gameday/clock"
)

// Hold says that a facilitator made the timeline stand still: phases do not end and no fault begins by itself, until HoldEnded or the
// run's end. Traffic goes on at its rate, and what stands goes on in its own time.
type Hold struct {
	By    string        `json:"by"`
	Why   string        `json:"why,omitempty"`
	Phase Phase         `json:"phase"`
	At    time.Duration `json:"at"`             // on the phase's timeline
	Limit time.Duration `json:"limit"`          // it lapses after that by itself
	More  bool          `json:"more,omitempty"` // it prolongs the hold in progress, from now
}

// Release says that the timeline goes on again.
type Release struct {
	By     string        `json:"by,omitempty"` // empty when it lapsed
	Why    string        `json:"why,omitempty"`
	Phase  Phase         `json:"phase"`
	Held   time.Duration `json:"held"`
	Lapsed bool          `json:"lapsed,omitempty"` // nobody released it: its limit was over
}

// Skip says that a facilitator ended a wait: the timeline jumped over a part of the phase, and with it the programs of the streams.
type Skip struct {
	By    string        `json:"by"`
	Why   string        `json:"why,omitempty"`
	Phase Phase         `json:"phase"`
	At    time.Duration `json:"at"`              // on the phase's timeline
	Over  time.Duration `json:"over"`            // how much of it was left out
	To    string        `json:"to"`              // what was next: "fault cut", "the end of the ramp phase"
	Fault string        `json:"fault,omitempty"` // the fault that this gives away, which a blind run hides
}

// InjectNow says that a facilitator had a fault injected before its time.
type InjectNow struct {
	By    string        `json:"by"`
	Why   string        `json:"why,omitempty"`
	Fault string        `json:"fault"`
	Early time.Duration `json:"early"` // how much sooner than by the timeline as it then was
}

// Steered is one thing that a facilitator did to the run's timeline.
type Steered struct {
	Did   string        `json:"did"` // "held", "skipped" or "injected"
	Phase Phase         `json:"phase,omitempty"`
	At    time.Time     `json:"at"`
	Until time.Time     `json:"until,omitzero"`  // of a hold: when it was released, had lapsed, or the phase was over
	Took  time.Duration `json:"took,omitempty"`  // how long was held or left out, or how much sooner a fault came
	Fault string        `json:"fault,omitempty"` // that was injected, or skipped to
	To    string        `json:"to,omitempty"`    // what was skipped to
	By    string        `json:"by"`              // as reports name people
	Why   string        `json:"why,omitempty"`
	Ended string        `json:"ended,omitempty"`  // of a hold: who released it; "" when it lapsed or the run ended
	Lapse bool          `json:"lapsed,omitempty"` // of a hold: nobody released it
	Lines []int         `json:"lines,omitempty"`  // of record.jsonl
}

// steer puts together what facilitators did, by time.
func (t *Timeline) steer(rec *Record) {
	for _, h := range all[Hold](rec, HoldBegan) {
		if n := len(t.Steered); h.V.More && n > 0 {
			t.Steered[n-1].Lines = append(t.Steered[n-1].Lines, h.line())
			continue
		}
		t.Steered = append(t.Steered, Steered{Did: "held", Phase: h.V.Phase, At: h.At, By: h.V.By, Why: h.V.Why, Lines: []int{h.line()}})
	}
	ends := all[Release](rec, HoldEnded)
	for i := range t.Steered {
		s := &t.Steered[i]
		s.Until = t.End
		if p, ok := t.Phase(s.Phase); ok {
			s.Until = earlierOf(s.Until, p.End)
		}
		for _, e := range ends {
			if !e.At.Before(s.At) {
				s.Until, s.Ended, s.Lapse = e.At, e.V.By, e.V.Lapsed
				s.Lines = append(s.Lines, e.line())
				break
			}
		}
		s.Took = s.Until.Sub(s.At)
	}
	for _, k := range all[Skip](rec, WaitSkipped) {
		t.Steered = append(t.Steered, Steered{Did: "skipped", Phase: k.V.Phase, At: k.At, Took: k.V.Over, Fault: k.V.Fault, To: k.V.To, By: k.V.By,
			Why: k.V.Why, Lines: []int{k.line()}})
	}
	for _, n := range all[InjectNow](rec, InjectAsked) {
		t.Steered = append(t.Steered, Steered{Did: "injected", Phase: Load, At: n.At, Took: n.V.Early, Fault: n.V.Fault, By: n.V.By, Why: n.V.Why,
			Lines: []int{n.line()}})
	}
	slices.SortStableFunc(t.Steered, func(a, b Steered) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Lines[0], b.Lines[0]))
	})
}

// left returns how much of a phase's plan was left out by skips.
func (t *Timeline) left(p Phase) (sum time.Duration) {
	for _, s := range t.Steered {
		if s.Did == "skipped" && s.Phase == p {
			sum += s.Took
		}
	}
	return sum
}

// came returns how much of what was planned of a phase there was. The load phase of a stream with a shape, or a start of its own, is not
// made up for by holding another part of it.
func (j *judge) came(p PhaseSpan) time.Duration {
	shaped := slices.ContainsFunc(j.plan.Traffic, func(t TrafficPlan) bool { return t.Program != nil || t.Start != nil })
	if p.Phase == Load && shaped {
		return min(p.Length(), max(0, j.planned(Load)-j.tl.left(Load)))
	}
	return p.Length()
}

// cut says how a phase was too short to be judged by.
func (j *judge) cut(p PhaseSpan) string {
	text := fmt.Sprintf("the %s phase was cut short at %s of %s", p.Phase, span(j.came(p)), span(j.planned(p.Phase)))
	if left := j.tl.left(p.Phase); left > 0 {
		text += fmt.Sprintf(": the facilitator skipped %s of it", span(left))
	}
	return text
}

// steered puts what facilitators did into words, as reports name people.
func (j *judge) steered() []Steered {
	var out []Steered
	for _, s := range j.tl.Steered {
		s.By, _ = signed(s.By) // that they are the facilitator is said
		s.Ended, _ = signed(s.Ended)
		s.By, s.Why, s.To = j.people.name(s.By), j.people.scrub(s.Why), j.people.scrub(s.To)
		if s.Ended != "" {
			s.Ended = j.people.name(s.Ended)
		}
		out = append(out, s)
	}
	return out
}

// judged returns the part of the baseline phase over which the steady state was judged: of one that was held the last, as long as planned.
func (j *judge) judged(p PhaseSpan) clock.Span {
	s := p.Span
	for _, h := range j.tl.Steered {
		if h.Did == "held" && h.Phase == Baseline {
			s.Start = laterOf(s.Start, s.End.Add(-j.planned(Baseline)))
		}
	}
	return s
}

// Words says what was done, without when: "the facilitator, responder A, held the timeline in the load phase for 3m, until it lapsed".
func (s Steered) Words() string {
	text := "the facilitator, " + s.By + ", " + s.did()
	if s.Did == "held" {
		switch {
		case s.Lapse:
			text += ", until the hold lapsed"
		case s.Ended == "":
			text += ", until the run ended"
		case s.Ended != s.By:
			text += ", until " + s.Ended + " released it"
		}
	}
	if s.Why != "" {
		text += ": " + s.Why
	}
	return text
}

// did says what was done, without who did it.
func (s Steered) did() string {
	switch took := span(s.Took.Round(time.Second)); {
	case s.Did == "held":
		return fmt.Sprintf("held the timeline in the %s phase for %s", s.Phase, took)
	case s.Did == "skipped":
		return fmt.Sprintf("skipped %s of the %s phase, to %s", took, s.Phase, s.To)
	case s.Took >= time.Second:
		return fmt.Sprintf("had fault %s injected %s before its time", s.Fault, took)
	}
	return "had fault " + s.Fault + " injected"
}

// Brief is that in a word or two, for pictures and lists: "held for 3m", "skipped 40s", "cut by hand".
func (s Steered) Brief() string {
	switch took := span(s.Took.Round(time.Second)); s.Did {
	case "held":
		return "held for " + took
	case "skipped":
		return "skipped " + took
	}
	return s.Fault + " by hand"
}
