package builtin

import "gameday/alarms"

// Kind returns the kind of source as scenarios name it. Its configuration is compiled by scenarios, since its rules are
// expressions, so New gives nothing to decode into.
func Kind() alarms.SourceKind {
	return alarms.SourceKind{
		Name:    "builtin",
		Summary: "rules of the scenario's own over the traffic's indicators; needs no monitoring system",
		New:     func() alarms.Config { return &Config{} },
		Open: func(name string, c alarms.Config, _ map[string]string) (alarms.Source, error) {
			return New(name, *c.(*Config)) // it knows all its rules: what is noise is told from the labels
		},
	}
}
