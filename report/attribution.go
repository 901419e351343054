package report

import (
	"fmt"
	"math"
	"slices"
	"time"

	"gameday/alarms"
	"gameday/clock"
)

// AlarmPast is what a source of alarms tells of the time before the run: how often what is expected of it comes without a
// game day.
type AlarmPast struct {
	Source   string           `json:"source"`
	Span     clock.Span       `json:"span"`
	Episodes []alarms.Episode `json:"episodes"`
	Coverage alarms.Coverage  `json:"coverage"`
	// Runs are the game days in the span that are known, which say nothing of quiet hours.
	Runs  []PastRun `json:"runs,omitempty"`
	Error string    `json:"error,omitempty"`
}

// PastRun is an earlier game day, with the time in which alarms may be its doing.
type PastRun struct {
	Run  string     `json:"run"`
	Span clock.Span `json:"span"`
}

// Strength says how much an alarm's firing in time proves.
type Strength string

// The strengths of an attribution.
const (
	Shown  Strength = "shown"   // what it does without the fault was looked at, and speaks for the fault as its cause
	Untold Strength = "unknown" // nobody looked at what it does without the fault; it counts
	Weak   Strength = "weak"    // it counts, but may have come without the fault
	NoShow Strength = "absent"  // it comes without the fault too, so it proves nothing
)

// Attribution is what speaks for and against a fault as the cause of an alarm.
type Attribution struct {
	Strength Strength `json:"strength"`
	Reasons  []string `json:"reasons,omitempty"` // why it is not shown
	// BaseRate is how often the alarm comes by itself; nil where the run asked nobody.
	BaseRate *BaseRate `json:"base_rate,omitempty"`
	// Control is what the control phase shows; nil in a run without one.
	Control *ControlArm `json:"control,omitempty"`
}

// BaseRate is how often an alarm fired in quiet hours before the run.
type BaseRate struct {
	Known    bool          `json:"known"`
	Why      string        `json:"why,omitempty"` // why it is not
	Episodes int           `json:"episodes"`
	Hours    float64       `json:"hours"` // that were quiet and watched
	Within   time.Duration `json:"within"`
	// Chance is how likely one comes within that time by itself: 1 − exp(−λ·within) with λ = (episodes + 0.5) / hours.
	Chance float64 `json:"chance"`
}

// ControlArm is what an alarm did while the load was there and the fault was not.
type ControlArm struct {
	Length  time.Duration `json:"length"`
	Watched bool          `json:"watched"` // all the time
	Fired   int           `json:"fired"`
}

// mostChance is the chance above which an alarm that came in time may well have come by itself.
const mostChance = 0.05

// against adds a reason why the fault may not be the cause.
func (a *Attribution) against(s Strength, why string) {
	if a.Strength != NoShow {
		a.Strength = s
	}
	a.Reasons = append(a.Reasons, why)
}

// attribution finds out what an alarm did without the fault. What one instance of it did says nothing for certain of another.
func (j *judge) attribution(f *alarmFinding, tainted bool) *Attribution {
	a := &Attribution{Strength: Untold}
	if p, ok := j.tl.Phase(Control); ok {
		a.Control = &ControlArm{Length: p.Length(), Watched: f.account != nil && f.account.watch().all(p.Span)}
		for _, e := range f.quiet {
			if !e.Firing.Hi.Before(p.Start) && e.Firing.Lo.Before(p.End) {
				a.Control.Fired++
			}
		}
		if !a.Control.Watched && !tainted {
			a.against(NoShow, "what it did in the control phase is not known: "+f.gapIn(p.Span))
		}
	}
	for i, e := range f.quiet {
		switch where := j.tl.phaseOf(e.Firing.Lo); {
		case tainted:
			a.against(NoShow, "it fired in the "+where+" phase too, at "+j.tl.around(e.Firing))
		case i == 0:
			a.against(Weak, "another of its instances fired in the "+where+" phase, at "+j.tl.around(e.Firing))
		}
	}
	a.BaseRate = j.baseRate(f)
	if b := a.BaseRate; b != nil && b.Known && b.Chance > mostChance {
		a.against(Weak, fmt.Sprintf("it comes within %s by itself %s of the time", span(b.Within), percent(b.Chance)))
	}
	if c, b := a.Control, a.BaseRate; a.Strength == Untold && (c != nil || b != nil && b.Known) {
		a.Strength = Shown
	}
	if f.plan.ClearsWithin > 0 && f.first != nil {
		if it := j.cleared(f); it.Outcome == clock.Missed {
			a.against(Weak, "it did not clear in time once "+f.plan.Cause+" was gone")
		}
	}
	return a
}

// phaseOf returns the name of the phase that an instant lies in.
func (t *Timeline) phaseOf(at time.Time) string {
	for _, p := range t.Phases {
		if inSpan(at, p.Span) {
			return string(p.Phase)
		}
	}
	return "first"
}

// tainted reports whether an instance of the alarm fired before any fault too.
func (f *alarmFinding) tainted(key string) bool {
	return slices.ContainsFunc(f.quiet, func(e episode) bool { return e.Key == key || e.Key == "" || key == "" })
}

// proofOf returns the first episode that the fault can have raised and whose instance was quiet before, when it was in time; else
// the first of all.
func (f *alarmFinding) proofOf(limit time.Duration) *episode {
	for i := range f.own {
		if e := &f.own[i]; !f.tainted(e.Key) && e.Firing.Sub(f.t0).Within(limit) == clock.Met {
			return e
		}
	}
	return f.first
}

// attribute takes back that an alarm was in time when it comes without the fault too, and says what else speaks against the
// fault as its cause. tainted says that the instance which was in time fired before any fault.
func (j *judge) attribute(f *alarmFinding, it *Item, tainted bool) {
	a := j.attribution(f, tainted)
	it.Attribution = a
	for i := range f.quiet {
		j.episodeSeen(it, &f.quiet[i])
		it.Evidence[len(it.Evidence)-1].Text += " (" + string(ClassBackground) + ")"
	}
	if f.past != nil {
		it.saw(f.plan.Source, "before the run: "+a.BaseRate.words(), f.past.line())
	}
	if a.Strength != NoShow {
		return
	}
	if tainted {
		it.Class = ClassBackground
	}
	switch it.Outcome {
	case clock.Met:
		it.unknown(a.Reasons[0] + ", so that it came after " + f.plan.Cause + " shows nothing")
		it.Hint = fmt.Sprintf("%s cannot show that it notices %s: mend what raises it without a fault, then repeat the run.", f.plan.Name, f.plan.Cause)
		if !tainted {
			it.Hint = fmt.Sprintf("Mend the way to %s, then repeat the run: the control phase counts only where it was watched.", f.plan.Source)
		}
	case clock.Missed: // it was late, and even that is not known to be the fault's doing
		it.best, it.Value = max(it.best, it.Value), 0
	}
}

// baseRate counts how often an alarm fired in quiet hours before the run; nil where nobody was asked.
func (j *judge) baseRate(f *alarmFinding) *BaseRate {
	p := f.plan
	limit := p.FiresWithin
	if limit == 0 {
		limit = p.PagesWithin
	}
	for _, told := range all[AlarmPast](j.rec, AlarmBefore) {
		if told.V.Source != p.Source || limit == 0 {
			continue
		}
		f.past = &told
		b := &BaseRate{Within: limit}
		var busy []clock.Span
		for _, r := range told.V.Runs {
			busy = append(busy, r.Span)
		}
		var quiet []clock.Span
		for _, s := range clock.Merge(told.V.Coverage.Spans) {
			quiet = append(quiet, without(s.Overlap(told.V.Span), busy)...)
		}
		b.Hours = total(quiet).Hours()
		for _, e := range told.V.Episodes {
			if !matches(p.Match, e.Labels) || e.Firing.IsZero() {
				continue
			}
			for _, s := range quiet {
				if inSpan(e.Firing.Lo, s) {
					b.Episodes++
					break
				}
			}
		}
		switch {
		case told.V.Error != "":
			b.Why = j.people.scrub(told.V.Error)
		case p.unasked:
			b.Why = "the run did not ask " + p.Source + " about it"
		case b.Hours == 0:
			b.Why = p.Source + " has no quiet hour before the run"
		default:
			b.Known = true
			b.Chance = 1 - math.Exp(-(float64(b.Episodes)+0.5)/b.Hours*limit.Hours())
		}
		return b
	}
	return nil
}

// words prints a base rate.
func (b *BaseRate) words() string {
	if !b.Known {
		return "base rate unknown: " + b.Why
	}
	return fmt.Sprintf("%s in %s quiet hours, so that one comes within %s by itself %s of the time", count(b.Episodes, "episode"),
		number(math.Round(b.Hours*10)/10), span(b.Within), percent(b.Chance))
}

// Words says in one line what speaks for and against the fault.
func (a *Attribution) Words() string {
	text := map[Strength]string{Shown: "it does not come without the fault", Untold: "whether it comes without the fault is unknown",
		Weak: "weak", NoShow: "not attributable"}[a.Strength]
	for i, r := range a.Reasons {
		text += map[bool]string{true: ": ", false: "; "}[i == 0] + r
	}
	switch {
	case a.Control == nil:
		text += "; no control phase"
	case a.Control.Watched && a.Control.Fired == 0:
		text += "; quiet in the control phase of " + span(a.Control.Length)
	}
	switch {
	case a.BaseRate == nil:
		text += "; base rate unknown: nobody was asked about the time before the run"
	default:
		text += "; " + a.BaseRate.words()
	}
	return text
}
