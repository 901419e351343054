package desk

import "gameday/responders"

// Kind returns the kind of source as scenarios name it.
func Kind() responders.SourceKind {
	return responders.SourceKind{
		Name:     "desk",
		Summary:  "the built-in paging desk: takes Alertmanager webhooks, walks an escalation policy, takes acknowledgements",
		Receives: true,
		Tells: []responders.Kind{responders.Joined, responders.BridgeOpened, responders.RoomOpened, responders.RunbookOpened, responders.Told,
			responders.Diagnosed, responders.Marked},
		New:  func() responders.Config { return &Config{} },
		Open: func(name string, c responders.Config) (responders.Source, error) { return New(name, *c.(*Config)) },
	}
}

var (
	_ responders.Desk     = (*Source)(nil)
	_ responders.Receiver = (*Source)(nil)
)
