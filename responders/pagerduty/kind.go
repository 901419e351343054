package pagerduty

import "gameday/responders"

// Kind returns the kind of source as scenarios name it.
func Kind() responders.SourceKind {
	return responders.SourceKind{
		Name:    "pagerduty",
		Summary: "incidents of PagerDuty, from their logs: who was notified, who acknowledged, who was next (experimental)",
		New:     func() responders.Config { return &Config{} },
		Open:    func(name string, c responders.Config) (responders.Source, error) { return New(name, *c.(*Config)) },
	}
}
