package file

import "gameday/responders"

// Kind returns the kind of source as scenarios name it.
func Kind() responders.SourceKind {
	return responders.SourceKind{
		Name:    "file",
		Summary: "what people did, from a file of JSON lines: an export of a system that has no source here, or a facilitator's log",
		Tells:   responders.Kinds(),
		New:     func() responders.Config { return &Config{} },
		Open:    func(name string, c responders.Config) (responders.Source, error) { return New(name, *c.(*Config)) },
	}
}
