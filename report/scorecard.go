package report

import (
	"fmt"
	"time"

	"gameday/alarms"
	"gameday/clock"
)

// Scorecard is the judgement of one run. Its JSON form is the report's machine-readable one: fields keep their order
// and meaning, durations are nanoseconds, times are RFC 3339 in UTC, points are out of 100.
type Scorecard struct {
	Format   int           `json:"format"` // of this structure: 1
	Scenario string        `json:"scenario"`
	File     string        `json:"file"`
	Summary  string        `json:"summary,omitempty"`
	Owner    string        `json:"owner,omitempty"`
	Run      string        `json:"run"`
	Version  string        `json:"version"` // of the gameday that ran it
	Started  time.Time     `json:"started"`
	Length   time.Duration `json:"length"`
	End      EndReason     `json:"end"`
	EndError string        `json:"end_error,omitempty"`
	Torn     bool          `json:"torn,omitempty"` // the record's last line was cut off

	Verdict Verdict  `json:"verdict"`
	Residue bool     `json:"residue"` // a fault was left standing
	Exit    int      `json:"exit_code"`
	Why     []string `json:"why"` // the verdict's reasons, the first one decisive
	// Remedies are what can be done about what stopped the run before it began.
	Remedies []Remedy `json:"remedies,omitempty"`

	Low      float64 `json:"low"`      // the score if everything unknown was missed
	High     float64 `json:"high"`     // the score if everything unknown was met in full
	Coverage float64 `json:"coverage"` // share of the points that could be judged, 0 to 1
	// Machine is set when people decided items in gameday's place.
	Machine *Machine `json:"machine,omitempty"`
	Pass    float64  `json:"pass"` // the pass mark

	Parts  []PartScore `json:"parts"`
	Safety Safety      `json:"safety"`
	Next   []Advice    `json:"next"`
	// Detected are counts of how well alarms told what happened; nil where there was nothing to detect.
	Detected *Detected `json:"detected,omitempty"`
	// Objectives are rated by letters that are only suggested.
	Objectives []Objective `json:"objectives"`
	Faults     []FaultFact `json:"faults"`
	Alarms     []AlarmFact `json:"alarms"`
	Sources    []Source    `json:"sources"`
	Engines    []Engine    `json:"engines"`
	// Rules is what the run tells about the rules behind its alarms, and RuleLists which rules of each source fired.
	Rules     []RuleAdvice `json:"rules,omitempty"`
	RuleLists []RuleList   `json:"rule_lists,omitempty"`
	// Steered is what facilitators did to the run's timeline, by time.
	Steered []Steered `json:"steered,omitempty"`
	// Attached is what people attached as evidence, by time.
	Attached []Attached `json:"attached,omitempty"`
	Remarks  []string   `json:"remarks,omitempty"` // what is worth knowing and nobody's verdict

	// What the renderers draw from; not part of the JSON form.
	rec    *Record
	tl     *Timeline
	load   *traffic
	people *people
	by     *judge
	// untested are the planned faults that never took effect, or were cut short: a run with one cannot pass.
	untested []shortfall
}

// Items returns every item, in the order they are printed.
func (c *Scorecard) Items() []*Item {
	var out []*Item
	for i := range c.Parts {
		for j := range c.Parts[i].Items {
			out = append(out, &c.Parts[i].Items[j])
		}
	}
	return out
}

// PartScore is one part of the score with its items.
type PartScore struct {
	Part     Part    `json:"part"`
	Points   float64 `json:"points"` // what the part is worth
	Low      float64 `json:"low"`
	High     float64 `json:"high"`
	Coverage float64 `json:"coverage"`
	Items    []Item  `json:"items"`
}

// Item is one judged promise of the plan.
type Item struct {
	ID    string `json:"id"` // stable over runs of one scenario
	Part  Part   `json:"part"`
	Title string `json:"title"`
	// Outcome is met, missed or unknown. An item that was kept too late is missed and still has a Value: it shrinks from 1
	// at the limit to 0 at twice the limit. A required item that is late fails the run all the same.
	Outcome  clock.Outcome `json:"outcome"`
	Value    float64       `json:"value"` // 0 to 1; 0 when unknown
	Weight   float64       `json:"weight"`
	Points   float64       `json:"points"` // what the item is worth; Value × Points were earned
	Required bool          `json:"required,omitempty"`
	Class    Class         `json:"class,omitempty"` // of an alarm

	Measured string         `json:"measured"` // for people
	Latency  *clock.Latency `json:"latency,omitempty"`
	Values   []Measure      `json:"values,omitempty"`
	Count    *int           `json:"count,omitempty"`
	Limit    string         `json:"limit"` // for people
	Within   time.Duration  `json:"within,omitempty"`
	Clock    *Clock         `json:"clock,omitempty"` // of an item about when something happened

	// Attribution is what speaks for and against the fault, of an alarm that fired or paged in time.
	Attribution *Attribution `json:"attribution,omitempty"`

	Expected string     `json:"expected"` // the promise, as a sentence
	Why      string     `json:"why,omitempty"`
	Hint     string     `json:"hint,omitempty"`
	Evidence []Evidence `json:"evidence,omitempty"`
	// Grade is that of the weakest evidence, "A" to "D"; empty when none has one.
	Grade string `json:"grade,omitempty"`
	// Override is set when somebody decided the outcome in gameday's place.
	Override *Overridden `json:"override,omitempty"`

	cause   string  // the fault that the item is about; empty when it is about none
	best    float64 // of something late: its value by the shortest reading of the clocks
	absence bool    // met when something is not seen
	broken  bool    // an expectation of users while the fault stands
}

// Lost returns the points that were not earned for certain: those missed, and those of an unknown.
func (i *Item) Lost() float64 { return i.Points * (1 - i.Value) }

// Measure is one indicator that an item was judged by. Known is false when there was no data.
type Measure struct {
	Stream string  `json:"stream,omitempty"`
	Name   string  `json:"name"`
	Known  bool    `json:"known"`
	Value  float64 `json:"value"`
}

// Evidence is something that was seen, and where.
type Evidence struct {
	Source string `json:"source"`
	Text   string `json:"text"`
	Lines  []int  `json:"lines,omitempty"` // of record.jsonl, from 1
	Grade  string `json:"grade,omitempty"` // "A" to "D"; empty of what is about a source, not about what happened
}

// Safety is the gate that is not scored: what was injected must be gone.
type Safety struct {
	Injected int      `json:"injected"` // faults that took effect
	Gone     int      `json:"gone"`     // of those, the ones proven to be over
	Residue  []string `json:"residue,omitempty"`
	Unseen   string   `json:"unseen,omitempty"` // why it is not known whether more is left
	Clean    bool     `json:"clean"`
	Text     string   `json:"text"`

	lab bool // what is left standing was in a lab, which ended with the run
}

// Advice is something to do next, with the items it would win points for.
type Advice struct {
	Text  string   `json:"text"`
	Items []string `json:"items"`
	Lost  float64  `json:"lost"` // points not earned for certain
}

// FaultFact is one injection with the proof of its effect.
type FaultFact struct {
	Fault   string         `json:"fault"`
	Kind    string         `json:"kind"`
	Place   string         `json:"place"`
	Onset   clock.Interval `json:"onset,omitzero"`
	Gone    clock.Interval `json:"gone,omitzero"`
	Effect  string         `json:"effect,omitempty"`
	Details []string       `json:"details,omitempty"`
	State   string         `json:"state"` // what became of it, in words
	Lines   []int          `json:"lines,omitempty"`
}

// AlarmFact is one episode of an alarm with what it counted as.
type AlarmFact struct {
	Source  string         `json:"source"`
	Name    string         `json:"name"`
	Class   Class          `json:"class,omitempty"`
	Pending clock.Interval `json:"pending,omitzero"`
	Firing  clock.Interval `json:"firing,omitzero"`
	Paged   clock.Interval `json:"paged,omitzero"`
	Ended   clock.Interval `json:"ended,omitzero"`
	Held    []string       `json:"suppressed_by,omitempty"`
	Lines   []int          `json:"lines,omitempty"`
}

// Source is how well a source of alarms or responses could be read.
type Source struct {
	Name       string        `json:"name"`
	Kind       string        `json:"kind"`     // "alarms" or "responses"
	Coverage   float64       `json:"coverage"` // share of the run, 0 to 1
	Resolution time.Duration `json:"resolution,omitempty"`
	Offset     clock.Offset  `json:"offset"`
	Seen       int           `json:"seen"` // episodes or events
	Why        []string      `json:"why,omitempty"`
	Error      string        `json:"error,omitempty"`
	Lines      []int         `json:"lines,omitempty"`
}

// Engine is what the generator of one stream did and used over the load phase.
type Engine struct {
	Stream   string        `json:"stream"`
	Engine   string        `json:"engine"`
	Script   string        `json:"script"`
	Rate     float64       `json:"rate"`               // 1x, iterations per second
	Multiple float64       `json:"multiple"`           // the largest of the load phase
	Manner   string        `json:"manner,omitempty"`   // how it comes to that: "steps 1 2 3 hold 30s, poisson"
	Baseline string        `json:"baseline,omitempty"` // how 1x was measured, in words; empty when it was given
	Due      uint64        `json:"due"`
	Started  uint64        `json:"started"`
	Dropped  uint64        `json:"dropped"`
	Thrown   uint64        `json:"thrown"`
	Cores    float64       `json:"cores"`     // processor time per time, on average
	Waiting  float64       `json:"waiting"`   // time its threads were ready but not running, per time
	Paused   float64       `json:"paused"`    // time its garbage collector had it stopped, per time
	Lateness time.Duration `json:"lateness"`  // largest delay from intended to actual start
	QueueP50 time.Duration `json:"queue_p50"` // delays from intended to actual start, which response times hold and service times do not
	QueueP99 time.Duration `json:"queue_p99"`
	VUs      int           `json:"vus"` // most virtual users busy at the end of a second
	MaxVUs   int           `json:"max_vus"`
	Memory   uint64        `json:"memory"` // most resident bytes
}

// Verdict is the judgement of a run. The zero value is Inconclusive.
type Verdict int

// The verdicts.
const (
	Inconclusive Verdict = iota
	Passed
	Failed
	Aborted
)

// verdicts are the words, and the order of rank from weakest to strongest: Failed > Aborted > Inconclusive > Passed.
var verdicts = [...]struct {
	word string
	rank int
}{Inconclusive: {"inconclusive", 1}, Passed: {"passed", 0}, Failed: {"failed", 3}, Aborted: {"aborted", 2}}

// String returns the verdict's word, in lower case.
func (v Verdict) String() string {
	if v < 0 || int(v) >= len(verdicts) {
		return verdicts[Inconclusive].word
	}
	return verdicts[v].word
}

// MarshalText writes the verdict's word.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads a verdict's word and refuses any other.
func (v *Verdict) UnmarshalText(b []byte) error {
	for c, x := range verdicts {
		if x.word == string(b) {
			*v = Verdict(c)
			return nil
		}
	}
	return fmt.Errorf("unknown verdict %q", b)
}

// Merge returns the stronger of two verdicts: Failed > Aborted > Inconclusive > Passed.
func (v Verdict) Merge(o Verdict) Verdict {
	if verdicts[o].rank > verdicts[v].rank {
		return o
	}
	return v
}

// ExitCode returns what a process that judged the run exits with: 0 passed, 1 failed, 3 inconclusive, 4 aborted, and 5
// whenever a fault was left standing. 2 is for a scenario that could not be run at all, so it has no scorecard.
func (c *Scorecard) ExitCode() int {
	switch {
	case c.Residue:
		return 5
	case c.Verdict == Passed:
		return 0
	case c.Verdict == Failed:
		return 1
	case c.Verdict == Aborted:
		return 4
	default:
		return 3
	}
}

// Class says what an alarm's episode, or its absence, counts as.
type Class string

// The classes of alarms. q is the begin of the pending phase, s the begin of firing, t0 the onset of the cause, D the
// limit.
const (
	ClassHit         Class = "hit"         // q ≥ t0, s within D
	ClassLate        Class = "late"        // q ≥ t0, s after D
	ClassMissed      Class = "missed"      // no episode, and the source was watched
	ClassUnobserved  Class = "unobserved"  // no episode, and the source was not watched well enough to tell
	ClassPreexisting Class = "preexisting" // s < t0: it fired already
	ClassPrimed      Class = "primed"      // q < t0 ≤ s: it was pending before the fault, so the fault is not its cause
	ClassSuppressed  Class = "suppressed"  // it fired, and a silence or an inhibition held its page back
	ClassFlapping    Class = "flapping"    // more episodes than max_flaps allows
	ClassStuck       Class = "stuck"       // it did not clear in time
	ClassFalseAlarm  Class = "false_alarm" // nobody expected it
	ClassCollateral  Class = "collateral"  // unexpected, on a declared dependent of the target: reported, not penalised
	ClassBackground  Class = "background"  // it fired before the first fault too: of an unexpected one reported, not penalised; of an expected one no proof
)

// matches reports whether labels satisfy a set of wanted labels, as alarms.Match does.
func matches(want, labels map[string]string) bool { return alarms.Match(want, labels) }
