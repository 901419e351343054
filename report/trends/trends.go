// Package trends tells how game days go over time, from a folder of records: which scenarios passed and when, how long it
// took to detect and to acknowledge, and which alarms no game day has ever seen fire. It is pure: the clock and the runs are
// given.
package trends

import (
	"cmp"
	"math"
	"slices"
	"time"

	"gameday/clock"
	"gameday/report"
	"gameday/report/history"
	"gameday/report/stats"
)

// Trends is all that is told. Its JSON form is the machine-readable one. A lists's entries are in a fixed order.
type Trends struct {
	Now       time.Time         `json:"now"`
	Scenarios []Scenario        `json:"scenarios"` // by name
	Series    []Series          `json:"series"`    // by scenario, then as listed at Kind, then by name
	Alarms    []Alarm           `json:"alarms"`    // those that were never seen to fire first
	Skipped   []history.Skipped `json:"skipped"`   // folders that tell nothing, and why
}

// Scenario is how one scenario went. Searches for the capacity have no verdict, and do not count as runs.
type Scenario struct {
	Name     string `json:"name"`
	Runs     int    `json:"runs"`
	Passed   int    `json:"passed"`
	Searches int    `json:"searches,omitempty"`
	// Last is the newest run, and LastPassed the newest that passed; nil when there is none.
	Last       *Run `json:"last"`
	LastPassed *Run `json:"last_passed"`
	// Days is how many whole days ago LastPassed began; nil when none did, or when it began after now.
	Days *int `json:"days_since_passed"`
}

// Run is one run.
type Run struct {
	Folder  string         `json:"folder"`
	Started time.Time      `json:"started"`
	Verdict report.Verdict `json:"verdict"`
	Residue bool           `json:"residue,omitempty"`
}

// Kind says what times a series is of.
type Kind string

// The kinds.
const (
	DetectAlarm Kind = "alarm detected"     // from the onset of its fault to the alarm
	DetectFault Kind = "fault detected"     // from the onset to the first alarm of those expected
	AckAlarm    Kind = "page acknowledged"  // from the page to its acknowledgement by a human being, by response
	AckFault    Kind = "fault acknowledged" // the first of those about the fault's alarms
)

// kinds in the order that they are printed.
var kinds = []Kind{DetectFault, DetectAlarm, AckFault, AckAlarm}

// Series is how long one thing took over the runs of a scenario.
type Series struct {
	Scenario string `json:"scenario"`
	Kind     Kind   `json:"kind"`
	Of       string `json:"of"`
	// Points has one for each run that expected it, the oldest first.
	Points []Point `json:"points"`
	// N is of how many runs the figures are: those in which it is known how long it took, and those in which it never came,
	// which counts as longer than any. Unknown is in how many it is not known.
	N       int `json:"n"`
	Never   int `json:"never"`
	Unknown int `json:"unknown"`
	// Median, Min and Max are between what they lie. They are nil without a run.
	Median *Value `json:"median"`
	Min    *Value `json:"min"`
	Max    *Value `json:"max"`
	// Way is how the newer half of the runs differs from the older one.
	Way Way `json:"way"`
}

// Point is one run in a series.
type Point struct {
	Folder  string    `json:"folder"`
	Started time.Time `json:"started"`
	// Value is nil when it is not known.
	Value *Value `json:"value"`
}

// Value is a time in seconds, between Low and High. One that never came has neither. A median between one that came and
// one that never did has no High.
type Value struct {
	Low  *float64 `json:"low"`
	High *float64 `json:"high"`
}

// Way is the direction of a series, by an exact rank test of its newer half against its older half.
type Way struct {
	Word WayWord `json:"word"`
	// P is the probability of halves that differ so much by chance, two-sided, adjusted for all series that are tested
	// (Holm). It is nil where there are too few runs.
	P *float64 `json:"p"`
}

// WayWord says which way a series goes.
type WayWord string

// The words.
const (
	TooFew   WayWord = "too few runs"
	NoChange WayWord = "no sign of change"
	Slower   WayWord = "slower"
	Faster   WayWord = "faster"
)

const (
	// fewest is how many runs a direction takes: with four in each half chance alone puts all of one half above the other
	// in one case of 35, and with three in one of 10, which could never be told from chance.
	fewest = 8
	level  = 0.05
)

// Alarm is an alarm that game days expected to fire because of a fault.
type Alarm struct {
	Name      string   `json:"name"`
	Source    string   `json:"source"`
	Scenarios []string `json:"scenarios"`
	Expected  int      `json:"expected"` // runs
	Fired     int      `json:"fired"`    // of those, in which it was seen to fire because of its fault
	Never     int      `json:"never"`    // in which it did not, and was watched
	Unknown   int      `json:"unknown"`
	// LastFired began the newest run in which it fired; nil when there is none.
	LastFired *time.Time `json:"last_fired"`
}

// Of makes the trends of runs, whatever their order.
func Of(runs []history.Entry, skipped []history.Skipped, now time.Time) *Trends {
	runs = slices.Clone(runs)
	slices.SortStableFunc(runs, func(a, b history.Entry) int {
		return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.Folder, b.Folder))
	})
	t := &Trends{Now: now.UTC(), Scenarios: scenarios(runs, now), Series: series(runs), Alarms: exercised(runs),
		Skipped: append([]history.Skipped{}, skipped...)}
	t.direct()
	return t
}

func scenarios(runs []history.Entry, now time.Time) []Scenario {
	by := map[string]*Scenario{}
	for i := range runs {
		e := &runs[i]
		s := by[e.Scenario]
		if s == nil {
			s = &Scenario{Name: e.Scenario}
			by[e.Scenario] = s
		}
		if e.Search {
			s.Searches++
			continue
		}
		s.Runs++
		s.Last = &Run{e.Folder, e.Started.UTC(), e.Verdict, e.Residue}
		if e.Verdict == report.Passed {
			s.Passed++
			s.LastPassed = s.Last
		}
	}
	out := []Scenario{}
	for _, s := range by {
		if s.LastPassed != nil && !s.LastPassed.Started.After(now) {
			days := int(now.Sub(s.LastPassed.Started) / (24 * time.Hour))
			s.Days = &days
		}
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b Scenario) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// seen is a time of one run: an outcome, and how long it took where that is known.
type seen struct {
	came clock.Outcome
	took *clock.Latency
}

func (s seen) value() *Value {
	switch {
	case s.came == clock.Missed:
		return &Value{}
	case s.came == clock.Met && s.took != nil:
		lo, hi := s.took.Lo.Seconds(), s.took.Hi.Seconds()
		return &Value{&lo, &hi}
	}
	return nil
}

// first returns when the first of several came. One that is unknown may have been earlier than those that are known.
func first(all []seen) seen {
	out := seen{came: clock.Missed}
	for _, s := range all {
		switch {
		case s.came == clock.Met && s.took == nil, s.came == clock.Unknown && out.came == clock.Missed:
			if out.took == nil {
				out = seen{came: clock.Unknown}
			}
		case s.came == clock.Met && out.took == nil:
			out = seen{clock.Met, s.took}
		case s.came == clock.Met:
			out.took = &clock.Latency{Lo: min(out.took.Lo, s.took.Lo), Hi: min(out.took.Hi, s.took.Hi)}
		}
	}
	if out.took == nil {
		return out
	}
	for _, s := range all {
		if s.came == clock.Unknown || s.came == clock.Met && s.took == nil {
			out.took = &clock.Latency{Hi: out.took.Hi}
		}
	}
	return out
}

type seriesKey struct {
	scenario string
	kind     Kind
	of       string
}

func series(runs []history.Entry) []Series {
	by := map[seriesKey]*Series{}
	for i := range runs {
		e := &runs[i]
		if e.Search {
			continue
		}
		of := map[seriesKey][]seen{}
		add := func(kind Kind, name string, s seen) {
			k := seriesKey{e.Scenario, kind, name}
			of[k] = append(of[k], s)
		}
		for _, a := range e.Alarms {
			add(DetectAlarm, a.Name, seen{a.Fired, a.Took})
			add(DetectFault, a.Fault, seen{a.Fired, a.Took})
		}
		for _, a := range e.Answers {
			add(AckAlarm, a.Name, seen{a.Came, a.Took})
			add(AckFault, a.Fault, seen{a.Came, a.Took})
		}
		for k, all := range of {
			if by[k] == nil {
				by[k] = &Series{Scenario: k.scenario, Kind: k.kind, Of: k.of}
			}
			by[k].Points = append(by[k].Points, Point{e.Folder, e.Started.UTC(), first(all).value()})
		}
	}
	out := []Series{}
	for k, s := range by {
		if k.of == "" { // of no fault
			continue
		}
		s.sum()
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b Series) int {
		return cmp.Or(cmp.Compare(a.Scenario, b.Scenario), cmp.Compare(slices.Index(kinds, a.Kind), slices.Index(kinds, b.Kind)),
			cmp.Compare(a.Of, b.Of))
	})
	return out
}

// readings are the times of the runs in which something is known, the oldest first.
func (s *Series) readings() []stats.Reading {
	var out []stats.Reading
	for _, p := range s.Points {
		switch {
		case p.Value == nil:
		case p.Value.Low == nil:
			out = append(out, stats.Exactly(math.Inf(1)))
		default:
			out = append(out, stats.Reading{Lo: *p.Value.Low, Hi: *p.Value.High})
		}
	}
	return out
}

// sum counts, and finds the median, the least and the most. Each end of an interval is the median, or the least, or the
// most, of all ends of its sort: the true one cannot lie outside of them.
func (s *Series) sum() {
	var lows, highs []float64
	for _, r := range s.readings() {
		lows, highs = append(lows, r.Lo), append(highs, r.Hi)
		if math.IsInf(r.Lo, 1) {
			s.Never++
		}
	}
	s.N, s.Unknown = len(lows), len(s.Points)-len(lows)
	if s.N == 0 {
		return
	}
	slices.Sort(lows)
	slices.Sort(highs)
	lower, upper := (s.N-1)/2, s.N/2
	middle := func(vs []float64) float64 { return vs[lower] + (vs[upper]-vs[lower])/2 }
	switch {
	case math.IsInf(lows[lower], 1):
		s.Median = &Value{}
	case math.IsInf(lows[upper], 1): // between one that came and one that never did
		s.Median = &Value{Low: &lows[lower]}
	default:
		s.Median = between(middle(lows), middle(highs))
	}
	s.Min, s.Max = between(lows[0], highs[0]), between(lows[s.N-1], highs[s.N-1])
}

func between(lo, hi float64) *Value {
	v := &Value{}
	if !math.IsInf(lo, 1) {
		v.Low = &lo
	}
	if !math.IsInf(hi, 1) {
		v.High = &hi
	}
	return v
}

// direct tells which way each series goes. One that is the same as another, as a fault's with one alarm is the alarm's, is
// one test and not two.
func (t *Trends) direct() {
	var tested []*Series
	var ps []float64
	same := map[*Series]*Series{}
	for i := range t.Series {
		s := &t.Series[i]
		s.Way.Word = TooFew
		r := s.readings()
		if len(r) < fewest {
			continue
		}
		if k := slices.IndexFunc(tested, func(o *Series) bool {
			return o.Scenario == s.Scenario && slices.Equal(o.readings(), r)
		}); k >= 0 {
			same[s] = tested[k]
			continue
		}
		older, newer := r[:len(r)/2], r[len(r)/2:]
		up, down := stats.Above(older, newer, 0), stats.Below(older, newer, 0)
		s.Way.Word = Slower
		if down < up {
			s.Way.Word = Faster
		}
		tested, ps = append(tested, s), append(ps, min(1, 2*min(up, down)))
	}
	for i, p := range stats.Holm(ps) {
		tested[i].Way.P = &p
		if p > level {
			tested[i].Way.Word = NoChange
		}
	}
	for s, o := range same {
		s.Way = o.Way
	}
}

func exercised(runs []history.Entry) []Alarm {
	type key struct{ source, name string }
	by := map[key]*Alarm{}
	for i := range runs {
		e := &runs[i]
		for _, x := range e.Alarms {
			k := key{x.Source, x.Name}
			a := by[k]
			if a == nil {
				a = &Alarm{Name: x.Name, Source: x.Source}
				by[k] = a
			}
			a.Expected++
			if !slices.Contains(a.Scenarios, e.Scenario) {
				a.Scenarios = append(a.Scenarios, e.Scenario)
			}
			switch x.Fired {
			case clock.Met:
				a.Fired++
				at := e.Started.UTC()
				a.LastFired = &at
			case clock.Missed:
				a.Never++
			default:
				a.Unknown++
			}
		}
	}
	out := []Alarm{}
	for _, a := range by {
		slices.Sort(a.Scenarios)
		out = append(out, *a)
	}
	slices.SortFunc(out, func(a, b Alarm) int {
		return cmp.Or(cmp.Compare(min(a.Fired, 1), min(b.Fired, 1)), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Source, b.Source))
	})
	return out
}

// Exercised returns how many alarms were ever seen to fire because of a fault, of how many that were expected to.
func (t *Trends) Exercised() (seen, of int) {
	for _, a := range t.Alarms {
		if a.Fired > 0 {
			seen++
		}
	}
	return seen, len(t.Alarms)
}
