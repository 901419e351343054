package grafana

import "gameday/alarms"

// Kind returns the kind of source as scenarios name it.
func Kind() alarms.SourceKind {
	return alarms.SourceKind{
		Name:    "grafana",
		Summary: "Grafana's own alerting rules, from their state history; experimental until confirmed live",
		New:     func() alarms.Config { return &Config{} },
		Open: func(name string, c alarms.Config, noise map[string]string) (alarms.Source, error) {
			return New(name, *c.(*Config), noise)
		},
	}
}
