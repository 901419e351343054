package grafanairm

import "gameday/responders"

// Kind returns the kind of source as scenarios name it.
func Kind() responders.SourceKind {
	return responders.SourceKind{
		Name:    "grafana_irm",
		Summary: "Grafana IRM (OnCall): alert groups, who acknowledged and resolved them, who is on call; experimental until confirmed live",
		New:     func() responders.Config { return &Config{} },
		Open: func(name string, c responders.Config) (responders.Source, error) {
			return New(name, *c.(*Config))
		},
	}
}
