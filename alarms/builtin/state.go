package builtin

import (
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/loadgen/sli"
)

// state is where one rule stands between two evaluations.
type state struct {
	rule   Rule
	key    string
	labels map[string]string

	phase alarms.State // inactive, pending or firing
	// known says that the last evaluation had data: only then does the time since it count.
	known bool
	truth bool
	at    time.Time     // of the last evaluation
	held  time.Duration // how long the condition was seen true, while pending
	calm  time.Duration // how long it was seen false, while firing

	started  time.Time // when it fired
	notified time.Time // when it was last handed to the senders
}

// step advances the rule by one evaluation and returns the changes. why is not empty when the condition could not be
// evaluated: then nothing advances and nothing clears.
func (s *state) step(now time.Time, r sli.Readings) (changes []alarms.Observation, why string) {
	v := s.rule.When.Eval(r)
	if !v.Known || !v.IsBool {
		s.known = false
		if v.Known {
			return nil, "rule " + s.rule.Name + ": the condition is a number, not true or false"
		}
		return nil, "rule " + s.rule.Name + ": no data for " + s.rule.When.String()
	}
	since := now.Sub(s.at)
	if !s.known || v.Truth != s.truth {
		since = 0
	}
	last, knew := s.at, s.known
	s.at, s.known, s.truth = now, true, v.Truth
	change := func(to alarms.State, at clock.Interval) {
		s.phase = to
		changes = append(changes, alarms.Observation{At: at, Key: s.key, Labels: s.labels, State: to})
	}
	switch {
	case v.Truth && s.phase == alarms.StateInactive:
		began := clock.At(now)
		if knew {
			began = clock.Between(last, now)
		}
		s.held = 0
		change(alarms.StatePending, began)
	case v.Truth && s.phase == alarms.StatePending:
		s.held += since
	case v.Truth:
		s.calm = 0
	case s.phase == alarms.StatePending:
		change(alarms.StateInactive, clock.At(now))
	case s.phase == alarms.StateFiring:
		s.calm += since
		if clock.Lasted(s.calm, s.rule.Keep) {
			change(alarms.StateInactive, clock.At(now))
		}
	}
	if s.phase == alarms.StatePending && clock.Lasted(s.held, s.rule.Held) {
		s.started, s.calm = now, 0
		change(alarms.StateFiring, clock.At(now))
	}
	return changes, ""
}
