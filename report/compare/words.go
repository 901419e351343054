package compare

import (
	"fmt"
	"math"
	"strconv"

	"gameday/report"
)

// labels are the yardsticks in words, by name.
var labels = map[string]string{
	report.Completed: "came to its end", "error_ratio": "errors", "p50": "p50", "p95": "p95", "p99": "p99", "rate": "rate",
	"reached_ratio": "rate reached", "dropped_ratio": "dropped", report.MaxRate: "capacity",
	report.TimeToDetect: "to detect", report.TimeToAck: "to acknowledge", report.TimeToRecover: "to recover", report.ScoreOfTheRun: "score",
}

// what returns the metric in words, without the stretch.
func (m Metric) what() string {
	s := labels[m.Yardstick]
	switch {
	case m.Of == "":
		return s
	case m.Yardstick == report.MaxRate:
		return s + " while " + m.Of
	}
	if m.Share {
		return m.Of + map[string]string{report.TimeToDetect: " fired", report.TimeToAck: " acknowledged",
			report.TimeToRecover: " recovered from"}[m.Yardstick]
	}
	return m.Of + " " + s
}

// where returns the metric's stretch in words.
func (m Metric) where() string {
	s := m.Stretch
	switch {
	case s == "":
		return "run"
	case m.Fault:
		s = "while " + s
	}
	if m.Traffic != "" {
		s += ", " + m.Traffic
	}
	return s
}

// label names the row for a sentence.
func (r *Row) label() string {
	if r.Stretch == "" {
		return r.what()
	}
	return r.what() + " (" + r.where() + ")"
}

// sentence says what the verdict is and by what.
func (r *Row) sentence() string {
	s := fmt.Sprintf("%s: %s", r.label(), r.Verdict)
	if r.Share {
		s = fmt.Sprintf("%s, in %s runs of head after %s of base", s, r.Head.words(*r), r.Base.words(*r))
		if p := r.p(); !math.IsNaN(p) {
			s += fmt.Sprintf(" (p %s)", pWords(p))
		}
		return s
	}
	return fmt.Sprintf("%s by %s, and %s tolerated", s, r.differenceWords(), toleratedWords(*r))
}

// p returns the p-value of the row's verdict.
func (r *Row) p() float64 {
	switch {
	case r.PWorse == nil:
		return math.NaN()
	case r.Verdict == Better:
		return *r.PBetter
	}
	return *r.PWorse
}

func toleratedWords(r Row) string {
	if r.Tolerance.Relative == 0 && r.Tolerance.Absolute == 0 {
		return "nothing is"
	}
	verb := " is"
	if r.Tolerance.Relative > 0 && r.Tolerance.Absolute > 0 {
		verb = " are"
	}
	return r.yardstick().Words(r.Tolerance) + verb
}

// words prints what a side has.
func (v Values) words(r Row) string {
	switch {
	case r.Share:
		return fmt.Sprintf("%d of %d", v.Seen, v.Seen+v.Never)
	case v.Middle != nil:
		return r.yardstick().Amount(*v.Middle)
	case v.never():
		return "never"
	}
	return "?"
}

// difference returns the interval that is shown: as a share of base where the tolerance is one, else as an amount.
func (r *Row) difference() (i *Interval, relative bool) {
	if r.Relative != nil && (r.Tolerance.Relative > 0 || r.Absolute == nil) {
		return r.Relative, true
	}
	return r.Absolute, false
}

// differenceWords prints the difference with its interval: "+18 % (+12 … +25)".
func (r *Row) differenceWords() string {
	i, relative := r.difference()
	if i == nil {
		return ""
	}
	y := r.yardstick()
	scale, suffix := 1.0, ""
	switch {
	case relative:
		scale, suffix = 100, " %"
	case y.Unit == report.UnitShare:
		scale, suffix = 100, " pp"
	case y.Unit == report.UnitSeconds && math.Abs(i.Estimate) < 1:
		scale, suffix = 1000, " ms"
	case y.Unit == report.UnitSeconds:
		suffix = " s"
	case y.Unit == report.UnitRate:
		suffix = "/s"
	}
	digits := decimals(scale*i.Lo, scale*i.Hi)
	signed := func(v float64) string {
		switch {
		case math.IsInf(v, 1):
			return "∞"
		case math.IsInf(v, -1):
			return "−∞"
		}
		s := strconv.FormatFloat(math.Abs(scale*v), 'f', digits, 64)
		switch {
		case strconv.FormatFloat(0, 'f', digits, 64) == s:
			return "0"
		case v < 0:
			return "−" + s
		}
		return "+" + s
	}
	if math.IsInf(i.Hi, 1) && (math.IsInf(i.Lo, -1) || relative && i.Lo == -1) { // both ends are open
		return signed(i.Estimate) + suffix
	}
	return fmt.Sprintf("%s%s (%s … %s)", signed(i.Estimate), suffix, signed(i.Lo), signed(i.Hi))
}

// decimals returns how many digits behind the point an interval is worth.
func decimals(lo, hi float64) int {
	width := hi - lo
	switch {
	case math.IsInf(width, 0) || math.IsNaN(width) || width == 0:
		return 1
	case width >= 10:
		return 0
	case width >= 1:
		return 1
	}
	return 2
}

// pWords prints a probability.
func pWords(p float64) string {
	if p < 0.0001 {
		return "< 0.0001"
	}
	return strconv.FormatFloat(p, 'f', 4, 64)
}

// verdictWords prints a verdict; that of a row that does not count is in brackets.
func (r *Row) verdictWords() string {
	s := r.Verdict.String()
	if r.Verdict == Unknown && r.NotWorse {
		s = "not worse"
	}
	if !r.Counts {
		s = "(" + s + ")"
	}
	return s
}
