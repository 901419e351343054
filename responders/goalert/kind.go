package goalert

import "gameday/responders"

// Kind returns the kind of source as scenarios name it.
func Kind() responders.SourceKind {
	return responders.SourceKind{
		Name:    "goalert",
		Summary: "alerts of a GoAlert service: who was told at which step, who acknowledged, who is on call (experimental)",
		New:     func() responders.Config { return &Config{} },
		Open:    func(name string, c responders.Config) (responders.Source, error) { return New(name, *c.(*Config)) },
	}
}
