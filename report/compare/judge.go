package compare

import (
	"fmt"
	"math"

	"gameday/report"
	"gameday/report/stats"
)

// The levels at which verdicts are given. docs/compare.md explains them.
const (
	// side is the probability with which each end of a row's interval may be wrong: the interval holds in 95 of 100.
	side = 0.025
	// family is the probability with which the overall verdict may be worse, or better, by chance.
	family = 0.05
)

// MinRuns is how many runs each side must have for the U test to tell anything at these levels. With fewer, Measure
// must keep what blocks of seconds are made of.
const MinRuns = 4

// shift is the difference of two samples, measured in one way.
type shift struct {
	stats.Test
	stats.Shift
	size float64 // that is tolerated
}

func newShift(t stats.Test, size float64) shift { return shift{t, t.Shift(side), size} }

// trial is two samples of one metric and what is tolerated.
type trial struct {
	y              report.Yardstick
	tolerance      report.Tolerance
	base, head     []stats.Reading
	ofBase, ofHead uint64 // requests or arrivals behind them; 0 where that is nothing to go by
	means          bool   // compares means, as is right for shares of blocks
}

// into tests the samples and writes what came out into the row.
func (t trial) into(r *Row) {
	limits, why := t.limits(r)
	if why != "" {
		r.Why = why
		return
	}
	pWorse, pBetter := 0.0, 0.0
	for _, l := range limits {
		up, down := l.Above(l.size), l.Below(-l.size)
		if t.y.Higher {
			up, down = down, up
		}
		pWorse, pBetter = max(pWorse, up), max(pBetter, down)
	}
	r.PWorse, r.PBetter = &pWorse, &pBetter
	bounds := make([]bound, len(limits))
	for i, l := range limits {
		bounds[i] = bound{l.Lo, l.Hi, l.size}
	}
	r.settle(t.y.Higher, bounds, pWorse <= side, pBetter <= side)
}

// bound is an interval and the size of a difference that is tolerated in it.
type bound struct{ lo, hi, size float64 }

// settle gives the verdict. Where there are two limits, a difference must pass both to be one: so worse takes both
// intervals beyond their limits, and either within its limit rules it out. mayWorse and mayBetter say that the tests
// agree: with ties they can be stricter than the intervals.
func (r *Row) settle(higher bool, bounds []bound, mayWorse, mayBetter bool) {
	r.Verdict, r.NotWorse, r.Why = Unknown, false, ""
	worse, better, notWorse, notBetter := true, true, false, false
	for _, b := range bounds {
		lo, hi := b.lo, b.hi
		if higher {
			lo, hi = -hi, -lo
		}
		worse = worse && lo > b.size
		better = better && hi < -b.size
		notWorse = notWorse || hi <= b.size
		notBetter = notBetter || lo >= -b.size
	}
	switch {
	case worse && mayWorse:
		r.Verdict = Worse
	case better && mayBetter:
		r.Verdict, r.NotWorse = Better, true
	case notWorse && notBetter:
		r.Verdict, r.NotWorse = Same, true
	default:
		r.NotWorse = notWorse
		r.Why = "the interval reaches beyond what is tolerated, and not wholly"
		if notWorse {
			r.Why = "the same or better: which of the two cannot be told"
		} else if notBetter {
			r.Why = "the same or worse: which of the two cannot be told"
		}
	}
}

// limits measures the difference in each way that the tolerance names, and notes both ways for being shown.
func (t trial) limits(r *Row) (limits []shift, why string) {
	absolute := newShift(t.test(), t.tolerance.Absolute)
	if t.y.Unit == report.UnitShare && t.ofBase > 0 && t.ofHead > 0 {
		absolute.Lo = min(absolute.Lo, absolute.Est-unseen/float64(t.ofBase))
		absolute.Hi = max(absolute.Hi, absolute.Est+unseen/float64(t.ofHead))
	}
	r.Absolute = &Interval{absolute.Est, absolute.Lo, absolute.Hi}
	base, okBase := logs(t.base)
	head, okHead := logs(t.head)
	if okBase && okHead {
		relative := newShift(stats.Ranks{Base: base, Head: head}, t.y.InLogarithms(t.tolerance))
		r.Relative = &Interval{math.Expm1(relative.Est), math.Expm1(relative.Lo), math.Expm1(relative.Hi)}
		if t.tolerance.Relative > 0 {
			limits = append(limits, relative)
		}
	} else if t.tolerance.Relative > 0 && t.tolerance.Absolute == 0 {
		return nil, noShareOfNothing
	}
	if t.tolerance.Absolute > 0 || t.tolerance.Relative == 0 {
		limits = append(limits, absolute)
	}
	return limits, ""
}

// noShareOfNothing is why a relative tolerance cannot be held to values of 0.
const noShareOfNothing = "a share of 0 cannot be told: give an amount as its tolerance too"

// unseen is the rule of three: what was not seen among n may still come about in 3 of n, in 95 of 100 cases.
const unseen = 3

func (t trial) test() stats.Test {
	if t.means {
		return stats.MeansOf(middles(t.base), middles(t.head))
	}
	return stats.Ranks{Base: t.base, Head: t.head}
}

func middles(rs []stats.Reading) []float64 {
	out := make([]float64, len(rs))
	for i, r := range rs {
		out[i] = r.Mid()
	}
	return out
}

// logs returns the logarithms of readings, in which ratios are differences; ok is false when one is not above 0.
func logs(rs []stats.Reading) (out []stats.Reading, ok bool) {
	for _, r := range rs {
		if !(r.Lo > 0) {
			return nil, false
		}
		out = append(out, stats.Reading{Lo: math.Log(r.Lo), Hi: math.Log(r.Hi)})
	}
	return out, true
}

// judge compares one metric of two sets of runs.
func (c *Comparison) judge(m Metric, base, head []*Run) Row {
	r := Row{ID: m.String(), Metric: m, Tolerance: c.tolerances[m.Yardstick]}
	b, h := samples(base, m), samples(head, m)
	r.Base, r.Head = valuesOf(b, m), valuesOf(h, m)
	// Where a side has no value because it never came about, how often it does says all there is.
	r.Counts = c.counts(m) && (m.Share || !r.Base.never() && !r.Head.never())
	if why := c.unlike(m); why != "" {
		r.Why = why
		return r
	}
	if m.Share {
		r.shares(b, h)
		return r
	}
	t := trial{y: m.yardstick(), tolerance: r.Tolerance, base: readings(b), head: readings(h), ofBase: total(b),
		ofHead: total(h)}
	switch {
	case r.Base.Seen >= MinRuns && r.Head.Seen >= MinRuns:
		r.Method = ByRuns
		t.into(&r)
		if why := tooManyUnknown(b, h); why != "" {
			r.Verdict, r.NotWorse, r.Why = Unknown, false, why
		}
	case m.Stretch != "" && r.Base.Seen > 0 && r.Head.Seen > 0 && len(base[0].Levels) > 0 && len(head[0].Levels) > 0:
		if r.Why = tooManyUnknown(b, h); r.Why == "" {
			c.blocks(&r, t, base, head)
		}
	default:
		r.Why = tooFew(r, b, h)
	}
	return r
}

// mostUnknown is the share of a side's runs that may tell nothing without everything else being in doubt: runs that
// tell nothing are seldom the good ones.
const mostUnknown = 0.25

// tooManyUnknown says why too much is unknown on a side to tell anything by the rest.
func tooManyUnknown(sides ...[]Sample) string {
	for i, side := range sides {
		unknown, of, why := 0, 0, ""
		for _, s := range side {
			if s.Absent {
				continue
			}
			of++
			if s.State == report.FigureUnknown {
				unknown++
				why = s.Why
			}
		}
		if float64(unknown) > mostUnknown*float64(of) {
			return fmt.Sprintf("unknown in %d of %d runs of %s: %s", unknown, of, sideNames[i], why)
		}
	}
	return ""
}

var sideNames = [...]string{"base", "head"}

// tooFew says why there is nothing to test.
func tooFew(r Row, base, head []Sample) string {
	for i, side := range [][]Sample{base, head} {
		v := []Values{r.Base, r.Head}[i]
		switch {
		case v.Seen > 0:
		case v.never():
			return fmt.Sprintf("it came about in no run of %s", sideNames[i])
		default:
			for _, s := range side {
				if s.State == report.FigureUnknown {
					return fmt.Sprintf("unknown in %s: %s", sideNames[i], s.Why)
				}
			}
		}
	}
	return fmt.Sprintf("known in %s of base and %d of head, and %d on either side are needed", runsWords(r.Base.Seen),
		r.Head.Seen, MinRuns)
}

// shares compares in how many runs something came about at all, by Fisher's exact test. There is no tolerance: a change
// that is significant is one. What came about in every run of both sides, or in none, is the same.
func (r *Row) shares(base, head []Sample) {
	yes, of := r.Base.Seen, r.Base.Seen+r.Base.Never
	yesHead, ofHead := r.Head.Seen, r.Head.Seen+r.Head.Never
	if of == 0 || ofHead == 0 {
		r.Why = tooFew(*r, base, head)
		return
	}
	r.Method = ByShares
	why := tooManyUnknown(base, head)
	if yes == of && yesHead == ofHead || yes == 0 && yesHead == 0 {
		if r.Why = why; why == "" {
			r.Verdict, r.NotWorse = Same, true
		}
		return // whichever runs it had been, nothing could have been significant: no test, none among others
	}
	smaller, larger := stats.Fisher(yes, of, yesHead, ofHead)
	r.PWorse, r.PBetter = &smaller, &larger
	switch {
	case why != "":
		r.Why = why
	case smaller <= side:
		r.Verdict = Worse
	case larger <= side:
		r.Verdict, r.NotWorse = Better, true
	default:
		r.NotWorse = yesHead == ofHead
		r.Why = fmt.Sprintf("%d of %d and %d of %d runs may be chance", yes, of, yesHead, ofHead)
	}
}
