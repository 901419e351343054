package alarms

import (
	"context"
	"time"

	"gameday/clock"
)

// Adviser is implemented by sources that know their rules: what these measure, and what they would have made of other
// thresholds.
type Adviser interface {
	// Advise studies the rules of the expected alarms over a run that is over, and lists all rules. It asks a bounded number
	// of questions, and none any more when ctx ends. What could not be had is said in the answer; an error means that there
	// is no answer at all.
	Advise(ctx context.Context, ask Inquiry) (Advice, error)
}

// Inquiry is what a source is asked about its rules.
type Inquiry struct {
	Run clock.Span // in this machine's clock
	// Calm is the part of the run before the first fault; all of it when there was none.
	Calm   clock.Span
	Alarms []Expectation
}

// Advice is what a source tells about its rules.
type Advice struct {
	Server  string      `json:"server"`         // the source's address
	Studies []RuleStudy `json:"studies"`        // of the rules of expected alarms
	Rules   []RuleUse   `json:"rules"`          // all of the source's alerting rules
	More    int         `json:"more,omitempty"` // rules that were one too many to list
	// Fired says whether it is known which rules fired during the run.
	Fired bool     `json:"fired"`
	Why   []string `json:"why,omitempty"` // what could not be had
}

// RuleUse says of a rule whether it fired during the run.
type RuleUse struct {
	Name  string `json:"name"`
	Fired bool   `json:"fired,omitempty"`
}

// RuleStudy is what one rule could see of a run. Times are in this machine's clock.
type RuleStudy struct {
	Alarm    string        `json:"alarm"` // the expectation's name
	Rule     string        `json:"rule"`
	Query    string        `json:"query"`
	For      time.Duration `json:"for"`                 // how long the condition must hold
	Interval time.Duration `json:"interval"`            // of evaluations
	Scrape   time.Duration `json:"scrape"`              // the shortest time between two samples; 0 when it is not known
	Step     time.Duration `json:"step"`                // how far apart the looks below are
	Error    time.Duration `json:"clock_err,omitempty"` // of the times below
	// Looks is for what time the condition was looked at, Held when it was true: from the first look that found it so to the
	// last one. It was false at the looks around. Nil, with a reason in Why, when it could not be asked.
	Looks clock.Span   `json:"looks,omitzero"`
	Held  []clock.Span `json:"held,omitempty"`
	// Limit is the comparison that the rule ends in; nil when it is none with a single number, as NoLimit says.
	Limit   *Comparison `json:"limit,omitempty"`
	NoLimit string      `json:"no_limit,omitempty"`
	// Values are those of the comparison's other side, a track a series: those that came furthest.
	Values []Track `json:"values,omitempty"`
	Past   *Past   `json:"past,omitempty"`
	// Levels are thresholds that were tried, in order, the rule's own among them. Without a Past nobody knows how often they
	// would have fired.
	Levels []Level  `json:"levels,omitempty"`
	Why    []string `json:"why,omitempty"` // what could not be had
}

// Comparison is a rule's condition: what is measured, compared with a number.
type Comparison struct {
	Left      string  `json:"left"`
	Op        string  `json:"op"` // > >= < <=
	Threshold float64 `json:"threshold"`
}

// Over reports whether a value makes the comparison true for a threshold.
func (c Comparison) Over(value, threshold float64) bool {
	switch c.Op {
	case ">":
		return value > threshold
	case ">=":
		return value >= threshold
	case "<":
		return value < threshold
	case "<=":
		return value <= threshold
	}
	return false
}

// Up reports whether larger values are worse.
func (c Comparison) Up() bool { return c.Op == ">" || c.Op == ">=" }

// Track is a series over the run. A point is seconds since the run's begin, and the value there; where there was no value
// there is no point.
type Track struct {
	Labels map[string]string `json:"labels,omitempty"`
	Points [][2]float64      `json:"points"`
}

// Past is what a rule's condition made of the time before the run.
type Past struct {
	Span clock.Span    `json:"span"` // what was asked about
	Step time.Duration `json:"step"` // how far apart the looks are: what is shorter goes unseen
	// Data is for how much of the span there were values. No data is not "never".
	Data   time.Duration `json:"data"`
	Series int           `json:"series"`
	// Worst is the value that came nearest to firing, or furthest beyond it; Middle is the median of all.
	Worst  float64 `json:"worst"`
	Middle float64 `json:"middle"`
}

// Level is what a threshold would have made of the past, with the rule's own `for`.
type Level struct {
	Threshold float64       `json:"threshold"`
	Fired     int           `json:"fired"`  // how often: stretches in which any of the series would have fired
	Firing    time.Duration `json:"firing"` // how long, all together
}
