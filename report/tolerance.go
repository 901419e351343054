package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Yardstick is something that two sets of runs are compared by.
type Yardstick struct {
	Name   string
	Unit   Unit
	Higher bool // more of it is better
	// Tolerance is how much worse it may be where the scenario says nothing.
	Tolerance Tolerance
}

// Unit is what a yardstick counts in.
type Unit string

// The units.
const (
	UnitShare   Unit = "share" // of 1: of requests, or of arrivals
	UnitSeconds Unit = "seconds"
	UnitRate    Unit = "iterations a second"
	UnitPoints  Unit = "points" // of 100
	UnitYesNo   Unit = "runs"   // it came about in a run, or did not: there is no tolerance
)

// The yardsticks that are not indicators of traffic: a run tells them once.
const (
	Completed      = "completed" // it came to its planned end
	MaxRate        = "capacity"  // iterations a second that the objectives still held at
	TimeToDetect   = "ttd"       // from the onset of its cause until an alarm fires
	TimeToAck      = "tta"       // from a page until a human acknowledges it
	TimeToRecover  = "ttr"       // from the end of a fault until the steady state holds again
	ScoreOfTheRun  = "score"     // the scorecard's
	ignoreWord     = "ignore"
	bothWord       = " and "
	mostTolerance  = 10.0 // of a relative one: eleven times as slow
	mostLost       = 0.99 // of a relative one where more is better: all of it would be no limit
	mostDifference = 3600 // of an absolute one, in seconds
)

// Yardsticks returns all of them, in the order they are printed. Indicators of traffic have their names, and are told
// for every phase and stream. docs/compare.md says why the tolerances are what they are.
func Yardsticks() []Yardstick {
	return []Yardstick{
		{Completed, UnitYesNo, true, Tolerance{Counts: true}},
		{"error_ratio", UnitShare, false, Tolerance{Absolute: 0.005, Counts: true}},
		{"p50", UnitSeconds, false, Tolerance{Relative: 0.10, Absolute: 0.001}},
		{"p95", UnitSeconds, false, Tolerance{Relative: 0.10, Absolute: 0.002, Counts: true}},
		{"p99", UnitSeconds, false, Tolerance{Relative: 0.20, Absolute: 0.005}},
		{"rate", UnitRate, true, Tolerance{Relative: 0.05}},
		{"reached_ratio", UnitShare, true, Tolerance{Absolute: 0.01, Counts: true}},
		{"dropped_ratio", UnitShare, false, Tolerance{Absolute: 0.01}},
		{MaxRate, UnitRate, true, Tolerance{Relative: 0.05, Counts: true}},
		{TimeToDetect, UnitSeconds, false, Tolerance{Relative: 0.20, Absolute: 2, Counts: true}},
		{TimeToAck, UnitSeconds, false, Tolerance{Relative: 0.20, Absolute: 10}},
		{TimeToRecover, UnitSeconds, false, Tolerance{Relative: 0.20, Absolute: 2, Counts: true}},
		{ScoreOfTheRun, UnitPoints, true, Tolerance{Absolute: 5}},
	}
}

// YardstickOf returns a yardstick by its name.
func YardstickOf(name string) (Yardstick, bool) {
	for _, y := range Yardsticks() {
		if y.Name == name {
			return y, true
		}
	}
	return Yardstick{}, false
}

// Tolerance is how much worse something may be before it counts as worse. Where both limits are set, both must be
// passed: ten per cent of a millisecond matter to nobody. The zero value tolerates nothing.
type Tolerance struct {
	Relative float64 `json:"relative,omitempty"` // share of what base has: 0.1 is a tenth more, or a tenth less
	Absolute float64 `json:"absolute,omitempty"` // in the yardstick's unit
	// Counts makes it a part of the overall verdict.
	Counts bool `json:"counts"`
}

// InLogarithms returns the relative limit as a difference of logarithms. Where more is better, what may be lost is a
// share of what there was: with a half, two become one.
func (y Yardstick) InLogarithms(t Tolerance) float64 {
	if y.Higher {
		return -math.Log1p(-min(t.Relative, mostLost))
	}
	return math.Log1p(t.Relative)
}

// RegressionPlan is what a scenario says of comparing its runs.
type RegressionPlan struct {
	// Tolerances are those that the scenario gives, by yardstick.
	Tolerances map[string]Tolerance `json:"tolerances,omitempty"`
	// Phases are those whose indicators count; empty for the load phase alone.
	Phases []Phase `json:"phases,omitempty"`
	// EachTraffic makes the indicators of each stream count beside those of all together.
	EachTraffic bool `json:"each_traffic,omitempty"`
}

// TolerancesOf returns the tolerance of every yardstick: what the plan gives, else the default.
func TolerancesOf(p *Plan) map[string]Tolerance {
	out := map[string]Tolerance{}
	for _, y := range Yardsticks() {
		out[y.Name] = y.Tolerance
		if p.Regression == nil {
			continue
		}
		if t, given := p.Regression.Tolerances[y.Name]; given {
			out[y.Name] = t
		}
	}
	return out
}

// ParseTolerance reads a tolerance as people write it: "10%", "5ms", both as "10% and 5ms", or "ignore" for one that
// shall not count. A percentage of a yardstick that is a share itself is of all requests or arrivals: an error_ratio
// from 1 % to 1.2 % is worse by "0.2%". Of anything else it is of what base has. The error is a sentence that says what
// is allowed.
func (y Yardstick) ParseTolerance(text string) (Tolerance, error) {
	if text == ignoreWord {
		t := y.Tolerance
		t.Counts = false
		return t, nil
	}
	t := Tolerance{Counts: true}
	if y.Unit == UnitYesNo {
		return t, fmt.Errorf("%q: %s happens or does not, so there is nothing to tolerate. It can only be left out of the "+
			"verdict: \"ignore\"",
			text, y.Name)
	}
	for i, part := range strings.Split(text, bothWord) {
		limit, relative, ok := y.limit(strings.TrimSpace(part))
		into := &t.Absolute
		if relative {
			into = &t.Relative
		}
		if !ok || i > 1 || *into != 0 || (i > 0 && limit == 0) {
			return t, fmt.Errorf("%q is not a tolerance of %s. Write %s, or \"ignore\"", text, y.Name, y.forms())
		}
		*into = limit
	}
	return t, nil
}

// limit reads one limit: a percentage, or a number in the unit.
func (y Yardstick) limit(text string) (v float64, relative, ok bool) {
	if number, is := strings.CutSuffix(text, "%"); is {
		v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || !(v >= 0) || y.Unit == UnitPoints {
			return 0, false, false
		}
		if y.Unit == UnitShare {
			return v / 100, false, v <= 100
		}
		if y.Higher {
			return v / 100, true, v/100 <= mostLost
		}
		return v / 100, true, v/100 <= mostTolerance
	}
	switch y.Unit {
	case UnitSeconds:
		d, err := time.ParseDuration(text)
		return d.Seconds(), false, err == nil && d >= 0 && d.Seconds() <= mostDifference
	case UnitRate:
		text, ok = strings.CutSuffix(text, "/s")
	case UnitPoints:
		text, ok = strings.CutSuffix(text, " points")
	}
	v, err := strconv.ParseFloat(text, 64)
	return v, false, ok && err == nil && v >= 0 && !math.IsInf(v, 0)
}

// forms says how a tolerance may be written.
func (y Yardstick) forms() string {
	switch y.Unit {
	case UnitShare:
		return `a share of all, such as "0.2%"`
	case UnitSeconds:
		return `a share of what it was before ("10%"), a time ("5ms"), both ("10% and 5ms", worse when both are passed)`
	case UnitRate:
		return `a share of what it was before ("5%", under 100), a rate ("10/s"), both ("5% and 10/s", worse when both are passed)`
	default:
		return `points of 100 ("5 points")`
	}
}

// Words prints the tolerance as it is written.
func (y Yardstick) Words(t Tolerance) string {
	if y.Unit == UnitYesNo {
		return "none"
	}
	var words []string
	if t.Relative > 0 {
		words = append(words, percent(t.Relative))
	}
	switch {
	case t.Absolute == 0 && t.Relative > 0:
	case y.Unit == UnitSeconds:
		words = append(words, brief("p95", t.Absolute))
	case y.Unit == UnitPoints:
		words = append(words, nearTenth(t.Absolute)+" points")
	default:
		words = append(words, y.Amount(t.Absolute))
	}
	return strings.Join(words, bothWord)
}

// Amount prints a value in the yardstick's unit.
func (y Yardstick) Amount(v float64) string {
	switch y.Unit {
	case UnitShare, UnitYesNo:
		return percent(v)
	case UnitSeconds:
		return secs(v)
	case UnitRate:
		return number(v) + "/s"
	default:
		return nearTenth(v)
	}
}
