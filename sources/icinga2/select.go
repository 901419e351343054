package icinga2

import "maps"

// Selection says which hosts and services are of interest, by their labels.
type Selection struct {
	matches []map[string]string
	every   bool
}

// Select makes a selection of those that have every label of one of the matches. Without any, all are of interest.
func Select(matches ...map[string]string) Selection {
	var s Selection
	for _, m := range matches {
		if len(m) > 0 {
			s.matches = append(s.matches, m)
		}
	}
	return s
}

// Every returns the selection of all hosts and services, split as before.
func (s Selection) Every() Selection {
	s.every = true
	return s
}

// Wanted reports whether a host or service is of interest in any state.
func (s Selection) Wanted(c *Checkable) bool {
	if s.every || len(s.matches) == 0 {
		return true
	}
	for _, m := range s.matches {
		if fits(m, c.Labels) {
			return true
		}
	}
	return false
}

// fits reports whether labels have all of a match, whatever state it names.
func fits(match, labels map[string]string) bool {
	for name, value := range match {
		if name != LabelState && labels[name] != value {
			return false
		}
	}
	return true
}

// Split reports whether each state of a host or service is an alarm of its own. It is where the scenario speaks of its state: it must not count as CRITICAL from when
// it became WARNING. Elsewhere going from one to the other is neither an end nor a beginning.
func (s Selection) Split(c *Checkable) bool {
	for _, m := range s.matches {
		if _, named := m[LabelState]; named && fits(m, c.Labels) {
			return true
		}
	}
	return false
}

// Alarm returns under which key and labels a host or service in a state is an alarm.
func (s Selection) Alarm(c *Checkable, state int) (key string, labels map[string]string) {
	if !s.Split(c) {
		return c.Name, c.Labels
	}
	labels = maps.Clone(c.Labels)
	labels[LabelState] = c.StateName(state)
	return c.Name + " " + labels[LabelState], labels
}
