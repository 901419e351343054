package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"gameday/clock"
	"gameday/loadgen/sli"
)

// indicators are the names of package sli; any other is an indicator of the scenario's own.
var indicators = map[string]string{
	"rate": "/s", "error_ratio": " errors", "p50": "p50 ", "p90": "p90 ", "p95": "p95 ", "p99": "p99 ", "max": "max ",
	"dropped_ratio": " dropped", "reached_ratio": "reached ", "check_ratio": " of checks failed",
}

func ownName(name string) bool {
	_, standard := indicators[name]
	return !standard
}

// value prints an indicator's value with its unit: "18.9 %", "1.21 s", "120/s".
func value(name string, v float64) string {
	switch name {
	case "rate":
		return number(v) + "/s"
	case "p50", "p90", "p95", "p99", "max":
		return secs(v)
	case "error_ratio", "dropped_ratio", "reached_ratio", "check_ratio":
		return percent(v)
	default:
		return number(v)
	}
}

// measured prints an indicator's value in words: "18.9 % errors", "p95 1.21 s".
func measured(stream, name string, v float64) string {
	s := value(name, v)
	switch word, standard := indicators[name]; {
	case !standard:
		s = name + " " + s
	case name == "rate":
	case strings.HasSuffix(word, " "):
		s = word + s
	default:
		s += word
	}
	if stream != "" {
		s = stream + ": " + s
	}
	return s
}

// percent prints a ratio in percent with one decimal, or two below 1 %, and never rounds a small part to nothing.
func percent(v float64) string {
	p := v * 100
	switch {
	case p == math.Trunc(p):
		return fmt.Sprintf("%.0f %%", p)
	case math.Abs(p) < 0.01:
		return "< 0.01 %"
	case math.Abs(p) < 1:
		return fmt.Sprintf("%.2f %%", p)
	case p > 99.9 && p < 100:
		return "99.9 %"
	default:
		return fmt.Sprintf("%.1f %%", p)
	}
}

// secs prints seconds: "340 ms", "1.21 s".
func secs(v float64) string {
	switch {
	case v == 0:
		return "0 s"
	case math.Abs(v) < 0.01:
		return fmt.Sprintf("%.1f ms", v*1000)
	case math.Abs(v) < 1:
		return fmt.Sprintf("%.0f ms", v*1000)
	case math.Abs(v) < 100:
		return fmt.Sprintf("%.2f s", v)
	default:
		return fmt.Sprintf("%.0f s", v)
	}
}

// brief prints an indicator's limit, or a mark on a scale, without the decimals that a measured value has: "300 ms", "1
// s".
func brief(name string, v float64) string {
	if !strings.HasPrefix(name, "p") && name != "max" || ownName(name) {
		return value(name, v)
	}
	if v != 0 && math.Abs(v) < 1 {
		return strconv.FormatFloat(v*1000, 'g', 4, 64) + " ms"
	}
	return strconv.FormatFloat(v, 'g', 4, 64) + " s"
}

func number(v float64) string {
	if math.Abs(v) >= 1000 || v == math.Trunc(v) {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// span prints a limit or a length: "30s", "5m", "4m40s", "800ms".
func span(d time.Duration) string {
	if d%time.Millisecond != 0 {
		d = d.Round(time.Millisecond)
	}
	if d >= 10*time.Second || d <= -10*time.Second {
		d = d.Round(100 * time.Millisecond)
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// latency prints a latency as "9.2 s ± 1.0", or in minutes from two of them on.
func latency(l clock.Latency) string {
	mid, pm := l.Mid(), l.Err()
	s := fmt.Sprintf("%.1f s", mid.Seconds())
	if mid >= 2*time.Minute || mid <= -2*time.Minute {
		s = span(mid.Round(time.Second))
	}
	if pm < 50*time.Millisecond {
		return s
	}
	return s + fmt.Sprintf(" ± %.1f", pm.Seconds())
}

// elapsed prints an instant of a run as m:ss or h:mm:ss.
func elapsed(d time.Duration) string {
	sign := ""
	if d < 0 {
		sign, d = "-", -d
	}
	n := int(d / time.Second)
	if n >= 3600 {
		return fmt.Sprintf("%s%d:%02d:%02d", sign, n/3600, n/60%60, n%60)
	}
	return fmt.Sprintf("%s%d:%02d", sign, n/60, n%60)
}

// zone returns the zone that the run was recorded in, without its name: reports show the times people saw on their
// clocks, wherever they are made.
func (t *Timeline) zone() *time.Location {
	_, offset := cmpTime(t.Started.At, t.Start).Zone()
	return time.FixedZone("", offset)
}

// stamp prints an instant as a time of day in the run's zone.
func (t *Timeline) stamp(at time.Time) string { return at.In(t.zone()).Format("15:04:05") }

// around prints an instant that is known to within an interval: "14:04:05.2 ± 0.6".
func (t *Timeline) around(i clock.Interval) string {
	mid, pm := i.Lo.Add(i.Hi.Sub(i.Lo)/2), i.Hi.Sub(i.Lo)/2
	s := mid.In(t.zone()).Format("15:04:05.0")
	if pm < 50*time.Millisecond {
		return s
	}
	return s + fmt.Sprintf(" ± %.1f", pm.Seconds())
}

// since prints an instant as time since the run's start.
func (t *Timeline) since(at time.Time) string { return elapsed(at.Sub(t.Start)) }

// comparisons returns the parts of an expression that is a comparison, or several joined by &&. ok is false for any
// other.
func comparisons(e *sli.Expr) (parts []*sli.Expr, ok bool) {
	if e.Op == "&&" && len(e.Args) == 2 {
		a, okA := comparisons(e.Args[0])
		b, okB := comparisons(e.Args[1])
		return append(a, b...), okA && okB
	}
	if _, _, _, _, ok := e.Comparison(); !ok {
		return nil, false
	}
	return []*sli.Expr{e}, true
}

// limitWords prints the limits of an expression: "< 30 %", or the expression itself when it is not a comparison.
func limitWords(e *sli.Expr, source string) string {
	parts, ok := comparisons(e)
	if !ok {
		if source != "" {
			return source
		}
		return e.String()
	}
	words := make([]string, len(parts))
	for i, p := range parts {
		_, name, op, limit, _ := p.Comparison()
		words[i] = op + " " + brief(name, limit)
	}
	return strings.Join(words, ", ")
}

// count prints a number with its noun: "1 page", "3 pages".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// list joins words as "a, b and c".
func list(words []string) string {
	switch n := len(words); n {
	case 0:
		return ""
	case 1:
		return words[0]
	default:
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
}

// Spark draws values as a row of bars, the largest full. A value that is not a number is a dot.
func Spark(values []float64) string {
	bars := []rune("▁▂▃▄▅▆▇█")
	top := 0.0
	for _, v := range values {
		if v > top {
			top = v
		}
	}
	if top == 0 {
		return ""
	}
	out := make([]rune, len(values))
	for i, v := range values {
		out[i] = '·'
		if !math.IsNaN(v) {
			out[i] = bars[min(len(bars)-1, int(max(0, v)/top*float64(len(bars)-1)+0.5))]
		}
	}
	return string(out)
}
