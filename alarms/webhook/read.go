package webhook

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tidwall/gjson"

	"gameday/alarms"
	"gameday/alarms/internal/fold"
	"gameday/clock"
	"gameday/sources/hook"
)

const (
	mostAlarms = 1_000   // of one posting
	mostText   = 4 << 10 // bytes of one label or annotation
	mostLabels = 64      // of one alarm; and annotations
)

// posted is one alarm as it was posted.
type posted struct {
	key    string
	labels map[string]string
	notes  map[string]string
	firing bool
	at     clock.Interval
	timed  bool // it gave the time itself
}

// read takes the alarms out of what was posted. Its errors are for the sender; nothing of a posting counts that has one.
func (s *settings) read(body []byte, received time.Time) ([]posted, error) {
	if !gjson.ValidBytes(body) {
		return nil, errors.New("the body is not JSON")
	}
	whole := gjson.ParseBytes(body)
	list := []gjson.Result{whole}
	if s.Each != "" {
		each := whole.Get(s.Each)
		if !each.IsArray() {
			return nil, fmt.Errorf("there is no list at %q", s.Each)
		}
		if list = each.Array(); len(list) > mostAlarms {
			return nil, fmt.Errorf("there are %d alarms at %q, and at most %d are read", len(list), s.Each, mostAlarms)
		}
	} else if whole.IsArray() {
		return nil, errors.New("the body is a list: say with each = \"@this\" that its members are alarms")
	}
	var out []posted
	for i, v := range list {
		p, err := s.one(v, received)
		if err != nil {
			return nil, fmt.Errorf("alarm %d: %w", i, err)
		}
		out = append(out, p)
	}
	return out, nil
}

// one reads one alarm.
func (s *settings) one(v gjson.Result, received time.Time) (p posted, err error) {
	p.labels, p.notes = map[string]string{}, map[string]string{}
	for _, of := range []struct {
		to    map[string]string
		from  string
		paths map[string]string
	}{{p.labels, s.From, s.Labels}, {p.notes, s.NotesIn, s.Notes}} {
		if of.from != "" {
			v.Get(of.from).ForEach(func(k, v gjson.Result) bool {
				if len(of.to) < mostLabels {
					of.to[clip(k.String())] = clip(v.String())
				}
				return true
			})
		}
		for _, name := range slices.Sorted(maps.Keys(of.paths)) {
			if found := v.Get(of.paths[name]); found.Exists() {
				of.to[name] = clip(found.String())
			}
		}
	}
	name := v.Get(s.Name)
	if name.String() == "" {
		return p, fmt.Errorf("there is no name at %q", s.Name)
	}
	p.labels["alertname"] = clip(name.String())
	p.key = fold.Key(p.labels)
	state := v.Get(s.State).String()
	switch {
	case slices.Contains(s.Firing, state):
		p.firing = true
	case slices.Contains(s.Quiet, state):
	default:
		return p, fmt.Errorf("its state at %q is %q, which is neither firing (%q) nor quiet (%q)", s.State, clip(state), s.Firing, s.Quiet)
	}
	path := s.ended
	if p.firing {
		path = s.started
	}
	p.at, p.timed, err = s.when(v, path, received)
	return p, err
}

// when says when an alarm changed: at the time it gives, else at most delay before it was posted.
func (s *settings) when(v gjson.Result, path string, received time.Time) (i clock.Interval, timed bool, err error) {
	stamp := v.Get(path)
	if path == "" || stamp.String() == "" {
		return clock.Between(received.Add(-s.delay), received), false, nil
	}
	if i, err = hook.When(stamp.String(), s.slack, received); err != nil {
		return clock.Interval{}, false, fmt.Errorf("its time at %q: %w", path, err)
	}
	return i, true, nil
}

// clip bounds a text that others wrote.
func clip(s string) string { return hook.Clip(s, mostText) }

// observations are what a posting shows.
func (p posted) observations(pages bool, received time.Time) []alarms.Observation {
	if !p.firing {
		return []alarms.Observation{{At: p.at, Key: p.key, Labels: p.labels, State: alarms.StateInactive}}
	}
	out := []alarms.Observation{{At: p.at, Key: p.key, Labels: p.labels, State: alarms.StateFiring}}
	if pages {
		out = append(out, alarms.Observation{At: clock.At(received), Key: p.key, Labels: p.labels, State: alarms.StatePaged})
	}
	return out
}
