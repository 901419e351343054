package compare

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"gameday/report"
	"gameday/report/stats"
)

// Pair is one run of each side, made one after the other on the same machine.
type Pair struct {
	Base, Head *Run
}

// Sequential decides after every pair of runs whether the answer is known. The decision is a function of the pairs so
// far, and of nothing else: the same pairs always give the same answer.
//
// Compared are the differences within pairs, so that what drifts from pair to pair falls out, by Wilcoxon's signed-rank
// test. Looking after every pair would add up to many false alarms, so every look has its bound, and all together spend
// no more than the level: see stats.Bounds. It ends when a yardstick that counts is worse, which is tested at the
// level shared by how many of them there are (Bonferroni's, and Holm's first step); when worse is ruled out for all of
// them; or when Most pairs are used up.
type Sequential struct {
	Most    int // pairs, at most stats.MostPairs
	Options Options
}

// DefaultPairs is how many pairs a sequence may have where nobody says otherwise. docs/compare.md says what it finds.
const DefaultPairs = 16

// ErrTooFewPairs says that a sequence is too short for any answer.
var ErrTooFewPairs = errors.New("too few pairs for an answer")

// Judge returns what the pairs show, in their order. When an earlier look would have ended the sequence, it is that
// look.
func (s Sequential) Judge(pairs []Pair) (*Comparison, error) {
	if len(pairs) == 0 {
		return nil, errors.New("there is no pair to judge")
	}
	var c *Comparison
	for n := range pairs {
		var err error
		if c, err = s.look(pairs[:n+1]); err != nil {
			return nil, err
		}
		if c.Decided {
			break
		}
	}
	return c, nil
}

// look judges all pairs given, whatever was seen before.
func (s Sequential) look(pairs []Pair) (*Comparison, error) {
	c := &Comparison{Format: 1, Pairs: len(pairs), MostPairs: min(s.Most, stats.MostPairs)}
	for _, p := range pairs {
		c.Base, c.Head = append(c.Base, p.Base), append(c.Head, p.Head)
	}
	c.settings(s.Options)
	if err := c.comparable(); err != nil {
		return nil, err
	}
	c.warn([2][]string{})
	metrics := c.metrics()
	n := 0
	for _, m := range metrics {
		if c.counts(m) && m.paired() {
			n++
		}
	}
	if err := s.Check(n); err != nil {
		return nil, err
	}
	own, shared := stats.Bounds(c.MostPairs, side), stats.Bounds(c.MostPairs, sharedBy(n))
	var confirmed []bool
	for _, m := range metrics {
		if !m.paired() {
			continue
		}
		row, sure := c.pairedRow(m, own, shared)
		c.Rows = append(c.Rows, row)
		confirmed = append(confirmed, sure)
	}
	c.overall(func(i int) (bool, string) { return confirmed[i], "more pairs will tell" })
	c.Decided = c.Verdict != Unknown || n == 0 || c.Pairs >= c.MostPairs
	if !c.Decided && c.Pairs >= inVain && c.silent() {
		c.Decided = true
		c.Why = append([]string{fmt.Sprintf("%d pairs told nothing that counts, and more would not either", c.Pairs)},
			c.Why...)
	}
	return c, nil
}

// inVain is after how many pairs that told nothing a sequence is given up.
const inVain = 3

// silent reports whether no pair has told anything that counts, but that both came to their ends, or neither did.
func (c *Comparison) silent() bool {
	for i := range c.Rows {
		r := &c.Rows[i]
		if r.Counts && r.told > 0 && (r.Yardstick != report.Completed || r.Base.Never != r.Head.Never) {
			return false
		}
	}
	return true
}

// sharedBy is the level of each end of a row's interval that so many rows share.
func sharedBy(rows int) float64 { return min(side, family/float64(max(1, rows))) }

// MinPairs returns how many pairs a sequence must have at least for an answer, when so many yardsticks count.
func MinPairs(rows int) int {
	for n := 1; n < stats.MostPairs; n++ {
		if stats.Bounds(n, sharedBy(rows))[n] > 0 {
			return n
		}
	}
	return stats.MostPairs
}

// Check reports a sequence that is too short for any answer when so many yardsticks count.
func (s Sequential) Check(rows int) error {
	if least := MinPairs(rows); s.Most < least {
		return fmt.Errorf("%w: with %d yardsticks that count, at least %d pairs are needed to show that one is worse, and "+
			"there may be %d; "+
			"allow more, or let fewer count", ErrTooFewPairs, rows, least, s.Most)
	}
	return nil
}

// Counting returns how many yardsticks count in runs of a plan: each is one row.
func Counting(p *report.Plan, o Options) int {
	r := &Run{Plan: p, Samples: map[Metric]Sample{}}
	for _, m := range planned(p) {
		r.Samples[m] = Sample{}
	}
	c := &Comparison{Base: []*Run{r}, Head: []*Run{r}}
	c.settings(o)
	if c.comparable() != nil { // no traffic, no phases
		return 0
	}
	n := 0
	for _, m := range c.metrics() {
		if c.counts(m) {
			n++
		}
	}
	return n
}

// planned returns the metrics that a game day of a plan tells of. Those of faults never count, and are left out.
func planned(p *report.Plan) []Metric {
	out := []Metric{{Yardstick: report.Completed, Share: true}, {Yardstick: report.ScoreOfTheRun}}
	for _, ph := range p.Phases {
		for _, stream := range streamsOf(p) {
			for _, y := range indicators {
				if ph.Phase != report.Ramp && ph.Phase != report.Control && ph.Length > 0 {
					out = append(out, Metric{Yardstick: y, Stretch: string(ph.Phase), Traffic: stream})
				}
			}
		}
	}
	steady := slices.ContainsFunc(p.Expects, func(e report.ExpectPlan) bool { return e.Part == report.PartSteady })
	for _, f := range p.Faults {
		if steady || f.RestartsWithin > 0 {
			out = append(out, Metric{Yardstick: report.TimeToRecover, Of: f.Name})
		}
	}
	for _, a := range p.Alarms {
		if a.FiresWithin > 0 && len(p.Faults) > 0 {
			out = append(out, Metric{Yardstick: report.TimeToDetect, Of: a.Name})
		}
	}
	for _, r := range p.Responses {
		if r.Acknowledge != nil && len(p.Faults) > 0 {
			out = append(out, Metric{Yardstick: report.TimeToAck, Of: r.Name})
		}
	}
	return out
}

// paired reports whether a metric is compared within pairs. How often something comes about is not one by itself: what
// never came about is later than anything.
func (m Metric) paired() bool { return !m.Share || m.Yardstick == report.Completed }

// pairedRow compares one metric within pairs. confirmed says that the row's verdict also holds with the bounds that it
// shares with the other rows that count.
func (c *Comparison) pairedRow(m Metric, own, shared []int) (r Row, confirmed bool) {
	r = Row{ID: m.String(), Metric: m, Tolerance: c.tolerances[m.Yardstick], Counts: c.counts(m)}
	b, h := samples(c.Base, m), samples(c.Head, m)
	r.Base, r.Head = valuesOf(b, m), valuesOf(h, m)
	if why := c.unlike(m); why != "" {
		r.Why = why
		return r, false
	}
	absolute, relative, why := differences(b, h)
	r.told = len(absolute)
	if left := len(b) - len(absolute); float64(left) > mostUnknown*float64(len(b)) {
		r.Why = fmt.Sprintf("unknown in %d of %d pairs: %s", left, len(b), why)
		return r, false
	}
	r.Method = ByPairs
	bounds, why := r.within(absolute, relative, own, total(b), total(h))
	if why != "" {
		r.Why = why
		return r, false
	}
	y := m.yardstick()
	r.settle(y.Higher && !m.Share, bounds, true, true)
	if own[len(absolute)] == 0 {
		r.Why = fmt.Sprintf("%d pairs are too few yet", len(absolute))
	}
	strict := r
	wide, _ := strict.within(absolute, relative, shared, total(b), total(h))
	strict.settle(y.Higher && !m.Share, wide, true, true)
	if m.Share { // that all differences are 0, or infinite, is said by the counts
		r.Absolute, r.Relative = nil, nil
	}
	return r, strict.Verdict == r.Verdict
}

// differences returns head less base within each pair in which both tell something, plainly and of the logarithms. What
// never came about is infinitely late. The logarithms are left out where a value is 0. why is why a pair is left out.
func differences(base, head []Sample) (absolute, relative []float64, why string) {
	positive := true
	for i := range base {
		b, okBase := base[i].value()
		h, okHead := head[i].value()
		switch {
		case !okBase:
			why = cmp.Or(base[i].Why, partly)
			continue
		case !okHead:
			why = cmp.Or(head[i].Why, partly)
			continue
		case math.IsInf(b, 1) && math.IsInf(h, 1):
			absolute, relative = append(absolute, 0), append(relative, 0)
			continue
		}
		positive = positive && b > 0 && h > 0
		absolute = append(absolute, h-b)
		relative = append(relative, math.Log(h)-math.Log(b))
	}
	if !positive {
		relative = nil
	}
	return absolute, relative, why
}

// partly is why a reading that is not exact is none: it is the score of a run in which something is unknown, or a
// capacity that the generator has limited.
const partly = "a part of it is unknown"

// value returns the sample as one number.
func (s Sample) value() (v float64, ok bool) {
	switch s.State {
	case report.FigureSeen:
		return s.Reading.Mid(), s.Reading.Lo == s.Reading.Hi
	case report.FigureNever:
		return math.Inf(1), true
	}
	return 0, false
}

// within returns the repeated intervals of the differences for the limits of the row's tolerance, and notes them for
// being shown.
func (r *Row) within(absolute, relative []float64, looks []int, ofBase, ofHead uint64) (bounds []bound, why string) {
	at := looks[min(len(absolute), len(looks)-1)]
	a := stats.Paired(absolute, at)
	if r.yardstick().Unit == report.UnitShare && ofBase > 0 && ofHead > 0 {
		a.Lo, a.Hi = min(a.Lo, a.Est-unseen/float64(ofBase)), max(a.Hi, a.Est+unseen/float64(ofHead))
	}
	r.Absolute = &Interval{a.Est, a.Lo, a.Hi}
	if len(relative) > 0 {
		l := stats.Paired(relative, at)
		r.Relative = &Interval{math.Expm1(l.Est), math.Expm1(l.Lo), math.Expm1(l.Hi)}
		if r.Tolerance.Relative > 0 {
			bounds = append(bounds, bound{l.Lo, l.Hi, r.yardstick().InLogarithms(r.Tolerance)})
		}
	} else if r.Tolerance.Relative > 0 && r.Tolerance.Absolute == 0 {
		return nil, noShareOfNothing
	}
	if r.Tolerance.Absolute > 0 || r.Tolerance.Relative == 0 {
		bounds = append(bounds, bound{a.Lo, a.Hi, r.Tolerance.Absolute})
	}
	return bounds, ""
}

// Progress says in one line how far a sequence is.
func (c *Comparison) Progress() string {
	var words []string
	for i := range c.Rows {
		if r := &c.Rows[i]; r.Counts && r.differenceWords() != "" {
			words = append(words, r.label()+" "+r.differenceWords())
		}
	}
	if len(words) == 0 {
		words = append(words, "nothing that counts is known yet")
	}
	return fmt.Sprintf("after %d of at most %d pairs: %s; %s", c.Pairs, c.MostPairs, c.Verdict,
		report.PlainText(strings.Join(words, ", ")))
}
