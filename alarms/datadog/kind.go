package datadog

import "gameday/alarms"

// Kind returns the kind of source as scenarios name it.
func Kind() alarms.SourceKind {
	return alarms.SourceKind{
		Name:    "datadog",
		Summary: "Datadog monitors, from their events and their state; experimental until confirmed live",
		New:     func() alarms.Config { return &Config{} },
		Open: func(name string, c alarms.Config, noise map[string]string) (alarms.Source, error) {
			return New(name, *c.(*Config), noise)
		},
	}
}
