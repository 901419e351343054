package loadgen

import (
	"fmt"
	"math"
	"slices"
)

// Search looks for the highest rate that a system carries, step by step: it grows until a rate breaks, closes in between the
// highest that held and the lowest that broke, and confirms by holding for longer. It is pure: it asks for steps and is
// told what became of them. It is not safe for concurrent use.
//
//	grow ×2 ×2 ×2 … broke ─▶ rest ─▶ halve ─▶ halve ─▶ … ─▶ confirm ─▶ found
//	  └── the generator's limit, or the bound: "at least" ──────┘ └ broke: a little lower, and again
type Search struct {
	bounds SearchBounds

	holds   []float64 // rates that held for a step, ascending
	held    float64   // the highest of them; 0 before
	trying  float64   // a rate below one that did not hold for longer, to be confirmed; 0 when there is none
	broke   float64   // the lowest that broke; 0 before
	outgrew float64   // the lowest at which the generator was at its limit; 0 before
	firm    float64   // the highest that was confirmed
	limit   Outgrown
	asked   Step
	tries   int // of confirming
	rested  bool
	over    bool
	result  Found
}

// SearchBounds say where and how closely to look. Rates are arrivals per second of all streams together.
type SearchBounds struct {
	Start float64 // the first rate tried
	Max   float64 // never more than this
	// Grow is by what each step is larger than the last while none has broken; 2 unless it is over 1.
	Grow float64
	// Precision is how close the rate that held and the one that broke must come, as a share of the one that held; 0.05
	// unless it is over 0.
	Precision float64
}

// StepKind says what a step is for.
type StepKind string

// The kinds.
const (
	Grow    StepKind = "grow"
	Close   StepKind = "close in"
	Confirm StepKind = "confirm" // held for longer
	Rest    StepKind = "rest"    // until the system is itself again
)

// Step is a rate to try.
type Step struct {
	Kind StepKind `json:"kind"`
	Rate float64  `json:"rate"`
}

// StepOutcome is what became of a step.
type StepOutcome string

// The outcomes.
const (
	Held     StepOutcome = "held"     // every objective held
	Broke    StepOutcome = "broke"    // one did not
	Outgrew  StepOutcome = "outgrew"  // the generator was at its own limit, so nothing is known of the system
	Untold   StepOutcome = "unknown"  // there was no data to tell by
	Restless StepOutcome = "restless" // after a rest the system was not itself again
)

// Outgrown says what kept a search from going further up.
type Outgrown string

// What can.
const (
	ByNothing   Outgrown = ""
	ByBound     Outgrown = "bound"
	ByGenerator Outgrown = "generator"
)

// Found is the result of a search.
type Found struct {
	// Rate is the capacity: the highest rate that held, confirmed or not. 0 when none did.
	Rate float64 `json:"rate"`
	// AtLeast says that the system carries Rate and perhaps more, and Limit what kept from trying.
	AtLeast   bool     `json:"at_least,omitempty"`
	Limit     Outgrown `json:"limit,omitempty"`
	Confirmed bool     `json:"confirmed"`
	// Broke is the lowest rate that broke; 0 when none did.
	Broke float64 `json:"broke,omitempty"`
	Why   string  `json:"why"` // one sentence
}

const (
	// confirmTries is how often a rate may be lowered because it did not hold for longer.
	confirmTries = 4
	// generatorPrecision is how close the rate that held comes to the one at which the generator was at its limit: what is
	// in between tells of the generator, not of the system.
	generatorPrecision = 1.2
	defaultGrow        = 2
	defaultPrecision   = 0.05
)

// NewSearch returns a search.
func NewSearch(b SearchBounds) *Search {
	if !(b.Grow > 1) {
		b.Grow = defaultGrow
	}
	if !(b.Precision > 0) {
		b.Precision = defaultPrecision
	}
	b.Start = min(b.Start, b.Max)
	return &Search{bounds: b, rested: true}
}

// Next returns the next step, and false when the search is over.
func (s *Search) Next() (Step, bool) {
	if s.over || !(s.bounds.Start > 0) {
		s.finish("there is no rate to begin with")
		return Step{}, false
	}
	s.asked = s.next()
	return s.asked, !s.over
}

func (s *Search) next() Step {
	if !s.rested {
		return Step{Rest, s.restRate()}
	}
	switch {
	case s.held == 0 && s.broke == 0 && s.limit == ByNothing:
		return Step{Grow, s.bounds.Start}
	case s.held == 0 && s.trying == 0:
		return s.down()
	case s.broke == 0 && s.limit == ByNothing:
		if s.held >= s.bounds.Max {
			s.limit = ByBound
			return s.confirm()
		}
		return Step{Grow, min(s.held*s.bounds.Grow, s.bounds.Max)}
	case s.trying > 0:
		return Step{Confirm, s.trying}
	case s.tries > 0:
		return s.confirm()
	case s.broke > s.held*(1+s.bounds.Precision) && (s.limit != ByGenerator || s.broke < s.outgrew):
		return Step{Close, math.Sqrt(s.held * s.broke)}
	case s.limit == ByGenerator && s.ceiling() > s.held*generatorPrecision:
		return Step{Close, math.Sqrt(s.held * s.ceiling())}
	}
	return s.confirm()
}

// ceiling is the lowest rate that was too much, for the system or for the generator.
func (s *Search) ceiling() float64 {
	if s.broke > 0 && s.broke < s.outgrew {
		return s.broke
	}
	return s.outgrew
}

// down looks below the first rate: it was too much already.
func (s *Search) down() Step {
	least := s.bounds.Start / 64
	rate := s.bounds.Start / s.bounds.Grow
	if s.broke > 0 {
		rate = s.broke / s.bounds.Grow
	}
	if s.limit == ByGenerator || rate < least {
		s.finish("no rate held")
		return Step{}
	}
	return Step{Close, rate}
}

// confirm holds the highest rate that held, for longer.
func (s *Search) confirm() Step {
	if s.firm == s.held {
		s.finish("")
		return Step{}
	}
	return Step{Confirm, s.held}
}

// restRate is low enough for whatever broke to come to itself.
func (s *Search) restRate() float64 {
	if s.held > 0 {
		return min(s.held/4, s.bounds.Start)
	}
	return min(s.broke/4, s.bounds.Start/4)
}

// Tell says what became of the last step.
func (s *Search) Tell(o StepOutcome) {
	step := s.asked
	switch {
	case s.over:
	case step.Kind == Rest && o == Restless:
		s.finish(fmt.Sprintf("after %s/s the system did not come to itself again, so nothing more was tried",
			rateText(s.broke)))
	case step.Kind == Rest:
		s.rested = true
	case o == Held:
		s.hold(step.Rate)
		if step.Kind == Confirm {
			s.firm, s.trying = step.Rate, 0
		}
	case o == Broke && step.Kind == Confirm:
		s.unconfirmed(step.Rate)
	case o == Broke:
		s.rested, s.broke = false, step.Rate
	case o == Outgrew:
		s.limit, s.outgrew = ByGenerator, step.Rate
		if step.Kind == Confirm {
			s.finish("the generator itself did not keep up " + rateText(step.Rate) + "/s for longer than a step")
		}
	case o == Untold:
		s.finish("there was no data to tell by at " + rateText(step.Rate) + "/s")
	}
}

// hold keeps a rate that held.
func (s *Search) hold(rate float64) {
	s.holds = append(s.holds, rate)
	slices.Sort(s.holds)
	s.held = s.holds[len(s.holds)-1]
}

// unconfirmed takes back a rate that held for a step and not for longer, with all above it, and tries one a little lower.
func (s *Search) unconfirmed(rate float64) {
	s.rested, s.broke, s.limit = false, rate, ByNothing
	s.holds = slices.DeleteFunc(s.holds, func(r float64) bool { return r >= rate })
	s.held = 0
	if len(s.holds) > 0 {
		s.held = s.holds[len(s.holds)-1]
	}
	s.trying = max(rate*(1-s.bounds.Precision), s.held)
	if s.tries++; s.tries > confirmTries {
		s.trying = 0
		s.finish(fmt.Sprintf("rates held for a step and not for longer, down to %s/s", rateText(rate)))
	}
}

// Stop ends the search before its end, for a reason.
func (s *Search) Stop(why string) { s.finish(why) }

func (s *Search) finish(why string) {
	if s.over {
		return
	}
	s.over = true
	f := Found{Rate: s.held, Broke: s.broke, Confirmed: s.firm == s.held && s.held > 0, Limit: s.limit}
	if s.firm > 0 && !f.Confirmed { // one that was confirmed is worth more than a higher one that was not
		f.Rate, f.Confirmed = s.firm, true
	}
	f.AtLeast = f.Rate > 0 && (s.broke == 0 || s.limit == ByGenerator && s.outgrew < s.broke)
	f.Why = why
	switch {
	case why != "":
	case s.limit == ByGenerator && f.AtLeast:
		f.Why = fmt.Sprintf("the generator itself came to its limit above %s/s", rateText(f.Rate))
	case s.limit == ByBound:
		f.Why = fmt.Sprintf("it held all that was asked for, up to %s/s", rateText(f.Rate))
	default:
		f.Why = fmt.Sprintf("%s/s held and %s/s did not", rateText(f.Rate), rateText(f.Broke))
	}
	s.result = f
}

// Result returns what was found. Before the end of the search it is what is known so far.
func (s *Search) Result() Found {
	if s.over {
		return s.result
	}
	c := *s
	c.finish("the search was not over")
	return c.result
}

// rateText prints a rate for people.
func rateText(r float64) string {
	if r >= 100 || r == math.Trunc(r) {
		return fmt.Sprintf("%.0f", r)
	}
	return fmt.Sprintf("%.3g", r)
}
