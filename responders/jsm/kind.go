package jsm

import "gameday/responders"

// Kind returns the kind of source as scenarios name it.
func Kind() responders.SourceKind {
	return responders.SourceKind{
		Name:    "jsm",
		Summary: "alerts of Jira Service Management Operations, Opsgenie's successor: their logs and notes, who is on call (experimental)",
		New:     func() responders.Config { return &Config{} },
		Open:    func(name string, c responders.Config) (responders.Source, error) { return New(name, *c.(*Config)) },
	}
}
