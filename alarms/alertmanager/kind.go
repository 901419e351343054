package alertmanager

import "gameday/alarms"

// Kind returns the kind of source as scenarios name it.
func Kind() alarms.SourceKind {
	return alarms.SourceKind{
		Name:    "alertmanager",
		Summary: "Alertmanager: which alarms reached it, which were silenced, and which were sent on",
		New:     func() alarms.Config { return &Config{} },
		Open: func(name string, c alarms.Config, noise map[string]string) (alarms.Source, error) {
			return New(name, *c.(*Config), noise)
		},
	}
}
