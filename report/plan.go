package report

import (
	"strings"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/sli"
	"gameday/responders"
)

// Plan is what a scenario promises, resolved: enough to judge a record without the language it was written in. It is
// written to the record before anything happens. Durations are nanoseconds; names of indicators are those of package sli.
type Plan struct {
	Scenario string `json:"scenario"`
	File     string `json:"file"`
	Summary  string `json:"summary,omitempty"`
	Owner    string `json:"owner,omitempty"`
	Blind    bool   `json:"blind,omitempty"`
	// Named keeps the names of people in reports; otherwise they are pseudonyms.
	Named bool `json:"named,omitempty"`

	Phases  []PhasePlan   `json:"phases"`
	Traffic []TrafficPlan `json:"traffic"`
	// Blast says how much the faults may touch: "2 of 4 nodes" of the lab, or "3 targets".
	Blast   string       `json:"blast,omitempty"`
	Targets []TargetPlan `json:"targets,omitempty"`
	// Cluster says in which Kubernetes cluster faults land, and how it is reached; empty when none does.
	Cluster string `json:"cluster,omitempty"`
	// ClusterUID is the uid of that cluster's namespace kube-system, which tells it from all others. Only plan asks; empty when unknown.
	ClusterUID string      `json:"cluster_uid,omitempty"`
	Faults     []FaultPlan `json:"faults,omitempty"`
	// Expects are all expectations over SLIs: steady state, capacity, and those of faults.
	Expects []ExpectPlan `json:"expects,omitempty"`
	Alarms  []AlarmPlan  `json:"alarms,omitempty"`
	// Watched are the sources of alarms that are asked during the run; empty in records from before it was kept.
	Watched   []string       `json:"watched,omitempty"`
	Noise     *NoisePlan     `json:"noise,omitempty"`
	Responses []ResponsePlan `json:"responses,omitempty"`
	// Tells says which sources of responses tell of what, beside pages: that such a thing was not seen says something only there.
	Tells map[string][]responders.Kind `json:"tells,omitempty"`
	// RealPages are the sources whose pages reach people.
	RealPages []string     `json:"real_pages,omitempty"`
	Aborts    []AbortPlan  `json:"aborts,omitempty"`
	Score     ScorePlan    `json:"score"`
	Secrets   []SecretPlan `json:"secrets,omitempty"`
	Warnings  []string     `json:"warnings,omitempty"`
	// Search is set when the run looks for the capacity, instead of being a game day.
	Search *SearchPlan `json:"search,omitempty"`
	// Regression is what the scenario says of comparing its runs; nil when it says nothing.
	Regression *RegressionPlan `json:"regression,omitempty"`
	// Objects are what the faults would put into a Kubernetes cluster, as far as plan can tell.
	Objects []ObjectPlan `json:"objects,omitempty"`
	// Findings are what the preflight of a run would find in a Kubernetes cluster now, as far as somebody should know of it: what blocks
	// a run first. Only plan asks. Each is in Warnings too, in words.
	Findings []FindingPlan `json:"findings,omitempty"`
	// Policy is set by plan, where there are policies.
	Policy *PolicyPlan `json:"policy,omitempty"`
}

// SearchPlan says how a run looks for the capacity. Rates are arrivals per second of all streams together.
type SearchPlan struct {
	Start       float64       `json:"start"`
	Max         float64       `json:"max"`
	Precision   float64       `json:"precision"`
	Step        time.Duration `json:"step"`
	Confirm     time.Duration `json:"confirm"`
	Settle      time.Duration `json:"settle"`
	MaxDuration time.Duration `json:"max_duration"`
	Fault       string        `json:"fault,omitempty"` // stands throughout
}

// PhasePlan is one phase with its place on the run's clock.
type PhasePlan struct {
	Phase  Phase         `json:"phase"`
	At     time.Duration `json:"at"` // since the run's start
	Length time.Duration `json:"length"`
}

// TrafficPlan is one stream.
type TrafficPlan struct {
	Name          string  `json:"name"`
	Engine        string  `json:"engine"` // "k6", "native"
	Script        string  `json:"script,omitempty"`
	Mix           string  `json:"mix,omitempty"` // without a script: "home 75 %, buy 25 % (add, pay)"
	Rate          float64 `json:"rate"`          // 1x, iterations per second; 0 when the script's own executors are kept
	Multiple      float64 `json:"multiple"`      // the largest of the load phase; 0 when it is not known
	KeepExecutors bool    `json:"keep_executors,omitempty"`
	Arrivals      string  `json:"arrivals,omitempty"` // Poisson; empty when they come evenly
	// Generators are where it is sent from, when that is not this machine alone.
	Generators []string `json:"generators,omitempty"`
	// RunOn says in words who starts the runners that send it: "3 Jobs in namespace load".
	RunOn string `json:"run_on,omitempty"`
	// Start is when the stream begins to send, counted from the begin of the load phase; nil when it does with the run.
	Start *time.Duration `json:"start,omitempty"`
	// Shape is how the multiple changes in the load phase, in words, and Program exactly, counted from Start or from the
	// begin of the phase. A steady stream has neither.
	Shape   string           `json:"shape,omitempty"`
	Program *loadgen.Program `json:"program,omitempty"`
	// Baseline is set where 1x was measured; Rate then comes from it, and is 0 when that failed.
	Baseline *BaselinePlan `json:"baseline,omitempty"`
	// BlockedBy says by what a run would be kept from sending it: what the plan's findings that block are about.
	BlockedBy []string `json:"blocked_by,omitempty"`
}

// Poisson is the name of arrivals by chance.
const Poisson = "poisson"

// Manner says in words how a stream comes to its multiple: "steps 1 2 3 hold 30s, poisson". It is empty for one that is
// steady and even.
func (t TrafficPlan) Manner() string {
	var words []string
	if t.Shape != "" {
		words = append(words, t.Shape)
	}
	if t.Arrivals != "" {
		words = append(words, t.Arrivals)
	}
	return strings.Join(words, ", ")
}

// TargetPlan is one target with the places it selects now.
type TargetPlan struct {
	Name     string `json:"name"`
	Kind     string `json:"kind"`     // "process", "node"
	Selector string `json:"selector"` // "listen 9102"
	// Pick is how many are touched of what the selector finds: "2", "50%"; empty for all.
	Pick string `json:"pick,omitempty"`
	// AtMost bounds what may be touched; 0 when AtMostPercent does, of what the selector finds.
	AtMost        int      `json:"at_most,omitempty"`
	AtMostPercent float64  `json:"at_most_percent,omitempty"`
	Places        []string `json:"places,omitempty"` // "pid 4127 /…/shop payments"
	// Pending says that the lab is not up: Places are then what it declares, if that can be told.
	Pending bool `json:"pending,omitempty"`
	// Unknown says that nobody could look: that there are no Places says nothing then.
	Unknown bool `json:"unknown,omitempty"`
}

// FaultPlan is one fault.
type FaultPlan struct {
	Name     string   `json:"name"`
	Kind     string   `json:"kind"`
	Targets  []string `json:"targets"`           // one, or the two of `between`
	Between  bool     `json:"between,omitempty"` // the fault stands between two targets
	Pods     bool     `json:"pods,omitempty"`    // it hits pods of a Kubernetes cluster, and nothing else
	Machine  bool     `json:"machine,omitempty"` // it works on the machine itself, which no lab takes along
	Previews []string `json:"previews,omitempty"`
	// Objects are the kinds of object that it is in a Kubernetes cluster: "NetworkChaos". Only plan knows them.
	Objects []string `json:"objects,omitempty"`
	// Hits says what a fault hits that says by itself where it lands, and HitsUnknown what of it nobody could tell. Only plan knows them.
	Hits        []string `json:"hits,omitempty"`
	HitsUnknown []string `json:"hits_unknown,omitempty"`
	// At is the planned instant since the run's start: exact for `at`, earliest for `after`.
	At time.Duration `json:"at"`
	// After and Wait are set when the fault begins a wait after another one has ended.
	After string        `json:"after,omitempty"`
	Wait  time.Duration `json:"wait,omitempty"`
	// Duration is how long it stands until it is reverted; 0 for a fault without a revert.
	Duration   time.Duration `json:"duration,omitempty"`
	Undoing    string        `json:"undoing"`
	Reversible bool          `json:"reversible"`
	Lease      time.Duration `json:"lease,omitempty"`
	// RestartsWithin is the limit for the target to come back by itself; 0 when none is expected.
	RestartsWithin time.Duration `json:"restarts_within,omitempty"`
	// SteadyWithin is the limit for the steady state to hold again after the fault is gone; 0 is the recovery phase's length.
	SteadyWithin time.Duration `json:"steady_within,omitempty"`
	// BlockedBy says by what a run would be kept from it: what the plan's findings that block are about, "permissions".
	BlockedBy []string `json:"blocked_by,omitempty"`
}

// FindingPlan is what the preflight of a run would find now.
type FindingPlan struct {
	// Faults and Traffic are those that it is about. Where none is named, it is about all that the scenario has in the cluster.
	Faults  []string `json:"faults,omitempty"`
	Traffic []string `json:"traffic,omitempty"`
	Found
}

// AboutAll reports whether it is about all that the scenario has in the cluster.
func (f FindingPlan) AboutAll() bool { return len(f.Faults) == 0 && len(f.Traffic) == 0 }

// Text returns it as a sentence, without its detail: "Fault crash: not allowed: …".
func (f FindingPlan) Text() string {
	text := f.Summary
	switch about := subjects("fault", f.Faults); {
	case len(f.Traffic) > 0 && len(f.Faults) == 0 && f.Blocks:
		text = subjects("traffic", f.Traffic) + " would not begin: " + text
	case len(f.Traffic) > 0 && len(f.Faults) == 0:
		text = subjects("traffic", f.Traffic) + ": " + text
	case len(f.Faults) == 1 && strings.Contains(text, about): // it says so itself
	case about != "":
		text = about + ": " + text
	}
	return capital(fullStop(text), true)
}

// subjects returns "fault crash", or "faults crash, cut and slow".
func subjects(what string, names []string) string {
	switch n := len(names); {
	case n == 0:
		return ""
	case n == 1:
		return what + " " + names[0]
	default:
		if what != "traffic" {
			what += "s"
		}
		return what + " " + strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}

// ObjectPlan is an object that a fault would put into a Kubernetes cluster.
type ObjectPlan struct {
	Fault  string `json:"fault"`
	Place  string `json:"place"`
	Object string `json:"object"` // its kind: "PodChaos"
	YAML   string `json:"yaml"`
	// Lapses says that the cluster lifts the fault by itself when its duration is over.
	Lapses bool   `json:"lapses,omitempty"`
	Note   string `json:"note,omitempty"`
}

// ExpectPart says which span an expectation is judged over.
type ExpectPart string

// The spans.
const (
	// PartSteady expectations are judged in the baseline phase (a gate), as service in the load phase while no fault
	// stands, and as recovery after each fault.
	PartSteady ExpectPart = "steady_state"
	// PartCapacity expectations are judged over the load phase while no fault stands.
	PartCapacity ExpectPart = "capacity"
	// PartFault expectations are judged while the fault of their Fault field stands.
	PartFault ExpectPart = "fault"
)

// ExpectPlan is one expectation over SLIs.
type ExpectPlan struct {
	ID       string        `json:"id"` // "steady_state.availability", "fault.cut.degrades, does not die"
	Name     string        `json:"name"`
	Part     ExpectPart    `json:"part"`
	Fault    string        `json:"fault,omitempty"`
	That     *sli.Expr     `json:"that"`
	Source   string        `json:"source"` // the expression as written
	Over     time.Duration `json:"over"`   // the sliding window it is evaluated over each second
	Weight   float64       `json:"weight"`
	Required bool          `json:"required,omitempty"`
}

// AlarmPlan is one expected alarm.
type AlarmPlan struct {
	Name   string            `json:"name"`
	Source string            `json:"source"` // "prometheus.main"
	Match  map[string]string `json:"match"`
	Cause  string            `json:"cause,omitempty"` // a fault; empty when the scenario has none
	// Limits from the cause's onset (ClearsWithin: from its end); 0 when not asked for.
	FiresWithin  time.Duration `json:"fires_within,omitempty"`
	PagesVia     string        `json:"pages_via,omitempty"` // an alarm or responder source
	PagesWithin  time.Duration `json:"pages_within,omitempty"`
	ClearsWithin time.Duration `json:"clears_within,omitempty"`
	MaxFlaps     *int          `json:"max_flaps,omitempty"`
	// First says that no other alarm may page before it, once its cause took effect.
	First bool `json:"first,omitempty"`
	// Quiet says that the alarm must not fire at all. It has no cause and no limits then.
	Quiet bool `json:"quiet,omitempty"`
	// Labels are those that the alarm must have when it fires, beside those it is known by, and Annotations the names of those
	// that must not be empty.
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations []string          `json:"annotations,omitempty"`
	// Links are the names of annotations that must hold an address which answers, and Receiver is to whom the alarm must be routed,
	// as PagesVia, else Source, names it.
	Links    []string `json:"links,omitempty"`
	Receiver string   `json:"receiver,omitempty"`

	// unasked says that the run did not ask the alarm's sources about it: their silence says nothing. See Record.Under.
	unasked  bool
	Weight   float64 `json:"weight"`
	Required bool    `json:"required,omitempty"`
}

// NoisePlan says which alarms count as noise when nobody expects them.
type NoisePlan struct {
	Watch  map[string]string `json:"watch"`
	Allow  []string          `json:"allow,omitempty"`  // alert names that are never noise
	AtMost int               `json:"at_most"`          // unexpected pages still without loss
	Weight float64           `json:"weight,omitempty"` // 0 is 1
	// Pages are the labels of those that page, of all that are watched; what has others counts a fifth. Empty: all page.
	Pages map[string]string `json:"pages,omitempty"`
	// PerPerson is how many pages anybody may get in the run; nil when that is not asked.
	PerPerson *int `json:"per_person,omitempty"`
	// Collateral are the labels of alarms on declared dependents of the faulted targets: reported, not penalised.
	Collateral []map[string]string `json:"collateral,omitempty"`

	unasked bool // as of AlarmPlan
}

// ResponsePlan is what people are expected to do about one alarm's page.
type ResponsePlan struct {
	Name        string        `json:"name"`
	Source      string        `json:"source"` // "desk.ops"
	To          string        `json:"to"`     // an alarm of the plan
	Acknowledge *AckPlan      `json:"acknowledge,omitempty"`
	Escalate    *EscalatePlan `json:"escalate,omitempty"`
	Marks       []MarkPlan    `json:"marks,omitempty"`
	Resolve     *ResolvePlan  `json:"resolve,omitempty"`
	// Also names other sources of responses, which tell of what people do beside answering pages.
	Also []string `json:"also,omitempty"`
	// Withhold says that the first level was asked beforehand not to acknowledge: what is tested is the escalation.
	Withhold bool          `json:"withhold,omitempty"`
	Steps    []StepPlan    `json:"steps,omitempty"`
	Engage   *EngagePlan   `json:"engage,omitempty"`
	Mitigate *DeadlinePlan `json:"mitigate,omitempty"` // its limit runs from the onset
	Diagnose *DiagnosePlan `json:"diagnose,omitempty"`
	Without  []WithoutPlan `json:"without,omitempty"`
}

// DeadlinePlan is a limit from the page's delivery.
type DeadlinePlan struct {
	Within   time.Duration `json:"within"`
	Weight   float64       `json:"weight"`
	Required bool          `json:"required,omitempty"`
	// MinEvidence is the least grade of evidence that counts, A to D; empty takes any.
	MinEvidence string `json:"min_evidence,omitempty"`
}

// AckPlan expects an acknowledgement by a human.
type AckPlan struct {
	DeadlinePlan
	// Level, when not 0, is the escalation level whose people must acknowledge.
	Level int `json:"level,omitempty"`
	// OnCall says that whoever acknowledges must be on call then, by the source's own roster.
	OnCall bool `json:"on_call,omitempty"`
}

// EscalatePlan expects that a level is reached.
type EscalatePlan struct {
	DeadlinePlan
	ToLevel int `json:"to_level"`
	// Team, when not empty, is whom the escalation must reach, as the source names it.
	Team string `json:"team,omitempty"`
	// OnlyAfter, when not 0, makes an earlier escalation a miss, and none needed when the page was acknowledged before.
	OnlyAfter time.Duration `json:"only_after,omitempty"`
}

// MarkPlan expects a named mark, such as "bridge opened".
type MarkPlan struct {
	Name string `json:"name"`
	DeadlinePlan
}

// AbortPlan is a stop condition.
type AbortPlan struct {
	Name   string        `json:"name"`
	When   *sli.Expr     `json:"when,omitempty"`
	Source string        `json:"source"`
	Held   time.Duration `json:"held"`
	Over   time.Duration `json:"over"`
	// Incident is set instead of When: the source at which something opens that no alarm of the scenario accounts for.
	Incident string `json:"incident,omitempty"`
}

// ScorePlan is the pass mark and the parts' weights.
type ScorePlan struct {
	Pass    float64          `json:"pass"`
	Weights map[Part]float64 `json:"weights"`
}

// Part is one of the five scored parts.
type Part string

// The parts, in the order they are printed.
const (
	Service   Part = "service"
	Recover   Part = "recovery"
	Detection Part = "detection"
	Response  Part = "response"
	Capacity  Part = "capacity"
)

// DefaultWeights returns the points of each part before those without items are left out.
func DefaultWeights() map[Part]float64 {
	return map[Part]float64{Service: 25, Recover: 20, Detection: 25, Response: 20, Capacity: 10}
}

// SecretPlan names an environment variable that the scenario reads as a secret, and whether it is set.
type SecretPlan struct {
	Name string `json:"name"`
	Set  bool   `json:"set"`
}
