package incidentio

import "gameday/responders"

// Kind returns the kind of source as scenarios name it.
func Kind() responders.SourceKind {
	return responders.SourceKind{
		Name:    "incident_io",
		Summary: "incidents of incident.io: roles, updates, channel, call, post-mortem, and the escalations about them (experimental)",
		Tells:   []responders.Kind{responders.RoomOpened, responders.Filed},
		New:     func() responders.Config { return &Config{} },
		Open:    func(name string, c responders.Config) (responders.Source, error) { return New(name, *c.(*Config)) },
	}
}
