package prometheus

import "gameday/alarms"

// Kind returns the kind of source as scenarios name it.
func Kind() alarms.SourceKind {
	return alarms.SourceKind{
		Name:    "prometheus",
		Summary: "alerting rules of Prometheus, or of anything that answers its API (Thanos, Mimir, Cortex, vmalert)",
		New:     func() alarms.Config { return &Config{} },
		Open: func(name string, c alarms.Config, noise map[string]string) (alarms.Source, error) {
			return New(name, *c.(*Config), noise)
		},
	}
}
