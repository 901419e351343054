package compare

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"gameday/loadgen/sli"
	"gameday/report"
	"gameday/report/stats"
)

// Comparison is what came out of comparing two sets of runs. Its JSON form is the machine-readable one: fields keep
// their order and meaning, times are RFC 3339 in UTC, values are in the units of their yardsticks.
type Comparison struct {
	Format   int      `json:"format"` // of this structure: 1
	Scenario string   `json:"scenario"`
	Verdict  Verdict  `json:"verdict"`
	Exit     int      `json:"exit_code"`
	Why      []string `json:"why"` // the verdict's reasons
	Base     []*Run   `json:"base"`
	Head     []*Run   `json:"head"`
	// Pairs is after how many pairs of runs a sequence was judged, and MostPairs how many it may have; 0 for sets.
	Pairs     int `json:"pairs,omitempty"`
	MostPairs int `json:"most_pairs,omitempty"`
	// Decided says that a sequence needs no more pairs, or may have none.
	Decided bool `json:"decided,omitempty"`
	// Warnings name what is not the same on both sides, and what else the verdicts must be taken with.
	Warnings []string `json:"warnings,omitempty"`
	Rows     []Row    `json:"rows"`

	tolerances   map[string]report.Tolerance
	phases       []report.Phase
	each         bool
	streams      int               // of all runs together
	incomparable map[string]string // by stream: why its traffic cannot be compared
	otherLoad    map[loadKey]string
	cuts         map[cutKey][][]*sli.Aggregate
}

// Options change how a comparison goes.
type Options struct {
	// Tolerances go before those of the scenario, by yardstick.
	Tolerances map[string]report.Tolerance
}

// ErrNothingInCommon says that two sets of runs cannot be compared at all.
var ErrNothingInCommon = errors.New("the two sets of runs have nothing in common")

// Compare compares two sets of runs. It does not depend on the order of either. The tolerances are those of head's
// scenario; where its runs differ in them, those of the newest. An error says that the sets cannot be compared at all.
func Compare(base, head []*Run, o Options) (*Comparison, error) {
	if len(base) == 0 || len(head) == 0 {
		return nil, errors.New("both sides of a comparison need at least one run")
	}
	c := &Comparison{Format: 1, cuts: map[cutKey][][]*sli.Aggregate{}}
	var twice [2][]string
	c.Base, twice[0] = inOrder(base)
	c.Head, twice[1] = inOrder(head)
	c.settings(o)
	if err := c.comparable(); err != nil {
		return nil, err
	}
	c.warn(twice)
	for _, m := range c.metrics() {
		c.Rows = append(c.Rows, c.judge(m, c.Base, c.Head))
	}
	c.adjust()
	c.overall(c.byHolm)
	c.warnBlocks()
	c.cuts = nil
	return c, nil
}

// settings takes what counts, and with which tolerance, from head's plans.
func (c *Comparison) settings(o Options) {
	plan := c.Head[len(c.Head)-1].Plan
	c.Scenario = plan.Scenario
	c.tolerances = report.TolerancesOf(plan)
	if g := plan.Regression; g != nil {
		c.phases, c.each = g.Phases, g.EachTraffic
	}
	if len(c.phases) == 0 {
		c.phases = []report.Phase{report.Load}
	}
	maps.Copy(c.tolerances, o.Tolerances)
}

// counts reports whether a metric is a part of the overall verdict.
func (c *Comparison) counts(m Metric) bool {
	if !c.tolerances[m.Yardstick].Counts || m.Fault || m.Traffic != "" && !c.each {
		return false
	}
	return m.Stretch == "" || slices.Contains(c.phases, report.Phase(m.Stretch))
}

// metrics returns everything that any of the runs tells of, in the order it is printed. Whether something came about at
// all is a metric of its own where in some run it did not.
func (c *Comparison) metrics() []Metric {
	all := map[Metric]bool{}
	for _, r := range slices.Concat(c.Base, c.Head) {
		for m, s := range r.Samples {
			if m.Traffic != "" && c.streams < 2 {
				continue
			}
			all[m] = true
			if s.State == report.FigureNever {
				m.Share = true
				all[m] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(all), order)
}

// adjust adjusts the p-values of the rows that count for being several.
func (c *Comparison) adjust() {
	adjust := func(p func(*Row) (**float64, **float64)) {
		var ps []float64
		var into []**float64
		for i := range c.Rows {
			if from, to := p(&c.Rows[i]); c.Rows[i].Counts && *from != nil {
				ps, into = append(ps, **from), append(into, to)
			}
		}
		for i, v := range stats.Holm(ps) {
			*into[i] = &v
		}
	}
	adjust(func(r *Row) (**float64, **float64) { return &r.PWorse, &r.AdjustedWorse })
	adjust(func(r *Row) (**float64, **float64) { return &r.PBetter, &r.AdjustedBetter })
}

// overall gives the verdict over all rows that count, and its reasons. It is worse when a row is, and is confirmed to
// be so among so many; not worse when that is ruled out for every row, which needs no confirmation, as all must be so
// at once; and better when besides a row is, confirmed. Anything else is unknown.
func (c *Comparison) overall(confirmed func(i int) (yes bool, unless string)) {
	var worse, better, open []string
	n := 0
	for i := range c.Rows {
		r := &c.Rows[i]
		if !r.Counts {
			continue
		}
		n++
		yes, unless := confirmed(i)
		switch {
		case r.Verdict == Worse && yes:
			worse = append(worse, r.sentence())
		case r.Verdict == Worse:
			open = append(open, fmt.Sprintf("%s; but being one of several that count, it may be chance: %s", r.sentence(),
				unless))
		case !r.NotWorse:
			open = append(open, fmt.Sprintf("%s: %s", r.label(), r.Why))
		case r.Verdict == Better && yes:
			better = append(better, r.sentence())
		}
	}
	switch {
	case len(worse) > 0:
		c.Verdict, c.Why = Worse, worse
	case n == 0:
		c.Verdict, c.Why = Unknown, []string{"nothing was compared that counts"}
	case len(open) > 0:
		c.Verdict, c.Why = Unknown, open
	case len(better) > 0:
		c.Verdict, c.Why = Better, better
	default:
		c.Verdict, c.Why = Same, []string{fmt.Sprintf("of the %d yardsticks that count, none is worse by more than is "+
			"tolerated", n)}
	}
	c.Exit = c.Verdict.ExitCode()
}

// byHolm confirms rows by their adjusted p-values.
func (c *Comparison) byHolm(i int) (yes bool, unless string) {
	r := &c.Rows[i]
	p := r.AdjustedWorse
	if r.Verdict == Better {
		p = r.AdjustedBetter
	}
	if p == nil {
		return true, ""
	}
	return *p <= family, fmt.Sprintf("the p adjusted for that is %s; compare more runs", pWords(*p))
}

// comparable finds out which traffic can be compared: streams that every run has.
func (c *Comparison) comparable() error {
	c.incomparable = map[string]string{}
	names := map[string]bool{}
	runs := slices.Concat(c.Base, c.Head)
	for _, r := range runs {
		for _, t := range r.Plan.Traffic {
			names[t.Name] = true
		}
	}
	c.streams = len(names)
	var partly []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		without := slices.IndexFunc(runs, func(r *Run) bool {
			return !slices.ContainsFunc(r.Plan.Traffic, func(t report.TrafficPlan) bool { return t.Name == name })
		})
		if without >= 0 {
			where := sideNames[0]
			if without >= len(c.Base) {
				where = sideNames[1]
			}
			c.incomparable[name] = fmt.Sprintf("there is no traffic %q in %s of %s", name, runs[without].Name, where)
			partly = append(partly, name)
		}
	}
	c.loads(slices.Sorted(maps.Keys(names)))
	if len(partly) > 0 {
		c.incomparable[""] = fmt.Sprintf("the traffic is not the same: not every run has %s", strings.Join(partly, ", "))
	}
	if len(names) > 0 && len(partly) == len(names) {
		return fmt.Errorf("%w: no traffic is in all of them (%s)", ErrNothingInCommon,
			report.PlainText(strings.Join(partly, ", ")))
	}
	return nil
}

// loadKey names the traffic of a stream in the baseline phase, or in what comes after it.
type loadKey struct {
	traffic  string
	baseline bool
}

// otherRate is the share by which rates may differ, where the tolerance of the rate is not larger: baselines that are
// measured are never quite the same.
const otherRate = 0.05

// loads finds out which traffic was to be sent at another rate in head than in base. It is the load that differs then,
// and a lighter one makes no better build.
func (c *Comparison) loads(streams []string) {
	c.otherLoad = map[loadKey]string{}
	most := math.Log1p(max(otherRate, c.tolerances["rate"].Relative))
	for _, name := range streams {
		for _, baseline := range []bool{true, false} {
			base, head := plannedRate(c.Base, name, baseline), plannedRate(c.Head, name, baseline)
			if !(math.Abs(math.Log(head/base)) > most+1e-9) { // also where there is none
				continue
			}
			key := loadKey{name, baseline}
			c.otherLoad[key] = fmt.Sprintf("%s was to be sent at %.4g times as much in head as in base, so that the load "+
				"differs, whatever the builds do", name, head/base)
			c.otherLoad[loadKey{"", baseline}] = c.otherLoad[key]
		}
	}
}

// plannedRate returns the median of the rates at which runs were to send a stream's traffic; NaN when none has it. Of
// one with a script's own rates it is the multiple.
func plannedRate(runs []*Run, stream string, baseline bool) float64 {
	var rates []float64
	for _, r := range runs {
		for _, t := range r.Plan.Traffic {
			rate := t.Rate
			if t.KeepExecutors {
				rate = 1
			}
			if !baseline {
				rate *= t.Multiple
			}
			if t.Name == stream && rate > 0 {
				rates = append(rates, rate)
			}
		}
	}
	return stats.Median(rates)
}

// unlike says why a metric's traffic cannot be compared.
func (c *Comparison) unlike(m Metric) string {
	if m.Stretch == "" {
		return ""
	}
	if why := c.incomparable[m.Traffic]; why != "" {
		return why
	}
	return c.otherLoad[loadKey{m.Traffic, !m.Fault && m.Stretch == string(report.Baseline)}]
}
