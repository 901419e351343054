package slack

import "gameday/responders"

// Kind returns the kind of source as scenarios name it.
func Kind() responders.SourceKind {
	return responders.SourceKind{
		Name:    "slack",
		Summary: "what people did in Slack: rooms opened, who joined, who wrote, reactions to an alarm's message (experimental)",
		New:     func() responders.Config { return &Config{} },
		Open:    func(name string, c responders.Config) (responders.Source, error) { return New(name, *c.(*Config)) },
	}
}
