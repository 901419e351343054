// Package scenarios is the language: HCL in, Scenario out. It touches only the files it is named, reads no clock, and
// nothing leaves it without a place, a cause and a next step. The same input gives the same answer, byte for byte.
package scenarios

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"gameday/alarms"
	"gameday/alarms/builtin"
	"gameday/faults"
	"gameday/loadgen"
	"gameday/loadgen/sli"
	"gameday/report"
	"gameday/responders"
	"gameday/targets"
	"gameday/targets/lab"
)

// Scenario is one game day, decoded and checked: every reference resolves, every expression compiles.
type Scenario struct {
	Name    string
	File    string // path as given to Load
	Dir     string // absolute path of the file's folder
	Summary string
	Owner   string
	Blind   bool // hide the faults until the run is over
	Named   bool // keep people's names in reports

	Timeline Timeline
	// History is how long before the run sources are asked about what is expected of them; 0 asks nothing.
	History   time.Duration
	Traffic   []Traffic
	Expects   []Expect
	Search    SearchLimits // of `gameday capacity`
	Targets   []Target
	Faults    []Fault
	Alarms    []Alarm
	Noise     *Noise
	Responses []Response
	Aborts    []Abort
	// Incidents end the run as aborts do.
	Incidents []Incident
	Score     report.ScorePlan
	SLIs      []OwnSLI

	// Regression is how runs are compared; nil when the file says nothing of it.
	Regression *Regression

	Lab *lab.Config
	// Kubernetes says how the cluster is reached, if something lands there; empty is as kubectl does.
	Kubernetes   faults.Access
	AlarmSources []AlarmSource
	Responders   []ResponderSource
	Secrets      []Secret
}

// Timeline is how long each phase lasts. Control is 0 in a scenario without one.
type Timeline struct {
	Baseline, Ramp, Control, Load, Recovery time.Duration
}

// Start returns when a phase begins on the run's clock, if every phase takes its planned time.
func (t Timeline) Start(p report.Phase) time.Duration {
	switch p {
	case report.Ramp:
		return t.Baseline
	case report.Control:
		return t.Baseline + t.Ramp
	case report.Load:
		return t.Baseline + t.Ramp + t.Control
	case report.Recovery:
		return t.Baseline + t.Ramp + t.Control + t.Load
	default:
		return 0
	}
}

// Length returns the planned length of the whole run.
func (t Timeline) Length() time.Duration {
	return t.Baseline + t.Ramp + t.Control + t.Load + t.Recovery
}

// Traffic is one stream of requests.
type Traffic struct {
	Name          string
	Script        string // absolute path; empty when Flows say what is sent
	ScriptShown   string // as written
	Flows         []loadgen.Flow
	Wire          loadgen.Wire
	Data          []loadgen.DataSet
	Rate          float64 // 1x, in iterations per second; 0 while Baseline is not measured
	Multiple      float64
	KeepExecutors bool
	MaxVUs        int
	Memory        uint64 // bytes that the generator may hold; 0 when the scenario does not say
	Env           map[string]string
	// Generators are the machines that send it, each its segment; none when that is this one alone.
	Generators []loadgen.Node
	// RunOn says who starts the runners that send it, instead; nil is nobody.
	RunOn *loadgen.RunOn
	// Baseline is where 1x is to be measured; nil when it is given, or the script's own. Measured is what came of it.
	Baseline *Baseline
	Measured *report.BaselinePlan
	// Start is when the stream begins to send, counted from the begin of the load phase; -1 is with the run.
	Start   time.Duration
	Poisson bool // arrivals come by chance
	// Program is what the load phase asks for, from its begin or from Start, in multiples or, with Absolute, in arrivals per
	// second.
	Program  loadgen.Program
	Absolute bool
	Shape    string // of the program, in words; empty when it is steady
	// Replay is set for a replayed series. The program of one that a source is asked for is not known before Follow.
	Replay *Replay
	Range  hcl.Range
}

// Expect is an expectation over SLIs.
type Expect struct {
	Name     string
	Part     report.ExpectPart
	Fault    string // with report.PartFault
	That     Condition
	Weight   float64
	Required bool
	Range    hcl.Range
}

// ID returns the expectation's name in the record: "steady_state.availability", "fault.cut.degrades".
func (e Expect) ID() string {
	if e.Part == report.PartFault {
		return "fault." + e.Fault + "." + e.Name
	}
	return string(e.Part) + "." + e.Name
}

// Condition is an expression over SLIs, compiled, with what is needed to show it to people.
type Condition struct {
	Expr   *sli.Expr
	Source string        // as written
	Over   time.Duration // the sliding window of traffic it looks at
	Range  hcl.Range
}

// Target is where faults may land.
type Target struct {
	Name     string
	Selector targets.Selector
	Pick     targets.Amount // of what the selector finds
	AtMost   targets.Amount
	Labels   map[string]string // by which it opts in to policies
	Range    hcl.Range
}

// Fault is one planned fault.
type Fault struct {
	Name   string
	Kind   faults.Kind
	Config faults.Config
	// Targets is one target's name, or the two that the fault stands between.
	Targets []string
	Between bool
	// At counts from the begin of the load phase. It is -1 when After is set.
	At    time.Duration
	After string
	Wait  time.Duration
	// Duration is how long the fault stands; 0 when the kind ends by itself or cannot be reverted.
	Duration       time.Duration
	Lease          time.Duration
	RestartsWithin time.Duration
	SteadyWithin   time.Duration
	Range          hcl.Range
}

// Alarm is an alarm that must fire.
type Alarm struct {
	report.AlarmPlan
	Range hcl.Range
}

// Noise says which other alarms count as noise.
type Noise struct {
	report.NoisePlan
	Range hcl.Range
}

// Response is what people are expected to do.
type Response struct {
	report.ResponsePlan
	Range hcl.Range
}

// Abort is a stop condition.
type Abort struct {
	Name  string
	When  Condition
	Held  time.Duration
	Range hcl.Range
}

// Incident is a stop condition: something opens at a source that no alarm of the scenario accounts for.
type Incident struct {
	Name   string
	Source string            // "pagerduty.ops"
	Alarms bool              // the source is one of alarms
	Match  map[string]string // labels that it must have; empty takes any page
	Range  hcl.Range
}

// Beside returns the labels of alarms that a source must tell of although no alarm block expects them: what counts as noise, and
// what would be a real incident. Nil is none; a source of which nothing is expected either tells of everything. ok is false when
// no label is common to all of these, so that nothing could be told to the source but everything.
func (s *Scenario) Beside(source string) (match map[string]string, ok bool) {
	if s.Noise != nil {
		match = s.Noise.Watch
	}
	if match == nil && !slices.ContainsFunc(s.Alarms, func(a Alarm) bool { return a.Source == source || a.PagesVia == source }) {
		return nil, true
	}
	for _, i := range s.Incidents {
		if !i.Alarms || i.Source != source || len(i.Match) == 0 {
			continue
		}
		if match == nil {
			match = i.Match
			continue
		}
		match = maps.Clone(match)
		maps.DeleteFunc(match, func(k, v string) bool { return i.Match[k] != v })
		if len(match) == 0 { // gameday's own rules tell of themselves in any case
			return nil, strings.HasPrefix(source, "builtin.")
		}
	}
	return match, true
}

// OwnSLI is an indicator that an alarm source is asked for every second.
type OwnSLI struct {
	Name   string
	Source string // "prometheus.main"
	Query  string
	Range  hcl.Range
}

// AlarmSource is a declared source of alarms.
type AlarmSource struct {
	Kind   alarms.SourceKind
	Name   string
	Config alarms.Config
	// Rules, Notify and Repeat are set for the builtin kind: its rules are expressions, its receivers references or URLs.
	Rules  []builtin.Rule
	Notify []string
	Repeat time.Duration // 0 is the kind's own default
	// RealPages says of the builtin kind that its receivers reach people.
	RealPages bool
	Range     hcl.Range
}

// ID returns the source's name in the record: "prometheus.main".
func (s AlarmSource) ID() string { return s.Kind.Name + "." + s.Name }

// ResponderSource is a declared source of responses.
type ResponderSource struct {
	Kind   responders.SourceKind
	Name   string
	Config responders.Config
	Range  hcl.Range
}

// ID returns the source's name in the record: "desk.ops".
func (s ResponderSource) ID() string { return s.Kind.Name + "." + s.Name }

// Secret is an environment variable that the scenario reads with secret(). The value never leaves memory.
type Secret struct {
	Name  string
	Set   bool
	value string
}

// Redact returns s with every occurrence of a secret's value replaced by its name. Values of fewer than four characters
// are left alone: they occur by chance.
func (s *Scenario) Redact(text string) string { return redact(s.Secrets, text) }

// Fault returns the fault of that name, or nil.
func (s *Scenario) Fault(name string) *Fault {
	for i := range s.Faults {
		if s.Faults[i].Name == name {
			return &s.Faults[i]
		}
	}
	return nil
}

// Target returns the target of that name, or nil.
func (s *Scenario) Target(name string) *Target {
	for i := range s.Targets {
		if s.Targets[i].Name == name {
			return &s.Targets[i]
		}
	}
	return nil
}
