// Package rehearsals says what a rehearsal is: scenarios that all must go well before something launches, such as a region. It tells from
// what records show which scenarios are to be run next, and judges over all of them: go, no-go, or not yet known.
//
// The package is pure: plain values, no language, no files, no clock of its own. Package scenarios decodes rehearsals from a calendar,
// package rehearsals/kept finds in a folder of records what was run for one, package rehearsals/bundle packs it.
//
// No data is never go. What was never run, did not end, was inconclusive, passed too long ago, or passed before the scenario was changed,
// is not yet known.
package rehearsals

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gameday/clock"
	"gameday/report"
	"gameday/schedules"
)

// Rehearsal is what must go well before a launch. It is never changed once made, and safe for concurrent use.
type Rehearsal struct {
	Name string `json:"name"`
	File string `json:"file"` // the calendar that it is from
	// Steps are in the order in which they were written. Those of one lane are run in it, one after the other.
	Steps   []Step   `json:"steps"`
	StopOn  Stops    `json:"stop_on"`
	Require Limits   `json:"require"`
	SignOff []string `json:"sign_off"` // roles, each of which somebody must sign for
	// CompareWith names the rehearsal that this one is compared with; empty is the one that was run last before.
	CompareWith string `json:"compare_with,omitempty"`
}

// Step is one scenario of a rehearsal, known by its scenario's name.
type Step struct {
	Item schedules.Item `json:"item"`
	Lane string         `json:"lane,omitempty"`
	// Fingerprint stands for what is run: the scenario's files and its variables. When it changes, what was run before says nothing.
	Fingerprint string `json:"fingerprint"`
}

// stepJSON is the JSON form of a step.
type stepJSON struct {
	Scenario    string        `json:"scenario"`
	File        string        `json:"file"`
	Variables   []string      `json:"variables,omitempty"` // "name=value"
	VarFiles    []string      `json:"var_files,omitempty"`
	Lane        string        `json:"lane,omitempty"`
	Length      time.Duration `json:"length"` // as planned
	Blind       bool          `json:"blind,omitempty"`
	Fingerprint string        `json:"fingerprint"`
}

// MarshalJSON writes the step without what it holds.
func (s Step) MarshalJSON() ([]byte, error) {
	i := s.Item
	return json.Marshal(stepJSON{i.Scenario, i.File, i.Vars, i.VarFiles, s.Lane, i.Length, i.Blind, s.Fingerprint})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Step) UnmarshalJSON(b []byte) error {
	var j stepJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*s = Step{Item: schedules.Item{File: j.File, Scenario: j.Scenario, Vars: j.Variables, VarFiles: j.VarFiles, Length: j.Length, Blind: j.Blind},
		Lane: j.Lane, Fingerprint: j.Fingerprint}
	return nil
}

// Name returns the name by which the step is known.
func (s Step) Name() string { return s.Item.Scenario }

// Limits are what every scenario must reach, beside passing.
type Limits struct {
	// Score is the least score, in points out of 100; nil asks for the scenario's own pass mark alone.
	Score *float64 `json:"score,omitempty"`
	// Parts are the least shares of single parts, in percent of what the part is worth.
	Parts map[report.Part]float64 `json:"parts,omitempty"`
	// Coverage is the least share of the points that could be judged, in percent; nil asks for none.
	Coverage *float64 `json:"coverage,omitempty"`
	// FreshWithin is how long ago a run may have begun; 0 is as long as anybody likes.
	FreshWithin time.Duration `json:"fresh_within,omitempty"`
}

// Stops are the verdicts after which no further scenario is begun. A fault that is left standing always stops.
type Stops []report.Verdict

// DefaultStops are those of a rehearsal that says nothing.
var DefaultStops = Stops{report.Aborted}

// Run is what the record of one run shows of a step. It has all that is judged by.
type Run struct {
	Record      string           `json:"record"` // its folder's name
	Run         string           `json:"run"`
	Version     string           `json:"version"` // of the gameday that ran it
	Fingerprint string           `json:"fingerprint"`
	Started     time.Time        `json:"started"`
	Length      time.Duration    `json:"length"`
	End         report.EndReason `json:"end"`
	Verdict     report.Verdict   `json:"verdict"`
	Residue     bool             `json:"residue,omitempty"`
	Low         float64          `json:"low"`
	High        float64          `json:"high"`
	Coverage    float64          `json:"coverage"` // 0 to 1
	Parts       []Part           `json:"parts"`
	Why         []string         `json:"why,omitempty"` // of the verdict
	// Missed are the titles of items that were missed: what was required first, then what cost most, and how many more there are.
	Missed []string `json:"missed,omitempty"`
	// Overridden counts items whose outcome people decided.
	Overridden int `json:"overridden,omitempty"`
	// Report is the SHA-256 of the run's scorecard in its JSON form; empty when the record cannot be read.
	Report string `json:"report"`
	// Running says that the run goes on.
	Running bool `json:"running,omitempty"`
	// Unread says why the record cannot be judged; empty when it was.
	Unread string `json:"unread,omitempty"`
}

// Part is one part of a run's score, in points.
type Part struct {
	Part   report.Part `json:"part"`
	Points float64     `json:"points"`
	Low    float64     `json:"low"`
	High   float64     `json:"high"`
}

// RunOf takes from a scorecard what a rehearsal needs. digest is the SHA-256 of its JSON form.
func RunOf(record, fingerprint, digest string, c *report.Scorecard) Run {
	r := Run{Record: record, Run: c.Run, Version: c.Version, Fingerprint: fingerprint, Started: c.Started, Length: c.Length, End: c.End,
		Verdict: c.Verdict, Residue: c.Residue, Low: c.Low, High: c.High, Coverage: c.Coverage, Why: c.Why, Report: digest, Parts: []Part{}}
	for _, p := range c.Parts {
		r.Parts = append(r.Parts, Part{p.Part, p.Points, p.Low, p.High})
	}
	for _, i := range c.Items() {
		if i.Override != nil {
			r.Overridden++
		}
	}
	r.Missed = missed(c.Items())
	return r
}

// mostMissed bounds how many missed items are named.
const mostMissed = 3

// missed returns the titles of what was missed.
func missed(items []*report.Item) []string {
	all := slices.DeleteFunc(slices.Clone(items), func(i *report.Item) bool { return i.Outcome != clock.Missed })
	slices.SortStableFunc(all, func(a, b *report.Item) int {
		if a.Required != b.Required {
			return map[bool]int{true: -1, false: 1}[a.Required]
		}
		return cmp.Compare(b.Points*(1-b.Value), a.Points*(1-a.Value))
	})
	var out []string
	for i, x := range all {
		if i == mostMissed {
			out[i-1] += fmt.Sprintf(" and %d more", len(all)-i)
			break
		}
		out = append(out, x.Title)
	}
	return out
}

// Files are the contents of the files that a step is made of, by name.
type Files map[string][]byte

// Fingerprint returns what stands for a scenario with its files and variables.
func Fingerprint(scenario string, vars []string, files Files) string {
	h := sha256.New()
	add := func(kind string, parts ...[]byte) { // lengths, so that nothing can be moved from one part to the next
		fmt.Fprintf(h, "%s %d\n", kind, len(parts))
		for _, p := range parts {
			fmt.Fprintf(h, "%d\n", len(p))
			h.Write(p)
		}
	}
	add("scenario", []byte(scenario))
	for _, v := range slices.Sorted(slices.Values(vars)) {
		add("variable", []byte(v))
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		add("file", []byte(name), files[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Fingerprint stands for what a rehearsal asks: whoever signs, signs for this.
func (r *Rehearsal) Fingerprint() string {
	asked := struct {
		Name    string
		Steps   [][2]string
		Require Limits
		SignOff []string
	}{Name: r.Name, Require: r.Require, SignOff: r.SignOff}
	for _, s := range r.Steps {
		asked.Steps = append(asked.Steps, [2]string{s.Name(), s.Fingerprint})
	}
	return digest(asked)
}

// digest returns the SHA-256 of a value's JSON form, which has maps sorted.
func digest(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encoding what a rehearsal is: %v", err)) // plain values of ours
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Lanes returns the names of the lanes, in the order of first mention.
func (r *Rehearsal) Lanes() []string {
	var out []string
	for _, s := range r.Steps {
		if !slices.Contains(out, s.Lane) {
			out = append(out, s.Lane)
		}
	}
	return out
}

// Step returns the step of a name.
func (r *Rehearsal) Step(name string) (Step, bool) {
	i := slices.IndexFunc(r.Steps, func(s Step) bool { return s.Name() == name })
	if i < 0 {
		return Step{}, false
	}
	return r.Steps[i], true
}

// Mistake is what is wrong with a rehearsal. Field is the attribute that it is about, and Step the index of the step, or -1.
type Mistake struct {
	Field, Summary, Detail string
	Step                   int
}

// Error returns the summary and the detail.
func (m *Mistake) Error() string { return m.Summary + ": " + m.Detail }

// Validate reports everything in a rehearsal that contradicts itself, joined, each a *Mistake.
func (r *Rehearsal) Validate() error {
	var errs []error
	bad := func(step int, field, summary, detail string, args ...any) {
		errs = append(errs, &Mistake{field, summary, fmt.Sprintf(detail, args...), step})
	}
	if len(r.Steps) == 0 {
		bad(-1, "scenarios", "No scenarios", "A rehearsal without scenarios could never say go: scenarios = [\"checkout.hcl\"].")
	}
	for i, s := range r.Steps {
		for _, before := range r.Steps[:i] {
			if before.Name() == s.Name() {
				bad(i, "", "A scenario twice", "There are two scenarios %q, and records are told apart by that name. Give one of them another.", s.Name())
				break
			}
			if both := common(before.Item.Holds, s.Item.Holds); before.Lane != s.Lane && len(both) > 0 {
				bad(i, "lane", "Two lanes hold the same", "%q would run beside %q, and both hold %s: each would see the other's faults. Put them into one lane.",
					s.Name(), before.Name(), strings.Join(both, ", "))
				break
			}
		}
	}
	percent := func(field string, v float64) {
		if !(v >= 0 && v <= 100) {
			bad(-1, field, "Not between 0 and 100", "%v is no share of 100.", v)
		}
	}
	if r.Require.Score != nil {
		percent("require.score", *r.Require.Score)
	}
	if r.Require.Coverage != nil {
		percent("require.coverage", *r.Require.Coverage)
	}
	for _, p := range slices.Sorted(maps.Keys(r.Require.Parts)) {
		percent("require.parts", r.Require.Parts[p])
	}
	for i, role := range r.SignOff {
		if slices.Contains(r.SignOff[:i], role) {
			bad(-1, "sign_off", "A role twice", "%q is there twice, and would be signed for once.", role)
		}
	}
	if r.CompareWith == r.Name && r.Name != "" {
		bad(-1, "compare_with", "Compared with itself", "compare_with names another rehearsal, such as that of the region before.")
	}
	return errors.Join(errs...)
}

func common(a, b []string) []string {
	var out []string
	for _, x := range a {
		if slices.Contains(b, x) {
			out = append(out, x)
		}
	}
	return out
}
