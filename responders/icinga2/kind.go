package icinga2

import "gameday/responders"

// Kind returns the kind of source as scenarios name it.
func Kind() responders.SourceKind {
	return responders.SourceKind{
		Name:    "icinga2",
		Summary: "Icinga 2: whom its notifications told, who acknowledged, who came next, from its event stream",
		New:     func() responders.Config { return &Config{} },
		Open:    func(name string, c responders.Config) (responders.Source, error) { return New(name, *c.(*Config)) },
	}
}
