// Package report turns the record of a run into a timeline, a score and pages to read. It reads the record and nothing
// else: the same folder gives the same report, byte for byte, at any time.
package report

import (
	"encoding/json"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/faults"
	"gameday/loadgen"
	"gameday/responders"
)

// The files of a record folder.
const (
	PlanFile   = "plan.json"    // a Plan: what was to happen
	EventsFile = "record.jsonl" // one Event a line, written as it happens
	SourceDir  = "sources"      // copies of the scenario's files
	SocketFile = "control.sock" // while the run lasts: mark, stop
)

// Event is one line of record.jsonl.
type Event struct {
	Seq  uint64          `json:"seq"` // from 1, without gaps
	At   time.Time       `json:"at"`  // wall time, advanced by the monotonic clock from the run's start
	T    time.Duration   `json:"t"`   // since the run's start, monotonic, nanoseconds
	Kind EventKind       `json:"kind"`
	Data json.RawMessage `json:"data,omitempty"`
}

// EventKind says what an Event is and which type its Data has.
type EventKind string

// The kinds of event, each with the type of its data.
const (
	RunStarted      EventKind = "run_started"     // Started
	PreflightFound  EventKind = "preflight"       // Found
	PhaseStarted    EventKind = "phase_started"   // PhaseChange
	PhaseEnded      EventKind = "phase_ended"     // PhaseChange
	WindowClosed    EventKind = "window"          // loadgen.Window
	ReadingTaken    EventKind = "reading"         // Reading: an SLI of the scenario's own
	ExpectSeen      EventKind = "expectation"     // ExpectChange: an expectation turned true, false or unknown
	Injecting       EventKind = "injecting"       // Injection: the command is about to be sent
	Injected        EventKind = "injected"        // Injection, with onset and effect
	InjectFailed    EventKind = "inject_failed"   // Injection, with error
	Lapsed          EventKind = "lapsed"          // Injection: it let go before it was told to
	Reverting       EventKind = "reverting"       // Injection
	Reverted        EventKind = "reverted"        // Injection, verified gone
	RevertFailed    EventKind = "revert_failed"   // Injection, with error: residue
	Recovered       EventKind = "recovered"       // Comeback: the target came back by itself
	PodsReady       EventKind = "pods_ready"      // Readiness: pods that a fault had hit were Ready again, or were not by the end
	AlarmSeen       EventKind = "alarm"           // AlarmSighting
	AlarmHistory    EventKind = "alarm_history"   // AlarmRecord: the source's own account, the truth
	AlarmBefore     EventKind = "alarm_past"      // AlarmPast: of the time before the run
	ResponseSeen    EventKind = "response"        // responders.Event
	ResponseRecord  EventKind = "response_record" // ResponseAccount
	OnCallSeen      EventKind = "on_call"         // OnCallRecord
	LinkAsked       EventKind = "link"            // LinkAnswer
	RulesStudied    EventKind = "rules"           // RuleRecord
	Marked          EventKind = "mark"            // Mark
	AbortSeen       EventKind = "abort"           // Abort
	StopAsked       EventKind = "stop"            // Stop
	HoldBegan       EventKind = "hold"            // Hold: a facilitator makes the timeline stand still, or for longer
	HoldEnded       EventKind = "release"         // Release
	WaitSkipped     EventKind = "skip"            // Skip
	InjectAsked     EventKind = "inject_now"      // InjectNow: a facilitator asked for it; what came of it follows as of any injection
	GeneratorSaid   EventKind = "generator"       // GeneratorNote
	CapacityStepped EventKind = "capacity_step"   // CapacityStep
	CapacityFound   EventKind = "capacity"        // CapacityAnswer
	Overrode        EventKind = "override"        // Override: what somebody decided in place of the record, after the run
	Noted           EventKind = "note"            // Note: something worth knowing that is nobody's verdict
	RunEnded        EventKind = "run_ended"       // Ended
)

// Started opens a record.
type Started struct {
	Run     string    `json:"run"` // id, also the folder's name by default
	Version string    `json:"version"`
	At      time.Time `json:"at"`
	Host    string    `json:"host"`
	Seed    int64     `json:"seed"`
	// Lab says that the run was inside a lab of its own, with which everything in it is gone.
	Lab bool `json:"lab,omitempty"`
	// Policies are those that allowed it, and ApprovedBy is who approved it; both may be none.
	Policies   []PolicyFile `json:"policies,omitempty"`
	ApprovedBy string       `json:"approved_by,omitempty"`
}

// Found is one result of the preflight.
type Found struct {
	What    string `json:"what"` // "alarms prometheus.main", "target payments"
	Blocks  bool   `json:"blocks"`
	Summary string `json:"summary"`
	Detail  string `json:"detail,omitempty"`
	// Cluster is the uid of namespace kube-system of the Kubernetes cluster that was reached: it tells that from all others. Empty in
	// what was found of anything else, and when it is unknown, as Summary says then.
	Cluster string `json:"cluster,omitempty"`
	// Absent names an expected alarm that its source says no rule can raise: it is missed, whatever happens.
	Absent string `json:"absent,omitempty"`
}

// Phase is one of the parts of a run.
type Phase string

// The phases, in order.
const (
	Baseline Phase = "baseline"
	Ramp     Phase = "ramp"
	Control  Phase = "control" // the load's traffic without a fault, in runs that have one
	Load     Phase = "load"
	Recovery Phase = "recovery"
)

// PhaseChange says that a phase begins or ends at the event's time.
type PhaseChange struct {
	Phase Phase `json:"phase"`
}

// Reading is one value of an SLI of the scenario's own. Known is false when the source had no answer.
type Reading struct {
	SLI   string  `json:"sli"`
	Known bool    `json:"known"`
	Value float64 `json:"value"`
	Why   string  `json:"why,omitempty"`
}

// ExpectChange says that an expectation's truth over its sliding window changed.
type ExpectChange struct {
	ID     string             `json:"id"`
	Holds  clock.Outcome      `json:"holds"`
	Values map[string]float64 `json:"values,omitempty"`
}

// Injection is a step in the life of one fault at one place.
type Injection struct {
	ID    string `json:"id"`    // the ledger's id
	Fault string `json:"fault"` // the fault's name in the scenario
	Kind  string `json:"kind"`
	Place string `json:"place"`
	// Planned is when the step was due, since the run's start.
	Planned time.Duration `json:"planned"`
	// Onset is from the command to the proof of the effect.
	Onset  clock.Interval `json:"onset,omitzero"`
	Effect *faults.Effect `json:"effect,omitempty"`
	// Gone is from the command to revert to the proof that nothing is left.
	Gone  clock.Interval `json:"gone,omitzero"`
	Error string         `json:"error,omitempty"`
	Hint  string         `json:"hint,omitempty"`
}

// Comeback says that a target came back without our help.
type Comeback struct {
	Fault  string         `json:"fault"`
	Place  string         `json:"place"`
	At     clock.Interval `json:"at"`
	Effect *faults.Effect `json:"effect,omitempty"` // "pid 4127 → 4190", "boot id 3f… → 9a…"
}

// Readiness says when the pods that a fault had hit were Ready again after its end, or how they stood when the run ended.
type Readiness struct {
	Fault string   `json:"fault"`
	Pods  []string `json:"pods"` // that were Ready before: "shop/web-1"
	// Since is an instant at which the fault still stood. At is when all of them were Ready, from the last look at which one was not; zero
	// when that was not seen.
	Since time.Time      `json:"since"`
	At    clock.Interval `json:"at,omitzero"`
	// Replaced are pods that stand for some that are gone. Not are those that were not Ready at the last look that was answered.
	Replaced []string  `json:"replaced,omitempty"`
	Not      []string  `json:"not,omitempty"`
	Looked   time.Time `json:"looked,omitzero"` // when that was
	Error    string    `json:"error,omitempty"` // why a later look was not
}

// AlarmSighting is an alarms.Observation with its source.
type AlarmSighting struct {
	Source string `json:"source"`
	alarms.Observation
}

// AlarmRecord is what a source says of the whole run, asked after it.
type AlarmRecord struct {
	Source   string           `json:"source"`
	Span     clock.Span       `json:"span"`
	Episodes []alarms.Episode `json:"episodes"`
	Coverage alarms.Coverage  `json:"coverage"`
	Error    string           `json:"error,omitempty"`
}

// RuleRecord is what a source tells about its rules after the run: evidence for advice, and for nothing that is scored.
type RuleRecord struct {
	Source string        `json:"source"`
	Span   clock.Span    `json:"span"`
	Calm   clock.Span    `json:"calm"` // the part of it before the first fault
	Advice alarms.Advice `json:"advice"`
	Error  string        `json:"error,omitempty"`
}

// ResponseAccount is what a source of responses says of the whole run, asked after it.
type ResponseAccount struct {
	Source   string              `json:"source"`
	Span     clock.Span          `json:"span"`
	Events   []responders.Event  `json:"events"`
	Coverage responders.Coverage `json:"coverage"`
	Error    string              `json:"error,omitempty"`
}

// LinkAnswer is what an address in an alarm's annotation answered, asked once at the end of the run from where gameday runs.
type LinkAnswer struct {
	Alarm      string `json:"alarm"` // of the plan
	Annotation string `json:"annotation"`
	URL        string `json:"url"`               // without what it may hold of credentials
	Status     int    `json:"status,omitempty"`  // of HTTP; 0 when nothing answered
	Error      string `json:"error,omitempty"`   // why nothing did, or why it was not asked
	Invalid    bool   `json:"invalid,omitempty"` // it is no address of a page at all
}

// Mark is a remark that somebody made with `gameday mark` which is not about a page.
type Mark struct {
	Name string `json:"name"`
	By   string `json:"by"`
	Text string `json:"text,omitempty"`
	// After says that it was made when the run was over.
	After bool `json:"after,omitempty"`
	// File is what was attached to it; nil is nothing.
	File *Attachment `json:"file,omitempty"`
}

// EvidenceMark is the name of the mark by which somebody attaches evidence: what its text says where to find, or a file.
const EvidenceMark = "evidence"

// EvidenceFolder is where a record keeps the files that were attached to its marks.
const EvidenceFolder = "evidence"

// Attachment is a file that was attached to a mark, and lies in the record's folder.
type Attachment struct {
	Name   string `json:"name"`   // as whoever attached it called it
	Path   string `json:"path"`   // below the record's folder, with slashes
	Size   int64  `json:"size"`   // bytes
	SHA256 string `json:"sha256"` // in hexadecimal digits
}

// Abort says which stop condition held.
type Abort struct {
	Name   string             `json:"name"`
	When   string             `json:"when"` // the expression as written
	Held   time.Duration      `json:"held"`
	Values map[string]float64 `json:"values"`
}

// Stop says who asked for the end before its time.
type Stop struct {
	By  string `json:"by"` // "signal interrupt", "gameday stop"
	Why string `json:"why,omitempty"`
	// Abandoned says that nobody asked: gameday itself was killed, and this part of it noticed.
	Abandoned bool `json:"abandoned,omitempty"`
}

// GeneratorNote is something a traffic engine said: a script's exception, or how it came to an end.
type GeneratorNote struct {
	Stream  string `json:"stream"`
	Level   string `json:"level"` // info, warning, error
	Message string `json:"message"`
}

// Note is a plain remark.
type Note struct {
	Text  string `json:"text"`
	Fault string `json:"fault,omitempty"` // the fault it gives away, which a blind run hides
}

// EndReason says why a run came to its end.
type EndReason string

// The reasons.
const (
	EndComplete    EndReason = "complete"
	EndUnsteady    EndReason = "unsteady"  // the steady state did not hold in the baseline phase: nothing was injected
	EndPreflight   EndReason = "preflight" // a preflight finding blocked the run
	EndAborted     EndReason = "aborted"   // an abort condition held
	EndStopped     EndReason = "stopped"   // somebody stopped it
	EndTraffic     EndReason = "traffic"   // a stream of traffic did not start, or ended before the run
	EndError       EndReason = "error"     // gameday itself failed
	EndInterrupted EndReason = ""          // no end is in the record: gameday was killed
)

// Ended closes a record.
type Ended struct {
	Reason  EndReason `json:"reason"`
	Error   string    `json:"error,omitempty"`
	Residue []string  `json:"residue,omitempty"` // faults that still stand, as "cut on payments"
	// Unseen says why it is not known whether that is all, with what to do; empty when everything could be looked at.
	Unseen string `json:"unseen,omitempty"`
}

// Record is a run as read back from its folder.
type Record struct {
	Dir  string
	Plan *Plan
	// Events are all but those of windows, which Windows stand for: a day has very many.
	Events []Event
	// Torn says that the last line of the record was cut off, and left out.
	Torn bool
	// Windows are the traffic windows by their begin, decoded once. Service times are left out, for nothing is judged by them.
	Windows []loadgen.Window

	began  time.Time     // the time of the first event of all
	heard  time.Time     // the latest time of a window's event
	lasted time.Duration // from the run's start to the last event of all
}
