package trends

import (
	"fmt"
	"time"

	"gameday/clock"
	"gameday/report"
)

// words prints a value: "9.2 s ± 0.5", "never", "≥ 9.2 s", and "–" where there is none.
func (v *Value) words() string {
	length := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	switch {
	case v == nil:
		return "–"
	case v.Low == nil:
		return "never"
	case v.High == nil:
		at := length(*v.Low)
		return "≥ " + report.LatencyWords(clock.Latency{Lo: at, Hi: at})
	}
	return report.LatencyWords(clock.Latency{Lo: length(*v.Low), Hi: length(*v.High)})
}

// ofWords prints of how many runs a series is: "5 of 7, 1 never".
func (s *Series) ofWords() string {
	text := fmt.Sprint(s.N)
	if s.Unknown > 0 {
		text += fmt.Sprintf(" of %d", s.N+s.Unknown)
	}
	if s.Never > 0 {
		text += fmt.Sprintf(", %d never", s.Never)
	}
	return text
}

// wayWords prints which way a series goes, and how often chance alone would have it so.
func (s *Series) wayWords() string {
	if s.Way.P == nil || s.Way.Word == NoChange {
		return string(s.Way.Word)
	}
	if *s.Way.P < 0.001 {
		return string(s.Way.Word) + " (p < 0.001)"
	}
	return fmt.Sprintf("%s (p = %.3f)", s.Way.Word, *s.Way.P)
}

// sinceWords prints how long ago a scenario last passed.
func (s *Scenario) sinceWords() string {
	switch {
	case s.LastPassed == nil:
		return "never passed"
	case s.Days == nil:
		return "in the future"
	case *s.Days == 0:
		return "today"
	case *s.Days == 1:
		return "1 day ago"
	}
	return fmt.Sprintf("%d days ago", *s.Days)
}

// nameWords prints a scenario's name, with its searches, which are no runs.
func (s *Scenario) nameWords() string {
	switch s.Searches {
	case 0:
		return s.Name
	case 1:
		return s.Name + " (and 1 search)"
	}
	return fmt.Sprintf("%s (and %d searches)", s.Name, s.Searches)
}

func (r *Run) dateWords() string {
	if r == nil {
		return "–"
	}
	return r.Started.Format("2006-01-02")
}

func (r *Run) verdictWords() string {
	switch {
	case r == nil:
		return "–"
	case r.Residue:
		return r.Verdict.String() + ", residue"
	}
	return r.Verdict.String()
}

func (a *Alarm) lastWords() string {
	if a.LastFired == nil {
		return "–"
	}
	return a.LastFired.Format("2006-01-02")
}

// exercisedWords says in a sentence how many alarms were ever seen to fire.
func (t *Trends) exercisedWords() string {
	seen, of := t.Exercised()
	if of == 0 {
		return "No run expected an alarm to fire."
	}
	if of == 1 {
		return fmt.Sprintf("%d of 1 alarm that was expected to fire was ever seen to, because of a fault.", seen)
	}
	return fmt.Sprintf("%d of %d alarms that were expected to fire were ever seen to, because of a fault.", seen, of)
}
