package nagios

import "gameday/alarms"

// Kind returns the kind of source as scenarios name it.
func Kind() alarms.SourceKind {
	return alarms.SourceKind{
		Name:    "nagios",
		Summary: "Nagios 4: hosts and services that are not well, and what of them was sent on, from its JSON CGIs",
		New:     func() alarms.Config { return &Config{} },
		Open: func(name string, c alarms.Config, noise map[string]string) (alarms.Source, error) {
			return New(name, *c.(*Config), noise)
		},
	}
}
