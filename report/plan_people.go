package report

import (
	"fmt"
	"strings"
	"time"

	"gameday/responders"
)

// StepName names something that people do about an incident beside answering its page.
type StepName string

// The steps, as scenarios write them.
const (
	StepBridge     StepName = "bridge"     // a call is up
	StepChannel    StepName = "channel"    // a place to talk in writing was opened
	StepRunbook    StepName = "runbook"    // the runbook was opened
	StepCustomers  StepName = "customers"  // customers were told
	StepPostMortem StepName = "postmortem" // a post-mortem was filed
)

// StepNames returns the steps in the order in which they are printed.
func StepNames() []StepName {
	return []StepName{StepBridge, StepChannel, StepRunbook, StepCustomers, StepPostMortem}
}

// steps says by what each step is seen: the kind of event, and the mark that stands for it.
var steps = map[StepName]struct {
	kind               responders.Kind
	mark               string
	title, done, wants string
}{
	StepBridge:     {responders.BridgeOpened, "bridge opened", "bridge opened", "opened a bridge", "a bridge is opened"},
	StepChannel:    {responders.RoomOpened, "channel opened", "channel opened", "opened a channel", "a channel is opened"},
	StepRunbook:    {responders.RunbookOpened, "runbook opened", "runbook opened", "opened the runbook", "the runbook is opened"},
	StepCustomers:  {responders.Told, "customers told", "customers told", "told customers", "customers are told"},
	StepPostMortem: {responders.Filed, "post-mortem filed", "post-mortem filed", "filed a post-mortem", "a post-mortem is filed"},
}

// Mark returns the name of the mark that stands for a step where no source tells of it.
func (s StepName) Mark() string { return steps[s].mark }

// Title returns a step in words: "customers told".
func (s StepName) Title() string { return steps[s].title }

// StepPlan expects a step.
type StepPlan struct {
	Step StepName `json:"step"`
	DeadlinePlan
}

// EngagePlan expects that enough people take part.
type EngagePlan struct {
	DeadlinePlan
	People int      `json:"people,omitempty"` // distinct persons, as one source knows them
	Roles  []string `json:"roles,omitempty"`  // each taken by somebody
}

// DiagnosePlan expects that responders say what is wrong. Whether they are right is for the facilitator to say.
type DiagnosePlan struct {
	DeadlinePlan
	Expect string `json:"expect"`
}

// WithoutPlan says that a channel of communication counts as down, and what must be used in its place.
type WithoutPlan struct {
	Down string `json:"down"` // as in an event's channel: "chat"
	Use  string `json:"use"`  // a step, or the name of a mark
	DeadlinePlan
}

// ResolvePlan expects that the page is closed.
type ResolvePlan struct {
	DeadlinePlan
	// AfterService says that it may not be closed before the service is back in its steady state.
	AfterService bool `json:"after_service,omitempty"`
}

// The marks by which diagnoses are made and judged: `gameday mark diagnosis "it is the ledger"`, by a responder, and
// `gameday mark "diagnosis right"`, by the facilitator, about the last diagnosis before it.
const (
	DiagnosisMark   = "diagnosis"
	DiagnosisRight  = "diagnosis right"
	DiagnosisPartly = "diagnosis partly right"
	DiagnosisWrong  = "diagnosis wrong"
)

// OnCallRecord is who was on call when a source was asked: before the first request, and at each onset.
type OnCallRecord struct {
	Source string            `json:"source"`
	Duties []responders.Duty `json:"duties"`
	Error  string            `json:"error,omitempty"`
}

// tells reports whether one of the sources can tell of a kind of event, so that it did not happen when it was not seen.
func (p *Plan) tells(kind responders.Kind, sources ...string) bool {
	for _, s := range sources {
		for _, k := range p.Tells[s] {
			if k == kind {
				return true
			}
		}
	}
	return false
}

// pendingUntil is how an item is called that may still be kept.
func pendingUntil(t time.Time) string {
	return "pending until " + t.UTC().Format("2006-01-02 15:04") + " UTC"
}

// NamedDeadline is one thing that a response asks for, with its name in a scenario and in words.
type NamedDeadline struct {
	What string // "escalate", "the mark bridge opened"
	Text string // "escalated to level 2"
	DeadlinePlan
}

// Named returns all that the response asks for, in the order in which it is printed.
func (r ResponsePlan) Named() []NamedDeadline {
	var out []NamedDeadline
	add := func(what, text string, d DeadlinePlan) { out = append(out, NamedDeadline{what, text, d}) }
	if a := r.Acknowledge; a != nil {
		add("acknowledge", "acknowledged", a.DeadlinePlan)
	}
	if e := r.Escalate; e != nil {
		add("escalate", fmt.Sprintf("escalated to level %d%s", e.ToLevel, e.team()), e.DeadlinePlan)
	}
	for _, m := range r.Marks {
		add("the mark "+m.Name, m.Name, m.DeadlinePlan)
	}
	if e := r.Engage; e != nil {
		var who []string
		if e.People > 0 {
			who = append(who, fmt.Sprintf("%d people", e.People))
		}
		add("engage", strings.Join(append(who, e.Roles...), ", ")+" engaged", e.DeadlinePlan)
	}
	for _, s := range r.Steps {
		add(string(s.Step), s.Step.Title(), s.DeadlinePlan)
	}
	for _, w := range r.Without {
		add("without "+w.Down, w.Use+" used, for "+w.Down+" counts as down", w.DeadlinePlan)
	}
	if d := r.Diagnose; d != nil {
		add("diagnose", "found what is wrong", d.DeadlinePlan)
	}
	if m := r.Mitigate; m != nil {
		add("mitigate", "mitigated", *m)
	}
	if d := r.Resolve; d != nil {
		add("resolve", "resolved", d.DeadlinePlan)
	}
	return out
}

// Deadlines returns all limits of the response.
func (r ResponsePlan) Deadlines() []DeadlinePlan {
	var out []DeadlinePlan
	for _, n := range r.Named() {
		out = append(out, n.DeadlinePlan)
	}
	return out
}
