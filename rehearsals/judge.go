package rehearsals

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"gameday/report"
)

// State is what is known of whether something may launch. The zero value is NotYetKnown.
type State int

// The states.
const (
	NotYetKnown State = iota
	Go
	NoGo
)

var states = map[State]string{NotYetKnown: "not yet known", Go: "go", NoGo: "no-go"}

// String returns the state's word, in lower case.
func (s State) String() string {
	if word, ok := states[s]; ok {
		return word
	}
	return states[NotYetKnown]
}

// MarshalText writes the state's word.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a state's word and refuses any other.
func (s *State) UnmarshalText(b []byte) error {
	for state, word := range states {
		if word == string(b) {
			*s = state
			return nil
		}
	}
	return fmt.Errorf("unknown state %q", b)
}

// Merge returns the stronger of two states: no-go before not yet known, and that before go.
func (s State) Merge(o State) State {
	if s == NoGo || o == NoGo {
		return NoGo
	}
	if s == Go && o == Go {
		return Go
	}
	return NotYetKnown
}

// Reason is one thing that speaks against go.
type Reason struct {
	About string `json:"about"` // "run", "residue", "verdict", "freshness", "change", "score", "coverage", "part detection", "sign-off sre"
	State State  `json:"state"` // NoGo or NotYetKnown
	Text  string `json:"text"`  // a sentence without its full stop
}

// StepResult is what is known of one scenario.
type StepResult struct {
	Scenario string `json:"scenario"`
	Lane     string `json:"lane,omitempty"`
	// Fingerprint stands for the scenario's files and variables as they are now.
	Fingerprint string   `json:"fingerprint"`
	State       State    `json:"state"`
	Reasons     []Reason `json:"reasons"` // empty when it is go
	// Run is the newest run, which alone counts; nil when there is none. Earlier are those before it, the newest first.
	Run     *Run     `json:"run"`
	Earlier []RunRef `json:"earlier,omitempty"`
}

// RunRef names a run that does not count any more.
type RunRef struct {
	Record  string         `json:"record"`
	Started time.Time      `json:"started"`
	Verdict report.Verdict `json:"verdict"`
	Residue bool           `json:"residue,omitempty"`
	Changed bool           `json:"changed,omitempty"` // it was of another version of the scenario, or of other variables
}

// Scorecard is the judgement over a whole rehearsal. Its JSON form is the machine-readable one.
type Scorecard struct {
	Format    int           `json:"format"` // of this structure: 1
	Rehearsal string        `json:"rehearsal"`
	File      string        `json:"file"`
	Now       time.Time     `json:"now"` // the instant that it is a judgement of
	State     State         `json:"state"`
	Residue   bool          `json:"residue"`
	Exit      int           `json:"exit_code"`
	Why       []string      `json:"why"` // the reasons, the decisive ones first; empty when it is go
	Require   Limits        `json:"require"`
	Steps     []StepResult  `json:"scenarios"`
	SignOffs  []SignOffSeen `json:"sign_offs"`
	Compared  *Comparison   `json:"compared,omitempty"`
	// Digest stands for all that was judged by but the clock and the sign-offs: what somebody who signs has seen.
	Digest string `json:"digest"`
}

// ExitCode returns what a process that judged exits with: 0 go, 1 no-go, 3 not yet known, and 5 when a fault was left standing.
func (c *Scorecard) ExitCode() int {
	switch {
	case c.Residue:
		return 5
	case c.State == Go:
		return 0
	case c.State == NoGo:
		return 1
	}
	return 3
}

// Shown is what the records show: the runs of each scenario's name for this rehearsal, in any order.
type Shown map[string][]Run

// Judge judges a rehearsal by what records show at an instant. It changes nothing that it is given.
func Judge(r *Rehearsal, shown Shown, signed []SignOff, now time.Time) *Scorecard {
	c := &Scorecard{Format: 1, Rehearsal: r.Name, File: r.File, Now: now.UTC().Round(0), State: NotYetKnown, Require: r.Require,
		Why: []string{}, Steps: []StepResult{}, SignOffs: []SignOffSeen{}}
	state := Go
	for _, s := range r.Steps {
		x := judgeStep(r, s, shown[s.Name()], now)
		state = state.Merge(x.State)
		c.Residue = c.Residue || x.Run != nil && x.Run.Residue
		c.Steps = append(c.Steps, x)
	}
	for _, name := range names(shown) { // taking a scenario out takes away nothing that it left
		if _, ok := r.Step(name); ok {
			continue
		}
		if last := newestFirst(shown[name]); len(last) > 0 && last[0].Residue {
			state, c.Residue = NoGo, true
			c.Why = append(c.Why, fmt.Sprintf("%s, which is no scenario of this rehearsal any more: the run %s left a fault standing, or nobody knows that it did not.", name, last[0].Record))
		}
	}
	if len(r.Steps) == 0 {
		state = state.Merge(NotYetKnown)
		c.Why = append(c.Why, "there is no scenario, so that nothing is known.")
	}
	c.Digest = c.evidence(r)
	for _, role := range r.SignOff {
		x := seenOf(role, signed, c.Digest, c.Steps)
		state = state.Merge(x.State)
		c.SignOffs = append(c.SignOffs, x)
	}
	c.State = state
	for _, want := range []State{NoGo, NotYetKnown} {
		c.Why = append(c.Why, c.reasons(want)...)
	}
	c.Exit = c.ExitCode()
	return c
}

// Doubt keeps the scorecard from go for something that is about none of its scenarios: there is a record of which nobody can tell for what it
// was made. why is a sentence without its full stop.
func (c *Scorecard) Doubt(why string) {
	c.State = c.State.Merge(NotYetKnown)
	c.Why = append(c.Why, why+".")
	c.Exit = c.ExitCode()
}

// Beside returns the reasons that are about none of its scenarios and no sign-off, as sentences.
func (c *Scorecard) Beside() []string {
	about := append(c.reasons(NoGo), c.reasons(NotYetKnown)...)
	return slices.DeleteFunc(slices.Clone(c.Why), func(why string) bool { return slices.Contains(about, why) })
}

// reasons returns the reasons of one state over all, as sentences.
func (c *Scorecard) reasons(want State) []string {
	var out []string
	for _, s := range c.Steps {
		for _, r := range s.Reasons {
			if r.State == want {
				out = append(out, s.Scenario+": "+r.Text+".")
			}
		}
	}
	for _, s := range c.SignOffs {
		if s.State == want {
			out = append(out, "sign-off of "+s.Role+": "+s.Text+".")
		}
	}
	return out
}

// evidence is the digest of what was judged by. The clock is not in it, for otherwise nobody could sign for anything; a pass that
// has become too old is not yet known all the same.
func (c *Scorecard) evidence(r *Rehearsal) string {
	type seen struct{ Scenario, Run, Report, Fingerprint string }
	what := struct {
		Rehearsal string
		Runs      []seen
	}{Rehearsal: r.Fingerprint()}
	for _, s := range c.Steps {
		x := seen{Scenario: s.Scenario}
		if s.Run != nil {
			x.Run, x.Report, x.Fingerprint = s.Run.Run, s.Run.Report, s.Run.Fingerprint
		}
		what.Runs = append(what.Runs, x)
	}
	return digest(what)
}

// newestFirst returns the runs in the order in which they count: a run that goes on before all others.
func newestFirst(runs []Run) []Run {
	out := slices.Clone(runs)
	slices.SortStableFunc(out, func(a, b Run) int {
		if a.Running != b.Running {
			if a.Running {
				return -1
			}
			return 1
		}
		if d := b.Started.Compare(a.Started); d != 0 {
			return d
		}
		return strings.Compare(b.Record, a.Record)
	})
	return out
}

// Newest returns the run that counts, or nil when there is none.
func Newest(runs []Run) *Run {
	if ordered := newestFirst(runs); len(ordered) > 0 {
		return &ordered[0]
	}
	return nil
}

func judgeStep(r *Rehearsal, s Step, runs []Run, now time.Time) StepResult {
	x := StepResult{Scenario: s.Name(), Lane: s.Lane, Fingerprint: s.Fingerprint, Reasons: []Reason{}}
	ordered := newestFirst(runs)
	if len(ordered) > 0 {
		newest := ordered[0]
		x.Run = &newest
		for _, e := range ordered[1:] {
			x.Earlier = append(x.Earlier, RunRef{e.Record, e.Started, e.Verdict, e.Residue, e.Fingerprint != s.Fingerprint})
		}
	}
	j := stepJudge{StepResult: &x, require: r.Require}
	j.judge(s, now)
	x.State = Go
	for _, reason := range x.Reasons {
		x.State = x.State.Merge(reason.State)
	}
	return x
}

// stepJudge collects what speaks against one step.
type stepJudge struct {
	*StepResult
	require Limits
}

func (j *stepJudge) no(about, text string, args ...any) {
	j.Reasons = append(j.Reasons, Reason{about, NoGo, fmt.Sprintf(text, args...)})
}

func (j *stepJudge) unknown(about, text string, args ...any) {
	j.Reasons = append(j.Reasons, Reason{about, NotYetKnown, fmt.Sprintf(text, args...)})
}

func (j *stepJudge) judge(s Step, now time.Time) {
	run := j.Run
	switch {
	case run == nil:
		j.unknown("run", "it was not run yet")
		return
	case run.Residue: // whatever else there is to say
		j.no("residue", "the run %s left a fault standing, or nobody knows that it did not", run.Record)
		return
	case run.Running:
		j.unknown("run", "the run %s goes on", run.Record)
		return
	case run.Unread != "":
		j.unknown("run", "the record %s cannot be judged: %s", run.Record, run.Unread)
		return
	case run.Fingerprint != s.Fingerprint:
		j.unknown("change", "the scenario or its variables were changed since the run %s, which %s", run.Record, ended(run.Verdict))
		return
	}
	switch run.Verdict {
	case report.Passed:
		if run.End == report.EndInterrupted {
			j.unknown("run", "its record %s has no end: gameday was killed", run.Record)
		}
	case report.Failed:
		j.no("verdict", "it failed%s%s", first(run.Why), named(run.Missed))
	case report.Aborted:
		j.no("verdict", "it was aborted%s", first(run.Why))
	default:
		j.unknown("verdict", "it was inconclusive%s", first(run.Why))
	}
	j.limits(run)
	if age := now.Sub(run.Started); j.require.FreshWithin > 0 && age > j.require.FreshWithin {
		j.unknown("freshness", "it was run %s ago, and at most %s is asked for", days(age), days(j.require.FreshWithin))
	} else if age < 0 {
		j.unknown("freshness", "its run begins at %s, which is still to come: a clock is wrong", run.Started.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
}

// limits holds the run to the rehearsal's own limits. A score is an interval: only when all of it is on one side, something is known.
func (j *stepJudge) limits(run *Run) {
	if l := j.require.Score; l != nil {
		j.limit("score", "of 100 points", run.Low, run.High, *l)
	}
	if l := j.require.Coverage; l != nil && run.Coverage*100 < *l-rounding {
		j.unknown("coverage", "%.0f %% of its points could be judged, and %v %% are asked for", math.Floor(run.Coverage*100+rounding), *l)
	}
	for _, part := range slices.Sorted(maps.Keys(j.require.Parts)) {
		about := "part " + string(part)
		i := slices.IndexFunc(run.Parts, func(p Part) bool { return p.Part == part })
		if i < 0 || run.Parts[i].Points <= 0 {
			j.unknown(about, "%s is asked for, and the scenario promises nothing of it", part)
			continue
		}
		p := run.Parts[i]
		j.limit(about, "% of "+string(part), 100*p.Low/p.Points, 100*p.High/p.Points, j.require.Parts[part])
	}
}

// rounding is what sums of points may be off by.
const rounding = 1e-9

func (j *stepJudge) limit(about, unit string, low, high, least float64) {
	switch {
	case !(low <= high): // not a number
		j.unknown(about, "%s is not known", about)
	case low >= least-rounding:
	case high < least-rounding:
		reached := span(low, high)
		if strings.Contains(reached, " and ") {
			reached = "at most " + span(high, high)
		}
		j.no(about, "it reached %s %s, and %v are asked for", reached, unit, least)
	default:
		j.unknown(about, "it reached between %s %s, and %v are asked for: too much is unknown", span(low, high), unit, least)
	}
}

// span prints an interval of points without flattery: cut off, not rounded up.
func span(low, high float64) string {
	a, b := fmt.Sprintf("%.0f", math.Floor(low+rounding)), fmt.Sprintf("%.0f", math.Floor(high+rounding))
	if a == b {
		return a
	}
	return a + " and " + b
}

func ended(v report.Verdict) string {
	switch v {
	case report.Passed, report.Failed:
		return v.String()
	}
	return "was " + v.String()
}

// first returns the first reason of a verdict, to be put behind it.
func first(why []string) string {
	if len(why) == 0 {
		return ""
	}
	return ": " + strings.TrimSuffix(why[0], ".")
}

// named names what was missed, to be put behind a reason.
func named(missed []string) string {
	if len(missed) == 0 {
		return ""
	}
	return "; missed: " + strings.Join(missed, ", ")
}

// days prints how long ago something was, in two units at most.
func days(d time.Duration) string {
	const day = 24 * time.Hour
	switch n, h := d/day, d%day/time.Hour; {
	case n == 1 && h == 0:
		return "24 h"
	case n > 0 && h == 0 && d%time.Hour == 0:
		return fmt.Sprintf("%d days", n)
	case n > 0:
		return fmt.Sprintf("%d d %d h", n, h)
	case h > 0:
		return fmt.Sprintf("%d h %d min", h, d%time.Hour/time.Minute)
	}
	return d.Round(time.Second).String()
}
