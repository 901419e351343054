package report

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"gameday/clock"
)

// Figure is something that a run tells once: how long an alarm took to fire, say.
type Figure struct {
	Yardstick string // its name: TimeToDetect, …
	Of        string // the alarm, the response or the fault; empty when it is about the run
	State     FigureState
	// Low and High are between what the value lies, when it was seen.
	Low, High float64
	Why       string // why it is unknown
}

// FigureState says whether a figure came about. The zero value is unknown.
type FigureState int

// The states.
const (
	FigureUnknown FigureState = iota
	FigureSeen
	FigureNever // it did not come about although it was watched: an alarm that did not fire, say
)

// Figures returns what the run tells once: that it came to its planned end, times to detect, acknowledge and recover,
// and the score. The middle of a latency stands for it: that one reading is uncertain shows as variation between runs.
// The score stays an interval, for what is unknown in it is not chance. Of a search they are its end and the capacity.
func (c *Scorecard) Figures() []Figure {
	out := []Figure{c.completed()}
	if curve, err := CurveOf(c.rec); err == nil {
		return append(out, curve.figure())
	}
	items := map[string]*Item{}
	for _, it := range c.Items() {
		items[it.ID] = it
	}
	p := c.rec.Plan
	for _, a := range p.Alarms {
		if it := items["alarm."+a.Name+".fired"]; it != nil {
			out = append(out, it.figure(TimeToDetect, a.Name))
		}
	}
	for _, r := range p.Responses {
		if it := items["response."+r.Name+".acknowledge"]; it != nil {
			out = append(out, it.figure(TimeToAck, r.Name))
		}
	}
	for _, f := range p.Faults {
		it := items["recovery."+f.Name+".steady_state"]
		if it == nil {
			it = items["recovery."+f.Name+".restarted"]
		}
		if it == nil {
			it = items["recovery."+f.Name+".ready"]
		}
		if it != nil {
			out = append(out, it.figure(TimeToRecover, f.Name))
		}
	}
	score := Figure{Yardstick: ScoreOfTheRun, State: FigureSeen, Low: c.Low, High: c.High}
	if len(c.Parts) == 0 {
		score = Figure{Yardstick: ScoreOfTheRun, Why: "the scenario promises nothing that is scored"}
	}
	return append(out, score)
}

// completed tells whether the service let the run come to its planned end. What gameday, its generator or people ended
// says nothing about the service.
func (c *Scorecard) completed() Figure {
	f := Figure{Yardstick: Completed}
	switch c.End {
	case EndComplete:
		f.State = FigureSeen
	case EndAborted:
		f.State, f.Why = c.by.unlessSpoilt(c.by.tl.Phases...)
	case EndUnsteady:
		f.State, f.Why = c.by.unsteady()
	case EndInterrupted:
		f.Why = "gameday was killed"
	default:
		f.Why = "the run ended before its time (" + string(c.End) + ")"
	}
	return f
}

// unsteady tells whether it was the service that did not hold the steady state in the baseline phase: an expectation
// was broken, rather than without data, and the generator had nothing to do with it.
func (j *judge) unsteady() (FigureState, string) {
	phase, reached := j.tl.Phase(Baseline)
	if !reached {
		return FigureUnknown, "the baseline phase was not reached"
	}
	readings := j.load.over(j.judged(phase))
	for _, e := range j.steadyExpects() {
		if v := e.That.Eval(readings); v.Known && v.IsBool && !v.Truth {
			return j.unlessSpoilt(phase)
		}
	}
	return FigureUnknown, "the steady state could not be told in the baseline phase"
}

// unlessSpoilt returns that something did not come about, unless a generator at its own limit may be why.
func (j *judge) unlessSpoilt(phases ...PhaseSpan) (FigureState, string) {
	var spans []clock.Span
	for _, p := range phases {
		spans = append(spans, p.Span)
	}
	for _, s := range j.load.streams {
		if why := saturation(j.load.during(s, spans...)); why != "" {
			return FigureUnknown, fmt.Sprintf("the generator of %s was at its own limit (%s)", s, why)
		}
	}
	return FigureNever, ""
}

// figure tells the capacity that was found, of the fault that stood. Where the generator was the limit it may be
// anything above, so that High is +Inf.
func (c *Curve) figure() Figure {
	f := Figure{Yardstick: MaxRate, Of: c.Fault}
	if !c.Found.Confirmed {
		f.Why = "no rate was confirmed: " + cmp.Or(c.Ended, c.Found.Why)
		return f
	}
	f.State, f.Low, f.High = FigureSeen, c.Found.Rate, c.Found.Rate
	if c.Found.AtLeast {
		f.High = math.Inf(1)
	}
	return f
}

// figure tells an item's latency. One that is judged unknown although it is far from its limit may have had a
// predecessor that went unseen.
func (i *Item) figure(yardstick, of string) Figure {
	f := Figure{Yardstick: yardstick, Of: of}
	switch {
	case i.Latency != nil && (i.Outcome != clock.Unknown || i.Within > 0 && i.Latency.Within(i.Within) == clock.Unknown):
		v := math.Max(0, i.Latency.Mid().Seconds())
		f.State, f.Low, f.High = FigureSeen, v, v
	case i.Outcome == clock.Missed:
		f.State = FigureNever
	case i.Outcome == clock.Met:
		f.Why = "it was met without being measured"
	default:
		f.Why = i.Why
	}
	return f
}

// Host returns the machine that the run was conducted on.
func (c *Scorecard) Host() string { return c.tl.Started.Host }

// Plan returns what was to happen.
func (c *Scorecard) Plan() *Plan { return c.rec.Plan }

// Ended returns the last instant that the record speaks of.
func (c *Scorecard) Ended() time.Time { return c.tl.End }
