package report

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"gameday/clock"
	"gameday/loadgen"
)

// CapacityStep is one step of a search for the capacity.
type CapacityStep struct {
	loadgen.Step
	Multiple float64 `json:"multiple"` // of the baseline rate
	// From and To are the seconds that were judged, without the way there and the time to settle.
	From    time.Time           `json:"from"`
	To      time.Time           `json:"to"`
	Outcome loadgen.StepOutcome `json:"outcome"`
	Why     string              `json:"why,omitempty"` // which objective broke, or what was in the way
}

// CapacityAnswer is what a search found.
type CapacityAnswer struct {
	loadgen.Found
	Base  float64 `json:"base"` // 1x: arrivals per second of all streams together
	Fault string  `json:"fault,omitempty"`
}

// Curve is the answer of a search for the capacity, with what was measured at each rate.
type Curve struct {
	Scenario string        `json:"scenario"`
	Summary  string        `json:"summary,omitempty"`
	Fault    string        `json:"fault,omitempty"` // the one that stood throughout
	Started  time.Time     `json:"started"`
	Length   time.Duration `json:"length"`
	Base     float64       `json:"base"` // 1x, arrivals per second
	Found    loadgen.Found `json:"found"`
	Points   []CurvePoint  `json:"points"`
	Knee     *Knee         `json:"knee,omitempty"`
	// Ended says why the run ended, when it was not for having found it.
	Ended   string    `json:"ended,omitempty"`
	Reason  EndReason `json:"reason"`
	Residue []string  `json:"residue,omitempty"`
	Unseen  string    `json:"unseen,omitempty"` // why it is not known whether more is left
	Remarks []string  `json:"remarks,omitempty"`
}

// CurvePoint is what was measured at one rate. Times are response times, in seconds.
type CurvePoint struct {
	Kind    loadgen.StepKind    `json:"kind"`
	Rate    float64             `json:"rate"`    // asked for, arrivals per second
	Reached float64             `json:"reached"` // begun, arrivals per second
	Seconds int                 `json:"seconds"`
	P50     float64             `json:"p50"`
	P95     float64             `json:"p95"`
	P99     float64             `json:"p99"`
	Errors  float64             `json:"errors"` // ratio
	Outcome loadgen.StepOutcome `json:"outcome"`
	Why     string              `json:"why,omitempty"`
}

// Knee is where response times begin to rise: up to Rate the p95 grew by Before seconds for each arrival a second more, and
// beyond by After.
type Knee struct {
	Rate   float64 `json:"rate"`
	Before float64 `json:"before"`
	After  float64 `json:"after"`
}

// ErrNoSearch says that a record is not of a search for the capacity.
var ErrNoSearch = errors.New("this is the record of a game day, not of a search for the capacity")

// CurveOf reads the answer of a search out of its record. It is pure.
func CurveOf(rec *Record) (*Curve, error) {
	steps := all[CapacityStep](rec, CapacityStepped)
	found := all[CapacityAnswer](rec, CapacityFound)
	started := all[Started](rec, RunStarted)
	ended := all[Ended](rec, RunEnded)
	if len(steps) == 0 && len(found) == 0 && rec.Plan.Search == nil {
		return nil, ErrNoSearch
	}
	c := &Curve{Scenario: rec.Plan.Scenario, Summary: rec.Plan.Summary, Reason: EndInterrupted}
	if len(started) > 0 {
		c.Started = started[0].V.At
	}
	c.Length = rec.lasted
	if n := len(rec.Events); n > 0 {
		c.Length = max(c.Length, rec.Events[n-1].T)
	}
	for _, t := range rec.Plan.Traffic {
		c.Base += t.Rate
	}
	if s := rec.Plan.Search; s != nil {
		c.Fault = s.Fault
	}
	c.Found.Why = "the search did not come to an end"
	if len(found) > 0 {
		c.Found = found[len(found)-1].V.Found
	}
	if len(ended) > 0 {
		e := ended[len(ended)-1].V
		c.Reason, c.Residue, c.Unseen = e.Reason, e.Residue, e.Unseen
		if e.Reason != EndComplete {
			c.Ended = cmp.Or(e.Error, string(e.Reason))
		}
	}
	for _, n := range all[GeneratorNote](rec, GeneratorSaid) {
		c.Remarks = append(c.Remarks, n.V.Stream+": "+n.V.Message)
	}
	for _, n := range all[Note](rec, Noted) {
		c.Remarks = append(c.Remarks, n.V.Text)
	}
	load := newTraffic(rec)
	for _, s := range steps {
		if s.V.Kind != loadgen.Rest {
			c.Points = append(c.Points, load.point(s.V))
		}
	}
	c.Knee = kneeOf(c.Points)
	return c, nil
}

// point measures one step from the windows it covers.
func (l *traffic) point(s CapacityStep) CurvePoint {
	p := CurvePoint{Kind: s.Kind, Rate: s.Rate, Outcome: s.Outcome, Why: s.Why}
	span := clock.Span{Start: s.From, End: s.To}
	r := l.over(span)
	seconds := map[time.Time]bool{}
	var begun uint64
	for _, w := range l.inside(span) {
		seconds[w.Start.Truncate(second)] = true
		begun += w.Started
	}
	if p.Seconds = len(seconds); p.Seconds > 0 {
		p.Reached = float64(begun) / float64(p.Seconds)
	}
	p.P50, _ = r.Read("", "p50")
	p.P95, _ = r.Read("", "p95")
	p.P99, _ = r.Read("", "p99")
	p.Errors, _ = r.Read("", "error_ratio")
	return p
}

// leastBend is how far a curve must lie below the straight line between its ends, as a share of its height, to have a knee.
const leastBend = 0.25

// kneeOf finds the point of the p95 over the rate that lies farthest below the straight line from the first to the last:
// the method of Satopää, Albrecht, Irwin and Raghavan, "Finding a Kneedle in a Haystack" (2011), for a curve that rises ever
// faster. It is nil when there are too few points, or when the curve hardly bends.
func kneeOf(points []CurvePoint) *Knee {
	curve := byRate(points)
	if len(curve) < 4 {
		return nil
	}
	first, last := curve[0], curve[len(curve)-1]
	width, height := last.Rate-first.Rate, last.P95-first.P95
	if width <= 0 || height <= 0 {
		return nil
	}
	best, at := 0.0, 0
	for i, p := range curve {
		if bend := (p.Rate-first.Rate)/width - (p.P95-first.P95)/height; bend > best {
			best, at = bend, i
		}
	}
	if best < leastBend || at == 0 || at == len(curve)-1 {
		return nil
	}
	k := curve[at]
	return &Knee{Rate: k.Rate, Before: (k.P95 - first.P95) / (k.Rate - first.Rate),
		After: (last.P95 - k.P95) / (last.Rate - k.Rate)}
}

// byRate returns the points in order of their rates; of several at one rate the longest.
func byRate(points []CurvePoint) []CurvePoint {
	sorted := slices.Clone(points)
	slices.SortStableFunc(sorted, func(a, b CurvePoint) int {
		return cmp.Or(cmp.Compare(a.Rate, b.Rate), cmp.Compare(b.Seconds, a.Seconds))
	})
	return slices.CompactFunc(sorted, func(a, b CurvePoint) bool { return a.Rate == b.Rate })
}

// ExitCode returns what the search is worth to a script that needs a capacity of at least a rate, which may be 0: as the exit codes of a run.
func (c *Curve) ExitCode(atLeast float64) int {
	switch {
	case len(c.Residue) > 0:
		return 5
	case c.Reason == EndAborted || c.Reason == EndStopped:
		return 4
	case c.Unseen != "":
		return 3
	case c.Found.Confirmed && c.Found.Rate >= atLeast:
		return 0
	case c.Reason == EndComplete && c.Found.Broke > 0 && c.Found.Broke <= atLeast:
		return 1
	case c.Reason == EndComplete && c.Found.Broke > 0 && c.Found.Rate == 0 && atLeast == 0:
		return 1 // nothing holds
	}
	return 3
}

// Headline says in one line what was found: "480/s (12x of 40/s), confirmed".
func (c *Curve) Headline() string {
	f := c.Found
	if f.Rate == 0 {
		return "unknown"
	}
	words := number(round3(f.Rate)) + "/s"
	if c.Base > 0 {
		words += fmt.Sprintf(" (%sx of %s/s)", number(round3(f.Rate/c.Base)), number(c.Base))
	}
	if f.AtLeast {
		words = "at least " + words
	}
	if f.Confirmed {
		return words + ", confirmed"
	}
	return words + ", not confirmed"
}
