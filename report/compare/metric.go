// Package compare tells whether one set of runs is better or worse than another, from their records alone. It never
// goes by two numbers: every verdict is that of a test, and what cannot be told is unknown, with its reason.
// docs/compare.md explains what is compared, by which tests, and their limits.
package compare

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"

	"gameday/report"
	"gameday/report/stats"
)

// Verdict is the outcome of a comparison. The zero value is Unknown: what nobody tested is never the same.
type Verdict int

// The verdicts.
const (
	Unknown Verdict = iota
	Same
	Better
	Worse
)

var verdicts = [...]string{Unknown: "unknown", Same: "same", Better: "better", Worse: "worse"}

// String returns the verdict's word.
func (v Verdict) String() string { return verdicts[v] }

// MarshalText writes the verdict's word.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads a verdict's word and refuses any other.
func (v *Verdict) UnmarshalText(b []byte) error {
	for i, word := range verdicts {
		if word == string(b) {
			*v = Verdict(i)
			return nil
		}
	}
	return fmt.Errorf("unknown verdict %q", b)
}

// ExitCode returns what a process that compared exits with: 0 when nothing is worse, 1 when something is, 3 when that
// cannot be told.
func (v Verdict) ExitCode() int {
	switch v {
	case Worse:
		return 1
	case Unknown:
		return 3
	}
	return 0
}

// Metric is one thing that is compared: a yardstick, and what it is held to.
type Metric struct {
	Yardstick string `json:"yardstick"`
	// Stretch is the phase, or with Fault the fault that stood; empty for what a run tells once.
	Stretch string `json:"stretch,omitempty"`
	Fault   bool   `json:"while_fault,omitempty"`
	Traffic string `json:"traffic,omitempty"` // one stream; empty for all of them
	Of      string `json:"of,omitempty"`      // the alarm, the response or the fault, of what a run tells once
	// Share makes it the share of the runs in which it came about at all.
	Share bool `json:"share,omitempty"`
}

// String returns the metric's id, which is stable over comparisons: "load.p95", "load.buy.p95", "ttd.PaymentsDown".
func (m Metric) String() string {
	id := m.Yardstick
	if m.Of != "" {
		id += "." + m.Of
	}
	if m.Traffic != "" {
		id = m.Traffic + "." + id
	}
	switch {
	case m.Fault:
		id = "fault." + m.Stretch + "." + id
	case m.Stretch != "":
		id = m.Stretch + "." + id
	}
	if m.Share && m.Yardstick != report.Completed {
		id += ".share"
	}
	return id
}

// yardstick returns the metric's yardstick; what is about how many runs has no unit but runs.
func (m Metric) yardstick() report.Yardstick {
	y, _ := report.YardstickOf(m.Yardstick)
	if m.Share {
		y.Unit, y.Higher = report.UnitYesNo, true
	}
	return y
}

// order sorts metrics as they are printed: what a run tells once, then phases in their order, then faults; all traffic
// before single streams; yardsticks in their order.
func order(a, b Metric) int {
	return cmp.Or(cmp.Compare(stretchRank(a), stretchRank(b)), cmp.Compare(a.Stretch, b.Stretch), cmp.Compare(a.Traffic,
		b.Traffic),
		cmp.Compare(yardstickRank(a), yardstickRank(b)), cmp.Compare(a.Of, b.Of), compareBool(b.Share, a.Share))
}

func stretchRank(m Metric) int {
	switch {
	case m.Stretch == "":
		return 0
	case m.Fault:
		return 4
	}
	return map[string]int{string(report.Load): 1, string(report.Baseline): 2, string(report.Recovery): 3}[m.Stretch]
}

func yardstickRank(m Metric) int {
	for i, y := range report.Yardsticks() {
		if y.Name == m.Yardstick {
			return i
		}
	}
	return -1
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// Interval is a difference and between what it lies. An end that is open, or an estimate that is none, is null in JSON.
type Interval struct {
	Estimate, Lo, Hi float64
}

// MarshalJSON writes the interval.
func (i Interval) MarshalJSON() ([]byte, error) {
	finite := func(v float64) *float64 {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
		return &v
	}
	return json.Marshal(struct {
		Estimate *float64 `json:"estimate"`
		Lo       *float64 `json:"lo"`
		Hi       *float64 `json:"hi"`
	}{finite(i.Estimate), finite(i.Lo), finite(i.Hi)})
}

// Row is one metric compared.
type Row struct {
	ID string `json:"id"`
	Metric
	Base Values `json:"base"`
	Head Values `json:"head"`
	// Relative and Absolute are the difference of head from base, as a share of base's value and in the yardstick's unit.
	// Which of them the verdict goes by, the tolerance says.
	Relative  *Interval        `json:"relative,omitempty"`
	Absolute  *Interval        `json:"absolute,omitempty"`
	Tolerance report.Tolerance `json:"tolerance"`
	// Counts says that the row is a part of the overall verdict.
	Counts bool   `json:"counts"`
	Method Method `json:"method,omitempty"`
	// PWorse is the probability of a difference as bad as this when the truth is just within the tolerance, PBetter the
	// mirror of it. They are nil where there was no test.
	PWorse  *float64 `json:"p_worse,omitempty"`
	PBetter *float64 `json:"p_better,omitempty"`
	// AdjustedWorse is PWorse for being one of several rows that count, by Holm's method; AdjustedBetter likewise.
	AdjustedWorse  *float64 `json:"p_worse_adjusted,omitempty"`
	AdjustedBetter *float64 `json:"p_better_adjusted,omitempty"`
	Verdict        Verdict  `json:"verdict"`
	// NotWorse says that worse is ruled out: the same, better, or one of the two.
	NotWorse bool   `json:"not_worse"`
	Why      string `json:"why,omitempty"`

	told int // pairs in which both sides tell something
}

// Method says what a row was tested by.
type Method string

// The methods. That of blocks is followed by their length.
const (
	ByRuns   Method = "runs"   // the U test over runs
	ByPairs  Method = "pairs"  // the signed-rank test over pairs of runs, with bounds for looking after each
	ByBlocks Method = "blocks" // the U test over blocks of seconds within the runs
	ByShares Method = "shares" // Fisher's exact test
)

// Values are what one side has.
type Values struct {
	Runs int `json:"runs"`
	// Seen is in how many runs there is a value, Never in how many it did not come about although it was watched. In the
	// others it is unknown.
	Seen  int `json:"seen"`
	Never int `json:"never,omitempty"`
	// Middle is the median of the values, and Min and Max between what they lie; nil without any.
	Middle *float64 `json:"median,omitempty"`
	Min    *float64 `json:"min,omitempty"`
	Max    *float64 `json:"max,omitempty"`
}

// never reports whether it came about in no run.
func (v Values) never() bool { return v.Never > 0 && v.Seen == 0 }

// valuesOf sums samples of a metric up.
func valuesOf(samples []Sample, m Metric) Values {
	var v Values
	var mids []float64
	for _, s := range samples {
		if s.Absent {
			continue
		}
		v.Runs++
		switch s.State {
		case report.FigureSeen:
			v.Seen++
			mids = append(mids, s.Reading.Mid())
		case report.FigureNever:
			v.Never++
		}
	}
	if len(mids) > 0 && !m.Share {
		middle := stats.Median(mids)
		v.Middle, v.Min, v.Max = &middle, &mids[0], &mids[len(mids)-1]
	}
	return v
}
